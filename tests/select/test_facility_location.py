"""FacilityLocation: a few for all, against every subset, a slow greedy and plain ranking."""

from itertools import product
from math import e

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memsieve.errors import ParameterError
from memsieve.select import Candidates, FacilityLocation, TopK


def coverage(items, picked):
    """value(S) by its formula."""
    if len(picked) == 0:
        return 0.0
    nearest = items.similarity[list(picked)].max(axis=0)
    return float((np.maximum(items.relevance, 0) * np.maximum(nearest, 0)).sum())


def optimum(items, budget_tokens=np.inf, budget_items=np.inf):
    n, best = len(items), 0.0
    for subset in product([False, True], repeat=n):
        picked = np.flatnonzero(subset)
        tokens = items.tokens[picked].sum()
        if tokens <= budget_tokens and picked.size <= budget_items:
            best = max(best, coverage(items, picked))
    return best


@st.composite
def instances(draw):
    n = draw(st.integers(1, 8))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    vectors = np.abs(rng.normal(size=(n, 3)))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    similarity = np.clip(vectors @ vectors.T - draw(st.sampled_from([0, 0.5, 0.8])), -1, 1)
    return Candidates(relevance=rng.random(n), tokens=rng.integers(0, 30, n), similarity=similarity)


def clusters(n_clusters, n_members):
    """Members of a cluster at 0.9, others at 0; later clusters are less relevant."""
    cluster = np.repeat(np.arange(n_clusters), n_members)
    similarity = np.where(cluster[:, None] == cluster, 0.9, 0.0)
    np.fill_diagonal(similarity, 1.0)
    relevance = 1 - 0.05 * cluster
    tokens = np.full(cluster.size, 10)
    return Candidates(relevance=relevance, similarity=similarity, tokens=tokens), cluster


def test_gains_of_the_example_worked_by_hand():
    # Item 0 covers 1 + 0.9 + 0.9 = 2.8, item 3 adds 0.6, item 1 or 2 adds 0.1 to item 0.
    items = Candidates(
        relevance=[1.0, 1.0, 1.0, 0.6],
        similarity=[[1, 0.9, 0.9, 0], [0.9, 1, 0.8, 0], [0.9, 0.8, 1, 0], [0, 0, 0, 1]],
    )
    found = FacilityLocation().select(items, budget_items=3)
    assert found.picked == (0, 3, 1)
    assert found.gains == pytest.approx([2.8, 0.6, 0.1])


@settings(max_examples=100, deadline=None)
@given(items=instances(), budget=st.integers(0, 70))
def test_reaches_its_share_of_the_optimum_under_a_budget_of_tokens(items, budget):
    found = FacilityLocation().select(items, budget_tokens=budget)
    assert coverage(items, found.picked) >= 0.405 * optimum(items, budget_tokens=budget) - 1e-12


@settings(max_examples=100, deadline=None)
@given(items=instances(), budget=st.integers(0, 4))
def test_reaches_its_share_of_the_optimum_under_a_budget_of_items(items, budget):
    found = FacilityLocation().select(items, budget_items=budget)
    assert (
        coverage(items, found.picked) >= (1 - 1 / e) * optimum(items, budget_items=budget) - 1e-12
    )


def slow_greedy(items, budget_tokens):
    """The highest gain per token that fits, again and again, every gain computed anew."""
    picked, left, header = [], budget_tokens, items.group_tokens.copy()
    while True:
        due = items.tokens + header[items.group]
        gains = [coverage(items, [*picked, i]) - coverage(items, picked) for i in range(len(items))]
        fitting = [i for i in np.flatnonzero(due <= left) if i not in picked and gains[i] > 0]
        if not fitting:
            return tuple(picked)
        best = int(max(fitting, key=lambda i: (gains[i] / due[i], gains[i], -i)))
        picked.append(best)
        left -= due[best]
        header[items.group[best]] = 0


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(2, 80))
def test_lazy_evaluation_picks_what_the_plain_greedy_picks(seed, n):
    rng = np.random.default_rng(seed)
    half = rng.integers(-8, 9, (n, n)) / 8  # eighths, so that every sum is exact
    items = Candidates(
        relevance=rng.integers(0, 9, n) / 8,
        tokens=rng.integers(1, 9, n),
        similarity=np.triu(half) + np.triu(half, 1).T,
        group=rng.integers(0, 5, n),
        group_tokens=rng.integers(0, 9, 5),
    )
    expected = slow_greedy(items, budget_tokens=60)
    assert FacilityLocation().select(items, budget_tokens=60).picked == expected


def test_stands_for_ten_clusters_where_relevance_alone_shows_two():
    items, cluster = clusters(n_clusters=10, n_members=5)
    shown = {
        type(m).__name__: len(set(cluster[list(m.select(items, budget_tokens=100).picked)]))
        for m in (FacilityLocation(), TopK())
    }
    assert shown == {"FacilityLocation": 10, "TopK": 2}


def test_stops_when_nothing_is_added_and_says_what_is_repeated():
    items = Candidates(relevance=[0.9, 0.9, 0.5], similarity=[[1, 1, 0], [1, 1, 0], [0, 0, 1]])
    found = FacilityLocation().select(items)
    assert found.picked == (0, 2)
    assert found.trace.reason(1) == "dropped: repeats item 0 (similarity 1.00)"


def test_a_cheap_stand_in_beats_a_dear_one():
    similarity = [[1, 0.95, 0.9], [0.95, 1, 0.9], [0.9, 0.9, 1]]
    items = Candidates(relevance=[1, 1, 1], tokens=[100, 20, 60], similarity=similarity)
    assert FacilityLocation().select(items, budget_tokens=100).picked[0] == 1


def test_a_dear_item_is_taken_where_the_cheap_ones_are_worth_less_together():
    items = Candidates(
        relevance=[0.05, 1, 1, 1],
        tokens=[1, 100, 200, 200],
        similarity=[[1, 0, 0, 0], [0, 1, 0.8, 0.8], [0, 0.8, 1, 0.5], [0, 0.8, 0.5, 1]],
    )
    assert FacilityLocation().select(items, budget_tokens=100).picked == (1,)


def test_irrelevant_candidates_need_no_cover():
    items = Candidates(relevance=[0.5, -1.0, 0.0, -np.inf], similarity=np.eye(4))
    found = FacilityLocation().select(items)
    assert found.picked == (0,)
    assert found.trace.reason(1) == "dropped: gain 0.00 is not above 0"


def test_says_that_it_needs_similarity():
    with pytest.raises(ParameterError, match=r"FacilityLocation needs Candidates\.similarity"):
        FacilityLocation().select(Candidates(relevance=[0.5]))
