"""One of those that say the same: worked by hand, its limits, and what it is for."""

import numpy as np
import pytest

from memsieve.errors import ParameterError
from memsieve.select import Candidates, Distinct, TopK, Windows


def test_the_most_relevant_of_a_label_stays_and_the_lower_of_equals():
    items = Candidates(relevance=[0.2, 0.9, 0.5, 0.5], tokens=[1, 1, 1, 1], same=[1, 1, 2, 2])
    found = Distinct(TopK()).select(items)
    assert found.picked == (1, 2)
    assert found.trace.reason(0) == "dropped: repeats item 1 (similarity 1.00)"
    assert found.trace.reason(3) == "dropped: repeats item 2 (similarity 1.00)"


def test_copies_leave_room_for_what_was_not_said_yet():
    copies, n_things = 5, 6
    thing = np.repeat(np.arange(n_things), copies)
    items = Candidates(relevance=1 - 0.1 * thing, tokens=np.full(thing.size, 10), same=thing)
    told = {
        selector: len(set(thing[list(selector.select(items, budget_tokens=60).picked)].tolist()))
        for selector in (TopK(), Distinct(TopK()))
    }
    assert told == {TopK(): 2, Distinct(TopK()): n_things}


def test_different_labels_change_nothing():
    items = Candidates(relevance=[0.2, 0.9, 0.5], tokens=[3, 3, 3], same=[1, 2, 3])
    assert Distinct(TopK()).select(items).picked == TopK().select(items).picked


def test_what_may_never_be_picked_is_no_reason_to_drop_another():
    items = Candidates(relevance=[-np.inf, 0.1], tokens=[1, 1], same=[4, 4])
    found = Distinct(TopK()).select(items)
    assert found.picked == (1,)
    assert found.trace.reason(0) == "dropped: relevance is -inf"


def test_a_repeat_does_not_come_in_as_a_neighbour():
    items = Candidates(
        relevance=[0.9, 0.1, 0.2], tokens=[1, 1, 1], position=[0, 1, 2], group=[0, 0, 0],
        same=[5, 5, 6],
    )  # fmt: skip
    assert Distinct(Windows(TopK(), 1, 1)).select(items, budget_items=3).picked == (0, 2)


def test_it_needs_labels_and_a_selector():
    with pytest.raises(ParameterError, match=r"Distinct needs Candidates\.same, got None"):
        Distinct(TopK()).select(Candidates(relevance=[1.0]))
    with pytest.raises(ParameterError, match=r"Distinct\.inner must be a Selector, got None"):
        Distinct(None)
    with pytest.raises(ParameterError, match=r"Candidates\.same must have the shape"):
        Candidates(relevance=[1.0, 2.0], same=[1])
