"""RoundRobin: every group has its turn."""

import numpy as np
import pytest

from memsieve.errors import ParameterError
from memsieve.select import Candidates, RoundRobin, TopK


def test_order_of_the_example_worked_by_hand():
    # Best of each group: 7 -> 0.9, 5 -> 0.8, -1 -> 0.2. Turns: (0, 2, 5), (1, 4), (3).
    items = Candidates(
        relevance=[0.9, 0.85, 0.8, 0.4, 0.3, 0.2], group=[7, 7, 5, 7, 5, -1], tokens=[1] * 6
    )
    assert RoundRobin().select(items).picked == (0, 2, 5, 1, 4, 3)
    assert RoundRobin().select(items, budget_items=4).picked == (0, 2, 5, 1)
    assert RoundRobin().select(items, budget_tokens=1).picked == (0,)


def test_a_misfit_costs_its_group_the_turn():
    items = Candidates(relevance=[0.9, 0.8, 0.7], group=[0, 0, 1], tokens=[50, 10, 10])
    assert RoundRobin().select(items, budget_tokens=20).picked == (2, 1)
    stopped = RoundRobin(stop_at_first_misfit=True).select(items, budget_tokens=20)
    assert stopped.picked == ()


def test_one_group_or_a_group_each_is_top_k():
    relevance = np.random.default_rng(0).random(30)
    expected = TopK().select(Candidates(relevance=relevance), budget_items=12).picked
    for group in (np.zeros(30, int), np.arange(30)):
        items = Candidates(relevance=relevance, group=group)
        assert RoundRobin().select(items, budget_items=12).picked == expected


def test_shows_eight_sessions_where_relevance_alone_shows_one():
    session = np.repeat(np.arange(8), 10)
    items = Candidates(relevance=1 - 0.01 * np.arange(80), group=session, tokens=np.full(80, 10))
    shown = {
        type(m).__name__: len(set(session[list(m.select(items, budget_tokens=80).picked)]))
        for m in (RoundRobin(), TopK())
    }
    assert shown == {"RoundRobin": 8, "TopK": 1}


def test_says_that_it_needs_groups():
    with pytest.raises(ParameterError, match=r"RoundRobin needs Candidates\.group, got None"):
        RoundRobin().select(Candidates(relevance=[0.5]))
