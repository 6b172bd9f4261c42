"""A few items that stand for all: every relevant candidate has a similar one among them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memsieve.select.arrays import Floats, Ints, folded_sum, host, like
from memsieve.select.candidates import Candidates
from memsieve.select.density import CostBenefit
from memsieve.select.ledger import Ledger


@dataclass(frozen=True, slots=True)
class FacilityLocation(CostBenefit):
    """Cover the candidates, each weighted by its relevance, with similar ones from among them.

    value(S) = sum over i of w[i] * max(0, max over j in S of similarity[j, i]), with
    w[i] = max(0, relevance[i]): a monotone submodular function. Lazy greedy by gain per
    cost, compared with the best single item. For a budget of items the value is at least
    1 - 1/e of the optimum, for one of tokens or bytes 0.405; with several limits or group
    costs no bound is claimed. Items that add nothing are not picked, even if they fit.
    O(n^2) for the first step, then O(n) for every gain computed anew; ties go to the
    higher gain, then to the lower index.

    Raises
    ------
    ParameterError
        From `select`, if the candidates have no `similarity`.

    Examples
    --------
    >>> items = Candidates(relevance=[1.0, 1.0, 1.0, 0.6], tokens=[10, 10, 10, 10],
    ...                    similarity=[[1, 0.9, 0.9, 0], [0.9, 1, 0.8, 0],
    ...                                [0.9, 0.8, 1, 0], [0, 0, 0, 1]])
    >>> FacilityLocation().select(items, budget_tokens=20).picked
    (0, 3)

    References
    ----------
    Minoux 1978 (lazy evaluation); Krause and Guestrin, CMU-CALD-05-103, 2005 (budgets);
    Lin and Bilmes, NAACL 2010 (summaries); Tang et al., SIGMETRICS 2021 (0.405). Differs
    from Lin and Bilmes: cost enters with exponent 1, and relevance weighs what is covered.
    """

    def value(self, ledger: Ledger) -> _Coverage:
        """The covered relevance as a running value."""
        return _Coverage(ledger.items)


class _Coverage:
    """How well each candidate is covered so far, and what one more item would add.

    Only additions, products and comparisons of single elements: NumPy and PyTorch round
    them alike, and a gain can never rise by rounding, which lazy evaluation relies on.
    """

    fixed = False

    def __init__(self, items: Candidates) -> None:
        self._similarity = items.need("similarity", "FacilityLocation")
        self._xp = items.namespace
        self._weight = self._xp.clip(items.relevance, 0, None)
        self._covered = self._xp.zeros_like(self._similarity[:1, :])

    def gains(self, which: Ints | None = None) -> Floats:
        rows = self._similarity
        if which is not None:
            rows = self._xp.take(rows, like(which, rows), axis=0)
        more = self._xp.clip(rows - self._covered, 0, None)
        return np.asarray(host(folded_sum(self._weight * more)), dtype=np.float64)

    def add(self, i: int) -> None:
        self._covered = self._xp.maximum(self._covered, self._similarity[i : i + 1, :])
