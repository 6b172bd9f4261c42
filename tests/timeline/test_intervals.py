"""Intervals worked by hand: what overlaps, follows or holds what, over zones and clocks."""

import math
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from memsieve.errors import ParameterError
from memsieve.types import PRECISIONS, Interval

LIMA = timezone(timedelta(hours=-5))
LISBON = ZoneInfo("Europe/Lisbon")


def days(first, last, zone=UTC):
    """[first, last) of May 2023; None for an open bound."""
    bounds = (day and datetime(2023, 5, day, tzinfo=zone) for day in (first, last))
    return Interval(*bounds)


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (datetime(2023, 5, 1), datetime(2023, 5, 2, tzinfo=UTC)),
        (datetime(2023, 5, 1, tzinfo=UTC), datetime(2023, 5, 2)),
        (datetime(2023, 5, 1), None),
        (None, datetime(2023, 5, 1)),
    ],
)
def test_a_bound_without_a_zone_is_refused(start, end):
    with pytest.raises(ParameterError, match=r"Interval\.(start|end) must be an aware datetime"):
        Interval(start, end)


@pytest.mark.parametrize("precision", ["", "days", "millennium", "Day"])
def test_an_unknown_precision_is_refused_with_the_known_ones(precision):
    with pytest.raises(ParameterError, match=r"Interval\.precision must be one of minute, .*, got"):
        Interval(None, None, precision)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_precision_is_taken(precision):
    assert Interval(None, None, precision).precision == precision


def test_an_end_before_the_start_is_refused():
    with pytest.raises(ParameterError, match="must not end before it starts"):
        days(3, 2)


def test_an_end_before_the_start_only_by_the_clock_on_the_wall_is_taken():
    fall_back = datetime(2023, 10, 29, 1, 30, tzinfo=LISBON)
    assert Interval(fall_back, fall_back.replace(hour=1, minute=10, fold=1)).days * 24 * 60 == 40


def test_an_end_before_the_start_in_another_zone_is_refused():
    with pytest.raises(ParameterError, match="must not end before"):
        Interval(datetime(2023, 5, 1, 22, tzinfo=LIMA), datetime(2023, 5, 2, 2, tzinfo=UTC))


def test_an_empty_interval_holds_nothing():
    empty = days(3, 3)
    assert empty.days == 0
    assert not empty.contains(datetime(2023, 5, 3, tzinfo=UTC))
    assert not empty.overlaps(days(1, 9))


OVERLAPS = [
    # a, b, days of overlap, days of gap
    ((1, 5), (1, 5), 4, 0),
    ((1, 5), (3, 9), 2, 0),
    ((1, 9), (3, 5), 2, 0),
    ((1, 3), (3, 5), 0, 0),  # half-open: they touch, and neither overlap nor lie apart
    ((1, 3), (4, 6), 0, 1),
    ((1, 2), (12, 13), 0, 10),
    ((None, 3), (3, None), 0, 0),
    ((None, 3), (1, 9), 2, 0),
    ((None, 3), (5, None), 0, 2),
    ((None, 5), (3, None), 2, 0),
    ((None, None), (3, 6), 3, 0),
]


@pytest.mark.parametrize(("one", "other", "overlap", "gap"), OVERLAPS)
def test_overlap_and_gap_are_those_worked_by_hand_both_ways_round(one, other, overlap, gap):
    one, other = days(*one), days(*other)
    for a, b in ((one, other), (other, one)):
        assert a.overlap_days(b) == overlap
        assert a.overlaps(b) == (overlap > 0)
        assert a.gap_days(b) == gap


def test_two_open_sides_overlap_without_end():
    assert days(1, None).overlap_days(days(5, None)) == math.inf
    assert days(None, 1).overlap_days(days(None, 5)) == math.inf
    assert days(None, None).days == math.inf


ORDERS = [
    # a, b, a before b, a after b, a during b
    ((1, 3), (3, 5), True, False, False),
    ((1, 3), (4, 5), True, False, False),
    ((3, 5), (1, 3), False, True, False),
    ((1, 4), (3, 5), False, False, False),
    ((2, 3), (1, 5), False, False, True),
    ((1, 5), (1, 5), False, False, True),
    ((1, 5), (2, 3), False, False, False),
    ((None, 3), (3, 5), True, False, False),
    ((None, 3), (None, 5), False, False, True),
    ((3, None), (None, 3), False, True, False),
    ((3, None), (1, None), False, False, True),
    ((3, 5), (None, None), False, False, True),
    ((None, None), (3, 5), False, False, False),
]


