"""Only what is relevant enough, the best first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memsieve.errors import ParameterError
from memsieve.select.arrays import Array, best_first, host
from memsieve.select.base import Ranked
from memsieve.select.candidates import Candidates
from memsieve.select.ledger import Ledger
from memsieve.select.trace import Reason


@dataclass(frozen=True, slots=True)
class Threshold(Ranked):
    """Keep the candidates with relevance >= threshold, by relevance, while they fit.

    gain[i] = relevance[i]. Cost and ties as for TopK, which it equals at a threshold of
    -inf. With a threshold an answer may be empty: right where nothing relevant is stored.

    Parameters
    ----------
    threshold
        The lowest relevance that is kept, in the unit of relevance.
    stop_at_first_misfit
        End with the first candidate that does not fit, as for TopK.

    Raises
    ------
    ParameterError
        If `threshold` is NaN.

    Examples
    --------
    >>> items = Candidates(relevance=[0.9, 0.2, 0.5], tokens=[10, 10, 10])
    >>> kept = Threshold(0.5).select(items, budget_tokens=100)
    >>> kept.picked
    (0, 2)
    >>> kept.trace.reason(1)
    'dropped: below the threshold 0.5'
    """

    threshold: float
    stop_at_first_misfit: bool = False

    def __post_init__(self) -> None:
        if self.threshold != self.threshold:
            raise ParameterError(f"Threshold.threshold must be a number, got {self.threshold!r}")

    def order(self, items: Candidates, at_most: int | None = None) -> Array:
        """Indices by falling relevance, whatever lies below the threshold included."""
        return best_first(items.relevance, at_most)

    def fill(self, ledger: Ledger) -> None:
        # Compared where the scores are, so that float32 scores meet a float32 threshold.
        below = np.flatnonzero(host(ledger.items.relevance < self.threshold) & ledger.free)
        ledger.drop(below, Reason.BELOW, ledger.relevance[below], self.threshold)
        Ranked.fill(self, ledger)
