"""One candidate of those that say the same thing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memsieve.errors import ParameterError
from memsieve.select.arrays import host
from memsieve.select.base import Selector
from memsieve.select.ledger import Ledger
from memsieve.select.trace import Reason


@dataclass(frozen=True, slots=True)
class Distinct(Selector):
    """Let `inner` choose among the best of each label only.

    Of the candidates that share a label in `Candidates.same` the most relevant stays, the lower
    index of equals; the others are dropped as its repeats before `inner` begins, so they cost
    neither room nor a place. O(n log n) on top of `inner`.

    Parameters
    ----------
    inner
        The selector that chooses.

    Raises
    ------
    ParameterError
        If `inner` is no selector; from `select`, if the candidates have no `same`.

    Examples
    --------
    >>> from memsieve.select import Candidates, TopK
    >>> turns = Candidates(relevance=[0.9, 0.8, 0.3], tokens=[10, 10, 10], same=[7, 7, 2])
    >>> found = Distinct(TopK()).select(turns, budget_tokens=20)
    >>> found.picked, found.trace.reason(1)
    ((0, 2), 'dropped: repeats item 0 (similarity 1.00)')
    """

    inner: Selector

    def __post_init__(self) -> None:
        if not isinstance(self.inner, Selector):
            raise ParameterError(f"Distinct.inner must be a Selector, got {self.inner!r}")

    def fill(self, ledger: Ledger) -> None:
        labels = host(ledger.items.need("same", "Distinct"))
        free = np.flatnonzero(ledger.free)
        order = free[np.argsort(-ledger.relevance[free], kind="stable")]
        _, first, which = np.unique(labels[order], return_index=True, return_inverse=True)
        best = order[first][which]
        repeats = best != order
        ledger.drop(order[repeats], Reason.REPEATS, best[repeats], 1.0)
        ledger.bar(order[repeats])
        self.inner.fill(ledger)
