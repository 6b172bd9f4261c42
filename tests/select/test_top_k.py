"""TopK: relevance alone, under every kind of budget."""

import numpy as np

from memsieve.select import Candidates, TopK


def test_picks_of_the_example_worked_by_hand():
    # 10 of 25 tokens, 30 do not fit in 15, 10 do, 10 do not fit in 5, 5 do.
    items = Candidates(relevance=[0.9, 0.8, 0.7, 0.6, 0.5], tokens=[10, 30, 10, 10, 5])
    found = TopK().select(items, budget_tokens=25)
    assert found.picked == (0, 2, 4)
    assert found.gains.tolist() == [0.9, 0.7, 0.5]
    assert found.spent.tokens == 25
    assert found.trace.reason(1) == "dropped: 30 tokens do not fit in the 15 left"
    assert found.trace.reason(3) == "dropped: 10 tokens do not fit in the 5 left"


def test_stops_at_the_first_misfit_if_told_to():
    items = Candidates(relevance=[0.9, 0.8, 0.7, 0.6], tokens=[10, 30, 10, 10])
    found = TopK(stop_at_first_misfit=True).select(items, budget_tokens=25)
    assert found.picked == (0,)
    assert found.trace.reason(1) == "dropped: 30 tokens do not fit in the 15 left"
    assert found.trace.reason(2) == "dropped: packing stopped at item 1, which did not fit"
    full = TopK(stop_at_first_misfit=True).select(items, budget_items=2)
    assert full.trace.reason(3) == "dropped: the budget of 2 items is full"


def test_a_budget_for_everything_keeps_everything_in_order():
    items = Candidates(relevance=[0.1, 0.9, 0.5], tokens=[1, 2, 3])
    assert TopK().select(items, budget_tokens=6).picked == (1, 2, 0)
    assert TopK().select(items).picked == (1, 2, 0)


def test_the_tightest_of_three_limits_decides():
    items = Candidates(relevance=[0.9, 0.8, 0.7], tokens=[1, 1, 1], bytes=[100, 900, 100])
    found = TopK().select(items, budget_items=3, budget_tokens=3, budget_bytes=500)
    assert found.picked == (0, 2)
    assert found.trace.reason(1) == "dropped: 900 bytes do not fit in the 400 left"


def test_a_group_is_paid_for_once():
    # Headers of 8: 5 + 8, then 5 more in the same group, then 13 for another one.
    items = Candidates(
        relevance=[0.9, 0.8, 0.7], tokens=[5, 5, 5], group=[0, 1, 0], group_tokens=[8, 8]
    )
    assert TopK().select(items, budget_tokens=31).spent.tokens == 31
    assert TopK().select(items, budget_tokens=30).picked == (0, 1)
    assert TopK().select(items, budget_tokens=25).picked == (0, 2)


def test_skipping_misfits_uses_a_quarter_more_of_the_budget_than_stopping():
    rng = np.random.default_rng(2)
    used = {True: [], False: []}
    for _ in range(200):
        items = Candidates(relevance=rng.random(60), tokens=rng.integers(20, 300, 60))
        for stop in used:
            found = TopK(stop_at_first_misfit=stop).select(items, budget_tokens=500)
            used[stop].append(found.spent.tokens)
    assert np.mean(used[False]) > 1.2 * np.mean(used[True])
