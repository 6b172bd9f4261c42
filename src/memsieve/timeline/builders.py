"""What the rules of a language's table build: nodes from the values of the matched words.

A builder is given the values in the order of the text, words without a value left out, and gives
None where they do not fit together ("the 31st of April" fits, "the 45th of April" does not).
"""

from dataclasses import replace
from datetime import datetime

from memsieve.timeline.anchored import (
    Beside,
    Clock,
    Daypart,
    Holding,
    Lasting,
    Nth,
    Open,
    Part,
    Range,
    Shifted,
    Within,
)
from memsieve.timeline.nodes import (
    Again,
    Ago,
    Earlier,
    Fixed,
    Node,
    Rolling,
    Today,
    Unit,
    Vague,
    coarseness,
    with_which,
)
from memsieve.timeline.recurring import (
    DayOfMonth,
    Feast,
    Month,
    MonthDay,
    Quarter,
    Recurring,
    Season,
    Weekday,
    Weekend,
)
from memsieve.timeline.wall import whole

Timed = Node | Recurring | str | int
"""A node, something recurring, a unit (the current one), or days from today."""

_UNIT_OF: dict[type[Recurring], str] = {
    Month: "month", Season: "season", Quarter: "season", Weekend: "weekend",
}  # fmt: skip
_SAME = {"previous": "last"}
_SMALL_HOURS = 5 * 60  # two in the night is after midnight, eight is before
_COUNTED = ("day", "week", "weekend", "month", "quarter", "year")
_LONG = ("week", "month", "quarter", "year", "decade", "century")
_FINER = {
    "year": ("month", 12), "hour": ("minute", 60), "day": ("hour", 24), "week": ("day", 7),
    "month": ("day", 30), "decade": ("year", 10),
}  # fmt: skip
_MAX_COUNT = 5_000
_MAX_TIMES = 100


def node(what: Timed) -> Node:
    """Whatever names a time as a node."""
    if isinstance(what, Node):
        return what
    if isinstance(what, Recurring):
        return again(what)
    return Unit(what) if isinstance(what, str) else Ago(-what, "day")


def again(what: Recurring, which: str | None = None) -> Again:
    """Something recurring, bare or picked by a word."""
    return Again(what, which, _UNIT_OF.get(type(what), "day"))


def of_year(what: Recurring, year: int) -> Node:
    """That of one year."""
    return replace(again(what), year=year)


def picked(which: str, what: Recurring | Node) -> Node | None:
    """ "last", "this", "next", "past" or "future" and something recurring."""
    which = _SAME.get(which, which)
    return again(what, which) if isinstance(what, Recurring) else with_which(what, which)


# Dates


def year_of(year: int) -> Node:
    """A whole year."""
    return Fixed(whole(datetime(year, 1, 1), "year"), "year")


def decade(*words: int) -> Node | None:
    """A decade by its first year, or a third of it: "the late 90s"."""
    first = words[-1]
    if not 1000 <= first <= 2090 or first % 10:
        return None
    whole_decade = Fixed(whole(datetime(first, 1, 1), "decade"), "decade")
    return whole_decade if len(words) == 1 else Part(whole_decade, words[0])


def century(n: int, unit: str) -> Node | None:
    """The n-th century of our era."""
    if unit != "century" or not 1 <= n <= 30:
        return None
    return Fixed(whole(datetime(100 * n - 50, 1, 1), "century"), "century")


def month(what: Month, year: int) -> Node:
    """A month of a year."""
    return _fixed(what, year)


def date(day: int, what: Month, year: int | None = None) -> Node | None:
    """A day of a month, of a year if one is named; the 31st of April is a date without readings."""
    if not 1 <= day <= 31:
        return None
    found = MonthDay(what.month, day)
    return again(found) if year is None else _fixed(found, year)


def _fixed(what: Recurring, year: int) -> Node:
    span = what.occurrence(year)
    return of_year(what, year) if span is None else Fixed(span, again(what).unit)


