"""Which of the nearest memories belong to a new one: the better of two groups of similarities."""

from dataclasses import dataclass

import numpy as np

from memsieve.errors import ParameterError

_REGULARISATION = 1e-6  # added to variances, as scikit-learn does
_TOLERANCE = 1e-3  # of the mean log-likelihood, as there
_MOST_STEPS = 100
_LN_2_PI = float(np.log(2 * np.pi))


@dataclass(frozen=True, slots=True)
class TwoGaussians:
    """Mixtures of two Gaussians, one for each row of numbers: the lower, then the higher.

    share, mean, variance: (n_rows, 2), with mean[:, 0] <= mean[:, 1].
    """

    share: np.ndarray
    mean: np.ndarray
    variance: np.ndarray

    @classmethod
    def fitted(cls, rows: np.ndarray) -> "TwoGaussians":
        """Fit a mixture to every row of `rows`, (n_rows, m); NaN where a row has fewer numbers.

        Expectation maximisation from a fixed start, the two groups that halving the range and then
        moving each number to the nearer mean gives: the same numbers always give the same mixture.
        A row needs one number at least. O(n_rows m) a step, at most 100 steps.

        Examples
        --------
        >>> TwoGaussians.fitted(np.array([[0.9, 0.88, 0.2, 0.18]])).mean.round(2).tolist()
        [[0.19, 0.89]]
        """
        held = ~np.isnan(rows)
        x = np.where(held, rows, 0.0)
        higher = _two_groups(x, held)
        responsible = np.stack([held & ~higher, held & higher], axis=2).astype(float)
        fit = cls._most_likely(x, responsible)
        likelihood = np.full(len(rows), -np.inf)
        moving = np.ones(len(rows), bool)
        for _ in range(_MOST_STEPS):
            log = fit._log_densities(x)
            peak = log.max(axis=2)
            total = peak + np.log(np.exp(log - peak[..., None]).sum(axis=2))
            new = (total * held).sum(axis=1) / held.sum(axis=1)
            responsible = np.where(held[..., None], np.exp(log - total[..., None]), 0.0)
            step = cls._most_likely(x, responsible)
            fit = cls(
                *(
                    np.where(moving[:, None], getattr(step, name), getattr(fit, name))
                    for name in ("share", "mean", "variance")
                )
            )
            moving &= np.abs(new - likelihood) >= _TOLERANCE
            likelihood = new
            if not moving.any():
                break
        order = np.argsort(fit.mean, axis=1, kind="stable")
        parts = (fit.share, fit.mean, fit.variance)
        return cls(*(np.take_along_axis(part, order, axis=1) for part in parts))

    @classmethod
    def _most_likely(cls, x: np.ndarray, responsible: np.ndarray) -> "TwoGaussians":
        count = responsible.sum(axis=1) + 10 * np.finfo(float).eps
        mean = (responsible * x[..., None]).sum(axis=1) / count
        gap = x[..., None] - mean[:, None, :]
        variance = (responsible * gap**2).sum(axis=1) / count + _REGULARISATION
        return cls(count / count.sum(axis=1, keepdims=True), mean, variance)

    def _log_densities(self, x: np.ndarray) -> np.ndarray:
        """ln(share times density) of every number: shape (n_rows, m, 2)."""
        gap = x[..., None] - self.mean[:, None, :]
        scale = np.log(self.share) - 0.5 * (np.log(self.variance) + _LN_2_PI)
        return scale[:, None, :] - 0.5 * gap**2 / self.variance[:, None, :]

    @property
    def separation(self) -> np.ndarray:
        """How far apart the means are, in root mean square deviations of the two: (n_rows,)."""
        gap = self.mean[:, 1] - self.mean[:, 0]
        deviation: np.ndarray = np.sqrt(self.variance.mean(axis=1))
        return gap / deviation

    def in_higher(self, rows: np.ndarray) -> np.ndarray:
        """Which numbers belong to the higher group: bool, the shape of `rows`.

        A number above the lower mean that the higher Gaussian explains better, and every number
        above such a one: a narrow Gaussian beside a wide one would else lose the best of all.
        """
        log = self._log_densities(np.where(np.isnan(rows), 0.0, rows))
        inside = ~np.isnan(rows) & (log[..., 1] > log[..., 0]) & (rows > self.mean[:, :1])
        least = np.where(inside, rows, np.inf).min(axis=1, keepdims=True, initial=np.inf)
        higher: np.ndarray = rows >= least
        return higher


