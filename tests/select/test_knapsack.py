"""Knapsack: the most relevance per budget, against every subset and against plain ranking."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memsieve.errors import ParameterError
from memsieve.select import Candidates, Knapsack, Reason, TopK


def optimum(items, budget_tokens, budget_items=10**9):
    """The highest sum of relevance of any subset within the budget, by trying them all."""
    n = len(items)
    subsets = np.array(list(product([0, 1], repeat=n)), dtype=np.int64).reshape(-1, n)
    tokens = subsets @ items.tokens
    if items.group_tokens is not None:
        member = np.equal.outer(items.group, np.arange(items.group_tokens.size)).astype(np.int64)
        tokens = tokens + (subsets @ member > 0) @ items.group_tokens
    fitting = (tokens <= budget_tokens) & (subsets.sum(axis=1) <= budget_items)
    return (subsets[fitting] @ items.relevance).max(initial=0.0)


def value(items, found):
    return items.relevance[list(found.picked)].sum()


@st.composite
def instances(draw, groups=False):
    n = draw(st.integers(1, 10))
    scores = draw(st.lists(st.integers(-10, 100), min_size=n, max_size=n))
    tokens = draw(st.lists(st.integers(0, 30), min_size=n, max_size=n))
    extra = {}
    if groups:
        extra["group"] = draw(st.lists(st.integers(0, 2), min_size=n, max_size=n))
        extra["group_tokens"] = draw(st.lists(st.integers(0, 15), min_size=3, max_size=3))
    relevance = np.array(scores) / 100
    return Candidates(relevance=relevance, tokens=tokens, **extra), draw(st.integers(0, 80))


def test_picks_of_the_example_worked_by_hand():
    # Densities 0.045, 0.06, 0.05: items 1 and 2 are worth 1.1 together, item 0 alone 0.9.
    items = Candidates(relevance=[0.9, 0.6, 0.5], tokens=[20, 10, 10])
    found = Knapsack().select(items, budget_tokens=20)
    assert found.picked == (1, 2)
    assert found.trace.reason(0) == "dropped: 20 tokens do not fit in the 0 left"


def test_the_best_single_item_saves_the_guarantee():
    # The density of item 0 is the highest, and once it is in, item 1 does not fit any more.
    items = Candidates(relevance=[0.02, 1.0, 0.001], tokens=[1, 100, 0])
    assert Knapsack().select(items, budget_tokens=100).picked == (1, 2)
    assert Knapsack().select(items, budget_tokens=101).picked == (2, 0, 1)


def test_an_opened_group_makes_its_members_cheaper():
    # Densities 0.045, 0.025, 0.04; with its group open, item 1 costs 10 and not 20: 0.05.
    items = Candidates(
        relevance=[0.9, 0.5, 0.8], tokens=[10, 10, 20], group=[0, 0, 1], group_tokens=[10, 0]
    )
    assert Knapsack().select(items, budget_tokens=50).picked == (0, 1, 2)


def slow_greedy(items, budget_tokens):
    """The highest relevance per token that fits, every cost computed anew at every step."""
    picked, left, header = [], budget_tokens, items.group_tokens.copy()
    while True:
        due = items.tokens + header[items.group]
        fitting = np.flatnonzero((due <= left) & (items.relevance > 0)).tolist()
        fitting = [i for i in fitting if i not in picked]
        if not fitting:
            return tuple(picked)

        def key(i, due=due):
            worth = float(items.relevance[i])
            return (worth / due[i] if due[i] else np.inf, worth, -i)

        best = max(fitting, key=key)
        picked.append(best)
        left -= due[best]
        header[items.group[best]] = 0


@settings(max_examples=300, deadline=None)
@given(instance=instances(groups=True))
def test_picks_the_highest_density_at_every_step_unless_one_item_is_worth_more(instance):
    items, budget = instance
    slow = slow_greedy(items, budget)
    found = Knapsack().select(items, budget_tokens=budget)
    alone = items.relevance[items.tokens + items.group_tokens[items.group] <= budget]
    if items.relevance[list(slow)].sum() >= alone.max(initial=0):
        assert found.picked == slow
    else:
        assert items.relevance[found.picked[0]] == alone.max()


@settings(max_examples=300, deadline=None)
@given(instance=instances())
def test_reaches_half_of_the_optimum_under_one_limit(instance):
    items, budget = instance
    found = Knapsack().select(items, budget_tokens=budget)
    assert value(items, found) >= 0.5 * optimum(items, budget) - 1e-12


@settings(max_examples=150, deadline=None)
@given(instance=instances(), budget_items=st.integers(0, 6))
def test_reaches_a_quarter_of_the_optimum_under_two_limits(instance, budget_items):
    items, budget = instance
    found = Knapsack().select(items, budget_tokens=budget, budget_items=budget_items)
    assert value(items, found) >= 0.25 * optimum(items, budget, budget_items) - 1e-12


@settings(max_examples=300, deadline=None)
@given(instance=instances())
def test_exact_reaches_the_optimum(instance):
    items, budget = instance
    found = Knapsack(exact=True).select(items, budget_tokens=budget)
    assert value(items, found) == pytest.approx(optimum(items, budget))
    assert found.spent.tokens == items.tokens[list(found.picked)].sum() <= budget
    assert Reason.LEFT_OUT not in found.trace.codes


@settings(max_examples=200, deadline=None)
@given(instance=instances())
def test_free_groups_change_nothing(instance):
    items, budget = instance
    grouped = Candidates(
        relevance=items.relevance,
        tokens=items.tokens,
        group=np.zeros(len(items), int),
        group_tokens=[0],
    )
    plain, with_groups = (
        Knapsack().select(given, budget_tokens=budget) for given in (items, grouped)
    )
    assert plain.picked == with_groups.picked
    assert np.array_equal(plain.trace.codes, with_groups.trace.codes)


def test_with_group_costs_it_stays_near_the_optimum_on_average():
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(200):
        items = Candidates(
            relevance=rng.random(9), tokens=rng.integers(5, 40, 9),
            group=rng.integers(0, 3, 9), group_tokens=rng.integers(5, 12, 3),
        )  # fmt: skip
        found = Knapsack().select(items, budget_tokens=100)
        shares.append(value(items, found) / optimum(items, 100))
    assert np.mean(shares) > 0.95
    assert min(shares) > 0.6


def test_a_budget_of_items_makes_it_top_k():
    items = Candidates(relevance=[0.3, 0.9, 0.5, 0.9], tokens=[1, 50, 2, 60])
    assert Knapsack().select(items, budget_items=3).picked == (1, 3, 2)


def test_what_harms_is_never_picked():
    items = Candidates(relevance=[0.5, 0.0, -0.5], tokens=[10, 0, 0])
    for method in (Knapsack(), Knapsack(exact=True)):
        assert method.select(items, budget_tokens=100).picked == (0,)


def test_buys_half_as_much_again_as_ranking_where_long_turns_are_only_a_little_better():
    rng = np.random.default_rng(1)
    tokens = rng.integers(10, 400, 500)
    relevance = 0.5 + 0.001 * tokens + 0.3 * rng.random(500)
    items = Candidates(relevance=relevance, tokens=tokens)
    bought = [value(items, m.select(items, budget_tokens=1000)) for m in (Knapsack(), TopK())]
    assert bought[0] > 1.5 * bought[1]


@pytest.mark.parametrize(
    ("items", "budget", "message"),
    [
        ({"tokens": [5]}, {"budget_items": 1}, "needs a budget of tokens alone"),
        (
            {"tokens": [5]},
            {"budget_items": 1, "budget_tokens": 9},
            "needs a budget of tokens alone",
        ),
        (
            {"tokens": [5], "group": [0], "group_tokens": [1]},
            {"budget_tokens": 9},
            "no group_tokens",
        ),
        ({"tokens": [10**8]}, {"budget_tokens": 10**9}, "needs n \\* budget_tokens <= 50000000"),
    ],
)
def test_exact_refuses_what_it_cannot_solve(items, budget, message):
    with pytest.raises(ParameterError, match=rf"Knapsack\(exact=True\) .*{message}"):
        Knapsack(exact=True).select(Candidates(relevance=[0.5], **items), **budget)


def test_exact_takes_the_lower_index_of_equal_items():
    items = Candidates(relevance=[0.5, 0.5, 0.5], tokens=[10, 10, 10])
    assert Knapsack(exact=True).select(items, budget_tokens=20).picked == (0, 1)


def test_exact_counts_only_what_the_candidates_could_cost():
    items = Candidates(relevance=[0.5, 0.2], tokens=[5, 6])
    assert Knapsack(exact=True).select(items, budget_tokens=10**12).picked == (0, 1)
