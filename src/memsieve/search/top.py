"""The k best of a long score vector, exactly, without sorting it."""

import numpy as np

_RUN = 64


def top(scores: np.ndarray, k: int, floor: float = -np.inf) -> np.ndarray:
    """Indices of the `k` best scores above `floor`, best first, ties to the lower index.

    The k-th largest maximum of runs of 64 bounds the k-th largest score from below, so one
    vectorised pass leaves a short list that holds the answer: O(n + k log k).

    >>> top(np.array([0.1, 0.9, 0.5, 0.9]), 3)
    array([1, 3, 2])
    """
    short = np.flatnonzero(scores > max(floor, _below_bound(scores, k)))
    if short.size > k:
        found = scores[short]
        short = short[found >= np.partition(found, found.size - k)[found.size - k]]
    return short[np.argsort(-scores[short], kind="stable")[:k]]


def _below_bound(scores: np.ndarray, k: int) -> float:
    """A number that at least `k` scores exceed, as large as one pass can tell; or -inf."""
    n_runs = scores.size // _RUN
    if n_runs <= 2 * k:
        return -np.inf
    maxima = scores[: n_runs * _RUN].reshape(n_runs, _RUN).max(axis=1)
    bound = np.partition(maxima, n_runs - k)[n_runs - k]
    return float(np.nextafter(bound, -np.inf, dtype=scores.dtype))
