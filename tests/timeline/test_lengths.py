"""Lengths worked by hand on the calendar."""

from datetime import date

import pytest

from memsieve.timeline.lengths import Length

LENGTHS = [
    # first, last, days, whole months, days past them
    ((2023, 5, 8), (2023, 5, 8), 0, 0, 0),
    ((2023, 5, 8), (2023, 5, 9), 1, 0, 1),
    ((2023, 5, 8), (2023, 6, 7), 30, 0, 30),
    ((2023, 5, 8), (2023, 6, 8), 31, 1, 0),
    ((2023, 1, 31), (2023, 2, 27), 27, 0, 27),
    ((2023, 1, 31), (2023, 2, 28), 28, 1, 0),  # the month is clipped to its last day
    ((2023, 1, 31), (2023, 3, 1), 29, 1, 1),
    ((2023, 1, 31), (2023, 3, 31), 59, 2, 0),
    ((2023, 2, 28), (2023, 3, 31), 31, 1, 3),
    ((2024, 1, 31), (2024, 2, 28), 28, 0, 28),  # 2024 has a 29th
    ((2024, 1, 31), (2024, 2, 29), 29, 1, 0),
    ((2024, 2, 28), (2024, 3, 1), 2, 0, 2),
    ((2023, 2, 28), (2023, 3, 1), 1, 0, 1),
    ((2024, 2, 29), (2025, 2, 28), 365, 12, 0),
    ((2024, 2, 29), (2028, 2, 29), 1461, 48, 0),
    ((2022, 12, 31), (2023, 1, 1), 1, 0, 1),
    ((2022, 12, 15), (2023, 12, 14), 364, 11, 29),
    ((2022, 12, 15), (2023, 12, 15), 365, 12, 0),
    ((1900, 2, 28), (1900, 3, 1), 1, 0, 1),  # 1900 was no leap year
    ((2000, 2, 28), (2000, 3, 1), 2, 0, 2),  # 2000 was one
    ((1969, 7, 20), (2023, 5, 8), 19650, 645, 18),
]


@pytest.mark.parametrize(("first", "last", "days", "months", "past"), LENGTHS)
def test_days_months_and_what_is_left_are_those_of_the_calendar(first, last, days, months, past):
    length = Length(date(*first), date(*last))
    assert (length.days, length.months, length.days_past) == (days, months, past)


@pytest.mark.parametrize(("first", "last", "days", "months", "past"), LENGTHS)
def test_the_order_of_the_days_does_not_matter(first, last, days, months, past):
    swapped = Length(date(*last), date(*first))
    assert swapped == Length(date(*first), date(*last))
    assert (swapped.first, swapped.last) == (date(*first), date(*last))


COUNTS = [
    # first, last, days, weeks, months, years
    ((2023, 1, 1), (2023, 1, 7), 6, 0, 0, 0),
    ((2023, 1, 1), (2023, 1, 8), 7, 1, 0, 0),
    ((2023, 1, 1), (2023, 2, 1), 31, 4, 1, 0),
    ((2022, 5, 8), (2023, 5, 7), 364, 52, 11, 0),
    ((2022, 5, 8), (2023, 5, 8), 365, 52, 12, 1),
    ((2013, 5, 8), (2023, 5, 8), 3652, 521, 120, 10),
    ((2024, 2, 29), (2025, 2, 28), 365, 52, 12, 1),
]


@pytest.mark.parametrize(("first", "last", "days", "weeks", "months", "years"), COUNTS)
def test_only_whole_units_count(first, last, days, weeks, months, years):
    length = Length(date(*first), date(*last))
    counted = [length.count(unit) for unit in ("day", "week", "month", "year")]
    assert counted == [days, weeks, months, years]


SPELLED = [
    # first, last, unit, in words
    ((2023, 5, 8), (2023, 5, 8), None, "0 days"),
    ((2023, 5, 8), (2023, 5, 8), "day", "0 days"),
    ((2023, 5, 8), (2023, 5, 8), "week", "0 days"),
    ((2023, 5, 8), (2023, 5, 8), "month", "0 days"),
    ((2023, 5, 8), (2023, 5, 8), "year", "0 days"),
    ((2023, 5, 8), (2023, 5, 9), None, "1 day"),
    ((2023, 5, 8), (2023, 5, 11), "week", "3 days"),
    ((2023, 5, 8), (2023, 5, 14), "day", "6 days"),
    ((2023, 5, 8), (2023, 5, 15), None, "7 days (1 week)"),
    ((2023, 5, 8), (2023, 5, 16), None, "8 days (1 week and 1 day)"),
    ((2023, 5, 8), (2023, 6, 8), None, "31 days (1 month)"),
    ((2023, 5, 8), (2023, 6, 9), "day", "32 days (1 month and 1 day)"),
    ((2025, 3, 8), (2025, 10, 19), None, "225 days (7 months and 11 days)"),
    ((2023, 5, 8), (2025, 5, 7), None, "730 days (23 months and 29 days)"),
    ((2023, 5, 8), (2025, 5, 8), "day", "731 days (2 years)"),
    ((2013, 1, 1), (2023, 10, 22), None, "3,946 days (10 years, 9 months and 21 days)"),
    ((2025, 2, 2), (2026, 1, 18), "week", "50 weeks (350 days)"),
    ((2025, 2, 2), (2026, 1, 20), "week", "50 weeks and 2 days (352 days)"),
    ((2025, 2, 2), (2025, 6, 2), "month", "4 months (120 days)"),
    ((2025, 2, 2), (2025, 6, 5), "month", "4 months and 3 days (123 days)"),
    ((2013, 5, 8), (2023, 5, 8), "year", "10 years (3,652 days)"),
    ((2022, 5, 8), (2023, 6, 8), "year", "1 year and 1 month (396 days)"),
    ((2022, 5, 8), (2023, 5, 10), "year", "1 year and 2 days (367 days)"),
    ((2021, 3, 1), (2023, 5, 8), "year", "2 years, 2 months and 7 days (798 days)"),
    ((2023, 5, 8), (2023, 5, 9), "hour", "24 hours (1 day)"),
]


@pytest.mark.parametrize(("first", "last", "unit", "words"), SPELLED)
def test_a_length_is_spelled_in_the_unit_asked_for_and_in_days(first, last, unit, words):
    assert Length(date(*first), date(*last)).spelled(unit) == words


@pytest.mark.parametrize(
    ("unit", "words"),
    [
        ("hour", "888 to 1,608 hours (37 to 67 days)"),
        ("day", "37 to 67 days"),
        ("week", "5 weeks and 2 days to 9 weeks and 4 days (37 to 67 days)"),
        ("month", "1 month and 7 days to 2 months and 6 days (37 to 67 days)"),
        ("year", "1 month to 2 months (37 to 67 days)"),
    ],
)
def test_a_length_that_is_not_known_to_the_day_has_two_bounds(unit, words):
    # From 31 March, 30 April is one month: 7 days are left. From 1 March it is 1 May: 6 days.
    shortest = Length(date(2025, 3, 31), date(2025, 5, 7))
    assert shortest.spelled_to(Length(date(2025, 3, 1), date(2025, 5, 7)), unit) == words


def test_a_unit_that_is_none_is_refused():
    with pytest.raises(KeyError):
        Length(date(2023, 5, 8), date(2023, 5, 9)).count("fortnight")
