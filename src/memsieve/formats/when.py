"""Written dates and times into aware moments: strictly, nothing is filled in."""

import math
import re
from datetime import UTC, datetime, timedelta, timezone

from memsieve.errors import DateError, ParameterError

MONTHS = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
_ISO = re.compile(
    r"(?:\d{4}-\d\d-\d\d|\d{8}|\d{4}-W\d\d-\d|\d{4}W\d\d\d)(?:[Tt ].+)?", re.ASCII | re.DOTALL
)
# Digits that open with a day of 1970 to 2099 are more likely year, month, day and hour.
_EPOCH = re.compile(
    r"(?!(?:19[7-9]|20\d)\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01]))-?\d{9,10}(?:\.\d+)?",
    re.ASCII,
)
_CLOCK_ON_DAY = re.compile(
    r"(\d{1,2}):(\d\d)\s*([ap])m\s+on\s+(\d{1,2})\s+([a-z]+),?\s+(\d{4})", re.ASCII | re.IGNORECASE
)
_YEAR_FIRST = re.compile(r"(\d{4})[-/. ](\d{1,2})[-/. ](\d{1,2})(?!\d)", re.ASCII)
# What dateutil fills into gaps. The two days share no field, so a gap shows as two readings.
_FILL, _OTHER_FILL = datetime(2000, 1, 1), datetime(2004, 12, 28)
# Longer text is prose, and dateutil would look at each of its words.
_MAX_CHARS = 100


def parse_when(text: object, *, now: datetime | None = None) -> datetime:
    """The moment that `text` names, in the offset that it states; without one it is read as UTC.

    Read are ISO 8601 (calendar and week dates), seconds since 1970 as a number or as 9 to 10
    digits, LoCoMo's "1:56 pm on 8 May, 2023", and with dateutil whatever names a whole day in
    one way only: "8 May 2023", "Sat, 01 Mar 2025 10:00:00 +0100". A date without a time is the
    midnight that opens it. Refused, because a guess would be invisible later: a missing year,
    month or day ("March 2026", "8 May", "10:30"), a day that may be a month ("03/04/2026"), a
    zone name other than UTC, GMT and Z, and words.

    ISO takes about a microsecond, what dateutil reads about 100.

    Parameters
    ----------
    text
        A string, a number of seconds, or a datetime.
    now
        An aware datetime: "now", "today" and "yesterday" (UTC days) are then understood too.
        Files are read without it, for what they say must not depend on the day of reading.

    Raises
    ------
    DateError
        If `text` does not name one moment.
    ParameterError
        If `now` is naive.

    Examples
    --------
    >>> parse_when("2026-03-02T14:05:00+01:00").isoformat()
    '2026-03-02T14:05:00+01:00'
    >>> parse_when("1:56 pm on 8 May, 2023").isoformat()
    '2023-05-08T13:56:00+00:00'
    >>> parse_when("March 2026")
    Traceback (most recent call last):
    memsieve.errors.DateError: date 'March 2026' does not parse: write it like 2026-03-02 or \
2026-03-02T14:05:00+01:00
    """
    if now is not None and now.tzinfo is None:
        raise ParameterError(f"parse_when.now must be an aware datetime, got {now!r}")
    try:
        if isinstance(text, str):
            return aware(_read(text.strip(), now))
        if isinstance(text, datetime):
            return aware(text)
        if isinstance(text, int | float) and not isinstance(text, bool):
            return _epoch(text)
    except (ValueError, OverflowError):
        pass
    raise _unreadable(text)


def aware(moment: datetime) -> datetime:
    """The same instant at a fixed offset of whole minutes; without a zone it is read as UTC.

    A named zone gives way to the offset that it had then: what is stored is one number.

    Raises
    ------
    OverflowError
        If it lies outside the years 1 to 9999 in UTC.
    """
    if moment.tzinfo is UTC:
        return moment
    offset = moment.utcoffset()
    if offset is None:
        return moment.replace(tzinfo=UTC)
    # Towards zero: the clock then stays between this one and UTC, inside the years.
    minutes = int(offset / timedelta(minutes=1))
    return moment.astimezone(UTC).astimezone(timezone(timedelta(minutes=minutes)))


def _unreadable(text: object) -> DateError:
    shown = repr(text)
    if len(shown) > _MAX_CHARS:
        shown = f"{shown[:_MAX_CHARS]}..."
    return DateError(
        f"date {shown} does not parse: write it like 2026-03-02 or 2026-03-02T14:05:00+01:00"
    )


def _epoch(seconds: float) -> datetime:
    # Milliseconds land far behind the year 9999 and overflow here, which refuses them.
    if not math.isfinite(seconds):
        raise ValueError
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)


def _read(text: str, now: datetime | None) -> datetime:
    if _ISO.fullmatch(text):
        try:
            return datetime.fromisoformat(text)
        except ValueError:  # "2025-03-01 10:00:00 UTC" and 12-hour clocks
            return _dateutil(text)
    if on_day := _CLOCK_ON_DAY.fullmatch(text):
        return _clock_on_day(on_day)
    if _EPOCH.fullmatch(text):
        return _epoch(float(text))
    if now is not None and text.lower() in ("now", "today", "yesterday"):
        return _relative(text.lower(), now)
    return _dateutil(text)


def _clock_on_day(on_day: re.Match[str]) -> datetime:
    hour, minute, half, day, month, year = on_day.groups()
    if not 1 <= int(hour) <= 12:
        raise ValueError
    hours = int(hour) % 12 + (12 if half in "pP" else 0)
    return datetime(int(year), MONTHS.index(month.lower()) + 1, int(day), hours, int(minute))


def _relative(word: str, now: datetime) -> datetime:
    now = now.astimezone(UTC)
    if word == "now":
        return now
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return today if word == "today" else today - timedelta(days=1)


def _dateutil(text: str) -> datetime:
    """What dateutil reads, if it reads one thing only and had nothing to fill in."""
    from dateutil import parser

    if len(text) > _MAX_CHARS or not text.isascii() or text.isdigit():
        raise ValueError
    year_first = _YEAR_FIRST.match(text)
    readings = {
        parser.parse(text, default=fill, dayfirst=day, yearfirst=year, tzinfos=_offset)
        for fill, day, year in (
            (_FILL, False, False),
            (_OTHER_FILL, False, False),
            # With the year in front dateutil would take "day first" as year, day, month.
            (_FILL, year_first is None, False),
            (_FILL, False, True),
        )
    }
    (moment,) = readings
    if year_first and (moment.year, moment.month, moment.day) != tuple(
        int(part) for part in year_first.groups()
    ):
        raise ValueError
    return moment


def _offset(name: str | None, seconds: int | None) -> int | None:
    # Zone names are ambiguous (IST, CST), and dateutil would fall back to the local clock.
    if name is not None and seconds is None:
        raise ValueError
    return seconds
