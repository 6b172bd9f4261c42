"""Maximal marginal relevance: relevant items that do not repeat one another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from memsieve.errors import ParameterError
from memsieve.select.arrays import Array, like
from memsieve.select.base import Greedy
from memsieve.select.candidates import Candidates
from memsieve.select.ledger import Ledger


@dataclass(frozen=True, slots=True)
class MMR(Greedy):
    """Trade relevance against similarity to what is already picked.

    gain[i] = balance * relevance[i] - (1 - balance) * max(similarity[i, S]), S = picked
    so far, last term 0 while S is empty. O(n) per step; ties go to the lower index.

    Parameters
    ----------
    balance
        Share of relevance, in [0, 1]; 1 ranks by relevance alone. 0.7 is the paper's
        example for a reader who knows what to look for.

    Raises
    ------
    ParameterError
        If `balance` lies outside [0, 1].

    Examples
    --------
    >>> items = Candidates(relevance=[0.9, 0.8, 0.5], tokens=[10, 10, 10],
    ...                    similarity=[[1, 1, 0], [1, 1, 0], [0, 0, 1]])
    >>> MMR(balance=0.5).select(items, budget_tokens=20).picked
    (0, 2)
    >>> MMR(balance=0.5).select(items, budget_tokens=20).trace.reason(1)
    'dropped: repeats item 0 (similarity 1.00)'

    References
    ----------
    Carbonell and Goldstein, SIGIR 1998. Differs: the paper stops after k items, this
    class when nothing that is left fits the budget.
    """

    balance: float = 0.7

    def __post_init__(self) -> None:
        if not 0 <= self.balance <= 1:
            raise ParameterError(f"MMR.balance must be in [0, 1], got {self.balance!r}")

    def gain(self, items: Candidates, picked: Sequence[int]) -> Array:
        """Value of adding each item next: shape (n,), unit of relevance, higher is better."""
        worth = self.balance * items.relevance
        similarity = items.need("similarity", "MMR")
        if len(picked) == 0:
            return worth
        xp = items.namespace
        chosen = xp.take(similarity, like(np.asarray(picked), similarity), axis=1)
        return worth - (1 - self.balance) * xp.max(chosen, axis=1)

    def next_gain(self, items: Candidates, picked: Sequence[int], gain: Array) -> Array:
        """The same in O(n): the larger of two similarities leaves the smaller of two gains."""
        newest = items.similarity[:, picked[-1]]  # type: ignore[index]
        beside_newest = self.balance * items.relevance - (1 - self.balance) * newest
        if len(picked) == 1:
            return beside_newest
        return items.namespace.minimum(gain, beside_newest)

    def explain(self, ledger: Ledger) -> None:
        """Name what a candidate repeats if a less relevant one was picked in its place."""
        # lowest[k]: least relevance among the first k picks; nothing is passed over at k = 0,
        # which is also what the count of refusals says of the picks themselves.
        picks = ledger.relevance[ledger.picked]
        lowest = np.concatenate([[np.inf], np.minimum.accumulate(picks)])
        passed_over = lowest[ledger.refused_at] < ledger.relevance
        ledger.drop_repeats(np.flatnonzero(passed_over))
