"""The shipped embedder: a table of token vectors and a mean, nothing but NumPy."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from memsieve.embed.wordpiece import WordPiece
from memsieve.errors import FormatError, NotFoundError

SHIPPED = Path(__file__).parent / "static_minilm_256"
STEM = np.dtype([("hash", "<u4"), ("token", "<u2")])
"""One row of the table of stems: the hash of an index term, and the token that stands for it."""


@dataclass(frozen=True, slots=True)
class Static:
    """Sentence vectors as a mean of fixed token vectors, distilled from MiniLM.

    v = sum over the known tokens t of scale[t] * code[t], then divided by |v|; the mean's
    divisor falls away with the length. How much a token counts is the length of its vector:
    frequent tokens are short. O(tokens * dimensions), about 20 microseconds for a sentence.
    The first dimensions carry the most variance, so the leading part of a vector is a
    coarser vector (normalise it again).

    The weights are memory-mapped on first use and shared by all instances of a process.

    Parameters
    ----------
    folder
        A folder that `tools/distill_static.py` wrote; the default ships with the package.

    Raises
    ------
    NotFoundError
        On first use, if a file of the model is missing.
    FormatError
        On first use, if the files do not fit together.

    Examples
    --------
    >>> cat, kitten, invoice = Static().embed(["a cat", "the kitten", "unpaid invoice"])
    >>> bool(cat @ kitten > cat @ invoice)
    True
    >>> bool(Static().embed([""]).any())
    False

    References
    ----------
    Tulkens and van Dongen, model2vec (2024), whose runtime gives the same vectors from the
    same weights to 1e-6. Differs: texts are never cut off after some number of tokens.
    """

    folder: Path = SHIPPED

    @property
    def identity(self) -> str:
        """The model's name, "@", and the first 12 hexadecimal digits of its fingerprint."""
        return _weights(self.folder).identity

    @property
    def dimensions(self) -> int:
        """The length of a vector."""
        return int(_weights(self.folder).codes.shape[1])

    @property
    def pieces(self) -> WordPiece:
        """The tokeniser of this model."""
        return _weights(self.folder).pieces

    @property
    def stems(self) -> np.ndarray:
        """Which token stands for each index term: (m,) of `STEM`, see `memsieve.search.stems`.

        Raises
        ------
        NotFoundError
            If the model was written without it.
        """
        try:
            return np.load(self.folder / "stems.npy")
        except OSError as error:
            raise NotFoundError(f"Static found no table of stems: {error}") from error

    def codes(self, ids: np.ndarray) -> np.ndarray:
        """The vectors of single tokens as they are kept: (n, d) int8, of any length."""
        return _weights(self.folder).codes[ids]

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """One float32 row of length 1 per text; zeros where no token is known."""
        weights = _weights(self.folder)
        sums = np.zeros((len(texts), weights.codes.shape[1]), dtype=np.float32)
        for row, text in zip(sums, texts, strict=True):
            ids = weights.pieces.encode(text)
            # One small product per text beats gathering all rows: they stay in the cache.
            np.matmul(weights.scales[ids], weights.codes[ids].astype(np.float32), out=row)
        lengths = np.sqrt(np.einsum("ij,ij->i", sums, sums))
        sums /= np.where(lengths > 0, lengths, 1)[:, None]
        return sums


def fingerprint(codes: np.ndarray, scales: np.ndarray, vocabulary: Sequence[str]) -> str:
    """The SHA-256 of a model: its codes, its scales, its tokens, in this order."""
    digest = hashlib.sha256(np.ascontiguousarray(codes).tobytes())
    digest.update(np.ascontiguousarray(scales).tobytes())
    digest.update("\n".join(vocabulary).encode())
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class _Weights:
    """Codes (n, d), scales (n,) with 0 for the unknown token, the tokeniser, the identity."""

    codes: np.ndarray
    scales: np.ndarray
    pieces: WordPiece
    identity: str


@lru_cache(maxsize=4)
def _weights(folder: Path) -> _Weights:
    try:
        card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
        codes = np.asarray(np.load(folder / "codes.npy", mmap_mode="r"))
        scales = np.load(folder / "scales.npy")
        pieces = WordPiece.load(folder / "vocabulary.txt")
        identity = f"{card['name']}@{card['sha256'][:12]}"
    except OSError as error:
        raise NotFoundError(f"Static found no whole model in {folder}: {error}") from error
    except (KeyError, ValueError) as error:
        raise FormatError(f"Static cannot read the model in {folder}: {error}") from error
    if codes.ndim != 2 or not len(codes) == len(scales) == len(pieces.vocabulary):
        raise FormatError(
            f"Static needs a row of codes, a scale and a token each, got {codes.shape}, "
            f"{scales.shape} and {len(pieces.vocabulary)} in {folder}: distil the model again"
        )
    scales[pieces.unknown_id] = 0
    return _Weights(codes, scales, pieces, identity)
