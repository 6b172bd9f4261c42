"""Windows: a pick brings its neighbours, as long as they fit."""

import numpy as np
import pytest

from memsieve.errors import ParameterError
from memsieve.select import MMR, Candidates, TopK, Windows


def turns(relevance, **more):
    n = len(relevance)
    return Candidates(relevance=relevance, tokens=[10] * n, position=range(n), **more)


def test_order_of_the_example_worked_by_hand():
    # Item 3 first, then 2 and 4 beside it, then 1 two places away; then item 0.
    items = turns([0.6, 0.1, 0.2, 0.9, 0.3, 0.0, 0.0])
    found = Windows(TopK(), before=2, after=1).select(items, budget_tokens=50)
    assert found.picked == (3, 2, 4, 1, 0)
    assert found.trace.reason(1) == "picked 4th, beside item 3"
    assert found.trace.reason(5) == "dropped: 10 tokens do not fit in the 0 left"


def test_neighbours_of_the_first_take_the_place_of_the_last_picks():
    items = turns([0.9, 0.1, 0.0, 0.0, 0.8])
    found = Windows(TopK(), before=1, after=1).select(items, budget_tokens=20)
    assert found.picked == (0, 1)
    assert found.trace.reason(4) == "dropped: 10 tokens do not fit in the 0 left"
    assert TopK().select(items, budget_tokens=20).picked == (0, 4)


def test_a_window_ends_at_its_group_and_at_a_gap():
    items = Candidates(relevance=[0.1, 0.9, 0.2, 0.3], position=[0, 1, 2, 4], group=[0, 0, 1, 0])
    found = Windows(TopK(), before=1, after=2).select(items, budget_items=1)
    assert found.picked == (1,)
    assert Windows(TopK(), before=1, after=2).select(items, budget_items=2).picked == (1, 0)
    three = Windows(TopK(), before=0, after=3).select(items, budget_items=2)
    assert three.picked == (1, 3)


def test_a_neighbour_that_does_not_fit_is_skipped():
    items = Candidates(relevance=[0.1, 0.9, 0.2], tokens=[90, 10, 10], position=[0, 1, 2])
    assert Windows(TopK()).select(items, budget_tokens=25).picked == (1, 2)


def test_a_neighbour_that_the_inner_method_picked_keeps_its_gain():
    items = turns([0.9, 0.8, 0.1])
    found = Windows(TopK()).select(items, budget_tokens=30)
    assert found.picked == (0, 1, 2)
    assert found.gains.tolist() == [0.9, 0.8, 0.1]
    one = Windows(TopK(stop_at_first_misfit=True), before=0).select(
        Candidates(relevance=[0.9, 0.1, 0.8], tokens=[10, 10, 99], position=[0, 1, 9]),
        budget_tokens=50,
    )
    assert one.picked == (0, 1)
    assert one.gains.tolist() == [0.9, 0.0]


def test_without_reach_it_is_the_inner_method():
    items = turns([0.2, 0.9, 0.5], similarity=np.eye(3))
    for inner in (TopK(), MMR()):
        plain = inner.select(items, budget_tokens=20)
        wrapped = Windows(inner, before=0, after=0).select(items, budget_tokens=20)
        assert wrapped.trace.table() == plain.trace.table()


def test_the_reasons_of_the_inner_method_are_kept():
    items = Candidates(
        relevance=[0.9, 0.8, 0.5], tokens=[10] * 3, position=[0, 10, 20],
        similarity=[[1, 1, 0], [1, 1, 0], [0, 0, 1]],
    )  # fmt: skip
    found = Windows(MMR(0.5)).select(items, budget_tokens=20)
    assert found.trace.reason(1) == "dropped: repeats item 0 (similarity 1.00)"


def test_never_brings_what_must_not_be_picked():
    items = turns([0.9, -np.inf, 0.1])
    assert Windows(TopK(), before=0, after=2).select(items).picked == (0, 2)


def test_finds_the_answers_that_stand_beside_the_question_where_the_ranking_finds_none():
    """Thirty dialogues of two turns: the question shares words with the query, the answer none."""
    rng = np.random.default_rng(3)
    relevance = rng.random(60) * 0.3
    asked = np.arange(0, 20, 2)
    relevance[asked] += 0.7
    items = Candidates(
        relevance=relevance,
        tokens=np.full(60, 10),
        position=np.tile([0, 1], 30),
        group=np.repeat(np.arange(30), 2),
    )
    answers = set((asked + 1).tolist())
    found = {
        type(m).__name__: len(answers & set(m.select(items, budget_tokens=200).picked))
        for m in (Windows(TopK(), before=0, after=1), TopK())
    }
    assert found["Windows"] == 10
    assert found["TopK"] <= 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"inner": "TopK"}, r"Windows\.inner must be a Selector, got 'TopK'"),
        ({"inner": TopK(), "before": -1}, r"Windows\.before must be >= 0, got -1"),
        ({"inner": TopK(), "after": 1.5}, r"Windows\.after must be a whole number, got 1\.5"),
    ],
)
def test_rejects_options_outside_their_range(options, message):
    with pytest.raises(ParameterError, match=message):
        Windows(**options)


def test_says_that_it_needs_positions():
    with pytest.raises(ParameterError, match=r"Windows needs Candidates\.position, got None"):
        Windows(TopK()).select(Candidates(relevance=[0.5]))
