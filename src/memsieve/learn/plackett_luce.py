"""Plackett-Luce: subsets drawn item by item, each among what is left."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from memsieve.errors import ParameterError
from memsieve.learn.subsets import (
    NOTHING,
    Subsets,
    checked_chosen,
    checked_reference,
    checked_scores,
    is_chosen,
    lead,
    log_sum_exp,
    whole,
)
from memsieve.select.arrays import Floats, Ints, Mask


@dataclass(frozen=True, slots=True)
class PlackettLuce(Subsets):
    """Draw k items in order, each with a chance proportional to exp(score) among what is left.

    ln p(a_1 .. a_k) = sum over i of s[a_i] - ln Z_i, Z_i = sum of exp(s) over what is left at
    step i; d ln p / d s_j = 1(j chosen) - exp(s_j) * (sum of 1 / Z_i over the steps at which j
    was left). Drawing, ln p and gradient are O(n_samples (n + k log k)) and take no loop.

    Every method also takes `tokens`, (n,) whole numbers >= 0, with `budget_tokens` >= 0. Then an
    item that no longer fits is out of reach, which is part of the probability, and a subset ends
    when nothing fits or `n_kept` is reached (None: never). O(n_samples n k), a loop over steps.

    Raises
    ------
    ParameterError
        As the contract says, or if only one of `tokens` and `budget_tokens` is given, a number
        of tokens is negative or not whole, or a chosen subset does not fit the budget.

    Examples
    --------
    >>> policy, scores = PlackettLuce(), [1.0, 0.5, 0.0, -1.0]
    >>> policy.log_probability(scores, [[0, 1], [1, 0]]).round(4).tolist()
    [-1.3507, -1.6542]
    >>> policy.gradient(scores, [[0, 1]]).round(4).tolist()
    [[0.526, 0.166, -0.5059, -0.1861]]
    >>> rng = np.random.default_rng(0)
    >>> policy.sample(scores, None, 2, rng, tokens=[30, 20, 10, 10], budget_tokens=30).tolist()
    [[2, 3], [0, -1]]

    References
    ----------
    Plackett, Applied Statistics 1975; Luce, Individual Choice Behavior, 1959. Drawn as in Kool,
    van Hoof and Welling, arXiv 1903.06059: Gumbel noise on the scores, then the k largest.
    The token budget is ours; the same noise serves it, because what is out of reach leaves the
    order of the rest as it was.
    """

    def sample(
        self,
        scores: ArrayLike,
        n_kept: int | None,
        n_samples: int,
        rng: np.random.Generator,
        *,
        tokens: ArrayLike | None = None,
        budget_tokens: int | None = None,
    ) -> Ints:
        """Draw subsets in the order of drawing; `n_kept` None draws all that there are or fit."""
        scores = checked_scores(scores)
        most = int(np.isfinite(scores).sum())
        if n_kept is not None:
            most = min(most, whole("n_kept", n_kept, 0))
        noise = rng.gumbel(size=(whole("n_samples", n_samples, 1), scores.size))
        costs = _checked_tokens(scores, tokens, budget_tokens)
        if costs is not None:
            return _within(scores + noise, most, *costs)
        if most == 0:
            return np.empty((noise.shape[0], 0), dtype=np.int64)
        order = -(scores + noise)
        best = np.argpartition(order, most - 1, axis=1)[:, :most]
        by_rank = np.take_along_axis(order, best, axis=1).argsort(axis=1)
        return np.take_along_axis(best, by_rank, axis=1)

    def log_probability(
        self,
        scores: ArrayLike,
        chosen: ArrayLike,
        *,
        tokens: ArrayLike | None = None,
        budget_tokens: int | None = None,
    ) -> Floats:
        """ln p of each subset in its order: (n_samples,)."""
        scores = checked_scores(scores)
        chosen = checked_chosen(scores, chosen)
        costs = _checked_tokens(scores, tokens, budget_tokens)
        if costs is None:
            log_mass, _ = _left_at_each_step(scores, chosen)
            kept = chosen >= 0
            return (np.where(kept, scores[chosen], 0.0) - np.where(kept, log_mass, 0.0)).sum(axis=1)
        total = np.zeros(chosen.shape[0])
        for pick, left in _steps(scores, chosen, costs):
            _, log_mass = _softmax(scores, left)
            total += np.where(pick >= 0, scores[pick] - log_mass, 0.0)
        return total

    def gradient(
        self,
        scores: ArrayLike,
        chosen: ArrayLike,
        *,
        tokens: ArrayLike | None = None,
        budget_tokens: int | None = None,
    ) -> Floats:
        """d ln p / d scores: (n_samples, n); every row sums to 0."""
        scores = checked_scores(scores)
        chosen = checked_chosen(scores, chosen)
        costs = _checked_tokens(scores, tokens, budget_tokens)
        if costs is not None:
            slope = is_chosen(chosen, scores.size).astype(np.float64)
            for _, left in _steps(scores, chosen, costs):
                slope -= _softmax(scores, left)[0]
            return slope
        if chosen.shape[1] == 0:
            return np.zeros((chosen.shape[0], scores.size))
        log_mass, others = _left_at_each_step(scores, chosen)
        kept = chosen >= 0
        # ln of the sum of 1 / Z over the steps so far; logarithms, for the last Z can be tiny.
        exposure = np.logaddexp.accumulate(np.where(kept, -log_mass, -np.inf), axis=1)
        slope = np.empty((chosen.shape[0], scores.size + 1))  # -1 writes to the column in excess
        slope[:, :-1] = -np.exp(others + exposure[:, -1:])
        own = 1.0 - np.exp(np.where(kept, scores[chosen] + exposure, 0.0))
        slope[np.arange(chosen.shape[0])[:, None], chosen] = own
        return slope[:, :-1]

    def divergence(
        self,
        scores: ArrayLike,
        reference: ArrayLike,
        chosen: ArrayLike,
        *,
        tokens: ArrayLike | None = None,
        budget_tokens: int | None = None,
    ) -> Floats:
        """KL(policy || reference) of every step along each subset, summed: (n_samples,).

        sum over i and j of p_i(j) ln(p_i(j) / q_i(j)), p_i and q_i = softmax of `scores` and of
        `reference` over what is left at step i. Exact given the items before, and its mean over
        drawn subsets is the divergence of the ordered subsets. O(n_samples n k).
        """
        scores, reference = checked_reference(scores, reference)
        chosen = checked_chosen(scores, chosen)
        costs = _checked_tokens(scores, tokens, budget_tokens)
        ahead, total = lead(scores, reference), np.zeros(chosen.shape[0])
        for pick, left in _steps(scores, chosen, costs):
            chance, log_mass = _softmax(scores, left)
            _, other_log_mass = _softmax(reference, left)
            step = chance @ ahead - log_mass + other_log_mass
            total += np.where(pick >= 0, step, 0.0)
        return np.maximum(total, 0.0)  # equal policies leave a rounding of either sign

    def divergence_gradient(
        self,
        scores: ArrayLike,
        reference: ArrayLike,
        chosen: ArrayLike,
        *,
        tokens: ArrayLike | None = None,
        budget_tokens: int | None = None,
    ) -> Floats:
        """d divergence / d scores with the subsets held fixed: (n_samples, n).

        sum over i of p_i(j) (v_j - sum over l of p_i(l) v_l), v = scores - reference. That the
        items before a step change with the scores is left out.
        """
        scores, reference = checked_reference(scores, reference)
        chosen = checked_chosen(scores, chosen)
        costs = _checked_tokens(scores, tokens, budget_tokens)
        ahead, slope = lead(scores, reference), np.zeros((chosen.shape[0], scores.size))
        for _, left in _steps(scores, chosen, costs):
            chance, _ = _softmax(scores, left)
            slope += chance * (ahead - (chance @ ahead)[:, None])
        return slope


def _left_at_each_step(scores: Floats, chosen: Ints) -> tuple[Floats, Floats]:
    """ln Z of each step, (n_samples, k), and the scores of what was never chosen, else -inf."""
    others = np.where(is_chosen(chosen, scores.size), -np.inf, scores)
    own = np.where(chosen >= 0, scores[chosen], -np.inf)
    # Added from the last step to the first: to subtract what was taken would cancel digits.
    backwards = np.concatenate([log_sum_exp(others)[:, None], own[:, ::-1]], axis=1)
    return np.logaddexp.accumulate(backwards, axis=1)[:, :0:-1], others


def _steps(
    scores: Floats, chosen: Ints, costs: tuple[Ints, int] | None
) -> Iterator[tuple[Ints, Mask]]:
    """Per step what each sample took, -1 after its end, and what was within its reach."""
    rows = np.arange(chosen.shape[0])
    untaken = np.ones((rows.size, scores.size + 1), dtype=np.bool_)
    untaken[:, :-1] = np.isfinite(scores)
    budget_left = None if costs is None else np.full(rows.size, costs[1])
    for pick in chosen.T:
        left = untaken[:, :-1] & (pick >= 0)[:, None]
        if costs is not None and budget_left is not None:
            left &= costs[0] <= budget_left[:, None]
            budget_left = budget_left - np.where(pick >= 0, costs[0][pick], 0)
            if (budget_left < 0).any():
                raise ParameterError(f"chosen must fit budget_tokens, which is {costs[1]}")
        yield pick, left
        untaken[rows, pick] = False


def _softmax(scores: Floats, left: Mask) -> tuple[Floats, Floats]:
    """Chances within reach, (n_samples, n), and ln of their mass; zeros and 0 for an empty row."""
    masked = np.where(left, scores, -np.inf)
    log_mass = np.where(left.any(axis=1), log_sum_exp(masked), 0.0)
    return np.exp(masked - log_mass[:, None]), log_mass


def _within(keys: Floats, most: int, tokens: Ints, budget: int) -> Ints:
    """Items by falling key, passing over what no longer fits: (n_samples, width)."""
    rows = np.arange(keys.shape[0])
    keys, budget_left = keys.copy(), np.full(rows.size, budget)
    columns: list[Ints] = []
    while len(columns) < most:
        reach = np.where(tokens <= budget_left[:, None], keys, -np.inf)
        pick = reach.argmax(axis=1)
        going_on = reach[rows, pick] > -np.inf
        if not going_on.any():
            break
        columns.append(np.where(going_on, pick, NOTHING))
        budget_left -= np.where(going_on, tokens[pick], 0)
        keys[rows, pick] = -np.inf  # rows at their end have nothing within reach to lose
    return np.stack(columns, axis=1) if columns else np.empty((rows.size, 0), dtype=np.int64)


def _checked_tokens(
    scores: Floats, tokens: ArrayLike | None, budget_tokens: int | None
) -> tuple[Ints, int] | None:
    if tokens is None and budget_tokens is None:
        return None
    if tokens is None or budget_tokens is None:
        missing = "tokens" if tokens is None else "budget_tokens"
        raise ParameterError(f"tokens and budget_tokens must come together, {missing} is missing")
    costs = np.asarray(tokens)
    if costs.shape != scores.shape:
        raise ParameterError(f"tokens must have the shape {scores.shape}, got {costs.shape}")
    if costs.size and not (np.issubdtype(costs.dtype, np.integer) and costs.min() >= 0):
        raise ParameterError("tokens must be whole numbers >= 0")
    return costs.astype(np.int64), whole("budget_tokens", budget_tokens, 0)
