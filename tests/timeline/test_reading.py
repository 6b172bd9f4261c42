"""What holds of every text and every clock: nothing raises, days move with the clock."""

from datetime import UTC, datetime, timedelta, timezone
from time import perf_counter
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memsieve.errors import ParameterError
from memsieve.timeline import NoTimeline, from_spec
from memsieve.timeline.english import ENGLISH
from memsieve.timeline.german import GERMAN
from memsieve.timeline.recurring import Weekday

READERS = {name: from_spec(name) for name in ("english", "english:day-first", "german")}
NUMBERS = ("8", "2023", "5/8", "3rd", "7pm", "1990s", "'69", "2023-05-08", "31", "0", "99", "Ana")
WORDS = sorted({*ENGLISH.words, *ENGLISH.phrases, *ENGLISH.ambiguous, *NUMBERS})
CLOCKS = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)).map(
    lambda at: at.replace(tzinfo=UTC)
)
RELATIVE = (
    "today", "yesterday", "tomorrow", "the day before yesterday", "3 days ago", "two weeks ago",
    "in ten days", "five days from now", "tonight", "last night", "yesterday evening",
    "tomorrow at 9am", "20 minutes ago", "the past two weeks", "the next 3 days", "the other day",
    "a few days ago", "a week ago today", "two weeks ago yesterday", "earlier today",
)  # fmt: skip


@pytest.mark.parametrize("name", READERS)
@given(text=st.text(max_size=200), clock=CLOCKS)
@settings(max_examples=150, deadline=None)
def test_no_text_and_no_clock_makes_it_raise(name, text, clock):
    READERS[name].mentions(text, clock)
    READERS[name].expressions(text, clock)


@given(
    words=st.lists(st.sampled_from(WORDS), max_size=12), clock=CLOCKS, glue=st.sampled_from(" -,.")
)
@settings(max_examples=600, deadline=None)
def test_words_of_time_in_any_order_give_ordered_intervals_inside_the_text(words, clock, glue):
    text = glue.join(words)
    last = 0
    for one in READERS["english"].expressions(text, clock):
        assert last <= one.first < one.last <= len(text)
        last = one.last
        assert (one.kind == "time") == bool(one.readings)
        if one.readings:
            assert sum(weight for _, weight in one.readings) == pytest.approx(1)
        for interval, _ in one.readings:
            assert interval.bounds[0] <= interval.bounds[1]
            assert interval.start is not None or interval.end is not None


@pytest.mark.parametrize("text", RELATIVE)
@given(at=st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)), days=st.integers(-4000, 4000))
@settings(max_examples=25, deadline=None)
def test_relative_days_move_with_the_clock(text, at, days):
    clock = at.replace(tzinfo=UTC)
    (before,) = READERS["english"].mentions(text, clock)
    (after,) = READERS["english"].mentions(text, clock + timedelta(days=days))
    assert after.interval == before.interval.shift(days)
    assert before.is_relative


@pytest.mark.parametrize(
    "text", ["last week", "next Friday", "this weekend", "Friday of last week"]
)
@given(at=st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)), weeks=st.integers(-500, 500))
@settings(max_examples=25, deadline=None)
def test_weeks_and_weekdays_move_with_the_clock_by_weeks(text, at, weeks):
    clock = at.replace(tzinfo=UTC)
    (before,) = READERS["english"].mentions(text, clock)
    (after,) = READERS["english"].mentions(text, clock + timedelta(weeks=weeks))
    assert after.interval == before.interval.shift(7 * weeks)


@pytest.mark.parametrize("text", ["8 May 2023", "in 2019", "March 2024", "the 1990s", "Q2 2023"])
def test_full_dates_do_not_depend_on_the_clock(read, english, text):
    assert read(text, "1990-01-01T00:00") == read(text, "2030-12-31T23:59")
    assert not english.mentions(text, datetime(2020, 1, 1, tzinfo=UTC))[0].is_relative