def accepted(scores: np.ndarray, *, min_gap: float = 0.0, otherwise: int = 0) -> np.ndarray:
    """Which scores of each row are kin and not merely near: bool, the shape of `scores`.

    A row is split by a mixture of two Gaussians; the group with the higher mean is accepted. A row
    of one number is accepted. O(size) a step of the fit.

    Parameters
    ----------
    scores
        Shape (n_rows, m), NaN where a row has fewer.
    min_gap
        How far apart the two means must be, in root mean square deviations of the two groups. 0,
        as published, also splits a row with one mode, wherever chance has it; equal scores, whose
        gap is 0, are then all accepted.
    otherwise
        How many of the best scores are accepted where the gap is smaller.

    Raises
    ------
    ParameterError
        If `min_gap` or `otherwise` is negative.

    Examples
    --------
    >>> accepted(np.array([[0.90, 0.88, 0.86, 0.20, 0.18, 0.15, 0.12]])).tolist()
    [[True, True, True, False, False, False, False]]

    References
    ----------
    MemGAS, arXiv 2505.19549, which fits scikit-learn's GaussianMixture. Differs: the start is
    fixed, what is better than an accepted score is accepted too, and `min_gap`.
    """
    if not min_gap >= 0:
        raise ParameterError(f"accepted: min_gap must be >= 0, got {min_gap!r}")
    if otherwise < 0:
        raise ParameterError(f"accepted: otherwise must be >= 0, got {otherwise!r}")
    held = ~np.isnan(scores)
    count = held.sum(axis=1)
    found = held & (count == 1)[:, None]
    several = np.flatnonzero(count > 1)
    if not several.size:
        return found
    rows = scores[several]
    equal = np.nanmin(rows, axis=1) == np.nanmax(rows, axis=1)
    mixtures = TwoGaussians.fitted(rows)
    gap = np.where(equal, 0.0, mixtures.separation)
    higher = np.where(equal[:, None], held[several], mixtures.in_higher(rows))
    places = np.argsort(np.argsort(-np.where(held[several], rows, -np.inf), kind="stable"))
    best = held[several] & (places < otherwise)
    found[several] = np.where((gap >= min_gap)[:, None], higher, best)
    return found


def strongest(links: np.ndarray, strengths: np.ndarray, n_nodes: int, most: int) -> np.ndarray:
    """Which links to keep so that no node has more than `most`: (m,) bool.

    A link stays if it is among the `most` strongest of both its ends; of equal ones the first.
    Removing a weak link of a busy node can leave the other end with fewer than it might have.
    O(m log m).

    Parameters
    ----------
    links, strengths
        Shapes (m, 2) and (m,); each pair of nodes once.
    most
        The largest degree, >= 0.

    Examples
    --------
    >>> star = np.array([[0, 1], [0, 2], [0, 3]])
    >>> strongest(star, np.array([0.2, 0.9, 0.5]), 4, most=2).tolist()
    [False, True, True]
    """
    if most < 0:
        raise ParameterError(f"strongest: most must be >= 0, got {most!r}")
    ends = np.concatenate([links[:, 0], links[:, 1]]).astype(np.int64)
    number = np.tile(np.arange(len(links)), 2)
    order = np.lexsort((number, -np.tile(strengths, 2), ends))
    first = np.searchsorted(ends[order], np.arange(n_nodes))
    place = np.empty(ends.size, np.int64)
    place[order] = np.arange(ends.size) - first[ends[order]]
    return np.logical_and(*(place < most).reshape(2, -1))


def _two_groups(x: np.ndarray, held: np.ndarray) -> np.ndarray:
    """Which numbers are nearer to the higher of two means, until none moves: bool, (n_rows, m)."""
    low = np.where(held, x, np.inf).min(axis=1, keepdims=True)
    high = np.where(held, x, -np.inf).max(axis=1, keepdims=True)
    higher: np.ndarray = held & (x > (low + high) / 2)
    for _ in range(_MOST_STEPS):
        means = [
            (x * group).sum(axis=1, keepdims=True) / np.maximum(group.sum(axis=1, keepdims=True), 1)
            for group in (held & ~higher, higher)
        ]
        moved: np.ndarray = held & (x > (means[0] + means[1]) / 2) & (low < high)
        if (moved == higher).all():
            break
        higher = moved
    return higher