def day_of_month(day: int, weekday: Weekday | None = None) -> Node | None:
    """The 5th of some month, of one in which it is a Friday if a weekday is named."""
    if not 1 <= day <= 31:
        return None
    return again(DayOfMonth(day, None if weekday is None else weekday.weekday))


def dates(first: int, last: int, what: Month, year: int | None = None) -> Node | None:
    """From one day of a month to another."""
    if first >= last:
        return None
    begins, ends = date(first, what, year), date(last, what, year)
    return begins and ends and Range(begins, ends)


def weekday_date(weekday: Weekday, day: Node) -> Node | None:
    """A date with its weekday; without a year, one in which they agree."""
    if isinstance(day, Fixed) and day.unit in ("day", "minute"):
        return day
    if isinstance(day, Again) and isinstance(day.what, MonthDay | DayOfMonth):
        return replace(day, what=replace(day.what, weekday=weekday.weekday))
    return None


def quarter(n: int, year: int | None = None) -> Node | None:
    """A quarter, of a year if one is named."""
    if not 1 <= n <= 4:
        return None
    return again(Quarter(n)) if year is None else of_year(Quarter(n), year)


# Counted from the clock


def relative_unit(which: str, unit: str) -> Node | None:
    """Last, this or next week, month, ...; "the next day" is told from a story, not the clock."""
    if unit not in _LONG:
        return None
    return Unit(unit, {"last": -1, "this": 0, "next": 1, "future": 1}[_SAME.get(which, which)])


def before_last(what: str | Recurring, *_: object) -> Node | None:
    """The week, weekend, Friday or Christmas before the last."""
    if isinstance(what, str):
        return Unit(what, -2) if what in _LONG else None
    return earlier(2, what)


def earlier(n: int, what: Recurring) -> Node | None:
    """Two Fridays, summers, Christmases ago: 1 is the last one."""
    return Earlier(what, n, _UNIT_OF.get(type(what), "day")) if 1 <= n <= _MAX_TIMES else None


def after_next(what: str | Recurring, *_: object) -> Node | None:
    """The week, weekend or Friday after the next."""
    if isinstance(what, str):
        return Unit(what, 2) if what in _LONG else None
    if isinstance(what, Weekend):
        return Ago(-2, "weekend")
    return Shifted(again(what, "future"), 1, "week") if isinstance(what, Weekday) else None


def rolling(count: int | tuple[int, int], unit: str, forward: bool = False) -> Node | None:
    """The past or next so many units; "few" counts at its most."""
    most = count if isinstance(count, int) else count[0]
    return Rolling(most, unit, forward) if 0 < most <= _MAX_COUNT else None


def ago(count: int | tuple[int, int], unit: str, day: Timed | None = None) -> Node | None:
    """So many units ago, or before a day: "a week ago last Friday"."""
    most, least = (count, None) if isinstance(count, int) else count
    if not 0 < most <= _MAX_COUNT:
        return None
    if day is not None:
        return Shifted(_past(day), -most, unit)
    times = {"decade": 10, "century": 100}.get(unit, 1)
    return Ago(most * times, "year" if times > 1 else unit, least and least * times)


def _past(day: Timed) -> Node:
    return again(day, "last") if isinstance(day, Weekday) else node(day)


def ahead(count: int | tuple[int, int], unit: str, *, sure: bool = True) -> Node | None:
    """In so many units; not `sure` where "in two days" may as well mean how long it took."""
    found = ago(count, unit)
    if not isinstance(found, Ago):
        return None
    least = found.least and -found.least
    return Ago(-found.most, found.unit, least, only_ahead=not sure)


