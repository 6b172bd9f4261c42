"""Documents against stretches of time: when they were said, and when what they tell happened."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from memsieve.search.block import Block
from memsieve.store.base import UNKNOWN
from memsieve.types import Interval

DAY = 86_400_000_000  # microseconds
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LOW, _HIGH = UNKNOWN


@dataclass(frozen=True, slots=True)
class Window:
    """Stretches of time that a question is about.

    begins, ends: (w,) int64 microseconds since 1970 UTC, the extremes where unknown; weights:
    (w,) float in (0, 1], how likely each stretch is meant.
    """

    begins: np.ndarray
    ends: np.ndarray
    weights: np.ndarray

    @classmethod
    def of(cls, times: Sequence[tuple[Interval, float]]) -> "Window":
        """The window of intervals with weights."""
        bounds = [interval_micros(interval) for interval, _ in times]
        begins, ends = np.array(bounds, dtype=np.int64).reshape(-1, 2).T
        return cls(begins, ends, np.array([weight for _, weight in times], dtype=float))

    def inside(self, begins: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """The largest weight among the stretches that [begins, ends) meets, 0 for none: (n,)."""
        meets = (begins[:, None] < self.ends) & (ends[:, None] > self.begins)
        return (meets * self.weights).max(axis=1, initial=0.0)

    def overlap(self, begins: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """The largest share of [begins, ends) inside a stretch, times its weight: (n,) in [0, 1].

        A day of May lies in May whole, a year by a twelfth, and what has an unknown bound not at
        all.
        """
        first, last = begins[:, None].astype(float), ends[:, None].astype(float)
        both = np.minimum(last, self.ends) - np.maximum(first, self.begins)
        known = (begins != _LOW) & (ends != _HIGH)
        share = np.clip(both / np.maximum(last - first, 1.0), 0.0, 1.0) * known[:, None]
        return (share * self.weights).max(axis=1, initial=0.0)

    def gap_days(self, begins: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """Days to the nearest stretch, 0 where one is met: shape (n,)."""
        # Floats: differences from the extremes would not fit into 64 bits.
        before = self.begins.astype(float) - ends[:, None]
        after = begins[:, None].astype(float) - self.ends
        return np.maximum(np.maximum(before, after), 0.0).min(axis=1) / DAY


def interval_micros(interval: Interval) -> tuple[int, int]:
    """The bounds of an interval in microseconds, the extremes of int64 where unknown."""
    start, end = interval.start, interval.end
    return (
        _LOW if start is None else (start - _EPOCH) // timedelta(microseconds=1),
        _HIGH if end is None else (end - _EPOCH) // timedelta(microseconds=1),
    )


def said_days(block: Block, docs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The day on which each document was said, on the speaker's clock: begins and ends, (n,)."""
    begins = block.said_at[docs] - block.local(docs) % DAY
    return begins, begins + DAY


def begins_known(block: Block, docs: np.ndarray) -> np.ndarray:
    """Which documents mention a time that has a beginning: (n,) bool; "by Friday" has none."""
    owner, at = _mentions(block, docs)
    known = np.zeros(docs.size, bool)
    known[owner[block.event_from[at] != _LOW]] = True
    return known


def events(block: Block, docs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every time that the documents mention, else the day they were said.

    Gives owner (m,), the index into `docs`, and begins and ends (m,); m >= n.
    """
    owner, at = _mentions(block, docs)
    silent = np.flatnonzero(np.bincount(owner, minlength=docs.size) == 0)
    begins, ends = said_days(block, docs[silent])
    return (
        np.append(owner, silent),
        np.append(block.event_from[at], begins),
        np.append(block.event_to[at], ends),
    )


def _mentions(block: Block, docs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of every time that the documents mention the index into `docs`, and that of the time."""
    wanted = docs.astype(block.event_doc.dtype)  # of another type, all times would be copied
    first = np.searchsorted(block.event_doc, wanted)
    count = np.searchsorted(block.event_doc, wanted, side="right") - first
    owner = np.repeat(np.arange(docs.size), count)
    at = np.repeat(first - np.cumsum(count) + count, count) + np.arange(owner.size)
    return owner, at


def inside(block: Block, window: Window, docs: np.ndarray) -> np.ndarray:
    """Which of `docs` were said, or tell of something, inside the window: (n,) bool."""
    found = window.inside(*said_days(block, docs)) > 0
    owner, begins, ends = events(block, docs)
    found[owner[window.inside(begins, ends) > 0]] = True
    return found


def meeting(block: Block, window: Window) -> np.ndarray:
    """`inside` for every document of the block: (n_documents,) bool."""
    found = np.zeros(len(block), bool)
    begins = block.said_at - block.said_local % DAY
    for begin, end in zip(window.begins, window.ends, strict=True):
        found |= (begins < end) & (begins + DAY > begin)
        meets = (block.event_from < end) & (block.event_to > begin)
        found[block.event_doc[meets]] = True
    return found