@pytest.mark.parametrize(("one", "other", "before", "after", "during"), ORDERS)
def test_before_after_and_during_are_those_worked_by_hand(one, other, before, after, during):
    one, other = days(*one), days(*other)
    assert (one.before(other), one.after(other), one.during(other)) == (before, after, during)
    assert other.after(one) == before
    assert other.before(one) == after


def test_the_start_lies_inside_and_the_end_does_not():
    third = days(3, 4)
    assert third.contains(datetime(2023, 5, 3, tzinfo=UTC))
    assert third.contains(datetime(2023, 5, 3, 23, 59, 59, tzinfo=UTC))
    assert not third.contains(datetime(2023, 5, 4, tzinfo=UTC))
    assert not third.contains(datetime(2023, 5, 2, 23, 59, 59, tzinfo=UTC))


def test_an_open_side_holds_every_moment_of_it():
    assert days(3, None).contains(datetime(9999, 12, 31, tzinfo=UTC))
    assert days(None, 3).contains(datetime(1, 1, 2, tzinfo=UTC))
    assert not days(None, 3).contains(datetime(2023, 5, 3, tzinfo=UTC))


def test_moments_of_other_zones_are_compared_as_instants():
    third = days(3, 4)
    assert third.contains(datetime(2023, 5, 2, 19, tzinfo=LIMA))  # midnight of the 3rd in UTC
    assert not third.contains(datetime(2023, 5, 3, 19, tzinfo=LIMA))


def test_the_same_date_five_hours_west_begins_five_hours_later():
    here, there = days(3, 4), days(3, 4, LIMA)
    assert here.overlap_days(there) == pytest.approx(19 / 24)
    assert days(2, 3).gap_days(there) == pytest.approx(5 / 24)
    assert not here.before(there)


def test_a_day_of_the_change_to_summer_time_is_23_hours_long_and_the_other_25():
    spring = Interval(
        datetime(2023, 3, 26, tzinfo=LISBON), datetime(2023, 3, 27, tzinfo=LISBON), "day"
    )
    autumn = Interval(
        datetime(2023, 10, 29, tzinfo=LISBON), datetime(2023, 10, 30, tzinfo=LISBON), "day"
    )
    assert spring.days * 24 == pytest.approx(23)
    assert autumn.days * 24 == pytest.approx(25)


def test_shifting_keeps_the_clock_on_the_wall_over_the_change_of_clocks():
    noon = Interval(
        datetime(2023, 3, 25, 12, tzinfo=LISBON), datetime(2023, 3, 25, 13, tzinfo=LISBON), "minute"
    )
    moved = noon.shift(1)
    assert moved.start == datetime(2023, 3, 26, 12, tzinfo=LISBON)
    assert moved.bounds[0] - noon.bounds[0] == 23 * 3600
    assert moved.precision == "minute"


def test_shifting_goes_both_ways_and_leaves_open_bounds_open():
    assert days(3, 5).shift(4) == days(7, 9)
    assert days(7, 9).shift(-4) == days(3, 5)
    assert days(3, None).shift(2) == days(5, None)
    assert days(None, 3).shift(2) == days(None, 5)
    assert days(3, 4).shift(0.5).start == datetime(2023, 5, 3, 12, tzinfo=UTC)


def test_bounds_are_seconds_since_1970_and_infinite_where_open():
    assert days(None, None).bounds == (-math.inf, math.inf)
    first = Interval(datetime(1970, 1, 1, tzinfo=UTC), datetime(1970, 1, 2, tzinfo=UTC))
    assert first.bounds == (0, 86_400)


def test_the_day_of_a_moment_is_that_on_its_own_clock():
    late = datetime(2023, 5, 8, 23, 30, tzinfo=LIMA)
    assert Interval.day_of(late) == Interval(
        datetime(2023, 5, 8, tzinfo=LIMA), datetime(2023, 5, 9, tzinfo=LIMA)
    )
    assert Interval.day_of(datetime(9999, 12, 31, 5, tzinfo=UTC)).end is None
