"""What a selection returns, and why each candidate was kept or dropped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from memsieve.errors import ParameterError
from memsieve.select.arrays import Array, Floats, Mask, host, like
from memsieve.select.budget import Spent


class Reason(IntEnum):
    """Why a candidate was kept or dropped; the comment names the two numbers that go with it."""

    LEFT_OUT = 0  # nothing to say
    PICKED = 1  # rank from 0, gain
    BROUGHT = 2  # rank from 0, index of the item that brought it
    NEVER = 3  # -inf by the caller
    ITEMS = 4  # limit of items
    TOKENS = 5  # its tokens, tokens left
    HEADER = 6  # its tokens and those of its group, tokens left
    BYTES = 7  # its bytes, bytes left
    STOPPED = 8  # index of the first misfit
    BELOW = 9  # its relevance, the threshold
    REPEATS = 10  # index of the picked item, similarity
    WORTHLESS = 11  # its gain


KEPT = (Reason.PICKED, Reason.BROUGHT)


def _ordinal(rank: float) -> str:
    number = int(rank) + 1
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10)
    return f"{number}{ending or 'th'}"


def _number(x: float) -> str:
    """Two decimals, or two digits where decimals would show 0.00."""
    return f"{x:.2f}" if x == 0 or abs(x) >= 0.005 else f"{x:.2g}"


def _some(count: float, unit: str) -> str:
    return f"{count:.0f} {unit}" if count == 1 else f"{count:.0f} {unit}s"


def _misfit(cost: float, unit: str, left: float) -> str:
    verb = "does" if cost == 1 else "do"
    return f"dropped: {_some(cost, unit)} {verb} not fit in the {left:.0f} left"


_WORDS: dict[Reason, Callable[[float, float], str]] = {
    Reason.LEFT_OUT: lambda a, b: "dropped: left out by the method",
    Reason.PICKED: lambda a, b: f"picked {_ordinal(a)}, gain {_number(b)}",
    Reason.BROUGHT: lambda a, b: f"picked {_ordinal(a)}, beside item {b:.0f}",
    Reason.NEVER: lambda a, b: "dropped: relevance is -inf",
    Reason.ITEMS: lambda a, b: f"dropped: the budget of {_some(a, 'item')} is full",
    Reason.TOKENS: lambda a, b: _misfit(a, "token", b),
    Reason.HEADER: lambda a, b: (
        f"dropped: {_some(a, 'token')} with its group's start do not fit in the {b:.0f} left"
    ),
    Reason.BYTES: lambda a, b: _misfit(a, "byte", b),
    Reason.STOPPED: lambda a, b: f"dropped: packing stopped at item {a:.0f}, which did not fit",
    Reason.BELOW: lambda a, b: f"dropped: below the threshold {b:g}",
    Reason.REPEATS: lambda a, b: f"dropped: repeats item {a:.0f} (similarity {_number(b)})",
    Reason.WORTHLESS: lambda a, b: f"dropped: gain {_number(a)} is not above 0",
}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Trace:
    """One reason per candidate, kept as three arrays and put into words when asked.

    Attributes
    ----------
    codes
        (n,) uint8, values of `Reason`.
    first, second
        (n,) float64, the two numbers that `Reason` names for each code.

    Examples
    --------
    >>> codes = np.array([Reason.PICKED, Reason.TOKENS], dtype=np.uint8)
    >>> trace = Trace(codes, np.array([0.0, 34.0]), np.array([0.9, 20.0]))
    >>> for row in trace.table():
    ...     print(*row)
    0 picked 1st, gain 0.90
    1 dropped: 34 tokens do not fit in the 20 left
    """

    codes: npt.NDArray[np.uint8]
    first: Floats
    second: Floats

    def __len__(self) -> int:
        return self.codes.size

    def __repr__(self) -> str:
        return f"Trace(n={len(self)}, n_kept={self.kept.sum()})"

    @property
    def kept(self) -> Mask:
        """(n,) booleans: what was picked, for itself or beside another."""
        return np.isin(self.codes, KEPT)

    def reason(self, i: int) -> str:
        """Why candidate `i` was kept or dropped, as a phrase; ParameterError beyond n - 1."""
        if not 0 <= i < len(self):
            raise ParameterError(f"candidate must be in [0, {len(self)}), got {i!r}")
        words = _WORDS[Reason(self.codes[i])]
        return words(float(self.first[i]), float(self.second[i]))

    def table(self) -> list[tuple[int, str]]:
        """(index, reason) of every candidate: kept ones as they were picked, then the rest."""
        order = np.argsort(np.where(self.kept, self.first, np.inf), stable=True)
        return [(i, self.reason(i)) for i in order.tolist()]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Selection:
    """The chosen candidates in picking order, what they cost, and why the rest was dropped.

    Attributes
    ----------
    indices
        (n_picked,) integers in the array namespace and on the device of the input.
    gains
        (n_picked,) float64 on the host: what each pick was worth when it was picked, in the
        unit of the method.
    spent
        Items, tokens and bytes that the picks cost, the opening of groups included.
    trace
        Why each of the n candidates was kept or dropped.
    """

    indices: Array
    gains: Floats
    spent: Spent
    trace: Trace

    @property
    def picked(self) -> tuple[int, ...]:
        """The indices as Python integers; built anew on every call."""
        return tuple(host(self.indices).tolist())

    def mask(self) -> Array:
        """(n,) booleans beside `indices`: True for what was picked."""
        return like(self.trace.kept, self.indices)

    def __len__(self) -> int:
        return int(self.indices.shape[0])

    def __repr__(self) -> str:
        shown = ", ".join(map(str, self.picked[:10])) + (", ..." if len(self) > 10 else "")
        return f"Selection(picked=({shown}), n_picked={len(self)}, {self.spent!r})"
