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
    short = _above_bound(scores, k, floor)
    if short.size > k:
        found = scores[short]
        short = short[found >= np.partition(found, found.size - k)[found.size - k]]
    return short[np.argsort(-scores[short], kind="stable")[:k]]


def _above_bound(scores: np.ndarray, k: int, floor: float) -> np.ndarray:
    """Indices above `floor`, ascending, that include the `k` best: few where there are many.

    The runs are strided, one maximum per column, because that maximum is a plain vector
    operation; columns below the bound are not looked at again.
    """
    n_runs = scores.size // _RUN
    if n_runs <= 2 * k or k == 0:
        return np.flatnonzero(scores > floor)
    grid = scores[: n_runs * _RUN].reshape(_RUN, n_runs)
    maxima = grid.max(axis=0)
    bound = np.partition(maxima, n_runs - k)[n_runs - k]
    if bound <= floor:
        return np.flatnonzero(scores > floor)
    runs = np.flatnonzero(maxima >= bound)
    row, column = np.nonzero(grid[:, runs] >= bound)
    rest = np.flatnonzero(scores[n_runs * _RUN :] >= bound) + n_runs * _RUN
    return np.sort(np.append(row * n_runs + runs[column], rest))
