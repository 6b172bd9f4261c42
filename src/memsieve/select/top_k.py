"""The most relevant candidates that the budget holds."""

from __future__ import annotations

from dataclasses import dataclass

from memsieve.select.arrays import Array, best_first
from memsieve.select.base import Ranked
from memsieve.select.candidates import Candidates


@dataclass(frozen=True, slots=True)
class TopK(Ranked):
    """Take candidates by relevance alone, k of them or as many as their costs allow.

    gain[i] = relevance[i]. O(n + k log k) for a budget of k items and no other limit,
    O(n log n) for a budget of tokens or bytes; ties go to the lower index.

    Parameters
    ----------
    stop_at_first_misfit
        End with the first candidate that does not fit, so that nothing less relevant is
        kept in its stead; by default it is skipped and smaller ones may follow.

    Examples
    --------
    >>> items = Candidates(relevance=[0.9, 0.8, 0.5, 0.4], tokens=[10, 30, 10, 5])
    >>> TopK().select(items, budget_tokens=25).picked
    (0, 2, 3)
    >>> TopK(stop_at_first_misfit=True).select(items, budget_tokens=25).picked
    (0,)
    >>> TopK().select(items, budget_items=2).picked
    (0, 1)
    """

    stop_at_first_misfit: bool = False

    def order(self, items: Candidates, at_most: int | None = None) -> Array:
        """Indices by falling relevance."""
        return best_first(items.relevance, at_most)
