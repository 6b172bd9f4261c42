"""The loops that methods share, against a slow one that tries every candidate at every step."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memsieve.select import MMR, Budget, Candidates, Greedy, Ranked, TopK
from memsieve.select.arrays import best_first

LIMITS = st.none() | st.integers(0, 60)


@st.composite
def problems(draw):
    n = draw(st.integers(0, 14))

    def row(low, high, size=n):
        return draw(st.lists(st.integers(low, high), min_size=size, max_size=size))

    items = Candidates(
        relevance=[score / 4 for score in row(-2, 4)],
        tokens=row(0, 20),
        bytes=row(0, 20),
        similarity=np.eye(n),
        group=row(0, 3),
        group_tokens=row(0, 15, 4),
    )
    return items, draw(st.builds(Budget, items=LIMITS, tokens=LIMITS, bytes=LIMITS))


def slow_greedy(items, budget):
    """The best that fits, again and again, everything computed anew at every step."""

    def fits(picked):
        groups = {int(items.group[i]) for i in picked}
        tokens = sum(int(items.tokens[i]) for i in picked)
        tokens += sum(int(items.group_tokens[g]) for g in groups)
        n_bytes = sum(int(items.bytes[i]) for i in picked)
        limits = ((budget.items, len(picked)), (budget.tokens, tokens), (budget.bytes, n_bytes))
        return all(limit is None or used <= limit for limit, used in limits)

    picked = []
    while True:
        left = [i for i in range(len(items)) if i not in picked and fits([*picked, i])]
        if not left:
            return tuple(picked)
        picked.append(max(left, key=lambda i: (items.relevance[i], -i)))


@settings(max_examples=300, deadline=None)
@given(problem=problems())
def test_packing_picks_the_best_that_fits_at_every_step_groups_included(problem):
    items, budget = problem
    assert TopK().select(items, budget).picked == slow_greedy(items, budget)


@settings(max_examples=300, deadline=None)
@given(problem=problems())
def test_the_greedy_loop_and_the_packing_agree(problem):
    items, budget = problem
    packed, stepped = TopK().select(items, budget), MMR(balance=1).select(items, budget)
    assert stepped.picked == packed.picked
    assert stepped.spent == packed.spent


class Twins(Greedy):
    """Pairs (0, 1), (2, 3), ...: an item gains most once its twin is in."""

    def gain(self, items, picked):
        gain = np.array(items.relevance)
        for i in picked:
            gain[i ^ 1] += 10
        return gain


class Oldest(Ranked):
    """By position, whatever the relevance."""

    def order(self, items, at_most=None):
        return best_first(-items.position.astype(float), at_most)


def test_a_method_of_ones_own_writes_its_gain_or_its_order_and_nothing_else():
    items = Candidates(relevance=[0.1, 0.4, 0.3, 0.2], position=[5, 2, 9, 1], tokens=[1, 1, 9, 1])
    assert Twins().select(items, budget_items=4).picked == (1, 0, 2, 3)
    assert Oldest().select(items, budget_items=2).picked == (3, 1)
    assert Oldest().select(items, budget_tokens=3).trace.reason(2) == (
        "dropped: 9 tokens do not fit in the 0 left"
    )


class Picky(Greedy):
    """Wants nothing after the second pick."""

    def gain(self, items, picked):
        return items.relevance if len(picked) < 2 else np.full(len(items), -np.inf)


def test_a_gain_of_minus_infinity_ends_the_picking():
    found = Picky().select(Candidates(relevance=[0.1, 0.3, 0.2]), budget_items=3)
    assert found.picked == (1, 2)
    assert found.trace.reason(0) == "dropped: left out by the method"


@pytest.mark.parametrize("n", [1, 100_000])
def test_uniform_costs_fill_the_budget_exactly(n):
    items = Candidates(relevance=np.linspace(1, 0, n), tokens=np.full(n, 10))
    found = TopK().select(items, budget_tokens=10 * n - 5)
    assert (len(found), found.spent.tokens) == (n - 1, 10 * (n - 1))
