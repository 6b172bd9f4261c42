"""The answer to a recall: what was found, why, what was left out, and the text for a prompt."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, overload

from memsieve.errors import NotFoundError
from memsieve.timeline.printing import annotated
from memsieve.types import NOTHING, Hit, Item, SessionHit

SURE = 2 / 3
"""Share of an event's words from which it counts as found for certain."""


def day_line(moment: datetime) -> str:
    """The heading of a day in a context: 'Monday 8 May 2023'."""
    return f"{moment:%A} {moment.day} {moment:%B %Y}"


def spoken(item: Item, *, dates: bool = False) -> str:
    """One item as a line of a context: speaker or role, then its text, verbatim.

    With `dates` the dates that relative words mean stand in brackets behind them.
    """
    text = annotated(item.text, item.mentions, item.said_local) if dates else item.text
    return f"{voice(item.speaker, item.role)}{text}"


def voice(speaker: str | None, role: str | None) -> str:
    """What stands before a text: 'Ana: ', or nothing if nobody is known to have said it."""
    name = speaker or role
    return f"{name}: " if name else ""


def reference(rank: int) -> str:
    """The number in brackets by which an answer may cite a hit: '[3] '."""
    return f"[{rank}] "


def render(
    hits: Sequence[Hit], *, cite: bool = False, dates: bool = False, by_event: bool = False
) -> str:
    """Hits as text for a prompt: in the order of time, each day and session under its date.

    With `by_event` the order and the dates are those of what the hits tell of, not those on which
    they were said.
    """
    lines: list[str] = []
    place: object = None
    for hit in in_order_of_events(hits) if by_event else in_time(hits):
        item = hit.item
        day = happened_on(item) if by_event else item.said_local
        here = day.date() if by_event else (item.session, day.date())
        if here != place:
            place = here
            lines += ([""] if lines else []) + [day_line(day)]
        lines.append((reference(hit.rank) if cite else "") + spoken(item, dates=dates))
    return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Computed:
    """A length of time that a question asked for, worked out.

    answer: in the unit of the question and in days, from the shortest to the longest where no more
    than the week or the month of an event is known; working: from which day to which, and how these
    are known; days: calendar days from the first of the one to the first of the other; count: whole
    units of the question in these; support: share of the events' words, of the worse found one,
    that its evidence holds.
    """

    answer: str
    working: str
    days: int
    count: int
    support: float = 1.0

    @property
    def is_sure(self) -> bool:
        """Whether its events were found by most of their words."""
        return self.support >= SURE

    @property
    def line(self) -> str:
        """As it stands in a context: 'Worked out: 42 days, from ... to ...'.

        "Perhaps" where the evidence holds less than two thirds of an event's words: it may be that
        of another.
        """
        return f"{'Worked out' if self.is_sure else 'Perhaps'}: {self.answer}, {self.working}."


def with_lines(text: str, computed: Sequence[Computed], remarks: Sequence[str] = ()) -> str:
    """A context with what was worked out and remarked below it."""
    below = "\n".join([*(one.line for one in computed), *remarks])
    return "\n\n".join(part for part in (text, below) if part)


def happened_on(item: Item) -> datetime:
    """The first moment of what an item tells of, else when it was said, on the speaker's clock."""
    # Stores give it on that clock: to go by way of UTC may lead out of the years of a datetime.
    return (item.happened and (item.happened.start or item.happened.end)) or item.said_local


def in_order_of_events(hits: Sequence[Hit]) -> list[Hit]:
    """Hits by what they tell of; of one day, as they were said."""

    def when(hit: Hit) -> tuple[date, datetime, int]:
        return happened_on(hit.item).date(), hit.item.said_at, hit.item.ordinal

    return sorted(hits, key=when)


def in_time(hits: Sequence[Hit]) -> list[Hit]:
    """Hits by time; those of one session and day stay together, in the order they were said."""
    begins: dict[object, datetime] = {}
    for hit in hits:
        place = (hit.item.session, hit.item.said_local.date())
        begins[place] = min(begins.get(place, hit.item.said_at), hit.item.said_at)

    def when(hit: Hit) -> tuple[datetime, str, datetime, int]:
        item = hit.item
        place = (item.session, item.said_local.date())
        return begins[place], item.session or "", item.said_at, item.ordinal

    return sorted(hits, key=when)


@dataclass(frozen=True, slots=True)
class Recollection:
    """What a question recalled.

    hits: best first; sessions: whole conversations, best first; left_out: the best candidates
    that were not picked, `reasons` saying why, in the same order; n_candidates: how many were
    weighed; tokens: length of `context()` as `count_tokens` counts; computed: lengths of time that
    the question asked for, which end the context; by_event: it asked for an order, so the context
    goes by when things happened; dates: relative words have their dates beside them; id: by which
    `Memory.feedback` judges it; remarks: further lines that end the context; plan: what the system
    decided for this question.
    """

    question: str
    hits: tuple[Hit, ...]
    sessions: tuple[SessionHit, ...]
    left_out: tuple[Hit, ...]
    reasons: tuple[str, ...]
    n_candidates: int
    budget_tokens: int | None
    cite: bool
    count_tokens: Callable[[str], int] = field(repr=False)
    computed: tuple[Computed, ...] = ()
    by_event: bool = False
    dates: bool = False
    id: str = ""
    remarks: tuple[str, ...] = ()
    plan: Mapping[str, Any] = field(default_factory=lambda: NOTHING)

    def context(self) -> str:
        """The hits as text for a prompt: in time order, dated, never over the token budget."""
        text = render(self.hits, cite=self.cite, dates=self.dates, by_event=self.by_event)
        return with_lines(text, self.computed, self.remarks)

    @property
    def tokens(self) -> int:
        """Length of `context()` in tokens."""
        return self.count_tokens(self.context())

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of the hits, best first."""
        return tuple(hit.id for hit in self.hits)

    def cited(self, number: int) -> Hit:
        """The hit that `[number]` in a citing context stands for.

        Raises
        ------
        NotFoundError
            If there is none.
        """
        for hit in self.hits:
            if hit.rank == number:
                return hit
        raise NotFoundError(f"no hit is cited as [{number}]: there are 1 to {len(self.hits)}")

    def __len__(self) -> int:
        return len(self.hits)

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)

    @overload
    def __getitem__(self, at: int) -> Hit: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[Hit, ...]: ...
    def __getitem__(self, at: int | slice) -> Hit | tuple[Hit, ...]:
        return self.hits[at]