class TestTheWallClock:
    def test_a_day_of_the_change_to_summer_time_has_23_hours(self, english):
        zone = ZoneInfo("Europe/Lisbon")
        (found,) = english.mentions("yesterday", datetime(2023, 3, 27, 9, tzinfo=zone))
        assert found.interval.start == datetime(2023, 3, 26, tzinfo=zone)
        assert found.interval.days * 24 == pytest.approx(23)

    def test_a_day_of_the_change_to_winter_time_has_25_hours(self, english):
        zone = ZoneInfo("America/New_York")
        (found,) = english.mentions("tomorrow", datetime(2023, 11, 4, 9, tzinfo=zone))
        assert found.interval.days * 24 == pytest.approx(25)

    def test_yesterday_is_that_of_the_speaker_not_of_utc(self, english):
        late_in_lima = datetime(2023, 5, 8, 22, tzinfo=timezone(timedelta(hours=-5)))
        (found,) = english.mentions("yesterday", late_in_lima)
        assert found.interval.start == datetime(2023, 5, 7, 5, tzinfo=UTC)

    def test_the_29th_of_february_is_the_latest_there_was(self, read):
        assert read("on 29 February", "2023-05-10T12:00") == ["2020-02-29/2020-03-01"]
        assert read("a year ago today", "2024-02-29T12:00") == ["2023-02-28/2023-03-01"]
        assert read("tomorrow", "2024-02-28T12:00") == ["2024-02-29/2024-03-01"]

    def test_days_that_do_not_exist_are_no_dates(self, read):
        assert read("on 31 April 2023, on 29 February 2023, on 30 February") == []

    def test_times_beyond_the_years_1_to_9999_are_none(self, english):
        first = datetime(1, 1, 1, tzinfo=UTC)
        assert english.mentions("yesterday, 500 years ago", first) == ()
        assert english.mentions("tomorrow, next century", datetime(9999, 12, 31, tzinfo=UTC)) == ()


class TestLookingAheadAndBack:
    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ("We met on Friday.", "2023-05-05/2023-05-06"),
            ("We'll meet on Friday.", "2023-05-12/2023-05-13"),
            ("It will be collected on Friday.", "2023-05-12/2023-05-13"),
            ("She has a recital on Friday.", "2023-05-12/2023-05-13"),
            ("I was ill, but I'm going out on Friday.", "2023-05-12/2023-05-13"),
            ("I'm tired. I ran on Friday.", "2023-05-05/2023-05-06"),
            ("Friday was fun.", "2023-05-05/2023-05-06"),
        ],
    )
    def test_the_nearest_verb_of_the_clause_decides(self, read, text, found):
        assert read(text) == [found]

    def test_both_readings_are_given_the_likelier_first(self, english):
        clock = datetime(2023, 5, 10, tzinfo=UTC)
        (one,) = english.expressions("on Friday", clock)
        assert [(f"{i.start:%d}", w) for i, w in one.readings] == [("05", 0.7), ("12", 0.3)]

    def test_in_two_days_is_a_date_ahead_and_a_length_behind(self, read):
        assert read("I leave in two days.") == ["2023-05-12/2023-05-13"]
        assert read("I read it in two days.") == ["duration"]

    def test_a_weekday_beside_a_date_picks_the_year_in_which_they_agree(self, read):
        assert read("dentist Fri 12 May") == ["2023-05-12/2023-05-13"]
        assert read("the party, Sat 13 May") == ["2023-05-13/2023-05-14"]


def test_what_is_no_date_is_told_by_its_kind(read):
    assert read("for two weeks, every Tuesday, twice a week, at 7pm, in our last chat") == [
        "duration", "frequency", "frequency", "clock", "session:-1",
    ]  # fmt: skip


def test_all_digit_dates_follow_the_setting_where_both_orders_are_possible(read):
    british = READERS["english:day-first"]
    assert read("8/5/2023") == ["2023-08-05/2023-08-06"]
    assert read("8/5/2023", reader=british) == ["2023-05-08/2023-05-09"]
    assert read("25/5/2023") == read("25/5/2023", reader=british) == ["2023-05-25/2023-05-26"]
    assert british.identity == "english@1:day-first"


def test_a_possessive_belongs_to_the_words(english):
    (found,) = english.mentions("yesterday's game", datetime(2023, 5, 10, tzinfo=UTC))
    assert (found.first, found.last) == (0, len("yesterday's"))


def test_a_long_text_is_read_in_time_that_grows_with_its_length(english):
    clock = datetime(2023, 5, 10, tzinfo=UTC)
    begun = perf_counter()
    assert len(english.mentions("I ran yesterday. " * 6_000, clock)) == 6_000
    # A third of a second; time that grew with the square of the length would be 13 s.
    assert perf_counter() - begun < 5


@pytest.mark.parametrize("spec", ["klingon", "english:backwards", "", "none:day-first"])
def test_a_reader_that_is_not_there_is_refused_with_what_is(spec):
    with pytest.raises(ParameterError, match="english, german"):
        from_spec(spec)


def test_the_reader_that_reads_nothing_reads_nothing():
    assert from_spec("none") == NoTimeline()
    assert from_spec("none").mentions("yesterday", datetime(2023, 5, 10, tzinfo=UTC)) == ()


@pytest.mark.parametrize("table", [ENGLISH, GERMAN], ids=lambda table: table.name)
def test_every_rule_can_be_built_and_uses_known_classes(table):
    assert len(table.compiled) == len(table.rules)


def test_weekdays_are_counted_from_monday():
    monday = datetime(2023, 5, 8)
    assert Weekday(0).this(monday).start == monday
