"""Turns stand side by side in the order of their session, whatever happened before."""

import numpy as np
import pytest

from memsieve.search.lanes import GAP, Lanes


@pytest.fixture
def lanes():
    """Two sessions of three and two turns, and one turn without a session."""
    made = Lanes()
    made.place_all(
        np.array([0, 0, 1, 0, 1, -1]), np.array([0, 1, 0, 2, 1, 0]), np.ones(6, dtype=bool)
    )
    return made


def lane_of(lanes, doc):
    """The documents of the lane in which `doc` stands."""
    at = int(lanes.slot[doc])
    while lanes.document[at - 1] >= 0:
        at -= 1
    members = []
    while lanes.document[at] >= 0:
        members.append(int(lanes.document[at]))
        at += 1
    return members


def test_the_first_layout(lanes):
    e = [-1] * GAP
    assert lanes.document.tolist() == [*e, 0, 1, 3, *e, 2, 4, *e, 5, *e]
    assert lanes.slot.tolist() == [3, 4, 9, 5, 10, 14]


def test_neighbours_end_with_the_session(lanes):
    docs = np.array([0, 1, 3, 5])
    assert lanes.beside(docs, 1).tolist() == [1, 3, -1, -1]
    assert lanes.beside(docs, -2).tolist() == [-1, -1, 0, -1]


def test_a_full_lane_moves_to_the_end_and_leaves_empty_slots(lanes):
    before = len(lanes)
    lanes.insert(6, 0, np.array([0, 1, 0, 2, 1, 0, 3]))
    assert lane_of(lanes, 6) == [0, 1, 3, 6]
    assert int(lanes.slot[0]) >= before
    assert lanes.document[3:6].tolist() == [-1, -1, -1]
    assert lane_of(lanes, 2) == [2, 4]


def test_a_late_turn_takes_the_place_its_ordinal_says(lanes):
    lanes.insert(6, 0, np.array([0, 1, 0, 2, 1, 0, 1]))
    assert lane_of(lanes, 6) == [0, 1, 6, 3]


def test_those_behind_a_removed_turn_move_up(lanes):
    lanes.remove(1, 0)
    assert lane_of(lanes, 0) == [0, 3]
    assert int(lanes.slot[1]) == -1
    lanes.remove(5, -1)
    assert 5 not in lanes.document


def test_ten_thousand_turns_in_turn_take_room_in_proportion():
    lanes, n = Lanes(), 10_000
    lanes.place_all(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, bool))
    ordinal = np.arange(n) // 10
    for doc in range(n):
        lanes.insert(doc, doc % 10, ordinal)
    assert lane_of(lanes, 7) == list(range(7, n, 10))
    assert len(lanes) < 5 * n
