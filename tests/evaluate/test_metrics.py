"""Every figure worked out by hand."""

from math import log2

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memsieve.errors import ParameterError
from memsieve.evaluate.metrics import (
    budget_recall,
    macro,
    ndcg,
    paired_bootstrap,
    recall,
    recall_all,
    reciprocal_rank,
)

RANKED = ["x1", "a", "x2", "b", "x3", "x4", "x5", "x6", "x7", "x8", "c"]
GOLD = {"a", "b", "c"}


@pytest.mark.parametrize(("k", "share"), [(1, 0), (2, 1 / 3), (4, 2 / 3), (10, 2 / 3), (11, 1)])
def test_recall_is_the_share_of_gold_among_the_first_k(k, share):
    assert recall(RANKED, GOLD, k) == pytest.approx(share)


def test_recall_of_a_short_ranking_counts_what_is_there():
    assert recall(["a"], GOLD, 50) == pytest.approx(1 / 3)
    assert recall([], GOLD, 50) == 0


@pytest.mark.parametrize(("k", "all_there"), [(4, 0.0), (10, 0.0), (11, 1.0)])
def test_recall_all_asks_for_every_gold_key(k, all_there):
    assert recall_all(RANKED, GOLD, k) == all_there


def test_ndcg_of_two_hits_at_places_2_and_4_worked_by_hand():
    found = 1 / log2(3) + 1 / log2(5)  # the third gold key stands at place 11, outside
    ideal = 1 / log2(2) + 1 / log2(3) + 1 / log2(4)
    assert ndcg(RANKED, GOLD) == pytest.approx(found / ideal)
    assert ndcg(RANKED, GOLD) == pytest.approx(0.498189, abs=1e-6)


def test_ndcg_truncates_the_ideal_at_ten():
    gold = {f"g{i}" for i in range(30)}
    assert ndcg([f"g{i}" for i in range(10)], gold) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("ranked", "value"), [(["a"], 1.0), (RANKED, 0.5), (["x", "y", "c"], 1 / 3), (["x"], 0.0)]
)
def test_reciprocal_rank_is_one_over_the_first_place_with_gold(ranked, value):
    assert reciprocal_rank(ranked, GOLD) == pytest.approx(value)


def test_budget_recall_ignores_order_and_the_rest_of_the_context():
    assert budget_recall(("x", "c", "a"), GOLD) == pytest.approx(2 / 3)
    assert budget_recall((), GOLD) == 0


def test_macro_weighs_a_small_category_like_a_large_one():
    assert macro({"small": 1.0, "large": 0.0}) == 0.5
    assert macro({"a": 0.25, "without": None}) == 0.25
    assert macro({"without": None}) is None


@pytest.mark.parametrize(
    "figure",
    [
        lambda: recall(RANKED, (), 3),
        lambda: recall_all(RANKED, (), 3),
        lambda: ndcg(RANKED, ()),
        lambda: reciprocal_rank(RANKED, ()),
        lambda: budget_recall(RANKED, ()),
    ],
)
def test_a_question_without_gold_has_no_figure(figure):
    with pytest.raises(ParameterError, match="gold must hold at least one key"):
        figure()


@pytest.mark.parametrize("figure", [recall, recall_all, ndcg])
def test_depth_starts_at_one(figure):
    with pytest.raises(ParameterError, match="k must be >= 1, got 0"):
        figure(RANKED, GOLD, 0)


KEYS = st.lists(st.integers(0, 30).map(str), unique=True)


@given(ranked=KEYS, gold=st.sets(st.integers(0, 30).map(str), min_size=1), k=st.integers(1, 12))
def test_every_figure_stays_in_the_unit_interval_and_grows_with_depth(ranked, gold, k):
    assert 0 <= recall(ranked, gold, k) <= recall(ranked, gold, k + 1) <= 1
    assert recall_all(ranked, gold, k) <= recall_all(ranked, gold, k + 1)
    assert recall_all(ranked, gold, k) <= recall(ranked, gold, k)
    assert -1e-12 <= ndcg(ranked, gold, k) <= 1 + 1e-12
    assert reciprocal_rank(ranked, gold) <= 1


def test_bootstrap_of_a_constant_lead_is_that_lead():
    assert paired_bootstrap([0.75, 0.5], [0.5, 0.25]) == (0.25, 0.25, 0.25)


def test_bootstrap_interval_agrees_with_the_normal_one_on_many_questions():
    draws = np.random.default_rng(3)
    gaps = draws.normal(0.1, 1.0, size=4000)
    difference, low, high = paired_bootstrap(gaps, np.zeros(4000))
    half = 1.96 * gaps.std() / np.sqrt(gaps.size)
    assert difference == pytest.approx(gaps.mean())
    assert low == pytest.approx(gaps.mean() - half, abs=0.004)
    assert high == pytest.approx(gaps.mean() + half, abs=0.004)


def test_bootstrap_uses_the_pairs():
    hard_and_easy = np.tile([0.0, 1.0], 50)  # b misses what a hits by a hair, always
    _, low, high = paired_bootstrap(hard_and_easy, hard_and_easy - 0.01)
    assert (low, high) == (pytest.approx(0.01), pytest.approx(0.01))


def test_bootstrap_repeats_with_its_seed():
    a, b = np.random.default_rng(0).random((2, 40))
    assert paired_bootstrap(a, b, n=50) == paired_bootstrap(a, b, n=50)
    assert paired_bootstrap(a, b, n=50) != paired_bootstrap(a, b, n=50, seed=1)


@pytest.mark.parametrize(
    ("a", "b", "n", "rule"),
    [
        ([1.0], [1.0, 0.0], 10, "got 1 and 2"),
        ([], [], 10, "got 0 and 0"),
        ([1.0], [0.0], 0, "n must be >= 1, got 0"),
        ([float("nan")], [0.0], 10, "finite"),
    ],
)
def test_bootstrap_refuses_what_it_cannot_pair(a, b, n, rule):
    with pytest.raises(ParameterError, match=rule):
        paired_bootstrap(a, b, n=n)
