"""The contract of a stochastic choice: scores in, random subsets and their gradients out.

A policy turns the scores of n candidates into a distribution over subsets. Training draws from
it and follows the gradient of ln p, weighted by what each subset turned out to be worth; serving
takes the best by score and draws nothing.

    PlackettLuce          exactly k, in an order that counts, or what a token budget holds
    ConditionalBernoulli  exactly k, the order does not count
    Bernoulli             any number of them, each for itself

Every policy writes its subsets alike: one row of indices per sample, -1 behind the last.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from operator import index

import numpy as np
from numpy.typing import ArrayLike

from memsieve.errors import ParameterError
from memsieve.select.arrays import Floats, Ints, Mask

NOTHING = -1
"""What fills a row of indices behind its last item."""


class Subsets(ABC):
    """A distribution over the subsets of one question's candidates, given their scores.

    scores: (n,) float64, higher is likelier, -inf is never chosen; chosen: (n_samples, width)
    int64, a row per sample, every index once, filled up with -1 behind the last. Sampling and
    ln p are apart on purpose: ln p and its gradient need the chosen items, never the noise.

    A policy is a frozen dataclass that writes `sample`, `log_probability` and `gradient`, and
    the two of the divergence where it knows better than an estimate.
    """

    __slots__ = ()

    @abstractmethod
    def sample(
        self, scores: ArrayLike, n_kept: int, n_samples: int, rng: np.random.Generator
    ) -> Ints:
        """Draw subsets of `n_kept` items, or of all that are possible if those are fewer.

        Parameters
        ----------
        n_kept
            Items per subset, >= 0; no bound for a policy whose sizes are free.
        n_samples
            Subsets, >= 1, drawn independently.

        Raises
        ------
        ParameterError
            If a score is NaN or +inf, `n_kept` < 0 or `n_samples` < 1.
        """

    @abstractmethod
    def log_probability(self, scores: ArrayLike, chosen: ArrayLike) -> Floats:
        """ln p of each chosen subset: (n_samples,), never above 0.

        Raises
        ------
        ParameterError
            If a score is NaN or +inf, or `chosen` holds what cannot have been drawn: an index
            out of range or twice, an item whose score is -inf, -1 before another item.
        """

    @abstractmethod
    def gradient(self, scores: ArrayLike, chosen: ArrayLike) -> Floats:
        """d ln p / d scores of each chosen subset: (n_samples, n), 0 where a score is -inf.

        Raises
        ------
        ParameterError
            As `log_probability`.
        """

    def divergence(self, scores: ArrayLike, reference: ArrayLike, chosen: ArrayLike) -> Floats:
        """What each subset tells of KL(policy || policy with the scores `reference`): (n_samples,).

        The k3 estimate exp(D) - D - 1, D = ln p_reference - ln p; never negative, its mean over
        subsets drawn by the policy is the divergence.

        Raises
        ------
        ParameterError
            As `log_probability`, or if `reference` never chooses what the policy may choose,
            because the divergence is infinite then.

        References
        ----------
        Schulman, Approximating KL divergence, 2020; GRPO, arXiv 2402.03300.
        """
        scores, reference = checked_reference(scores, reference)
        apart = self.log_probability(reference, chosen) - self.log_probability(scores, chosen)
        with np.errstate(over="ignore"):  # infinite only where the reference is e^709 times surer
            return np.expm1(apart) - apart

    def divergence_gradient(
        self, scores: ArrayLike, reference: ArrayLike, chosen: ArrayLike
    ) -> Floats:
        """d divergence / d scores with the subsets held fixed: (n_samples, n).

        (1 - exp(D)) d ln p / d scores for the k3 estimate. That the drawn subsets change with
        the scores is left out, as in the public trainers.

        Raises
        ------
        ParameterError
            As `divergence`.
        """
        scores, reference = checked_reference(scores, reference)
        apart = self.log_probability(reference, chosen) - self.log_probability(scores, chosen)
        with np.errstate(over="ignore"):
            return -np.expm1(apart)[:, None] * self.gradient(scores, chosen)


def checked_scores(scores: ArrayLike) -> Floats:
    """Scores as (n,) float64."""
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim != 1:
        raise ParameterError(f"scores must have the shape (n,), got {values.shape}")
    if not (values < np.inf).all():  # NaN is not smaller either
        raise ParameterError("scores must be below +inf and not NaN: -inf is what is never chosen")
    return values


def checked_reference(scores: ArrayLike, reference: ArrayLike) -> tuple[Floats, Floats]:
    """Both as (n,) float64; the reference allows whatever the scores allow."""
    values, others = checked_scores(scores), checked_scores(reference)
    if values.shape != others.shape:
        raise ParameterError(
            f"reference must have a score per candidate, got {others.size} for {values.size}"
        )
    if (barred := np.isfinite(values) & ~np.isfinite(others)).any():
        raise ParameterError(
            f"reference must allow what the policy allows, got -inf for item {barred.argmax()}, "
            "where the divergence is infinite: give it a small finite score"
        )
    return values, others


def lead(scores: Floats, reference: Floats) -> Floats:
    """Scores minus reference, 0 for what is never chosen."""
    possible = np.isfinite(scores)
    return np.where(possible, scores, 0.0) - np.where(possible, reference, 0.0)


def checked_chosen(scores: Floats, chosen: ArrayLike) -> Ints:
    """Chosen subsets as (n_samples, width) int64 that may have been drawn from `scores`."""
    rows = np.asarray(chosen)
    if rows.ndim != 2 or not (np.issubdtype(rows.dtype, np.integer) or rows.size == 0):
        raise ParameterError(
            f"chosen must be whole numbers of the shape (n_samples, width), got {rows.dtype} "
            f"of {rows.shape}"
        )
    rows = rows.astype(np.int64, copy=False)
    if rows.size == 0:
        return rows
    if rows.min() < NOTHING or rows.max() >= scores.size:
        raise ParameterError(
            f"chosen must hold indices below {scores.size} and -1, got {rows.min()} to {rows.max()}"
        )
    kept = rows >= 0
    if (kept[:, 1:] > kept[:, :-1]).any():
        raise ParameterError("chosen must hold -1 only behind the last item of a row")
    if (kept.sum(axis=1) != is_chosen(rows, scores.size).sum(axis=1)).any():
        raise ParameterError("chosen must hold every item of a row once, got one twice")
    if not np.isfinite(scores[rows[kept]]).all():
        raise ParameterError("chosen must not hold an item whose score is -inf")
    return rows


def whole(name: str, value: int, at_least: int) -> int:
    """`value` as a whole number that is large enough."""
    try:
        number = index(value)  # takes every integer type and no float
    except TypeError:
        raise ParameterError(f"{name} must be a whole number, got {value!r}") from None
    if number < at_least:
        raise ParameterError(f"{name} must be >= {at_least}, got {number}")
    return number


def is_chosen(chosen: Ints, n: int) -> Mask:
    """Which of n items each row holds: (n_samples, n)."""
    held = np.zeros((chosen.shape[0], n + 1), dtype=np.bool_)
    held[np.arange(chosen.shape[0])[:, None], chosen] = True  # -1 is the column that is cut off
    return held[:, :n]


def log_sum_exp(x: Floats) -> Floats:
    """ln of the sum of exp over the last axis; -inf for a sum of nothing."""
    top = x.max(axis=-1, keepdims=True, initial=-np.inf)
    top = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore"):
        return np.log(np.exp(x - top).sum(axis=-1)) + top[..., 0]
