"""The contract that every selector keeps, and the two loops that most of them share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from memsieve.select.arrays import Array, Ints, host
from memsieve.select.budget import Budget
from memsieve.select.candidates import Candidates
from memsieve.select.ledger import Ledger
from memsieve.select.trace import Reason, Selection


class Selector(ABC):
    """Chooses candidates under a budget: scores and costs in, indices out.

    Every method promises: never over budget, no index twice, nothing with relevance -inf;
    the input stays as it was; the same input gives the same answer, for NumPy and PyTorch
    alike; equal candidates are taken by index, the lower first. What does not fit is skipped
    and smaller candidates may still be picked, unless a method says otherwise.

    A method is a frozen dataclass that writes `fill`, or one of the hooks of `Ranked`
    (an order known beforehand) or `Greedy` (gains that change with every pick).
    """

    __slots__ = ()

    def select(
        self,
        candidates: Candidates,
        budget: Budget | None = None,
        *,
        budget_items: int | None = None,
        budget_tokens: int | None = None,
        budget_bytes: int | None = None,
    ) -> Selection:
        """The chosen candidates; give a `Budget` or the keywords, neither sets no limit.

        Raises
        ------
        ParameterError
            If a limit is negative, no whole number or given twice, or if the method or a
            limit needs a field that `candidates` lacks.
        """
        limits = Budget.of(budget, items=budget_items, tokens=budget_tokens, bytes=budget_bytes)
        ledger = Ledger(candidates, limits)
        self.fill(ledger)
        return ledger.selection()

    @abstractmethod
    def fill(self, ledger: Ledger) -> None:
        """Pick from `ledger.items` through `ledger` until nothing more is wanted or fits."""


class Ranked(Selector):
    """A selector whose order is known before the first pick."""

    __slots__ = ()

    stop_at_first_misfit: bool = False

    @abstractmethod
    def order(self, items: Candidates, at_most: int | None = None) -> Array:
        """Indices, the best first; those beyond the first `at_most` may be left away."""

    def fill(self, ledger: Ledger) -> None:
        order = host(self.order(ledger.items, ledger.reach))
        pack(ledger, order, stop_at_first_misfit=self.stop_at_first_misfit)


class Greedy(Selector):
    """A selector that picks, step by step, what fits and gains most after the picks so far."""

    __slots__ = ()

    @abstractmethod
    def gain(self, items: Candidates, picked: Sequence[int]) -> Array:
        """Value of adding each item next: shape (n,), higher is better, -inf is never."""

    def next_gain(self, items: Candidates, picked: Sequence[int], gain: Array) -> Array:
        """The same after one more pick, `gain` being what held before the last of `picked`.

        Override it where an update is cheaper than starting anew.
        """
        return self.gain(items, picked)

    def fill(self, ledger: Ledger) -> None:
        items, picked = ledger.items, list[int]()
        # A weight of 0 times a relevance of -inf is NaN; the ledger leaves those out anyway.
        with np.errstate(invalid="ignore"):
            gain = self.gain(items, picked)
            while (fitting := ledger.fitting()).any():
                gains = np.where(fitting, host(gain), -np.inf)
                best = int(gains.argmax())  # the first of several equal ones
                if not gains[best] > -np.inf:
                    break
                ledger.take(best, float(gains[best]))
                picked.append(best)
                gain = self.next_gain(items, picked, gain)
        self.explain(ledger)

    def explain(self, ledger: Ledger) -> None:
        """Say more about the dropped than that they did not fit, where the method knows."""


def pack(ledger: Ledger, order: Ints, *, stop_at_first_misfit: bool = False) -> None:
    """Pick along `order` what fits, each candidate for its relevance.

    A misfit is skipped, or ends the packing if `stop_at_first_misfit`. The prefix that fits
    as a whole, which is all there is when costs are uniform or absent, takes no loop: O(n);
    the rest O(n) at worst, and ends once nothing can fit any more.
    """
    order = order[ledger.free[order]]
    n_whole = _prefix_that_fits(ledger, order)
    ledger.take_all(order[:n_whole])
    rest = order[n_whole:]
    if rest.size == 0 or ledger.items_left < 1:
        return
    if stop_at_first_misfit:
        ledger.refuse(rest[:1])
        ledger.drop(rest[1:], Reason.STOPPED, float(rest[0]))
        return
    too_large = (ledger.tokens[rest] > ledger.tokens_left) | (
        ledger.bytes[rest] > ledger.bytes_left
    )
    ledger.refuse(rest[too_large])
    _pack_one_by_one(ledger, rest[~too_large])


def _prefix_that_fits(ledger: Ledger, order: Ints) -> int:
    """How many of the first fit together."""
    order = order[: ledger.items_left]
    fitting = order.size
    for costs, left in (
        (ledger.due_in_order(order), ledger.tokens_left),
        (ledger.bytes[order], ledger.bytes_left),
    ):
        fitting = min(fitting, int(np.searchsorted(np.cumsum(costs), left, side="right")))
    return fitting


def _pack_one_by_one(ledger: Ledger, rest: Ints) -> None:
    # The cheapest of all that is still to come tells when the rest is hopeless.
    cheapest_left = np.minimum.accumulate(ledger.tokens[rest][::-1])[::-1].tolist()
    for place, i in enumerate(rest.tolist()):
        if ledger.items_left < 1 or cheapest_left[place] > ledger.tokens_left:
            return
        if ledger.fits(i):
            ledger.take(i, float(ledger.relevance[i]))
        else:
            ledger.pass_over(i)
