"""What every selector promises, checked on all of them with random candidates and budgets."""

import copy
import inspect
import pickle
from dataclasses import FrozenInstanceError, fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memsieve import select
from memsieve.errors import ParameterError
from memsieve.select import (
    MMR,
    Budget,
    Candidates,
    Distinct,
    FacilityLocation,
    Knapsack,
    Reason,
    RoundRobin,
    Selector,
    Threshold,
    TopK,
    Windows,
)

# A method is checked in each of these settings; a method without a line here fails a test.
# Knapsack(exact=True) is not among them: it takes a budget of tokens alone and has its own tests.
EXAMPLES = {
    "Distinct": [Distinct(TopK()), Distinct(MMR()), Distinct(Windows(TopK(), 1, 1))],
    "FacilityLocation": [FacilityLocation()],
    "Knapsack": [Knapsack()],
    "MMR": [MMR(), MMR(balance=0), MMR(balance=1)],
    "RoundRobin": [RoundRobin(), RoundRobin(stop_at_first_misfit=True)],
    "Threshold": [Threshold(0.5), Threshold(-np.inf), Threshold(0.25, stop_at_first_misfit=True)],
    "TopK": [TopK(), TopK(stop_at_first_misfit=True)],
    "Windows": [Windows(TopK(), before=1, after=2), Windows(MMR(0.5)), Windows(Knapsack(), 0, 0)],
}
ALL = [selector for row in EXAMPLES.values() for selector in row]
# These go on until nothing that may be picked fits any more. Windows is not among them: room
# that the neighbours of early picks leave is not offered to its inner method again.
FILL_UP = [TopK(), MMR(), RoundRobin(), Threshold(-np.inf)]
every_selector = pytest.mark.parametrize("selector", ALL, ids=repr)
quick = settings(max_examples=40, deadline=None)

SCORES = st.sampled_from([-np.inf, -0.5, 0.0, 0.25, 0.3, 0.5, 0.7, 0.9, 1.0])
LIMITS = st.none() | st.integers(0, 70)


def arrays(draw, values, n, dtype):
    return np.array(draw(st.lists(values, min_size=n, max_size=n)), dtype=dtype)


@st.composite
def fields_of_candidates(draw, max_size=12):
    """Every field as a NumPy array: ties, zero costs, -inf, and groups that may cost nothing."""
    n = draw(st.integers(0, max_size))
    half = arrays(draw, st.sampled_from([-1.0, -0.2, 0.0, 0.1, 0.6, 1.0]), n * n, float)
    upper = np.triu(half.reshape(n, n), 1)
    return {
        "relevance": arrays(draw, SCORES, n, float),
        "tokens": arrays(draw, st.integers(0, 20), n, np.int64),
        "bytes": arrays(draw, st.integers(0, 20), n, np.int64),
        "similarity": upper + upper.T + np.eye(n),
        "position": arrays(draw, st.integers(-3, 9), n, np.int64),
        "group": arrays(draw, st.integers(0, 3), n, np.int64),
        "group_tokens": arrays(draw, st.integers(0, 12), 4, np.int64),
        "same": arrays(draw, st.integers(0, 5), n, np.int64),
    }


budgets = st.builds(Budget, items=LIMITS, tokens=LIMITS, bytes=LIMITS)


def cost(data, picked):
    """(items, tokens, bytes) of a set, counted anew."""
    picked = list(picked)
    opened = sorted({int(data["group"][i]) for i in picked})
    tokens = data["tokens"][picked].sum() + data["group_tokens"][opened].sum()
    return len(picked), int(tokens), int(data["bytes"][picked].sum())


def within(budget, spent):
    limits = (budget.items, budget.tokens, budget.bytes)
    return all(limit is None or used <= limit for limit, used in zip(limits, spent, strict=True))


def test_every_method_of_the_family_is_checked_here():
    exported = [getattr(select, name) for name in select.__all__]
    methods = {
        thing.__name__
        for thing in exported
        if inspect.isclass(thing) and issubclass(thing, Selector) and not inspect.isabstract(thing)
    }
    assert methods == set(EXAMPLES)
    assert select.__all__ == sorted(select.__all__, key=lambda name: (not name.isupper(), name))


@every_selector
@quick
@given(data=fields_of_candidates(), budget=budgets)
def test_stays_within_the_budget_and_picks_nothing_twice(selector, data, budget):
    found = selector.select(Candidates(**data), budget)
    spent = (found.spent.items, found.spent.tokens, found.spent.bytes)
    assert spent == cost(data, found.picked)
    assert within(budget, spent)
    assert budget.allows(found.spent)
    assert len(set(found.picked)) == len(found.picked) == len(found) == found.gains.size
    assert not np.isneginf(data["relevance"][list(found.picked)]).any()


@every_selector
@quick
@given(data=fields_of_candidates(), budget=budgets)
def test_gives_every_candidate_a_reason(selector, data, budget):
    found = selector.select(Candidates(**data), budget)
    table = found.trace.table()
    assert sorted(i for i, _ in table) == list(range(len(data["relevance"])))
    assert tuple(i for i, why in table if why.startswith("picked ")) == found.picked
    assert all(why.startswith(("picked ", "dropped: ")) for _, why in table)
    assert Reason.LEFT_OUT not in found.trace.codes
    assert np.flatnonzero(found.mask()).tolist() == sorted(found.picked)


