"""What an expression of time says, before a clock tells when that is.

A node is a small tree: "three days after last Christmas" is a `Shifted` of an `Again` of a
`Feast`. `spans(context)` gives its readings on the wall, the likeliest first.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from memsieve.timeline.recurring import Recurring, Weekend
from memsieve.timeline.wall import DAY, MINUTE, PRECISION_OF, Span, add, begin, midnight, whole

_CLIMBS = {"day": 0, "week": 0, "month": 1, "season": 1, "year": 2, "decade": 3, "century": 4}


@dataclass(frozen=True, slots=True)
class Context:
    """The clock on the wall, and whether the sentence looks ahead, back (False) or neither."""

    now: datetime
    ahead: bool | None = None

    @property
    def today(self) -> datetime:
        return midnight(self.now)


class Node(ABC):
    """A time that a clock turns into readings on the wall."""

    __slots__ = ()

    @property
    def unit(self) -> str:
        """The finest unit that it names."""
        return "day"

    @property
    def is_relative(self) -> bool:
        """Whether the clock decides which time is meant."""
        return True

    @abstractmethod
    def spans(self, context: Context) -> list[Span]:
        """Readings, the likeliest first, at least one; ValueError where there is none."""

    def starts(self, context: Context) -> Iterable[datetime]:
        """The beginnings of those readings that have one."""
        return (span.start for span in self.spans(context) if span.start is not None)


@dataclass(frozen=True, slots=True)
class Fixed(Node):
    """A stretch that no clock changes: 8 May 2023, 2019, the 1990s."""

    span: Span
    unit: str = "day"

    @property
    def is_relative(self) -> bool:
        return False

    def spans(self, context: Context) -> list[Span]:
        return [self.span]


@dataclass(frozen=True, slots=True)
class Again(Node):
    """Something recurring, with what picks one: a year, or a word such as "last"."""

    what: Recurring
    which: str | None = None
    unit: str = "day"
    year: int | None = None

    @property
    def is_relative(self) -> bool:
        return self.year is None

    def spans(self, context: Context) -> list[Span]:
        if self.year is not None:
            found = self.what.occurrence(self.year)
            if found is None:
                raise ValueError(f"{self.what!r} is not in {self.year}")
            return [found]
        return self.what.readings(context.now, self.which, context.ahead)

    @property
    def floats(self) -> bool:
        """Whether another expression beside it may decide which one is meant."""
        return self.year is None and self.which is None


@dataclass(frozen=True, slots=True)
class Earlier(Node):
    """The n-th latest that was over when today began: two summers ago."""

    what: Recurring
    n: int
    unit: str = "day"

    def spans(self, context: Context) -> list[Span]:
        found = self.what.last(context.now)
        for _ in range(self.n - 1):
            begins = found.start
            assert begins is not None
            found = self.what.before(begins)
        return [found]


@dataclass(frozen=True, slots=True)
class Unit(Node):
    """A whole unit of the calendar, `count` after the current one: last week is -1."""

    unit: str
    count: int = 0

    def spans(self, context: Context) -> list[Span]:
        return [whole(add(begin(context.now, self.unit), self.unit, self.count), self.unit)]


@dataclass(frozen=True, slots=True)
class Ago(Node):
    """So many units before the clock, or after it if negative; `least` for "a few": 5 to 2.

    Days and weeks count to the day, minutes and hours to the minute, longer units give the whole
    unit of the calendar.
    """

    most: int
    unit: str
    least: int | None = None
    only_ahead: bool = False

    def spans(self, context: Context) -> list[Span]:
        least = self.most if self.least is None else self.least
        counts = sorted((-self.most, -least))
        first, last = (self._one(context, count) for count in counts)
        return [Span(first.start, last.end, first.precision)]

    def _one(self, context: Context, count: int) -> Span:
        precision = PRECISION_OF[self.unit]
        if self.unit == "weekend":
            last = Weekend().last(context.now) if count < 0 else Weekend().this(context.now)
            assert last.start is not None
            return whole(last.start + 7 * (count + (count < 0)) * DAY, "weekend")
        if self.unit in ("minute", "hour"):
            at = begin(add(context.now, self.unit, count), "minute")
            return Span(at, at + MINUTE, precision)
        if self.unit in ("day", "week", "fortnight"):
            day = add(context.today, self.unit, count)
            return Span(day, day + DAY, precision)
        calendar_unit = "year" if self.unit in ("decade", "century") else self.unit
        moved = add(begin(context.now, "month"), self.unit, count)
        return whole(moved, calendar_unit)._replace(precision=precision)


@dataclass(frozen=True, slots=True)
class Rolling(Node):
    """The stretch of so many units up to the clock, or from it if ahead."""

    count: int
    unit: str
    forward: bool = False

    def spans(self, context: Context) -> list[Span]:
        fine = self.unit in ("minute", "hour")
        unit = "week" if self.unit == "weekend" else self.unit
        now = begin(context.now, "minute")
        precision = PRECISION_OF[unit]
        if self.forward:
            end = add(now if fine else context.today, unit, self.count)
            return [Span(now, end if fine else end + DAY, precision)]
        return [Span(add(now if fine else context.today, unit, -self.count), now, precision)]


@dataclass(frozen=True, slots=True)
class Vague(Node):
    """A stretch of days around today that words such as "the other day" mean."""

    first: int
    last: int

    def spans(self, context: Context) -> list[Span]:
        return [Span(context.today + self.first * DAY, context.today + self.last * DAY, "week")]


@dataclass(frozen=True, slots=True)
class Today(Node):
    """The part of a unit of the calendar that has passed, or that is to come."""

    unit: str
    later: bool = False

    def spans(self, context: Context) -> list[Span]:
        unit = whole(context.now, self.unit)
        now = begin(context.now, "minute")
        if self.later:
            return [Span(now, unit.end, unit.precision)]
        return [Span(unit.start, now, unit.precision)]


def with_which(node: Node, which: str) -> Node | None:
    """The same recurring thing, picked by "last", "this", "next" or "past"; None if it cannot."""
    if isinstance(node, Again) and node.floats:
        return replace(node, which=which)
    return None


def coarseness(unit: str) -> int:
    """0 for days and weeks up to 4 for centuries: what may hold what."""
    return _CLIMBS.get(unit, 0)
