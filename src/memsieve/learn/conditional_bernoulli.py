"""Conditional Bernoulli: subsets of exactly k items, whose order does not count."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from memsieve.learn.subsets import (
    Subsets,
    checked_chosen,
    checked_scores,
    is_chosen,
    log_sum_exp,
    whole,
)
from memsieve.select.arrays import Floats, Ints


@dataclass(frozen=True, slots=True)
class ConditionalBernoulli(Subsets):
    """Draw k items as a set, with a chance proportional to the product of exp(score).

    p(S) = exp(sum of s over S) / e_k, e_k = the k-th elementary symmetric polynomial of exp(s):
    the sum of that product over all sets of k. d ln p / d s_j = 1(j in S) - inclusion_j. With a
    reward that does not look at the order, less noise than an ordered draw. All polynomials
    are kept as logarithms, so any finite scores do. ln p and the polynomials are O(n k), the
    inclusions O(n k), a draw O(k log n).

    `sample` writes the items of a set by rising index. The rows of one `chosen` may differ in
    size; each is then conditioned on its own. `divergence` is the k3 estimate.

    Examples
    --------
    >>> policy, scores = ConditionalBernoulli(), [1.0, 0.5, 0.0, -1.0]
    >>> np.exp(policy.log_probability(scores, [[0, 1]])).round(4).tolist()
    [0.4141]
    >>> policy.inclusion(scores, 2).round(4).tolist()
    [0.7576, 0.6225, 0.4375, 0.1824]
    >>> policy.sample(scores, 2, 3, np.random.default_rng(0)).tolist()
    [[0, 1], [0, 1], [1, 3]]

    References
    ----------
    Chen, Dempster and Liu, Biometrika 1994. Differs: the polynomials without one item come from
    those of the items before and after it, for dividing the item out loses all digits when its
    weight is large.
    """

    def sample(
        self, scores: ArrayLike, n_kept: int, n_samples: int, rng: np.random.Generator
    ) -> Ints:
        """Draw sets, the items of each by rising index."""
        scores = checked_scores(scores)
        k = min(whole("n_kept", n_kept, 0), int(np.isfinite(scores).sum()))
        shape = (whole("n_samples", n_samples, 1), k)
        # In (0, 1]: the logarithm of 0 would reach beyond the last item.
        log_chances = np.log1p(-rng.random(shape))
        behind = _polynomials(scores[::-1], k)[::-1]
        chosen = np.empty(shape, dtype=np.int64)
        start = np.zeros(shape[0], dtype=np.int64)
        for step in range(k):
            # P(the next item is m or later | r to go, from `start` on) = e_r(m ..) / e_r(start ..),
            # which falls with m: the next item is the last m where it is at least the chance.
            log_e = behind[:, k - step]
            wanted = log_e[start] + log_chances[:, step]
            chosen[:, step] = np.searchsorted(-log_e, -wanted, side="right") - 1
            start = chosen[:, step] + 1
        return chosen

    def log_probability(self, scores: ArrayLike, chosen: ArrayLike) -> Floats:
        """ln p of each set among those of its size: (n_samples,)."""
        scores = checked_scores(scores)
        chosen = checked_chosen(scores, chosen)
        kept = chosen >= 0
        log_e = _polynomials(scores, chosen.shape[1])[-1]
        return np.where(kept, scores[chosen], 0.0).sum(axis=1) - log_e[kept.sum(axis=1)]

    def gradient(self, scores: ArrayLike, chosen: ArrayLike) -> Floats:
        """d ln p / d scores: (n_samples, n); every row sums to 0."""
        scores = checked_scores(scores)
        chosen = checked_chosen(scores, chosen)
        sizes = (chosen >= 0).sum(axis=1)
        slope = is_chosen(chosen, scores.size).astype(np.float64)
        for k in np.unique(sizes).tolist():
            slope[sizes == k] -= self.inclusion(scores, k)
        return slope

    def inclusion(self, scores: ArrayLike, n_kept: int) -> Floats:
        """The chance of each item to be in a set of `n_kept`: (n,), its sum is `n_kept`.

        inclusion_j = exp(s_j) e_{k-1}(without j) / e_k.

        Raises
        ------
        ParameterError
            If a score is NaN or +inf or `n_kept` < 0.
        """
        scores = checked_scores(scores)
        k = min(whole("n_kept", n_kept, 0), int(np.isfinite(scores).sum()))
        if k == 0:
            return np.zeros(scores.size)
        before, behind = _polynomials(scores, k), _polynomials(scores[::-1], k)[::-1]
        # e_{k-1} without j: r of the items before it and k - 1 - r of those behind it.
        without = log_sum_exp(before[:-1, :k] + behind[1:, k - 1 :: -1])
        return np.minimum(np.exp(scores + without - before[-1, k]), 1.0)


def _polynomials(scores: Floats, k: int) -> Floats:
    """ln e_r(exp of the first j scores) at [j, r]: (n + 1, k + 1).

    e_r(first j) = sum over m <= j of exp(s_m) e_{r-1}(first m - 1), so a column is the running
    sum of the one before it.
    """
    table = np.full((scores.size + 1, k + 1), -np.inf)
    table[:, 0] = 0.0
    for r in range(1, k + 1):
        table[1:, r] = np.logaddexp.accumulate(scores + table[:-1, r - 1])
    return table
