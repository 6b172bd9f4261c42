"""Looking for forgotten text in bytes, as `grep` would."""

from collections import defaultdict
from collections.abc import Iterable

import numpy as np

PROBE_BYTES = 32
_LEAST_BYTES = 8
_FEW = 32
"""Up to so many probes are looked for one after the other, which is faster then."""
_SLOT_BITS = 20
_SPREAD = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio: Knuth's multiplicative hash


def probes(texts: Iterable[str]) -> list[bytes]:
    """Byte strings that betray a text: its beginning, middle and end.

    Pieces, because a long text is stored over several pages; a text of fewer than
    `_LEAST_BYTES` bytes gives none, for such bytes occur anywhere by chance.
    """
    found: dict[bytes, None] = {}
    for text in texts:
        data = text.encode()
        last = max(0, len(data) - PROBE_BYTES)
        for at in (0, last // 2, last):
            piece = data[at : at + PROBE_BYTES]
            if len(piece) >= _LEAST_BYTES:
                found[piece] = None
    return list(found)


class Search:
    """Which of many byte strings occur in chunks of data, in one pass over the data.

    Few strings are found one by one at the speed of memory. For many, a table of hashed 8-byte
    beginnings says which places are worth a look: 6 seconds for a gigabyte, however many.
    """

    def __init__(self, wanted: Iterable[bytes]) -> None:
        self.wanted = list(wanted)
        self.found: set[bytes] = set()
        self._by_start: dict[bytes, list[bytes]] = defaultdict(list)
        for piece in self.wanted:
            self._by_start[piece[:_LEAST_BYTES]].append(piece)
        self._starts = np.unique(np.frombuffer(b"".join(self._by_start), "<u8"))
        self._table = np.zeros(1 << _SLOT_BITS, bool)
        self._table[_slots(self._starts)] = True

    def feed(self, data: bytes) -> None:
        """Look through `data`; occurrences that only begin here are not seen."""
        if len(self.wanted) <= _FEW:
            self.found.update(piece for piece in self.wanted if piece in data)
            return
        for shift in range(_LEAST_BYTES):
            count = (len(data) - shift) // _LEAST_BYTES
            windows = np.frombuffer(data, "<u8", max(count, 0), shift if count > 0 else 0)
            likely = np.flatnonzero(self._table[_slots(windows)])
            for at in likely[np.isin(windows[likely], self._starts)].tolist():
                begin = shift + _LEAST_BYTES * at
                pieces = self._by_start[data[begin : begin + _LEAST_BYTES]]
                self.found.update(p for p in pieces if data.startswith(p, begin))


def _slots(windows: np.ndarray) -> np.ndarray:
    return (windows * _SPREAD) >> np.uint64(64 - _SLOT_BITS)
