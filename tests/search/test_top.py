"""The short way to the best scores agrees with sorting."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from memsieve.search.top import top


def sorted_top(scores, k, floor):
    order = np.argsort(-scores, kind="stable")
    return [i for i in order if scores[i] > floor][:k]


@given(
    st.integers(0, 2_000),
    st.integers(1, 12),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.0, 3.0]),
)
def test_it_agrees_with_sorting_also_among_ties(n, k, seed, floor):
    scores = np.random.default_rng(seed).integers(0, 8, n).astype(np.float32)
    assert top(scores, k, floor).tolist() == sorted_top(scores, k, floor)


def test_scores_of_minus_infinity_are_never_returned():
    scores = np.full(500, -np.inf)
    scores[[3, 400]] = [1.0, 2.0]
    assert top(scores, 10).tolist() == [400, 3]
