"""Intervals as people write them, and texts with their dates worked out beside the words."""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo

from memsieve.types import Interval, Mention

_DAY = timedelta(days=1)
_PIECE = re.compile(r"\d+|[^\W\d_]+")
_SEASONS = {(3, 6): "spring", (6, 9): "summer", (9, 12): "autumn", (12, 3): "winter"}
"""Month of the start and of the end; quarters begin and end in other months."""


def spell(interval: Interval, clock: datetime | None = None) -> str:
    """An interval in words, on the clock of its own zone: '8 May 2023', '1 to 7 May 2023'.

    With a `clock` the year is left out where it is the clock's own.

    >>> from datetime import UTC, datetime
    >>> spell(Interval(datetime(2023, 5, 1, tzinfo=UTC), datetime(2023, 6, 1, tzinfo=UTC)))
    'May 2023'
    >>> spell(Interval(datetime(2023, 4, 28, tzinfo=UTC), datetime(2023, 5, 8, tzinfo=UTC)))
    '28 April to 7 May 2023'
    >>> spell(Interval(datetime(2023, 5, 1, 19, 30, tzinfo=UTC), None))
    'since 1 May 2023 19:30'
    """
    start, end = interval.start, interval.end
    year = None if clock is None else clock.year
    if start is None or end is None:
        if start is not None:
            return f"since {_moment(start, year)}"
        return "any time" if end is None else f"before {_moment(end, year)}"
    if not _at_midnight(start) or not _at_midnight(end):
        return _hours(start, end, year)
    if interval.precision == "season" and (name := _SEASONS.get((start.month, end.month))):
        return f"{name} {start.year}"
    if interval.precision in ("decade", "century") and (name := _years(start, end)):
        return name
    return _days(start, end - _DAY if end > start else end, year)


def annotated(text: str, mentions: Sequence[Mention], clock: datetime) -> str:
    """`text` with the date in brackets behind each relative expression that leads to another day.

    What begins on the day of the clock or holds it ("tonight", "this week", "this summer") tells
    its date by the heading above it, and the words tell the time of the day.

    >>> from datetime import UTC, datetime
    >>> at = datetime(2023, 5, 8, tzinfo=UTC)
    >>> day = Interval(datetime(2023, 5, 7, tzinfo=UTC), at)
    >>> annotated("I ran yesterday.", [Mention(6, 15, day, is_relative=True)], at)
    'I ran yesterday [7 May].'
    """
    parts, done = [], 0
    for mention in mentions:
        if not mention.is_relative or _is_around(mention.interval, clock):
            continue
        shown = spell(_in_days(_on_clock(mention.interval, clock.tzinfo)), clock)
        # "On 19 May" says it already, but for a year that would stand here.
        if not _pieces(shown) <= _pieces(text[mention.first : mention.last]):
            parts += [text[done : mention.last], f" [{shown}]"]
            done = mention.last
    return "".join([*parts, text[done:]]) if parts else text


def _pieces(text: str) -> set[str]:
    return set(_PIECE.findall(text.lower()))


def _is_around(interval: Interval, clock: datetime) -> bool:
    """Whether a closed interval of a day at most begins on that of the clock, or a longer one
    holds it.
    """
    if interval.start is None or interval.end is None:
        return False
    today = clock.replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
    begin, end = interval.bounds
    tomorrow = today + _DAY.total_seconds()
    is_short = end - begin <= _DAY.total_seconds()
    return (is_short and today <= begin < tomorrow) or (begin <= today and tomorrow <= end)


def _in_days(interval: Interval) -> Interval:
    """The whole days that an interval touches: a time of the day stands in the words already.

    One of a day at most is the day on which it begins: "last night" is yesterday.
    """
    start, end = interval.start, interval.end
    if start is None or end is None:
        return interval
    first = Interval.day_of(start)
    if end - start <= _DAY:
        return first
    last = Interval.day_of(end - timedelta(microseconds=1))
    return Interval(first.start, last.end, interval.precision)


def _on_clock(interval: Interval, zone: tzinfo | None) -> Interval:
    try:
        start, end = (m and m.astimezone(zone) for m in (interval.start, interval.end))
    except OverflowError:  # at the ends of time the clock of the interval must do
        return interval
    return Interval(start, end, interval.precision)


def _at_midnight(moment: datetime) -> bool:
    return not (moment.hour or moment.minute or moment.second or moment.microsecond)


def _date(moment: datetime, year: int | None = None) -> str:
    """'8 May 2023'; without the year if it is `year`."""
    return f"{moment.day} {moment:%B}" + ("" if moment.year == year else f" {moment.year}")


def _moment(moment: datetime, year: int | None) -> str:
    clock = "" if _at_midnight(moment) else f" {moment:%H:%M}"
    return _date(moment, year) + clock


def _hours(start: datetime, end: datetime, year: int | None) -> str:
    if end - start <= timedelta(minutes=1):
        return f"{_date(start, year)} {start:%H:%M}"  # of midnight too: it is not the day
    if start.date() == end.date():
        return f"{_date(start, year)} {start:%H:%M} to {end:%H:%M}"
    return f"{_date(start, year)} {start:%H:%M} to {_date(end, year)} {end:%H:%M}"


def _years(start: datetime, end: datetime) -> str | None:
    """'the 1990s', 'the 18th century', if it is one."""
    if (start.month, start.day, end.month, end.day) != (1, 1, 1, 1):
        return None
    length = end.year - start.year
    if length == 10 and start.year % 10 == 0:
        return f"the {start.year}s"
    if length == 100 and start.year % 100 == 1:
        number = end.year // 100
        ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
        return f"the {number}{'th' if number in (11, 12, 13) else ending} century"
    return None


def _days(first: datetime, last: datetime, year: int | None) -> str:
    """Whole days from `first` to `last`, both included, as the largest unit that fits."""
    if first.date() == last.date():
        return _date(first, year)
    ends_month = (last + _DAY).day == 1
    if first.day == 1 and ends_month:
        if (first.month, last.month) == (1, 12):
            return f"{first.year}" if first.year == last.year else f"{first.year} to {last.year}"
        if (first.year, first.month) == (last.year, last.month):
            return f"{first:%B}" + ("" if first.year == year else f" {first.year}")
        left = f"{first:%B}" + ("" if first.year == last.year else f" {first.year}")
        return f"{left} to {last:%B}" + ("" if last.year == year else f" {last.year}")
    if (first.year, first.month) == (last.year, last.month):
        return f"{first.day} to {_date(last, year)}"
    return f"{_date(first, last.year)} to {_date(last, year)}"
