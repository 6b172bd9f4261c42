"""Greedy by gain per unit of cost, lazily, with the best single item as a floor."""

from __future__ import annotations

from abc import abstractmethod
from heapq import heapify, heappop, heappush
from typing import Protocol

import numpy as np

from memsieve.select.arrays import Floats, Ints
from memsieve.select.base import Selector
from memsieve.select.ledger import Ledger
from memsieve.select.trace import Reason

Entry = tuple[float, float, int]
# Gains computed together: beyond one row the fixed cost of a dozen array calls is shared.
BLOCK = 32


class Value(Protocol):
    """The value of a growing set: what each further item would add to it.

    Gains may only fall as the set grows; `fixed` says that they never change.
    """

    fixed: bool

    def gains(self, which: Ints | None = None) -> Floats:
        """What each of `which`, all if None, adds to what was added."""

    def add(self, i: int) -> None:
        """Put item `i` into the set."""


class CostBenefit(Selector):
    """Picks by gain per cost, and starts from the best single item if that is worth more.

    At each step the feasible item with the highest gain / cost, then the highest gain, then
    the lowest index; items with gain <= 0 never. Cost is counted in what the budget limits
    (`Ledger.costs`); under no limit the gain decides. Should the best single item be worth
    more than the whole result, the run starts again with that item in.
    """

    __slots__ = ()

    @abstractmethod
    def value(self, ledger: Ledger) -> Value:
        """A fresh running value with nothing in it."""

    def fill(self, ledger: Ledger) -> None:
        gains = self.value(ledger).gains()
        best = best_single(ledger, gains)
        self.grow(ledger)
        if best is not None and gains[best] > ledger.value:
            ledger.clear()
            self.grow(ledger, start=best)

    def grow(self, ledger: Ledger, start: int | None = None) -> None:
        """Fill the budget greedily, from `start` if given."""
        value = self.value(ledger)
        gains = value.gains()
        if start is not None:
            ledger.take(start, float(gains[start]))
            value.add(start)
        drop_worthless(ledger, gains)
        _lazy_greedy(ledger, value, gains)


def density(gains: Floats, costs: Floats) -> Floats:
    """(n,) gain per unit of cost; +inf for what costs nothing."""
    free = np.full(gains.shape, np.inf)
    return np.divide(gains, costs, out=free, where=costs > 0)


def best_single(ledger: Ledger, gains: Floats) -> int | None:
    """The item of the highest gain that fits alone; None if none fits or gains."""
    alone = np.where(ledger.fitting(), gains, 0.0)
    return int(alone.argmax()) if alone.max(initial=0.0) > 0 else None


def drop_worthless(ledger: Ledger, gains: Floats) -> None:
    """Drop what adds nothing even to an empty set."""
    worthless = np.flatnonzero(ledger.free & ~(gains > 0))
    ledger.drop(worthless, Reason.WORTHLESS, gains[worthless])


def _lazy_greedy(ledger: Ledger, value: Value, gains: Floats) -> None:
    """Pick the best entry of a heap whose entries never promise too little.

    A gain is computed anew only when its entry comes to the top, as it can only have fallen.
    """
    heap = _Heap(ledger, gains)
    while (i := heap.pop()) is not None:
        if not ledger.fits(i):
            ledger.pass_over(i)
        elif value.fixed or heap.is_fresh(i):
            value.add(i)
            if ledger.take(i, float(heap.gains[i])):
                # Their cost has fallen, so the promise of the group's members was too low.
                heap.push(np.flatnonzero(ledger.free & (ledger.group == ledger.group[i])))
        else:
            heap.renew([i, *heap.pop_stale(BLOCK - 1)], value)
    ledger.drop_repeats(np.array(heap.covered, dtype=np.int64))


class _Heap:
    """Items by falling density, then falling gain, then rising index."""

    def __init__(self, ledger: Ledger, gains: Floats) -> None:
        self.gains = gains.copy()
        self.covered: list[int] = []  # worth something at first and nothing beside the picks
        self._ledger = ledger
        self._computed_at = np.zeros(gains.size, dtype=np.int64)
        self._heap: list[Entry] = []
        self._entry: dict[int, Entry] = {}  # an item's valid entry; older ones are skipped
        self.push(np.flatnonzero(ledger.free))

    def push(self, which: Ints) -> None:
        """Enter items with their present gain and cost."""
        worth = self.gains[which]
        ratio = density(worth, self._ledger.costs(which))
        columns = ((-ratio).tolist(), (-worth).tolist(), which.tolist())
        entries = list(zip(*columns, strict=True))
        self._entry.update(zip(columns[2], entries, strict=True))
        if self._heap:
            for entry in entries:
                heappush(self._heap, entry)
        else:
            self._heap = entries
            heapify(self._heap)

    def pop(self) -> int | None:
        """The item on top; None from an empty heap."""
        while self._heap:
            entry = heappop(self._heap)
            if self._entry[entry[2]] is entry:
                return entry[2]
        return None

    def is_fresh(self, i: int) -> bool:
        """Whether the gain of `i` counts every pick."""
        return bool(self._computed_at[i] == self._ledger.n_picked)

    def pop_stale(self, at_most: int) -> list[int]:
        """Items from the top whose gain is old, up to the first fresh one."""
        stale: list[int] = []
        while self._heap and len(stale) < at_most and not self.is_fresh(self._heap[0][2]):
            i = self.pop()
            if i is not None:
                stale.append(i)
        return stale

    def renew(self, which: list[int], value: Value) -> None:
        """Compute gains anew; enter what still gains, drop the rest."""
        chosen = np.array(which)
        self.gains[chosen] = value.gains(chosen)
        self._computed_at[chosen] = self._ledger.n_picked
        worthless = chosen[~(self.gains[chosen] > 0)]
        self._ledger.drop(worthless, Reason.WORTHLESS, self.gains[worthless])
        self.covered.extend(worthless.tolist())
        self.push(chosen[self.gains[chosen] > 0])
