"""The shapes that travel between the rooms: frozen, with units stated.

Scores: higher is better. Times: aware UTC. Costs: tokens and bytes, never negative.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from types import MappingProxyType
from typing import Any

from memsieve.errors import ParameterError

KINDS = (
    "turn",
    "document",
    "fact",
    "note",
    "summary",
    "instruction",
    "preference",
    "profile",
    "case",
    "tool",
    "skill",
)
SOURCES = ("user", "assistant", "tool", "import", "derived")
NOTHING: Mapping[str, Any] = MappingProxyType({})
_SECONDS_PER_DAY = 86_400


PRECISIONS = (
    "minute",
    "part of day",
    "day",
    "week",
    "month",
    "season",
    "year",
    "decade",
    "century",
)
"""How finely a text can speak of time, finest first; "two weeks ago" speaks in weeks."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A half-open stretch of time [start, end); None for a bound that is unknown or open.

    Bounds are aware and keep the zone they were read in, so that they print as the speaker's
    dates; all comparisons and lengths are those of the instants.

    Parameters
    ----------
    start, end
        Aware datetimes, or None: "since spring" has no known end.
    precision
        One of `PRECISIONS`: how finely the text spoke, which may be coarser than the interval
        is long ("two weeks ago" is a day, spoken of in weeks).

    Raises
    ------
    ParameterError
        If a bound is naive, the end comes before the start, or the precision is unknown.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> may = Interval(datetime(2023, 5, 1, tzinfo=UTC), datetime(2023, 6, 1, tzinfo=UTC), "month")
    >>> day = Interval(datetime(2023, 6, 19, tzinfo=UTC), datetime(2023, 6, 20, tzinfo=UTC))
    >>> may.before(day), may.gap_days(day), day.during(may)
    (True, 18.0, False)
    """

    start: datetime | None
    end: datetime | None
    precision: str = "day"

    def __post_init__(self) -> None:
        for name, moment in (("start", self.start), ("end", self.end)):
            if moment is not None and moment.tzinfo is None:
                raise ParameterError(f"Interval.{name} must be an aware datetime, got {moment!r}")
        if self.precision not in PRECISIONS:
            raise ParameterError(
                f"Interval.precision must be one of {', '.join(PRECISIONS)}, got {self.precision!r}"
            )
        if self.bounds[0] > self.bounds[1]:
            raise ParameterError(f"Interval must not end before it starts: {self!r}")

    @classmethod
    def day_of(cls, moment: datetime) -> Interval:
        """The day of an aware moment on its own clock; the last that there is has no end."""
        start = moment.replace(hour=0, minute=0, second=0, microsecond=0)
        try:
            return cls(start, start + timedelta(days=1))
        except OverflowError:
            return cls(start, None)

    @property
    def bounds(self) -> tuple[float, float]:
        """Start and end in seconds since 1970, infinite where unknown."""
        # Two moments of one zone would be compared by their clocks, wrong over a DST change.
        begin = -math.inf if self.start is None else self.start.timestamp()
        return begin, math.inf if self.end is None else self.end.timestamp()

    @property
    def days(self) -> float:
        """Length in days of 24 hours; infinite if a bound is unknown."""
        begin, end = self.bounds
        return (end - begin) / _SECONDS_PER_DAY

    def contains(self, moment: datetime) -> bool:
        """Whether an aware moment lies inside."""
        begin, end = self.bounds
        return begin <= moment.timestamp() < end

    def overlap_days(self, other: Interval) -> float:
        """Length in days of what both cover; 0.0 if they do not meet."""
        (begin, end), (other_begin, other_end) = self.bounds, other.bounds
        return max(min(end, other_end) - max(begin, other_begin), 0.0) / _SECONDS_PER_DAY

    def overlaps(self, other: Interval) -> bool:
        """Whether both cover a common moment."""
        return self.overlap_days(other) > 0

    def gap_days(self, other: Interval) -> float:
        """Days between the nearest bounds; 0.0 if they meet or overlap."""
        (begin, end), (other_begin, other_end) = self.bounds, other.bounds
        return max(other_begin - end, begin - other_end, 0.0) / _SECONDS_PER_DAY

    def before(self, other: Interval) -> bool:
        """Whether this one is over when the other begins."""
        return self.bounds[1] <= other.bounds[0]

    def after(self, other: Interval) -> bool:
        """Whether this one begins when the other is over."""
        return other.before(self)

    def during(self, other: Interval) -> bool:
        """Whether the other covers all of this one."""
        (begin, end), (other_begin, other_end) = self.bounds, other.bounds
        return other_begin <= begin and end <= other_end

    def shift(self, days: float) -> Interval:
        """The same stretch so many days later, by the clock on the wall (earlier if negative)."""
        by = timedelta(days=days)
        start, end = self.start, self.end
        return replace(self, start=start and start + by, end=end and end + by)


@dataclass(frozen=True, slots=True)
class Mention:
    """Words of a text that name a time: text[first:last] means `interval`.

    `weight` in (0, 1] is how sure the reading is against the others of the same words;
    `is_relative` says that the words alone do not tell the date, as "yesterday" does not.
    """

    first: int
    last: int
    interval: Interval
    weight: float = 1.0
    is_relative: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """One thing to remember, as a caller or an importer hands it in.

    Parameters
    ----------
    text
        Kept verbatim. At most 1 MiB of UTF-8.
    at
        When it was said, aware; None means now. Its offset from UTC is kept: "yesterday" is the
        speaker's.
    speaker, role, session
        Who said it, as what ("user", "assistant", ...), and in which conversation.
    key
        The caller's own id, unique inside a namespace: adding a key twice adds nothing.
    kind, source, trust
        One of `KINDS`, one of `SOURCES`, and a number in [0, 1].
    namespace
        Where it belongs if not in the memory's own namespace; importers set it, one per scope.
    slot
        (subject, attribute): the text states the value that this attribute of this subject has
        from `at` on, as in ("Ana", "home"). Of several such messages only the one that holds at
        the clock of the question is recalled; all are kept. Compared without regard to case and
        blanks, stored as given.
    """

    text: str
    at: datetime | None = None
    speaker: str | None = None
    role: str | None = None
    session: str | None = None
    key: str | None = None
    kind: str = "turn"
    source: str = "user"
    trust: float = 1.0
    metadata: Mapping[str, Any] = field(default_factory=lambda: NOTHING)
    namespace: str | None = None
    slot: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """One remembered thing as the store holds it; its text never changes.

    `seq` orders items as they were written, `ordinal` counts from 0 inside the session.
    `tokens` is the length of the text in tokens of the shipped WordPiece vocabulary.
    `supersedes` is the id of the version that this one replaces. `said_at` is in UTC,
    `offset_minutes` the speaker's clock against it; `mentions` are the times that the text names,
    in the order of the text, read against `said_at`. `slot` is the (subject, attribute) whose value
    it states, see `Message`.
    """

    id: str
    seq: int
    namespace: str
    kind: str
    text: str
    speaker: str | None
    role: str | None
    session: str | None
    ordinal: int
    source: str
    trust: float
    key: str | None
    metadata: Mapping[str, Any]
    said_at: datetime
    happened: Interval | None
    stored_at: datetime
    invalid_at: datetime | None
    supersedes: str | None
    tokens: int
    offset_minutes: int = 0
    mentions: tuple[Mention, ...] = ()
    slot: tuple[str, str] | None = None

    @property
    def said_local(self) -> datetime:
        """When it was said, on the clock of whoever said it."""
        return self.said_at.astimezone(timezone(timedelta(minutes=self.offset_minutes)))


@dataclass(frozen=True, slots=True)
class Hit:
    """One recalled item: what it scored and what each feature gave to that score."""

    item: Item
    score: float
    why: Mapping[str, float]
    rank: int

    @property
    def id(self) -> str:
        return self.item.id

    @property
    def text(self) -> str:
        return self.item.text


@dataclass(frozen=True, slots=True)
class SessionHit:
    """One recalled session: the conversation as a whole, with its score."""

    session: str
    score: float
    rank: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """Proof of a forgetting: what went, when, and what a search of the file still found.

    `residue` counts pieces of forgotten text that the database files still hold; 0 is the promise,
    and the file is rewritten if the first search finds any. It can only be more while a reader
    keeps an old state open; `check(fix=True)` completes the work when that reader is gone.
    """

    ids: tuple[str, ...]
    at: datetime
    residue: int
    rewritten: bool