def and_a_half(count: int, unit: str, sign: int = 1) -> Node | None:
    """One and a half units ago."""
    finer = _FINER.get(unit)
    if finer is None:
        return None
    return Ago(sign * (count * finer[1] + finer[1] // 2), finer[0])


def vague(days: tuple[int, int]) -> Node:
    """Such stretches as "the other day"."""
    return Vague(*days)


def so_far(is_rest: bool, what: str | int) -> Node | None:
    """Earlier or later in the day, week, ... of the clock."""
    if isinstance(what, int):
        return Today("day", is_rest) if what == 0 else None
    return Today(what, is_rest) if what in ("day", *_LONG) else None


def weekday_of(day: Weekday, which: str, unit: str) -> Node | None:
    """A day of last, this or next week."""
    week = relative_unit(which, unit)
    return Nth(week, 1, day.weekday) if week is not None and unit == "week" else None


def weekday_in(day: Weekday, count: int, unit: str) -> Node | None:
    """The Tuesday of the week after so many weeks: "Tuesday in two weeks"."""
    if unit != "week" or not 0 < count <= _MAX_COUNT:
        return None
    return Nth(Unit("week", count), 1, day.weekday)


# Parts


def daypart(day: Timed | None, name: str) -> Node | None:
    """A part of a day."""
    if day is None:
        return None
    found = node(day)
    if isinstance(found, Ago) and found.least is not None:
        return None
    return Daypart(found, name) if found.unit in ("day", "week") and _is_day(found) else None


def _is_day(found: Node) -> bool:
    """Whether a node is one day; weeks are spoken of in days too ("a week ago")."""
    if isinstance(found, Again | Fixed | Beside | Nth | Holding):
        return found.unit == "day"
    if isinstance(found, Ago):
        return found.unit in ("day", "week", "fortnight")
    return isinstance(found, Shifted)


def last_daypart(name: str) -> Node | None:
    """Last night, last evening."""
    return Daypart(Ago(1, "day"), name)


def part(number: int, of: Timed, pieces: int = 3) -> Node | None:
    """A third or a half of a stretch longer than a day."""
    inner = node(of)
    if inner.unit in ("day", "minute", "part of day", "hour", "weekend"):
        return None
    return Part(inner, number, pieces)


def nth(n: int | str, what: str | Recurring, *rest: Timed) -> Node | None:
    """The first week, last Friday, ... of a month or a longer stretch."""
    inner = node(rest[-1])
    count = n if isinstance(n, int) else -1
    kind = what.weekday if isinstance(what, Weekday) else what
    kind = "weekend" if isinstance(kind, Weekend) else kind
    if not isinstance(kind, int) and kind not in _COUNTED:
        return None
    if inner.unit in ("day", "minute", "part of day", "weekend"):
        return None
    if isinstance(kind, str) and coarseness(kind) > coarseness(inner.unit):
        return None
    return Nth(inner, count, kind)


def nths(which: int | str, count: int, unit: str, *of: Timed) -> Node | None:
    """The first two weeks of August, the last three days of the month."""
    if not 1 <= count <= _MAX_TIMES or which not in (1, "last"):
        return None
    begins, ends = (1, count) if which == 1 else (-count, -1)
    first, last = nth(begins, unit, of[-1]), nth(ends, unit, of[-1])
    return first and last and Range(first, last)


def day_in(n: int, month: Timed | None) -> Node | None:
    """The 14th of next month, the 5th of the month."""
    if month is None:
        return None
    inner = node(month)
    return Nth(inner, n, "day") if inner.unit == "month" and 1 <= n <= 31 else None


def at_clock(day: Timed, minutes: int) -> Node | None:
    """A time of a day or of its part: "last night at 11"."""
    found = node(day)
    if isinstance(found, Daypart):
        if found.part == "night" and minutes < _SMALL_HOURS:
            return Clock(found.inner, minutes + 1440)
        ends = {"afternoon": 720, "evening": 780, "night": 780}.get(found.part, 0)  # "night at 12"
        return Clock(found.inner, minutes + 720 if 60 <= minutes < ends else minutes)
    return Clock(found, minutes) if _is_day(found) else None


def at_hour(day: Timed, hour: int) -> Node | None:
    """The same for a bare hour: 1 to 6 are in the afternoon unless the part of the day says."""
    if not 0 <= hour <= 23:
        return None
    is_part = isinstance(day, Daypart)
    return at_clock(day, 60 * (hour + 12 if 1 <= hour <= 6 and not is_part else hour))


def clocks(day: Timed, first: int, last: int) -> Node | None:
    """From one time of a day to another; bare hours are given in minutes already."""
    begins, ends = at_clock(day, first), at_clock(day, last)
    if begins is None or ends is None or first >= last:
        return None
    return Range(begins, ends)


def hours(first: int, last: int, day: Timed) -> Node | None:
    """From 9 to 5 on a day."""
    if not (0 < first <= 24 and 0 < last <= 24):
        return None
    return clocks(day, 60 * first, 60 * (last + 12 if last <= first and last < 12 else last))


def hour_to_clock(day: Timed, hour: int, last: int) -> Node | None:
    """From 2 to 4pm: the bare hour is in the same half of the day if that is before."""
    if not 0 < hour <= 24:
        return None
    late = last >= 720 and hour < 12 and 60 * hour + 720 < last
    return clocks(day, 60 * hour + (720 if late else 0), last)


# Beside other times, and stretches


def beside(what: str | Recurring, step: int, anchor: Timed) -> Node | None:
    """The week, weekend or Friday before or after another time."""
    kind = what.weekday if isinstance(what, Weekday) else what
    kind = "weekend" if isinstance(kind, Weekend) else kind
    if not isinstance(kind, int) and kind not in ("day", "weekend", *_LONG):
        return None
    return Beside(node(anchor), kind, step)


def shifted(count: int, unit: str, step: int, anchor: Timed) -> Node | None:
    """So many units before or after another time."""
    if not 0 <= count <= _MAX_COUNT:
        return None
    return Shifted(node(anchor), step * count, unit)


def lasting(count: int, unit: str, begin: Timed) -> Node | None:
    """For two weeks from the second of August."""
    return Lasting(coming(begin), count, unit) if 0 < count <= _MAX_COUNT else None


def counted_from(count: int, unit: str, day: Timed) -> Node | None:
    """Two weeks from Monday: from the coming one."""
    return shifted(count, unit, 1, coming(day))


def coming(day: Timed) -> Node:
    """A weekday as the coming one, to count from: "a week on Saturday"; others as they are."""
    return again(day, "future") if isinstance(day, Weekday) else node(day)


def within(what: Recurring | Node, year: Node | None) -> Node | None:
    """The March, the summer, the Christmas, the 4th of July of last year."""
    if isinstance(what, Again) and what.floats:
        what = what.what
    is_yearly = isinstance(what, Month | MonthDay | Season | Quarter | Feast)
    if not is_yearly or not isinstance(year, Unit) or year.unit != "year":
        return None
    assert isinstance(what, Recurring)
    return Within(year, what, _UNIT_OF.get(type(what), "day"))


def holding(what: str | Recurring, anchor: Timed) -> Node | None:
    """The week or weekend of a day; "the day of" and "the month of" name the time itself."""
    inner = node(anchor)
    unit = "weekend" if isinstance(what, Weekend) else what
    if unit in ("week", "weekend") and inner.unit == "day":
        return Holding(inner, str(unit))
    return inner if isinstance(unit, str) and coarseness(unit) == coarseness(inner.unit) else None


def ranged(first: Timed, last: Timed) -> Node | None:
    """From the start of one time to the end of another."""
    begins, ends = node(first), node(last)
    if isinstance(begins, Open | Rolling) or isinstance(ends, Open | Rolling):
        return None
    return Range(begins, ends)


def side(name: str, anchor: Timed | None) -> Node | None:
    """Since, from, until, by, before, after."""
    if anchor is None:
        return None
    inner = node(anchor)
    return None if isinstance(inner, Open) else Open(inner, name)
