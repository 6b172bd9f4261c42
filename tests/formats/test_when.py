import contextlib
import math
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memsieve.errors import DateError, ParameterError
from memsieve.formats import parse_when

MARCH_2 = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-02",
        " 2026-03-02\n",
        "20260302",
        "2026-W10-1",
        "2026W101",
        "2026-03-02T00:00:00Z",
        "2026-03-02T01:00+01:00",
        "2026-03-02 00:00:00.000",
        "2026-03-01 19:00:00 -0500",
        "2026-03-02 00:00 UTC",
        "2026-03-02 12:00 am",
        "2026-3-2",
        "2026/03/02",
        "2 March 2026",
        "March 2nd, 2026",
        "Mon, 02 Mar 2026 01:00:00 +0100",
        "Mon Mar  2 00:00:00 2026",
        "12:00 am on 2 March, 2026",
        "1772409600",
        "1772409600.0",
        1772409600,
        1772409600.0,
        datetime(2026, 3, 2),
        datetime(2026, 3, 2, 1, tzinfo=timezone(timedelta(hours=1))),
    ],
)
def test_reads_the_same_midnight_from_every_way_to_write_it(text):
    assert parse_when(text) == MARCH_2


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("2026-03-02", 0),
        ("2026-03-02T14:05:00Z", 0),
        ("2026-03-02 14:05 UTC", 0),
        ("2026-03-02T14:05+05:30", 330),
        ("Mon, 02 Mar 2026 14:05:00 -0330", -210),
        (1772409600, 0),
        (datetime(2026, 3, 2, 14, 5), 0),
        (datetime(2026, 3, 2, 14, 5, tzinfo=ZoneInfo("Europe/Berlin")), 60),
        (datetime(2026, 7, 2, 14, 5, tzinfo=ZoneInfo("Europe/Berlin")), 120),
        (datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin")), 120),
        (datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=1), 60),
        # Mean time at Amsterdam: 19 minutes and 32 seconds.
        (datetime(1920, 3, 2, 12, tzinfo=timezone(timedelta(minutes=19, seconds=32))), 19),
        (datetime(1, 1, 1, 0, 0, 10, tzinfo=timezone(-timedelta(seconds=30))), 0),
    ],
)
def test_a_moment_keeps_the_offset_it_was_written_in(text, minutes):
    moment = parse_when(text)
    assert moment.tzinfo == timezone(timedelta(minutes=minutes))
    if isinstance(text, datetime) and text.tzinfo is not None:
        assert moment == text.astimezone(UTC)


@pytest.mark.parametrize(
    ("text", "hour", "minute"),
    [
        ("1:56 pm on 8 May, 2023", 13, 56),
        ("12:48 am on 8 May, 2023", 0, 48),
        ("12:48 pm on 8 May, 2023", 12, 48),
        ("11:01 AM on 8 may 2023", 11, 1),
    ],
)
def test_reads_the_clock_of_locomo(text, hour, minute):
    assert parse_when(text) == datetime(2023, 5, 8, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize("text", ["20 March 2026", "20.03.2026", "3/20/2026", "2026.03.20"])
def test_a_day_above_twelve_cannot_be_a_month(text):
    assert parse_when(text) == datetime(2026, 3, 20, tzinfo=UTC)


@pytest.mark.parametrize("text", ["03/04/2026", "03.04.2026", "05-06-07", "8 May 23"])
def test_refuses_a_day_that_may_be_a_month_or_a_year(text):
    with pytest.raises(DateError, match="does not parse"):
        parse_when(text)


@pytest.mark.parametrize(
    "text",
    ["March 2026", "2026-03", "2026", "2026-W10", "8 May", "10:30", "Monday", "5", "12 2026"],
)
def test_fills_in_no_missing_day_month_or_year(text):
    with pytest.raises(DateError, match="write it like 2026-03-02 or 2026-03-02T14:05:00"):
        parse_when(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "tomorrowish",
        "yesterday",
        "now",
        "13/13/2024",
        "2026-13-01",
        "2026-02-30",
        "2026/13/01",
        "2026-03-02x14:05",
        "2026-03-02T14:05 CET",
        "2026-03-02 14:05 pm",
        "13:56 pm on 8 May, 2023",
        "0:56 pm on 8 May, 2023",
        "1:56 pm on 8 Maybe, 2023",
        "2026030214",
        "9999-12-31T23:59-05:00",
        "0001-01-01T00:30+01:00",
        "２０２６-03-02",
        1772409600000,
        math.nan,
        math.inf,
        True,
        None,
        ["2026-03-02"],
    ],
)
def test_refuses_what_names_no_moment(text):
    with pytest.raises(DateError, match="does not parse: write it like"):
        parse_when(text)


def test_the_error_shows_the_date_but_no_whole_book():
    with pytest.raises(DateError, match="date 'tomorrowish' does not parse"):
        parse_when("tomorrowish")
    with pytest.raises(DateError) as caught:
        parse_when("word " * 10_000)
    assert len(str(caught.value)) < 250


def test_relative_words_count_from_the_now_that_is_given():
    now = datetime(2026, 3, 3, 0, 30, tzinfo=timezone(timedelta(hours=1)))
    assert parse_when("now", now=now) == datetime(2026, 3, 2, 23, 30, tzinfo=UTC)
    assert parse_when("Today", now=now) == MARCH_2
    assert parse_when("yesterday", now=now) == MARCH_2 - timedelta(days=1)


def test_now_must_be_aware():
    with pytest.raises(ParameterError, match=r"parse_when\.now must be an aware datetime, got"):
        parse_when("today", now=datetime(2026, 3, 2))


@given(st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-3, minutes=-30))])))
def test_what_python_writes_comes_back_as_the_same_moment(moment):
    try:
        in_utc = moment.astimezone(UTC)
    except OverflowError:
        with pytest.raises(DateError):
            parse_when(moment.isoformat())
    else:
        read = parse_when(moment.isoformat())
        assert (read, read.utcoffset()) == (in_utc, moment.utcoffset())


@given(st.text(max_size=40) | st.text("0123456789 -/:.,TZapmMaryJune+", max_size=30))
def test_any_text_is_read_as_an_aware_moment_or_refused(text):
    with contextlib.suppress(DateError):
        assert parse_when(text).utcoffset() is not None
