"""What comes again every year, month or week: "March", "8 May", "Christmas", "the 5th", "Friday".

Which one is meant depends on the clock, on a word such as "last", and on whether the sentence
looks back or ahead.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from memsieve.timeline.wall import DAY, FEASTS, Span, add, begin, midnight

_REACH = 50  # periods looked at on either side: 31sts and leap days skip some
_FAR, _NEAR = 240 * DAY, 92 * DAY
SEASONS = {"spring": 3, "summer": 6, "autumn": 9, "winter": 12}


class Recurring(ABC):
    """One occurrence in every period; periods are numbered."""

    __slots__ = ()

    def period(self, moment: datetime) -> int:
        """The number of the period that holds a moment; most things recur every year."""
        return moment.year

    @abstractmethod
    def occurrence(self, period: int) -> Span | None:
        """The occurrence in a period; None where there is none, as on 31 April."""

    def latest(self, moment: datetime, fits: Callable[[datetime, datetime], bool]) -> Span:
        """The latest occurrence around or before `moment` whose start and end fit."""
        return self._search(moment, fits, step=-1)

    def first(self, moment: datetime, fits: Callable[[datetime, datetime], bool]) -> Span:
        """The first occurrence around or after `moment` whose start and end fit."""
        return self._search(moment, fits, step=1)

    def before(self, moment: datetime) -> Span:
        """The latest that was over at a moment."""
        return self.latest(moment, lambda _, end: end <= moment)

    def _search(
        self, moment: datetime, fits: Callable[[datetime, datetime], bool], step: int
    ) -> Span:
        at = self.period(moment) - step
        for period in range(at, at + step * _REACH, step):
            found = self.occurrence(period)
            if found and found.start and found.end and fits(found.start, found.end):
                return found
        raise ValueError(f"no occurrence of {self!r} near {moment}")

    # The readings of "last X", "this X", ... for a clock.

    def past(self, now: datetime) -> Span:
        """Bare, looking back: the latest that has begun."""
        return self.latest(now, lambda start, _: start <= now)

    def future(self, now: datetime) -> Span:
        """Bare, looking ahead: the first that has not ended."""
        return self.first(now, lambda _, end: end > now)

    def last(self, now: datetime) -> Span:
        """The latest that was over when today began."""
        return self.before(midnight(now))

    def this(self, now: datetime) -> Span:
        """That of the current period."""
        return self.occurrence(self.period(now)) or self.future(now)

    def next(self, now: datetime) -> Span:
        """The first that begins after the clock."""
        today = midnight(now)
        return self.first(now, lambda start, _: start > today)

    def readings(self, now: datetime, which: str | None, ahead: bool | None) -> list[Span]:
        """The likeliest first; `which` is last, past (the latest begun), this, next or None.

        Bare, and in a sentence that looks neither ahead nor back, it is the past one, unless that
        is most of a year away and the future one near: in October "on 3 November" is a plan.
        """
        if which == "past":
            return [self.past(now)]
        if which is not None:
            return [getattr(self, which)(now)]
        past, future = self.past(now), self.future(now)
        if past == future:
            return [past]
        if ahead is None and past.end and future.start:
            ahead = now - past.end > _FAR and future.start - now < _NEAR
        return [future, past] if ahead else [past, future]


class _Dated(Recurring):
    """A date that a weekday may pin down: then the nearest one that fits is meant."""

    __slots__ = ()
    weekday: int | None

    def readings(self, now: datetime, which: str | None, ahead: bool | None) -> list[Span]:
        found = Recurring.readings(self, now, which, ahead)
        if self.weekday is None:
            return found
        return sorted(found, key=lambda span: abs((span.start or now) - now))


@dataclass(frozen=True, slots=True)
class Month(Recurring):
    """A month of the year, 1 to 12."""

    month: int

    def occurrence(self, period: int) -> Span | None:
        start = datetime(period, self.month, 1)
        return Span(start, add(start, "month", 1), "month")


@dataclass(frozen=True, slots=True)
class MonthDay(_Dated):
    """A day of the year: 8 May; with a weekday only in the years in which it falls on that."""

    month: int
    day: int
    weekday: int | None = None

    def occurrence(self, period: int) -> Span | None:
        try:
            start = datetime(period, self.month, self.day)
        except ValueError:  # 29 February
            return None
        return _day_on(start, self.weekday)


@dataclass(frozen=True, slots=True)
class Season(Recurring):
    """A meteorological season; winter is named by the year of its December."""

    name: str

    def period(self, moment: datetime) -> int:
        # January and February belong to the winter that began the year before.
        return moment.year - (self.name == "winter" and moment.month < 3)

    def occurrence(self, period: int) -> Span | None:
        start = datetime(period, SEASONS[self.name], 1)
        return Span(start, add(start, "quarter", 1), "season")


@dataclass(frozen=True, slots=True)
class Quarter(Recurring):
    """A quarter of the year, 1 to 4."""

    number: int

    def occurrence(self, period: int) -> Span | None:
        start = datetime(period, 3 * self.number - 2, 1)
        return Span(start, add(start, "quarter", 1), "season")


@dataclass(frozen=True, slots=True)
class Feast(Recurring):
    """A named day of `wall.FEASTS`."""

    name: str

    def occurrence(self, period: int) -> Span | None:
        start = FEASTS[self.name](period)
        return Span(start, start + DAY, "day")


@dataclass(frozen=True, slots=True)
class DayOfMonth(_Dated):
    """A day of the month: the 5th; with a weekday only in the months in which it falls on that."""

    day: int
    weekday: int | None = None

    def period(self, moment: datetime) -> int:
        return moment.year * 12 + moment.month - 1

    def occurrence(self, period: int) -> Span | None:
        try:
            start = datetime(period // 12, period % 12 + 1, self.day)
        except ValueError:
            return None
        return _day_on(start, self.weekday)


def _day_on(start: datetime, weekday: int | None) -> Span | None:
    return Span(start, start + DAY, "day") if weekday in (None, start.weekday()) else None


class _Weekly(Recurring):
    """Once a week; "this", "last" and "next" mean other weeks than of months and years."""

    __slots__ = ()

    def period(self, moment: datetime) -> int:
        return begin(moment, "week").toordinal() // 7


@dataclass(frozen=True, slots=True)
class Weekday(_Weekly):
    """Monday (0) to Sunday (6). Bare and looking back: before today, never today itself."""

    weekday: int

    def occurrence(self, period: int) -> Span | None:
        # Day 1 of the ordinals is a Monday, so the Mondays are 7 n + 1.
        start = datetime.fromordinal(period * 7 + 1 + self.weekday)
        return Span(start, start + DAY, "day")

    def past(self, now: datetime) -> Span:
        return self.last(now)

    def future(self, now: datetime) -> Span:
        today = midnight(now)
        return self.first(now, lambda start, _: start > today)

    def this(self, now: datetime) -> Span:
        today = midnight(now)
        return self.first(now, lambda start, _: start >= today)

    def readings(self, now: datetime, which: str | None, ahead: bool | None) -> list[Span]:
        if which != "next":
            return _Weekly.readings(self, now, which, ahead)
        return list(dict.fromkeys(self._of_next_week(now)))

    def _of_next_week(self, now: datetime) -> Iterator[Span]:
        """People differ over "next Friday": the Friday of next week, or the first to come."""
        found = self.occurrence(self.period(now) + 1)
        if found is not None:
            yield found
        yield self.future(now)


@dataclass(frozen=True, slots=True)
class Weekend(_Weekly):
    """Saturday and Sunday."""

    def occurrence(self, period: int) -> Span | None:
        start = datetime.fromordinal(period * 7 + 6)
        return Span(start, start + 2 * DAY, "week")

    def next(self, now: datetime) -> Span:
        return self.occurrence(self.period(now) + 1) or self.future(now)
