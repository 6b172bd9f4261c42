"""What a selector is given: which arrays it accepts, and the rules for their values."""

import copy
import pickle

import numpy as np
import pytest

from memsieve.errors import ParameterError
from memsieve.select import Candidates, TopK


def test_lists_become_numpy_arrays_of_floats_and_whole_numbers():
    items = Candidates(
        relevance=[1, 0], tokens=[3.0, 4.0], group=[0, 1], similarity=[[1, 0], [0, 1]]
    )
    assert (items.relevance.dtype, items.tokens.dtype, items.similarity.dtype) == (
        np.float64,
        np.int64,
        np.float64,
    )
    assert len(items) == 2
    assert repr(items) == "Candidates(n=2, tokens, similarity, group)"


def test_keeps_arrays_without_a_copy():
    relevance, tokens = np.array([0.5, 0.1], np.float32), np.array([3, 4])
    items = Candidates(relevance=relevance, tokens=tokens)
    assert items.relevance is relevance
    assert np.shares_memory(items.tokens, tokens)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("relevance", [0.1, np.nan], r"relevance must be a number below \+inf, got nan at index 1"),
        ("relevance", [np.inf, 0.1], r"relevance must be a number below \+inf, got inf at index 0"),
        ("relevance", [[0.1, 0.2]], r"relevance must have the shape \(n,\), got \(1, 2\)"),
        ("relevance", ["a", "b"], "relevance must hold real numbers"),
        ("relevance", [[1], [1, 2]], "relevance must be one array of numbers"),
        ("tokens", [1], r"tokens must have the shape \(n = 2,\), got \(1,\)"),
        ("tokens", [4, -3], "tokens must be >= 0, got -3 at index 1"),
        ("tokens", [4, 2.5], "tokens must hold whole numbers, got 2.5 at index 1"),
        ("tokens", [4, np.nan], "tokens must hold whole numbers, got nan at index 1"),
        ("tokens", [2**62, 2**62], r"tokens must sum to at most 2\*\*62"),
        ("bytes", [-1, 0], "bytes must be >= 0, got -1 at index 0"),
        ("position", [0.5, 1], "position must hold whole numbers, got 0.5 at index 0"),
        ("group", [0, 1, 2], r"group must have the shape \(n = 2,\), got \(3,\)"),
        ("similarity", [[1, 0]], r"similarity must have the shape \(2, 2\), got \(1, 2\)"),
        ("similarity", [[1, 7], [7, 1]], r"similarity must lie in \[-1, 1\], got values from 1.0"),
        ("similarity", [[1, np.nan], [0, 1]], r"similarity must lie in \[-1, 1\]"),
        ("group_tokens", [5], r"group_tokens needs Candidates\.group"),
    ],
)
def test_rejects(field, value, message):
    with pytest.raises(ParameterError, match=rf"Candidates\.{message}"):
        Candidates(**{"relevance": [0.1, 0.2], field: value})


@pytest.mark.parametrize("labels", [[0, 2], [-1, 0]])
def test_rejects_a_group_without_a_cost(labels):
    with pytest.raises(
        ParameterError, match=r"group must lie in \[0, 2\), the length of group_tok"
    ):
        Candidates(relevance=[0.1, 0.2], group=labels, group_tokens=[5, 5])


def test_labels_are_free_where_groups_cost_nothing():
    items = Candidates(relevance=[0.1, 0.2], group=[-7, 10**12])
    assert items.group.tolist() == [-7, 10**12]


def test_accepts_cosines_that_rounding_took_past_one():
    Candidates(relevance=[0.1], similarity=[[1.0000002]])


def test_minus_infinity_is_never_picked_and_says_so():
    found = TopK().select(Candidates(relevance=[-np.inf, -2.0]))
    assert found.picked == (1,)
    assert found.trace.reason(0) == "dropped: relevance is -inf"


def test_a_copy_holds_arrays_of_its_own():
    items = Candidates(relevance=[0.5, 0.1], tokens=[3, 4])
    for other in (copy.deepcopy(items), pickle.loads(pickle.dumps(items))):
        assert np.array_equal(other.tokens, items.tokens)
        assert not np.shares_memory(other.tokens, items.tokens)


@pytest.mark.torch
def test_tensors_stay_tensors_without_gradient_and_the_other_fields_follow():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    relevance = torch.tensor([0.5, 0.1], requires_grad=True)
    items = Candidates(relevance=relevance, tokens=[3, 4], similarity=np.eye(2))
    assert items.relevance.data_ptr() == relevance.data_ptr()
    assert not items.relevance.requires_grad
    assert (items.tokens.dtype, items.similarity.dtype) == (torch.int64, torch.float64)
    back = Candidates(relevance=[0.5, 0.1], tokens=torch.tensor([3, 4]))
    assert isinstance(back.tokens, np.ndarray)


@pytest.mark.torch
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "int32"])
def test_tensors_of_other_types_are_ranked_too(dtype):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    items = Candidates(relevance=torch.tensor([1, 4, 3, 4]).to(getattr(torch, dtype)))
    assert TopK().select(items, budget_items=3).picked == (1, 3, 2)
    assert TopK().select(items).gains.tolist() == [4, 4, 3, 1]
    with pytest.raises(ParameterError, match=r"got nan at index 0"):
        Candidates(relevance=torch.tensor([float("nan")], dtype=torch.bfloat16))


@pytest.mark.torch
def test_tensors_stay_on_their_device():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    items = Candidates(relevance=torch.rand(50, device="cuda"), tokens=list(range(50)))
    found = TopK().select(items, budget_tokens=300)
    assert items.tokens.device.type == found.indices.device.type == "cuda"
    assert found.mask().device.type == "cuda"
