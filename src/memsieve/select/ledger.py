"""The running state of one selection: what is left, what was picked, why the rest was not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from memsieve.select.arrays import Array, Floats, Ints, Mask, host, like, namespace
from memsieve.select.budget import Budget, Spent
from memsieve.select.candidates import Candidates
from memsieve.select.trace import Reason, Selection, Trace

UNLIMITED = 2**63 - 1
Which = npt.NDArray[np.intp] | npt.NDArray[np.bool_] | int


def _limit(limit: int | None) -> int:
    return UNLIMITED if limit is None else min(limit, UNLIMITED)


class Ledger:
    """Keeps the accounts of one run; a method decides the order, the ledger what fits.

    All counting is in whole numbers on the host, so no rounding can overspend. Every pick
    goes through `take` or `take_all`, every drop through `drop` or `refuse`; what is still
    free at the end is dropped for the reason that holds then. O(n) memory.

    Attributes
    ----------
    items, budget
        What is chosen from, and the limits.
    relevance
        `items.relevance` on the host.
    free
        (n,) booleans: neither picked nor dropped for good.
    due
        (n,) tokens that picking each candidate would cost now, the opening of its group
        included while that is closed.
    refused_at
        (n,) how many were picked when a candidate was refused.
    """

    def __init__(self, items: Candidates, budget: Budget) -> None:
        self.items = items
        self.budget = budget
        self.clear()

    def clear(self) -> None:
        """Start again: nothing picked, nothing dropped but what the caller excluded."""
        items, budget, n = self.items, self.budget, len(self.items)
        zeros = np.zeros(n, dtype=np.int64)
        self.relevance: Floats = np.asarray(host(items.relevance), dtype=np.float64)
        self.tokens: Ints = zeros if items.tokens is None else host(items.tokens)
        self.bytes: Ints = zeros if items.bytes is None else host(items.bytes)
        self.due = self.tokens
        self.has_headers = items.group_tokens is not None
        self.group: Ints = zeros if items.group is None else host(items.group)
        if self.has_headers:
            self.header: Ints = host(items.group_tokens).copy()
            self.due = self.tokens + self.header[self.group]
        elif budget.tokens is not None:
            items.need("tokens", "budget_tokens")
        if budget.bytes is not None:
            items.need("bytes", "budget_bytes")
        self.items_left = _limit(budget.items)
        self.tokens_left = _limit(budget.tokens)
        self.bytes_left = _limit(budget.bytes)
        self.spent_tokens = self.spent_bytes = self.n_picked = 0
        self._order = np.empty(n, dtype=np.int64)
        self._gains = np.empty(n)
        self._codes = np.zeros(n, dtype=np.uint8)
        self._first, self._second = np.zeros(n), np.zeros(n)
        self.refused_at = np.zeros(n, dtype=np.int64)
        self.free: Mask = np.ones(n, dtype=np.bool_)
        self._passed: list[int] = []
        never = self.relevance == -np.inf
        if never.any():
            self.drop(never, Reason.NEVER)

    # -- what fits -------------------------------------------------------------------

    def fits(self, i: int) -> bool:
        """Whether candidate `i` is free and within what is left."""
        return bool(
            self.free[i]
            and self.items_left > 0
            and self.due[i] <= self.tokens_left
            and self.bytes[i] <= self.bytes_left
        )

    def fitting(self) -> Mask:
        """(n,) booleans of `fits`; free candidates that do not fit any more are refused."""
        now = self.free & (self.due <= self.tokens_left) & (self.bytes <= self.bytes_left)
        if self.items_left < 1:
            now = np.zeros_like(now)
        lost = self.free & ~now
        if lost.any():
            self.refuse(np.flatnonzero(lost))
        return now

    @property
    def reach(self) -> int | None:
        """How many of the best candidates can be needed at most; None: all of them.

        Only the number of items bounds it: any cost may make a method skip some and go on.
        """
        only_items = self.budget.tokens is None and self.budget.bytes is None
        return self.budget.items if only_items else None

    def costs(self, which: Which | slice = slice(None)) -> Floats:
        """Cost of candidates now in what is scarce: the unit that the budget limits.

        With several limits each cost counts as a share of its limit, and the shares are
        added; without any limit nothing costs anything.
        """
        per_item, per_token, per_byte = self._weights()
        cost: Floats = per_item + per_token * self.due[which] + per_byte * self.bytes[which]
        return cost

    def _weights(self) -> tuple[float, ...]:
        limits = (self.budget.items, self.budget.tokens, self.budget.bytes)
        if sum(limit is not None for limit in limits) == 1:
            return tuple(0.0 if limit is None else 1.0 for limit in limits)
        return tuple(0.0 if limit is None else 1.0 / max(limit, 1) for limit in limits)

    # -- picks -----------------------------------------------------------------------

    def take(self, i: int, gain: float, beside: int | None = None) -> bool:
        """Pick candidate `i`, which fits; whether that opened its group.

        `beside` names the pick that brought it, if one did.
        """
        self._settle()
        rank, tokens, n_bytes = self.n_picked, int(self.due[i]), int(self.bytes[i])
        self._order[rank], self._gains[rank] = i, gain
        self.n_picked += 1
        self.items_left -= 1
        self.tokens_left -= tokens
        self.bytes_left -= n_bytes
        self.spent_tokens += tokens
        self.spent_bytes += n_bytes
        self.free[i] = False
        self._codes[i] = Reason.PICKED if beside is None else Reason.BROUGHT
        self._first[i], self._second[i] = rank, gain if beside is None else beside
        return self._open(i)

    def _open(self, i: int) -> bool:
        if not self.has_headers or not self.header[self.group[i]]:
            return False
        self.header[self.group[i]] = 0
        members = self.group == self.group[i]
        self.due[members] = self.tokens[members]
        return True

    def take_all(self, which: Ints) -> None:
        """Pick candidates in this order, all of which fit together, each for its relevance."""
        self._settle()
        ranks = slice(self.n_picked, self.n_picked + which.size)
        tokens, n_bytes = int(self.due_in_order(which).sum()), int(self.bytes[which].sum())
        self._order[ranks], self._gains[ranks] = which, self.relevance[which]
        self._codes[which] = Reason.PICKED
        self._first[which] = np.arange(ranks.start, ranks.stop)
        self._second[which] = self.relevance[which]
        self.n_picked += which.size
        self.items_left -= which.size
        self.tokens_left -= tokens
        self.bytes_left -= n_bytes
        self.spent_tokens += tokens
        self.spent_bytes += n_bytes
        self.free[which] = False
        if self.has_headers:
            self.header[self.group[which]] = 0
            self.due = self.tokens + self.header[self.group]

    def due_in_order(self, which: Ints) -> Ints:
        """Tokens that each of `which` costs if all before it are picked first."""
        if not self.has_headers:
            return self.tokens[which]
        labels, first = np.unique(self.group[which], return_index=True)
        due = self.tokens[which]
        due[first] += self.header[labels]
        return due

    # -- drops -----------------------------------------------------------------------

    def drop(
        self,
        which: Which,
        reason: Reason,
        first: float | Floats | Ints = 0.0,
        second: float | Floats | Ints = 0.0,
    ) -> None:
        """Exclude candidates for good, with the numbers that `reason` goes by."""
        self._note(which, reason, first, second)
        self.free[which] = False

    def bar(self, which: Ints) -> None:
        """Show dropped candidates as -inf to methods that rank before they ask what is free."""
        relevance = self.items.relevance
        barred = np.zeros(len(self.items), dtype=np.bool_)
        barred[which] = True
        xp = namespace(relevance)
        never = xp.full_like(relevance, -xp.inf)
        self.items = replace(
            self.items, relevance=xp.where(like(barred, relevance), never, relevance)
        )

    def _note(
        self,
        which: Which,
        reason: Reason,
        first: float | Floats | Ints = 0.0,
        second: float | Floats | Ints = 0.0,
    ) -> None:
        self._codes[which] = reason
        self._first[which] = first
        self._second[which] = second

    def pass_over(self, i: int) -> None:
        """Refuse candidate `i`, one of many: carried out for all of them before the next pick."""
        self._passed.append(i)

    def _settle(self) -> None:
        """Refuse what was passed over, while what is left is still what it did not fit."""
        if self._passed:
            which = np.array(self._passed)
            self._passed = []
            self.refuse(which[self.free[which]])

    def refuse(self, which: npt.NDArray[np.intp]) -> None:
        """Drop for good, with the reason, what does not fit what is left now.

        For good even if another candidate opens the group of one: that other one pays for
        the opening, so what is left afterwards is less by at least as much.
        """
        self.refused_at[which] = self.n_picked
        self.free[which] = False
        if self.items_left < 1:
            self._note(which, Reason.ITEMS, float(self.budget.items or 0))
            return
        large = which[self.bytes[which] > self.bytes_left]
        self._note(large, Reason.BYTES, self.bytes[large], self.bytes_left)
        long = which[self.due[which] > self.tokens_left]
        self._note(long, Reason.TOKENS, self.due[long], self.tokens_left)
        if self.has_headers:
            opening = long[self.due[long] > self.tokens[long]]
            self._note(opening, Reason.HEADER, self.due[opening], self.tokens_left)

    def adopt(self, trace: Trace) -> None:
        """Drop what another run dropped and this one has not picked, for the reasons there."""
        rest = np.flatnonzero(self.free & ~trace.kept)
        self._codes[rest] = trace.codes[rest]
        self._first[rest], self._second[rest] = trace.first[rest], trace.second[rest]
        self.free[rest] = False

    def drop_repeats(self, which: npt.NDArray[np.intp]) -> None:
        """Drop candidates as repeats, each of the picked item that is most similar to it."""
        similarity, picked = self.items.similarity, self.picked
        if similarity is None or which.size == 0 or picked.size == 0:
            return
        xp = namespace(similarity)
        rows = xp.take(similarity, like(which, similarity), axis=0)
        block = host(xp.take(rows, like(picked, similarity), axis=1))
        nearest = block.argmax(axis=1)
        self.drop(which, Reason.REPEATS, picked[nearest], block[np.arange(which.size), nearest])

    # -- the result ------------------------------------------------------------------

    @property
    def picked(self) -> Ints:
        """What was picked so far, in order."""
        return self._order[: self.n_picked]

    @property
    def value(self) -> float:
        """Sum of the gains of all picks."""
        return float(self._gains[: self.n_picked].sum())

    @property
    def spent(self) -> Spent:
        """What the picks cost so far."""
        return Spent(self.n_picked, self.spent_tokens, self.spent_bytes)

    def selection(self) -> Selection:
        """The result; free candidates that do not fit are refused first."""
        self._settle()
        self.fitting()
        trace = Trace(self._codes.copy(), self._first.copy(), self._second.copy())
        indices: Array = like(self.picked.copy(), self.items.relevance)
        return Selection(indices, self._gains[: self.n_picked].copy(), self.spent, trace)
