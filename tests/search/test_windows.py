"""Turns against stretches of time, worked by hand in days since 1970."""

from datetime import UTC, datetime

import numpy as np
import pytest

from memsieve.embed import NoEmbedder
from memsieve.score import features
from memsieve.search import find, read
from memsieve.search.windows import DAY, Window, begins_known, events, meeting, said_days
from memsieve.timeline.asking import Asked
from memsieve.types import Interval

TALK = [("the dog", "Ana", "s"), ("a dog", "Ana", "s"), ("dog", "Tom", "s"), ("dogs", "Tom", "s")]
DAYS = [10, 20, 30, 40]
# Turn 0 mentions days 1 and 20 to 24, turn 2 everything before day 5; 1 and 3 mention nothing.
EVENTS = [(0, 1, 2), (0, 20, 25), (2, None, 5)]


@pytest.fixture
def block(block_of):
    return block_of(TALK, days=DAYS, events=EVENTS)


def window(*stretches):
    begins, ends = np.array([[a * DAY, b * DAY] for a, b, *_ in stretches], dtype=np.int64).T
    return Window(begins, ends, np.array([w[0] if w else 1.0 for _, _, *w in stretches]))


def test_a_turn_was_said_on_the_day_of_its_speaker(block_of):
    block = block_of(TALK, days=DAYS)
    block.offset[:] = [0, 13 * 60, -13 * 60, 0]  # noon in UTC is the next day, the day before
    begins, _ = said_days(block, np.arange(4))
    assert (begins / DAY).round(4).tolist() == [10, 20.4583, 29.5417, 40]


def test_times_mentioned_come_with_their_turn_and_silent_turns_with_their_day(block):
    owner, begins, ends = events(block, np.array([0, 1, 2]))
    assert owner.tolist() == [0, 0, 2, 1]
    assert (begins[[0, 1, 3]] / DAY).tolist() == [1, 20, 20]
    assert (ends / DAY).tolist() == [2, 25, 5, 21]


def test_a_time_without_a_beginning_does_not_date_a_turn(block):
    assert begins_known(block, np.arange(4)).tolist() == [True, False, False, False]


def test_a_window_is_met_by_what_was_said_and_by_what_is_told(block):
    assert meeting(block, window((20, 21))).tolist() == [True, True, False, False]
    assert meeting(block, window((3, 4))).tolist() == [False, False, True, False]
    assert meeting(block, window((50, 60))).tolist() == [False] * 4


def test_the_likelier_of_two_stretches_counts_more(block):
    begins, ends = said_days(block, np.arange(4))
    both = window((10, 11, 0.4), (30, 31))
    assert both.inside(begins, ends).tolist() == [0.4, 0, 1, 0]
    assert both.gap_days(begins, ends).tolist() == [0, 9, 0, 9]


def test_the_overlap_is_the_share_of_the_time_that_lies_inside(block):
    _, begins, ends = events(block, np.arange(4))
    # Days 1 and 20 to 24 of turn 0, all before 5 of turn 2, days 20 and 40 of the silent ones.
    assert window((22, 30, 0.5)).overlap(begins, ends).tolist() == [0, 0.3, 0, 0, 0]
    assert window((0, 50)).overlap(begins, ends).tolist() == [1, 1, 0, 1, 1]


def test_unknown_bounds_are_far_and_fit_into_the_arithmetic():
    since = Window.of([(Interval(datetime(2023, 5, 1, tzinfo=UTC), None), 1.0)])
    day = np.array([(datetime(2023, 4, 1) - datetime(1970, 1, 1)).days * DAY])
    assert since.gap_days(day, day + DAY).tolist() == [29]
    assert since.inside(day + 40 * DAY, day + 41 * DAY).tolist() == [1]


class TestFeatures:
    NAMES = ("said_inside", "said_gap", "event_inside", "event_overlap", "event_gap", "dated")

    def columns(self, block, asked, stretch):
        question = read("dog", block, NoEmbedder(), asked, stretch)
        found = features(block, question, find(block, question))
        return {name: found.column(name).tolist() for name in self.NAMES}

    def test_said_and_told_are_apart(self, block):
        got = self.columns(block, Asked(), window((22, 24)))
        assert got["said_inside"] == [0, 0, 0, 0]
        assert got["event_inside"] == [1, 0, 0, 0]
        assert got["event_overlap"] == pytest.approx([2 / 5, 0, 0, 0])
        assert got["said_gap"] == pytest.approx([-np.log(12), -np.log(2), -np.log(7), -np.log(17)])
        assert got["event_gap"] == pytest.approx([0, -np.log(2), -np.log(18), -np.log(17)])
        assert got["dated"] == [0, 0, 0, 0]

    @pytest.mark.parametrize("asked", [Asked(wants_date=True), Asked(wants_length=True)])
    def test_a_question_that_asks_when_looks_for_dates(self, block, asked):
        assert self.columns(block, asked, None)["dated"] == [1, 0, 0, 0]

    def test_a_question_without_time_says_nothing_of_it(self, block):
        assert not any(map(any, self.columns(block, Asked(), None).values()))
