"""Bernoulli: each item is taken or left for itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from memsieve.learn.subsets import (
    NOTHING,
    Subsets,
    checked_chosen,
    checked_reference,
    checked_scores,
    is_chosen,
    lead,
    whole,
)
from memsieve.select.arrays import Floats, Ints


@dataclass(frozen=True, slots=True)
class Bernoulli(Subsets):
    """Take each item with the chance sigmoid(score), whatever becomes of the others.

    ln p(S) = sum of s over S - sum of ln(1 + exp(s)) over all; d ln p / d s_j = 1(j in S) -
    sigmoid(s_j). O(n_samples n). Sizes are free: `n_kept` is no bound here, so let the reward
    charge for what a subset costs. The divergence is exact and the same for every subset.

    Examples
    --------
    >>> policy, scores = Bernoulli(), [2.0, 0.0, -2.0]
    >>> policy.sample(scores, 3, 3, np.random.default_rng(0)).tolist()
    [[0, 1, 2], [0, -1, -1], [0, -1, -1]]
    >>> policy.gradient(scores, [[0, 1]]).round(4).tolist()
    [[0.1192, 0.5, -0.1192]]

    References
    ----------
    Williams, Machine Learning 1992, where units of this kind learn by REINFORCE.
    """

    def sample(
        self, scores: ArrayLike, n_kept: int, n_samples: int, rng: np.random.Generator
    ) -> Ints:
        """Draw sets of any size, the items of each by rising index."""
        scores = checked_scores(scores)
        whole("n_kept", n_kept, 0)
        taken = rng.random((whole("n_samples", n_samples, 1), scores.size)) < _sigmoid(scores)
        sizes = taken.sum(axis=1, keepdims=True)
        width = int(sizes.max())
        taken_first = np.argsort(~taken, axis=1, kind="stable")[:, :width]
        return np.where(np.arange(width) < sizes, taken_first, NOTHING)

    def log_probability(self, scores: ArrayLike, chosen: ArrayLike) -> Floats:
        """ln p of each set: (n_samples,)."""
        scores = checked_scores(scores)
        chosen = checked_chosen(scores, chosen)
        own = np.where(chosen >= 0, scores[chosen], 0.0).sum(axis=1)
        return own - np.logaddexp(0.0, scores).sum()

    def gradient(self, scores: ArrayLike, chosen: ArrayLike) -> Floats:
        """d ln p / d scores: (n_samples, n)."""
        scores = checked_scores(scores)
        return is_chosen(checked_chosen(scores, chosen), scores.size) - _sigmoid(scores)

    def divergence(self, scores: ArrayLike, reference: ArrayLike, chosen: ArrayLike) -> Floats:
        """KL(policy || reference), exact: (n_samples,), one number as often as there are rows.

        sum over j of p_j (s_j - r_j) - ln(1 + exp(s_j)) + ln(1 + exp(r_j)), p = sigmoid(s).
        """
        scores, reference = checked_reference(scores, reference)
        rows = checked_chosen(scores, chosen).shape[0]
        chance, ahead = _sigmoid(scores), lead(scores, reference)
        softened = np.logaddexp(0.0, scores) - np.logaddexp(0.0, reference)
        return np.full(rows, max(float((chance * ahead - softened).sum()), 0.0))

    def divergence_gradient(
        self, scores: ArrayLike, reference: ArrayLike, chosen: ArrayLike
    ) -> Floats:
        """d divergence / d scores, exact: (n_samples, n), p_j (1 - p_j) (s_j - r_j)."""
        scores, reference = checked_reference(scores, reference)
        rows = checked_chosen(scores, chosen).shape[0]
        chance = _sigmoid(scores)
        slope = chance * _sigmoid(-scores) * lead(scores, reference)
        return np.tile(slope, (rows, 1))


def _sigmoid(x: Floats) -> Floats:
    # Exact to the last digits on both sides, where 1 / (1 + exp(-x)) overflows.
    return np.exp(-np.logaddexp(0.0, -x))
