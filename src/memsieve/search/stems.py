"""The vectors of single words: those of the shipped static model, found by index term."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from memsieve.embed.static import STEM, Static
from memsieve.search.words import terms, words

ROW = np.uint16
"""What a row is kept as: there are no more stems than tokens, which have two bytes."""

_BUCKET_BITS = 16
_LAST = np.uint32(0xFFFFFFFF)
_ONE_THREAD = 1 << 18
_CACHED_ROWS = 192


@dataclass(frozen=True, slots=True)
class Stems:
    """Vectors of index terms, as the int8 codes of the model.

    hashes: (m + 1,) uint32 ascending; codes: (m + 1, d) int8; scales: (m + 1,) float32, so that
    scale * code has length 1. The last row is that of every term without a vector: zero, behind all
    other hashes. first: (2^16,), the row of the first hash that begins with these 16 bits or comes
    behind them; most: how many begin with the same ones.
    """

    hashes: np.ndarray
    codes: np.ndarray
    scales: np.ndarray
    first: np.ndarray
    most: int

    @classmethod
    def of(cls, hashes: np.ndarray, codes: np.ndarray) -> "Stems":
        """The table of `hashes` with a row of codes each, the row of nothing not among them."""
        begins = hashes >> _BUCKET_BITS
        first = np.searchsorted(begins, np.arange(1 << _BUCKET_BITS, dtype=begins.dtype))
        codes = np.concatenate([codes, np.zeros_like(codes[:1])])
        lengths = np.sqrt(np.einsum("ij,ij->i", codes, codes, dtype=np.float32))
        scales = np.divide(1, lengths, out=np.zeros_like(lengths), where=lengths > 0)
        most = int(np.bincount(begins).max(initial=0))
        return cls(np.append(hashes, _LAST), codes, scales, first.astype(ROW), most)

    @property
    def none(self) -> int:
        """The row of every term without a vector."""
        return self.hashes.size - 1

    def rows(self, wanted: np.ndarray) -> np.ndarray:
        """The row of each hash: shape (len(wanted),), of `ROW`.

        Hashes are spread evenly, so the first bits lead to within a few rows: a fourth of the time
        of a binary search, which counts when 10^7 words are loaded.
        """
        at = self.first[wanted >> _BUCKET_BITS]
        for _ in range(self.most):
            at += self.hashes[at] < wanted
        at[self.hashes[at] != wanted] = self.none
        return at

    def vectors(self, rows: np.ndarray) -> np.ndarray:
        """The vectors of some rows: (len(rows), d) float32 of length 1, or zero."""
        return self.codes[rows] * self.scales[rows, None]

    def cosines(self, asked: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """The cosine of each of the rows `asked` to each of `rows`: (len(asked), len(rows)).

        Products of few rows at a time: they stay in the processor's cache, where NumPy's BLAS has
        its fastest way, and up to 2^18 multiplications it starts no threads, see `Vectors`.
        """
        given, found = self.vectors(asked), np.empty((asked.size, rows.size), np.float32)
        step = max(1, min(_CACHED_ROWS, _ONE_THREAD // max(given.size, 1)))
        for begin in range(0, rows.size, step):
            part = slice(begin, begin + step)
            # Clipping never happens, yet spares the check that all rows are inside.
            codes = self.codes.take(rows[part], axis=0, mode="clip")
            np.matmul(given, codes.astype(np.float32).T, out=found[:, part])
        found *= self.scales[rows]
        return found


def stem_table(model: Static) -> np.ndarray:
    """Which token stands for each index term: (m,) of hash and token, ascending by hash.

    Of several words with one stem the most frequent, which has the lowest id, stands for all.
    """
    found: dict[int, int] = {}
    for number, token in enumerate(model.pieces.vocabulary):
        if token.isalpha() and len(token) > 1 and len(words(token)) == 1:
            found.setdefault(int(terms(token)[0]), number)
    return np.array(sorted(found.items()), dtype=STEM)


@lru_cache(maxsize=1)
def stems() -> Stems:
    """The vectors of the words that the shipped model knows."""
    model = Static()
    table = model.stems
    return Stems.of(table["hash"], model.codes(table["token"]))
