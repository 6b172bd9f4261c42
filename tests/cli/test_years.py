"""Entries under years and months, each where a reader looks for it."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from memsieve.chronology import Chronology, chronology
from memsieve.cli.years import Telling, tellings, years
from memsieve.types import Interval


@pytest.fixture
def told(memory):
    """Adds texts, as (text, date), and gives what they tell of."""

    def tell(*texts):
        for text, at in texts:
            memory.add(text, at=at)
        return tellings(memory.timeline())

    return tell


def layout(shelves):
    """{year: {month: number of entries}}."""
    return {year.number: {m.number: len(m.told) for m in year.months} for year in shelves}


def moment(*parts, zone=UTC):
    return datetime(*parts, tzinfo=zone)


def test_entries_stand_under_the_month_in_which_they_begin(told):
    found = told(
        ("We met yesterday.", "2025-03-01"),
        ("We met on 30 March 2025.", "2025-04-02"),
        ("Nothing about time.", "2025-04-02"),
    )
    assert layout(years(found)) == {2025: {2: 1, 3: 1, 4: 1}}
    assert [month.name for month in years(found)[0].months] == ["February", "March", "April"]
    assert years(found)[0].n_told == 3


def test_whole_years_and_decades_stand_before_the_months_of_their_year(told):
    found = told(
        ("Nothing about time.", "2025-01-01"),
        ("We moved in 2025.", "2026-02-01"),
        ("It was great in the 1990s.", "2026-02-01"),
    )
    assert layout(years(found)) == {1990: {0: 1}, 2025: {0: 1, 1: 1}}
    assert [month.name for month in years(found)[1].months] == ["", "January"]


def test_a_time_of_which_only_the_end_is_known_stands_at_its_last_moment(told):
    (until,) = told(("They need it back by the end of March.", "2025-01-14"))
    assert until.when.start is None
    assert until.place[1] == 3
    assert until.begins.month == 3


def test_a_time_of_which_only_the_start_is_known_stands_at_its_start(told):
    (since,) = told(("I have lived here since May 2019.", "2025-01-14"))
    assert since.when.end is None
    assert since.place == (2019, 5)


def test_an_item_that_names_a_time_twice_tells_of_it_once(told):
    (one,) = told(("In May 2024 it rained. May 2024 was wet.", "2025-01-14"))
    assert one.words == ("May 2024",)
    assert len(one.places) == 2
    assert one.ends == one.places[0][1]


def test_months_are_those_of_the_speakers_clocks_and_come_once(memory):
    east, west = timezone(timedelta(hours=9)), timezone(timedelta(hours=-8))
    memory.add("Here it is March.", at=moment(2025, 3, 1, 0, 30, zone=east))
    memory.add("Here it is February.", at=moment(2025, 2, 28, 20, zone=west))
    memory.add("March here, too.", at=moment(2025, 3, 1, 10, zone=east))
    shelves = years(tellings(memory.timeline()))
    assert layout(shelves) == {2025: {2: 1, 3: 2}}


def test_a_long_text_can_be_read_from_the_sentence_that_names_the_time(told):
    text = "It was late. Nobody came! We met on 3 May 2024 at the harbour. And again."
    (one,) = told((text, "2025-01-14"))
    assert one.from_sentence() == "…We met on 3 May 2024 at the harbour. And again."
    (first,) = (t for t in told(("On 4 May 2024 we met.", "2025-01-14")) if t.when.start.day == 4)
    assert first.from_sentence() == "On 4 May 2024 we met."


def test_the_first_year_of_all_has_no_moment_before_it(memory):
    memory.add("x", at="2025-01-14")
    (item,) = memory.list()
    end = Interval(None, moment(1, 1, 1))
    assert Telling(end, item).place == (1, 1)


def test_nothing_told_is_no_year():
    assert years(tellings(Chronology(()))) == ()
    assert years(tellings(chronology([]))) == ()
