"""The limits of a selection: what they accept, and how they are handed over."""

import numpy as np
import pytest

from memsieve.errors import ParameterError
from memsieve.select import Budget, Candidates, Knapsack, Spent, TopK

ITEMS = Candidates(relevance=[0.9, 0.8], tokens=[10, 10], bytes=[3, 3])


@pytest.mark.parametrize("name", ["items", "tokens", "bytes"])
def test_rejects_a_negative_limit(name):
    with pytest.raises(ParameterError, match=f"^budget_{name} must be >= 0, got -5$"):
        Budget(**{name: -5})
    with pytest.raises(ParameterError, match=f"^budget_{name} must be >= 0, got -5$"):
        TopK().select(ITEMS, **{f"budget_{name}": -5})


@pytest.mark.parametrize("limit", [2.5, 20.0, float("nan"), "800", [1]])
def test_rejects_a_limit_that_is_no_whole_number(limit):
    with pytest.raises(ParameterError, match=r"^budget_tokens must be a whole number or None, got"):
        Budget(tokens=limit)


def test_takes_whole_numbers_of_any_type_and_compares_by_value():
    assert Budget(tokens=np.int32(800)) == Budget(tokens=800)
    assert repr(Budget(tokens=np.int64(800))) == "Budget(items=None, tokens=800, bytes=None)"


def test_as_an_object_or_as_keywords_it_is_the_same():
    as_object = TopK().select(ITEMS, Budget(items=2, tokens=15))
    as_keywords = TopK().select(ITEMS, budget_items=2, budget_tokens=15)
    assert as_object.picked == as_keywords.picked == (0,)


def test_rejects_a_number_without_a_unit():
    with pytest.raises(ParameterError, match=r"must be a Budget, got 100: write budget_tokens="):
        TopK().select(ITEMS, 100)


def test_rejects_a_limit_given_twice():
    with pytest.raises(ParameterError, match="a limit must be given once"):
        TopK().select(ITEMS, Budget(tokens=5), budget_items=1)


@pytest.mark.parametrize(
    ("spent", "allowed"),
    [
        (Spent(2, 10, 99), True),
        (Spent(3, 10, 0), False),
        (Spent(2, 11, 0), False),
        (Spent(), True),
    ],
)
def test_allows_what_stays_within_every_limit(spent, allowed):
    assert Budget(items=2, tokens=10).allows(spent) is allowed


def test_a_limit_beyond_any_sum_of_costs_is_no_limit():
    for method in (TopK(), Knapsack()):
        found = method.select(ITEMS, Budget(items=2**80, tokens=2**80, bytes=2**80))
        assert found.picked == (0, 1)