@pytest.mark.parametrize("selector", FILL_UP, ids=repr)
@quick
@given(data=fields_of_candidates(), budget=budgets)
def test_leaves_nothing_out_that_would_still_fit(selector, data, budget):
    picked = selector.select(Candidates(**data), budget).picked
    for i in set(range(len(data["relevance"]))) - set(picked):
        assert data["relevance"][i] == -np.inf or not within(budget, cost(data, [*picked, i]))


@every_selector
@quick
@given(data=fields_of_candidates(), budget=budgets)
def test_leaves_its_input_as_it_was(selector, data, budget):
    before = copy.deepcopy(data)
    for array in data.values():
        array.flags.writeable = False
    selector.select(Candidates(**data), budget)
    assert all(np.array_equal(data[name], before[name]) for name in data)


@every_selector
@quick
@given(data=fields_of_candidates(), budget=budgets)
def test_answers_alike_again_rebuilt_from_its_repr_copied_and_pickled(selector, data, budget):
    items = Candidates(**data)
    expected = selector.select(items, budget)
    rebuilt = eval(repr(selector), {**vars(select), "inf": np.inf})
    for other in (selector, rebuilt, copy.deepcopy(selector), pickle.loads(pickle.dumps(selector))):
        assert other == selector
        found = other.select(items, budget)
        assert found.picked == expected.picked
        assert found.trace.table() == expected.trace.table()
        assert np.array_equal(found.gains, expected.gains)


@every_selector
def test_its_options_never_change(selector):
    for option in fields(selector):
        with pytest.raises(FrozenInstanceError):
            setattr(selector, option.name, None)


@every_selector
@pytest.mark.parametrize("limit", ["items", "tokens", "bytes"])
def test_a_budget_of_nothing_buys_what_is_free_and_no_more(selector, limit):
    data = {
        "relevance": [0.9, 0.8],
        "tokens": [1, 0],
        "bytes": [1, 0],
        "similarity": np.eye(2),
        "position": [0, 5],
        "group": [0, 1],
        "same": [0, 1],
    }
    found = selector.select(Candidates(**data), Budget(**{limit: 0}))
    free = () if limit == "items" or getattr(selector, "stop_at_first_misfit", False) else (1,)
    assert found.picked == free


@every_selector
def test_one_candidate_is_picked_if_it_fits_and_no_candidates_give_nothing(selector):
    one = Candidates(
        relevance=[0.9], tokens=[7], similarity=[[1]], position=[0], group=[0], group_tokens=[3],
        same=[0],
    )  # fmt: skip
    assert selector.select(one, budget_tokens=10).picked == (0,)
    assert selector.select(one, budget_tokens=9).picked == ()
    assert selector.select(one).picked == (0,)
    none = Candidates(relevance=[], tokens=[], similarity=[], position=[], group=[], same=[])
    found = selector.select(none, budget_tokens=10)
    assert (found.picked, found.trace.table(), found.spent.items) == ((), [], 0)


@every_selector
def test_equal_candidates_are_taken_by_index(selector):
    items = Candidates(
        relevance=[0.6] * 40, tokens=[5] * 40, similarity=np.eye(40), position=range(0, 400, 10),
        group=[0] * 40, same=range(40),
    )  # fmt: skip
    assert selector.select(items, budget_tokens=152).picked == tuple(range(30))


@every_selector
def test_a_limit_needs_the_cost_that_it_limits(selector):
    items = Candidates(relevance=[0.9], similarity=[[1]], position=[0], group=[0], same=[0])
    with pytest.raises(ParameterError, match=r"budget_tokens needs Candidates\.tokens"):
        selector.select(items, budget_tokens=5)
    with pytest.raises(ParameterError, match=r"budget_bytes needs Candidates\.bytes"):
        selector.select(items, budget_bytes=5)


@pytest.mark.torch
@every_selector
@quick
@given(data=fields_of_candidates(), budget=budgets)
def test_pytorch_gives_the_answer_of_numpy(selector, data, budget):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    expected = selector.select(Candidates(**data), budget)
    tensors = {name: torch.tensor(array) for name, array in data.items()}
    found = selector.select(Candidates(**tensors), budget)
    assert found.picked == expected.picked
    assert found.spent == expected.spent
    assert found.trace.table() == expected.trace.table()
    assert np.array_equal(found.gains, expected.gains)
    assert isinstance(found.indices, torch.Tensor)
    assert found.mask().nonzero()[:, 0].tolist() == sorted(found.picked)


@pytest.mark.torch
@every_selector
@pytest.mark.parametrize("budget", [{"budget_items": 40}, {"budget_tokens": 500}], ids=str)
def test_pytorch_gives_the_answer_of_numpy_in_float32_and_hundreds(selector, budget):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    rng = np.random.default_rng(5)
    n = 301
    vectors = rng.normal(size=(n, 6)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[100:140] = vectors[0]  # copies, so that ties are common
    data = {
        "relevance": np.round(rng.random(n), 2).astype(np.float32),
        "tokens": rng.integers(1, 40, n),
        "similarity": np.clip(np.round(vectors @ vectors.T, 2), -1, 1).astype(np.float32),
        "position": rng.integers(0, 60, n),
        "group": rng.integers(0, 6, n),
        "group_tokens": rng.integers(0, 9, 6),
        "same": rng.integers(0, 200, n),
    }
    expected = selector.select(Candidates(**data), **budget)
    tensors = {name: torch.from_numpy(array) for name, array in data.items()}
    found = selector.select(Candidates(**tensors), **budget)
    assert found.picked == expected.picked
    assert np.array_equal(found.gains, expected.gains)
