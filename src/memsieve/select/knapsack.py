"""The most relevance that a budget can buy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memsieve.errors import ParameterError
from memsieve.select.arrays import Floats, Ints
from memsieve.select.base import pack
from memsieve.select.density import CostBenefit, density, drop_worthless
from memsieve.select.ledger import Ledger

LARGEST_TABLE = 50_000_000  # cells of one byte; a second of work


@dataclass(frozen=True, slots=True)
class Knapsack(CostBenefit):
    """Maximise the sum of relevance within the budget.

    Density greedy: repeatedly the candidate with the highest relevance per cost, where cost
    is what the budget limits; compared with the best single candidate. For one limit and
    no group costs the sum is at least 1/2 of the optimum, for m limits 1/(2m). With group
    costs no bound is claimed. Candidates with relevance <= 0 are never picked. O(n log n);
    equal densities go to the higher relevance, then to the lower index.

    Parameters
    ----------
    exact
        Find an optimal set by dynamic programming instead: O(n * budget_tokens) time and
        bytes, only for a budget of tokens alone and candidates without group costs.

    Raises
    ------
    ParameterError
        From `select` with `exact=True`, if there is another limit, a group cost, or a table
        of more than 5 * 10^7 cells.

    Examples
    --------
    >>> from memsieve.select import Candidates
    >>> items = Candidates(relevance=[0.9, 0.6, 0.5], tokens=[20, 10, 10])
    >>> Knapsack().select(items, budget_tokens=20).picked
    (1, 2)

    References
    ----------
    Dantzig, Operations Research 5, 1957 (density order); Martello and Toth, Knapsack
    Problems, 1990, chapter 2 (the bound and the table). Differs: goes on after the first
    misfit, and fills up after the single best; both only add.
    """

    exact: bool = False

    def value(self, ledger: Ledger) -> _Sum:
        """The sum of relevance as a running value."""
        return _Sum(ledger.relevance)

    def fill(self, ledger: Ledger) -> None:
        if self.exact:
            _fill_exactly(ledger)
        else:
            CostBenefit.fill(self, ledger)

    def grow(self, ledger: Ledger, start: int | None = None) -> None:
        """Fill the budget by density; along one fixed order where no group can be opened."""
        if ledger.has_headers:
            CostBenefit.grow(self, ledger, start)
            return
        if start is not None:
            ledger.take(start, float(ledger.relevance[start]))
        drop_worthless(ledger, ledger.relevance)
        pack(ledger, _by_density(ledger, np.flatnonzero(ledger.free)))


class _Sum:
    """Relevance adds up: what an item is worth does not depend on the others."""

    fixed = True

    def __init__(self, relevance: Floats) -> None:
        self._relevance = relevance

    def gains(self, which: Ints | None = None) -> Floats:
        return self._relevance if which is None else self._relevance[which]

    def add(self, i: int) -> None:
        """Nothing changes."""


def _by_density(ledger: Ledger, which: Ints) -> Ints:
    worth = ledger.relevance[which]
    return which[np.lexsort((-worth, -density(worth, ledger.costs(which))))]


def _fill_exactly(ledger: Ledger) -> None:
    budget = ledger.budget
    if ledger.has_headers or budget.tokens is None or (budget.items, budget.bytes) != (None, None):
        raise ParameterError(
            f"Knapsack(exact=True) needs a budget of tokens alone and no group_tokens, got "
            f"{budget!r}: leave exact=False"
        )
    drop_worthless(ledger, ledger.relevance)
    fitting = np.flatnonzero(ledger.fitting())
    best = _best_set(ledger.relevance[fitting], ledger.tokens[fitting], budget.tokens)
    ledger.take_all(_by_density(ledger, fitting[best]))


def _best_set(values: Floats, costs: Ints, budget: int) -> Ints:
    """Places of a subset with the highest sum of `values` whose `costs` fit the budget.

    improved[i, c]: item i is in the best subset of items 0 .. i that costs at most c.
    """
    budget = min(budget, int(costs.sum()))
    if values.size * (budget + 1) > LARGEST_TABLE:
        raise ParameterError(
            f"Knapsack(exact=True) needs n * budget_tokens <= {LARGEST_TABLE}, got "
            f"{values.size} * {budget}: leave exact=False"
        )
    best = np.zeros(budget + 1)
    improved = np.zeros((values.size, budget + 1), dtype=np.bool_)
    for i, (value, cost) in enumerate(zip(values.tolist(), costs.tolist(), strict=True)):
        with_i = best[: budget + 1 - cost] + value
        improved[i, cost:] = with_i > best[cost:]
        best[cost:] = np.maximum(best[cost:], with_i)
    chosen = []
    for i in reversed(range(values.size)):
        if improved[i, budget]:
            chosen.append(i)
            budget -= int(costs[i])
    return np.array(chosen[::-1], dtype=np.int64)
