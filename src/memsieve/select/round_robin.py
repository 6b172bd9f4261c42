"""Turns over groups, so that no session, source or lane takes the whole budget."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memsieve.select.arrays import Array, best_first, host, like
from memsieve.select.base import Ranked
from memsieve.select.candidates import Candidates


@dataclass(frozen=True, slots=True)
class RoundRobin(Ranked):
    """Take the best candidate of every group, then the second best of every group, and so on.

    Within a turn groups come in the order of their best candidate, within a group
    candidates by relevance. gain[i] = relevance[i]. O(n log n); ties go to the lower index.
    A candidate that does not fit costs its group that turn.

    Parameters
    ----------
    stop_at_first_misfit
        End with the first candidate that does not fit, as for TopK.

    Raises
    ------
    ParameterError
        From `select`, if the candidates have no `group`.

    Examples
    --------
    >>> items = Candidates(relevance=[0.9, 0.8, 0.7, 0.3], group=[0, 0, 0, 1])
    >>> RoundRobin().select(items, budget_items=3).picked
    (0, 3, 1)

    References
    ----------
    Voorhees, Gupta and Johnson-Laird, SIGIR 1995, who use it as the baseline of fusing
    collections. Differs: the budget may be in tokens, and groups are ordered by their best.
    """

    stop_at_first_misfit: bool = False

    def order(self, items: Candidates, at_most: int | None = None) -> Array:
        """Indices turn by turn."""
        order = host(best_first(items.relevance))
        labels = host(items.need("group", "RoundRobin"))[order]
        _, first, label = np.unique(labels, return_index=True, return_inverse=True)
        # Inside a group `order` is by relevance already, so the turn is a count from its start.
        by_label = np.argsort(label, stable=True)
        starts = np.cumsum(np.bincount(label, minlength=first.size)) - np.bincount(label)
        turn = np.empty_like(order)
        turn[by_label] = np.arange(order.size) - starts[label[by_label]]
        return like(order[np.lexsort((first[label], turn))], items.relevance)
