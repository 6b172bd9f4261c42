"""The array operations under the selectors: order, ties, and sums that round alike."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memsieve.select.arrays import best_first, folded_sum, host

VALUES = st.lists(st.sampled_from([-np.inf, -1.0, 0.0, -0.0, 0.5, 2.0]), max_size=20)


def slow_order(values):
    return sorted(range(len(values)), key=lambda i: (-values[i], i))


@settings(deadline=None)
@given(values=VALUES, at_most=st.none() | st.integers(0, 25))
def test_best_first_is_a_stable_sort_cut_short(values, at_most):
    found = best_first(np.array(values, dtype=float), at_most)
    assert found.tolist() == slow_order(values)[:at_most]


@pytest.mark.torch
@settings(deadline=None)
@given(values=VALUES, at_most=st.none() | st.integers(0, 25))
def test_best_first_orders_tensors_alike(values, at_most):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    found = best_first(torch.tensor(values, dtype=torch.float32), at_most)
    assert found.tolist() == slow_order(values)[:at_most]


@pytest.mark.parametrize("length", [0, 1, 2, 3, 7, 8, 1000])
def test_folded_sum_adds_up(length):
    x = np.arange(3.0 * length).reshape(3, length)
    assert folded_sum(x).tolist() == x.sum(axis=1).tolist()


def test_folded_sum_is_as_exact_as_pairwise_summation():
    x = np.full(2**20, 0.1, dtype=np.float32)
    assert folded_sum(x) == np.float32(2**20 * np.float64(np.float32(0.1)))
    assert abs(float(np.cumsum(x)[-1]) - 2**20 * 0.1) > 1  # what adding one by one gives


@pytest.mark.torch
def test_folded_sum_rounds_alike_in_numpy_and_pytorch_and_in_every_layout():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    x = np.random.default_rng(0).normal(size=(37, 501)).astype(np.float32)
    sums = folded_sum(x)
    assert np.array_equal(host(folded_sum(torch.from_numpy(x))), sums)
    assert np.array_equal(folded_sum(np.asfortranarray(x)), sums)
    assert np.array_equal(np.array([folded_sum(row) for row in x]), sums)
