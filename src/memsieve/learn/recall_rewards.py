"""What a selection was worth, told by which of its items were gold: dense, and without a reader.

Both take all samples of one question at once and give (n_samples,) in [0, 1], higher is better.
They are ours: no paper trains on them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from memsieve.errors import ParameterError
from memsieve.learn.subsets import checked_chosen, whole
from memsieve.select.arrays import Floats

_NEAR = 5
"""Ours: what a reader sees first."""


def budget_reward(
    chosen: ArrayLike,
    tokens: ArrayLike,
    gold: ArrayLike,
    budget_tokens: int,
    n_gold: int | None = None,
) -> Floats:
    """Share of the gold inside a token budget that is packed in the drawn order.

    An item that no longer fits is passed over and smaller ones may follow, as the selectors pack.
    O(n_samples k).

    Parameters
    ----------
    chosen
        (n_samples, k) indices in the order of drawing, -1 behind the last.
    tokens, gold
        (n,) costs, whole numbers >= 0; (n,) which candidates are gold.
    budget_tokens
        What all packed items may cost together, >= 0.
    n_gold
        Gold of the question, counting what is no candidate; None: the candidates are all.

    Raises
    ------
    ParameterError
        If shapes disagree, a number is outside its range, or there is no gold.

    Examples
    --------
    >>> budget_reward([[0, 1, 2], [1, 2, 0]], tokens=[30, 20, 10], gold=[True, False, True],
    ...               budget_tokens=40).tolist()
    [1.0, 0.5]
    """
    costs, wanted = np.asarray(tokens), np.asarray(gold)
    if costs.ndim != 1 or costs.shape != wanted.shape:
        raise ParameterError(
            f"tokens and gold must both have the shape (n,), got {costs.shape} and {wanted.shape}"
        )
    if wanted.dtype != np.bool_:
        raise ParameterError(f"gold must say True or False per candidate, got {wanted.dtype}")
    if not (np.issubdtype(costs.dtype, np.integer) and (costs >= 0).all()):
        raise ParameterError("tokens must be whole numbers >= 0")
    rows = checked_chosen(np.zeros(costs.size), chosen)
    n_found, n_all = int(wanted.sum()), _gold(int(wanted.sum()) if n_gold is None else n_gold)
    if n_found > n_all:
        raise ParameterError(f"n_gold must count all gold candidates, {n_found}, got {n_all}")
    left = np.full(rows.shape[0], whole("budget_tokens", budget_tokens, 0))
    found = np.zeros(rows.shape[0])
    for items in rows.T:
        packed = (items >= 0) & (costs[items] <= left)
        left -= np.where(packed, costs[items], 0)
        found += packed & wanted[items]
    return found / n_all


def ranking_reward(hits: ArrayLike, n_gold: int) -> Floats:
    """Mean of NDCG@k, recall@5 and recall@k of the first k places.

    NDCG with binary gain and the ideal cut at k; a share of all gold for both recalls. NDCG asks
    for the order, the recalls for what is there at all. O(n_samples k).

    Parameters
    ----------
    hits
        (n_samples, k), k >= 1: whether the item drawn at each place is gold.
    n_gold
        Gold of the question, >= 1, counting what is no candidate.

    Raises
    ------
    ParameterError
        If the shape is another, `n_gold` < 1, or a row has more hits than that.

    Examples
    --------
    >>> ranking_reward([[True, False], [False, True]], n_gold=2).round(4).tolist()
    [0.5377, 0.4623]

    References
    ----------
    The three as in `memsieve.evaluate.metrics`.
    """
    found = np.asarray(hits)
    if found.ndim != 2 or found.shape[1] < 1 or found.dtype != np.bool_:
        raise ParameterError(
            "hits must be True or False, of the shape (n_samples, k) with k >= 1, "
            f"got {found.dtype} of {found.shape}"
        )
    n_all = _gold(n_gold)
    if (n_found := int(found.sum(axis=1).max(initial=0))) > n_all:
        raise ParameterError(f"n_gold must count all hits of a sample, {n_found}, got {n_all}")
    discount = 1.0 / np.log2(np.arange(2, found.shape[1] + 2))
    ndcg = found @ discount / discount[:n_all].sum()
    recall_near = found[:, :_NEAR].sum(axis=1) / n_all
    return (ndcg + recall_near + found.sum(axis=1) / n_all) / 3


def _gold(n_gold: int) -> int:
    if whole("n_gold", n_gold, 0) == 0:
        raise ParameterError("n_gold must be >= 1, got 0: skip the question")
    return n_gold
