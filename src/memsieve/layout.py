"""What a context will cost, worked out before it is written."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import numpy as np

from memsieve.recollection import day_line, reference, voice
from memsieve.search import Block
from memsieve.search.windows import DAY
from memsieve.select import Candidates

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MIXER = np.int64(-7046029254386353131)  # 2^64 over the golden ratio: products wrap around


class Layout:
    """What a context costs before it is written: its lines, and a heading for each place.

    A place is a session and a day. `count` is the token counter; what it says of speakers,
    headings and numbers is remembered.
    """

    def __init__(self, count: Callable[[str], int]) -> None:
        self._short = lru_cache(maxsize=10_000)(count)
        self._headings: dict[int, int] = {}

    def candidates(
        self,
        block: Block,
        docs: np.ndarray,
        relevance: np.ndarray,
        *,
        cite: bool = False,
        dates: bool = False,
        lines: np.ndarray | None = None,
        days: np.ndarray | None = None,
    ) -> Candidates:
        """Documents with their relevance and costs, ready for a selector.

        `lines` (n,) replaces the tokens of the lines, which otherwise are the stored length of
        the text and that of the voice before it: the shipped counter adds up over words. With
        `dates` those of the dates beside relative words come on top. `days` (n,), numbered from
        1970, are the days under which the lines stand, whatever their session; otherwise they stand
        under session and day.
        """
        said = block.local(docs) // DAY
        place = (block.session[docs].astype(np.int64) << 32) + said if days is None else days
        places, group = np.unique(place, return_inverse=True)
        of_place = (said if days is None else days)[_first(group, places.size)]
        headings = [self._heading(day) for day in of_place.tolist()]
        number = max(self._short(reference(n)) for n in (9, 99, 999)) if cite else 0
        if lines is None:
            lines = self._lines(block, docs) + (block.dated_tokens[docs] if dates else 0)
        return Candidates(
            relevance=relevance,
            tokens=lines + number,
            same=alike(block, docs),
            # Turns of several sessions may tell of one day: slots tell them apart, see `Lanes`.
            position=block.ordinal[docs] if days is None else block.lanes.slot[docs],
            group=group,
            group_tokens=np.array(headings, dtype=np.int64),
        )

    def _lines(self, block: Block, docs: np.ndarray) -> np.ndarray:
        speaker, role = block.speaker[docs].astype(np.int64), block.role[docs]
        voices, which = np.unique((speaker << 32) + role, return_inverse=True)
        first = _first(which, voices.size)
        costs = [
            self._short(voice(block.speakers.name(s), block.roles.name(r)))
            for s, r in zip(speaker[first].tolist(), role[first].tolist(), strict=True)
        ]
        return block.tokens[docs] + np.array(costs, dtype=np.int64)[which]

    def _heading(self, day: int) -> int:
        cost = self._headings.get(day)
        if cost is None:
            cost = self._headings[day] = self._short(day_line(_EPOCH + timedelta(days=day)))
        return cost


def alike(block: Block, docs: np.ndarray) -> np.ndarray:
    """Labels of documents, one for all that say the same: (n,).

    The same text by the same speaker on the same day: stored twice, not said again.
    """
    place = (block.local(docs) // DAY << 32) + block.speaker[docs]
    # Mixed into the 64 bits of the hash, which are as good as random: one sort instead of three.
    return np.unique(block.text_hash[docs] ^ place * _MIXER, return_inverse=True)[1]


def _first(labels: np.ndarray, n_labels: int) -> np.ndarray:
    """The index of one element of each label 0 .. n_labels - 1."""
    first = np.empty(n_labels, np.int64)
    first[labels] = np.arange(labels.size)
    return first
