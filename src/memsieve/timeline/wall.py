"""Arithmetic on the wall: naive local datetimes, units of the calendar, feasts.

Expressions are worked out on the clock on the wall and get their zone at the very end, so that
"tomorrow" is the next date even where the day between has 23 or 25 hours.
"""

import calendar
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
_MONTHS_IN = {"month": 1, "quarter": 3, "year": 12, "decade": 120, "century": 1200}
_TIMES = {
    "minute": MINUTE, "hour": timedelta(hours=1), "day": DAY, "week": 7 * DAY,
    "fortnight": 14 * DAY, "weekend": 7 * DAY,
}  # fmt: skip
PRECISION_OF = {
    "minute": "minute", "hour": "minute", "day": "day", "week": "week", "fortnight": "week",
    "weekend": "week", "month": "month", "quarter": "season", "season": "season", "year": "year",
    "decade": "decade", "century": "century",
}  # fmt: skip
"""A unit of the calendar -> the precision of what is counted in it."""


class Span(NamedTuple):
    """A half-open stretch on the wall; None for an unknown bound."""

    start: datetime | None
    end: datetime | None
    precision: str


def midnight(moment: datetime) -> datetime:
    """The beginning of the day."""
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def to_minute(moment: datetime) -> datetime:
    """The moment without its seconds."""
    return moment.replace(second=0, microsecond=0)


def add(moment: datetime, unit: str, count: int) -> datetime:
    """`count` units later; months keep the day or take the last: 31 January + 1 = 28 February.

    >>> add(datetime(2023, 1, 31), "month", 1)
    datetime.datetime(2023, 2, 28, 0, 0)
    """
    if unit in _TIMES:
        return moment + count * _TIMES[unit]
    months = moment.year * 12 + moment.month - 1 + count * _MONTHS_IN[unit]
    year, month = divmod(months, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return moment.replace(year=year, month=month + 1, day=min(moment.day, last))


def begin(moment: datetime, unit: str) -> datetime:
    """The beginning of the unit of the calendar that holds a moment; weeks begin on Monday.

    >>> begin(datetime(2023, 5, 10, 13), "week"), begin(datetime(1987, 5, 10), "decade").year
    (datetime.datetime(2023, 5, 8, 0, 0), 1980)
    """
    if unit == "minute":
        return to_minute(moment)
    if unit == "hour":
        return to_minute(moment).replace(minute=0)
    day = midnight(moment)
    if unit in ("week", "fortnight", "weekend"):
        monday = day - day.weekday() * DAY
        return monday + 5 * DAY if unit == "weekend" else monday
    if unit == "day":
        return day
    first = day.replace(day=1)
    if unit == "quarter":
        return first.replace(month=(first.month - 1) // 3 * 3 + 1)
    if unit == "month":
        return first
    years = {"year": 0, "decade": first.year % 10, "century": (first.year - 1) % 100}
    return first.replace(month=1, year=first.year - years[unit])


def whole(moment: datetime, unit: str) -> Span:
    """The unit of the calendar that holds a moment; a weekend is that of its week."""
    start = begin(moment, unit)
    end = start + 2 * DAY if unit == "weekend" else add(start, unit, 1)
    return Span(start, end, PRECISION_OF[unit])


def nth_weekday(year: int, month: int, weekday: int, n: int) -> datetime:
    """The n-th Monday (0) ... Sunday (6) of a month; n = -1 is the last."""
    first = datetime(year, month, 1)
    if n < 0:
        last = datetime(year, month, calendar.monthrange(year, month)[1])
        return last - ((last.weekday() - weekday) % 7 + 7 * (-n - 1)) * DAY
    return first + ((weekday - first.weekday()) % 7 + 7 * (n - 1)) * DAY


def _fixed(month: int, day: int) -> Callable[[int], datetime]:
    return lambda year: datetime(year, month, day)


def _nth(month: int, weekday: int, n: int, later: int = 0) -> Callable[[int], datetime]:
    return lambda year: nth_weekday(year, month, weekday, n) + later * DAY


def _easter(later: int) -> Callable[[int], datetime]:
    def day(year: int) -> datetime:
        from dateutil.easter import easter

        sunday = easter(year)
        return datetime(sunday.year, sunday.month, sunday.day) + later * DAY

    return day


FEASTS: Mapping[str, Callable[[int], datetime]] = {
    "new year": _fixed(1, 1), "epiphany": _fixed(1, 6), "martin luther king": _nth(1, 0, 3),
    "groundhog": _fixed(2, 2), "valentine": _fixed(2, 14), "presidents": _nth(2, 0, 3),
    "women": _fixed(3, 8), "pi": _fixed(3, 14), "st patrick": _fixed(3, 17),
    "carnival monday": _easter(-48), "mardi gras": _easter(-47), "ash wednesday": _easter(-46),
    "palm sunday": _easter(-7), "maundy thursday": _easter(-3), "good friday": _easter(-2),
    "easter": _easter(0), "easter monday": _easter(1), "ascension": _easter(39),
    "pentecost": _easter(49), "whit monday": _easter(50), "corpus christi": _easter(60),
    "april fools": _fixed(4, 1), "earth": _fixed(4, 22), "may day": _fixed(5, 1),
    "star wars": _fixed(5, 4), "cinco de mayo": _fixed(5, 5), "mother": _nth(5, 6, 2),
    "memorial": _nth(5, 0, -1), "juneteenth": _fixed(6, 19), "father": _nth(6, 6, 3),
    "canada": _fixed(7, 1), "independence": _fixed(7, 4), "bastille": _fixed(7, 14),
    "labor": _nth(9, 0, 1), "german unity": _fixed(10, 3), "columbus": _nth(10, 0, 2),
    "halloween": _fixed(10, 31), "all saints": _fixed(11, 1), "all souls": _fixed(11, 2),
    "guy fawkes": _fixed(11, 5), "veterans": _fixed(11, 11), "thanksgiving": _nth(11, 3, 4),
    "black friday": _nth(11, 3, 4, later=1), "cyber monday": _nth(11, 3, 4, later=4),
    "st nicholas": _fixed(12, 6), "christmas eve": _fixed(12, 24), "christmas": _fixed(12, 25),
    "boxing": _fixed(12, 26), "new year's eve": _fixed(12, 31),
}  # fmt: skip
"""Feast -> its day in a year. Dates that follow the moon's own calendars (Eid, Diwali, Hanukkah,
Lunar New Year) are not among them. Mother's Day is the one in May."""
