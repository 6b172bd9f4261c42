"""What another selector picks, each with its neighbours in the source."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from operator import index

import numpy as np

from memsieve.errors import ParameterError
from memsieve.select.arrays import Ints, host
from memsieve.select.base import Selector
from memsieve.select.candidates import Candidates
from memsieve.select.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Windows(Selector):
    """Let every pick of `inner` bring its neighbours, as long as they fit.

    `inner` chooses under the whole budget; its picks are then taken in their order, each
    followed by the candidates of its group whose position lies within the window: nearest
    first, the earlier one of two equally near. What does not fit is skipped, so the last
    picks of `inner` make room for the neighbours of the first; what room remains then is
    not offered to `inner` again. A neighbour's gain is what `inner` gave it, else 0.
    O(n log n) on top of `inner`.

    Parameters
    ----------
    inner
        The selector that ranks.
    before, after
        How far the window reaches, in units of position, >= 0. One turn each way by default.
        A gap stays a gap: no candidate from farther away replaces a missing neighbour.

    Raises
    ------
    ParameterError
        If `before` or `after` is no whole number >= 0 or `inner` no selector; from `select`,
        if the candidates have no `position`.

    Examples
    --------
    >>> from memsieve.select import TopK
    >>> turns = Candidates(relevance=[0.1, 0.9, 0.2, 0.8], tokens=[10, 10, 10, 10],
    ...                    position=[0, 1, 2, 9])
    >>> found = Windows(TopK(), before=1, after=1).select(turns, budget_tokens=30)
    >>> found.picked
    (1, 0, 2)
    >>> found.trace.reason(0)
    'picked 2nd, beside item 1'
    """

    inner: Selector
    before: int = 1
    after: int = 1

    def __post_init__(self) -> None:
        if not isinstance(self.inner, Selector):
            raise ParameterError(f"Windows.inner must be a Selector, got {self.inner!r}")
        for name in ("before", "after"):
            reach = getattr(self, name)
            try:
                object.__setattr__(self, name, index(reach))
            except TypeError:
                raise ParameterError(
                    f"Windows.{name} must be a whole number, got {reach!r}"
                ) from None
            if reach < 0:
                raise ParameterError(f"Windows.{name} must be >= 0, got {reach}")

    def fill(self, ledger: Ledger) -> None:
        source = _Source(ledger.items)
        chosen = self.inner.select(ledger.items, ledger.budget)
        gains = dict(zip(chosen.picked, chosen.gains.tolist(), strict=True))
        for i, gain in gains.items():
            if not ledger.fits(i):
                ledger.pass_over(i)
                continue
            ledger.take(i, gain)
            for j in source.neighbours(i, self.before, self.after):
                if ledger.fits(j):
                    ledger.take(j, gains.get(j, 0.0), beside=i)
        ledger.adopt(chosen.trace)


class _Source:
    """The candidates in source order, group after group."""

    def __init__(self, items: Candidates) -> None:
        position: Ints = host(items.need("position", "Windows"))
        group = np.zeros_like(position) if items.group is None else host(items.group)
        order = np.lexsort((position, group))
        self._order = order.tolist()
        self._position, self._group = position[order].tolist(), group[order].tolist()
        self._place = np.argsort(order).tolist()

    def neighbours(self, i: int, before: int, after: int) -> list[int]:
        """Candidates of the group within the window, nearest first, then in source order."""
        here = self._place[i]
        around = [*self._walk(here, -1, before), *self._walk(here, 1, after)]
        around.sort(key=lambda p: (abs(self._position[p] - self._position[here]), p))
        return [self._order[p] for p in around]

    def _walk(self, here: int, step: int, reach: int) -> Iterator[int]:
        place = here + step
        while 0 <= place < len(self._order):
            distance = abs(self._position[place] - self._position[here])
            if self._group[place] != self._group[here] or distance > reach:
                return
            yield place
            place += step
