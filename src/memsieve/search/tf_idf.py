"""Cosines of weighted word counts: how alike two texts are, where BM25 says what is looked for."""

import numpy as np

from memsieve.search.annotations import Annotations, found_in, occurrences
from memsieve.search.block import Block


class TfIdf:
    """Cosines between the documents of one block and any text, words about documents included.

    A word weighs count * (ln((1 + n) / (1 + df)) + 1), n and df counted over living documents; the
    weights of a document form its vector. The lengths of all vectors are worked out once for each
    state of the block: O(m log m) for m different words in documents.
    """

    def __init__(self) -> None:
        self._state: tuple[int, int, int] | None = None
        self._lengths = np.zeros(0)

    def cosines(self, block: Block, notes: Annotations, terms: np.ndarray) -> np.ndarray:
        """The cosine of each document with the words `terms`: (n,), 0 for those that are dead."""
        products, length = np.zeros(len(block)), 0.0
        for term, count in zip(*np.unique(terms, return_counts=True), strict=True):
            docs, tf = found_in(block, notes, int(term))
            idf = float(_idf(block.n_alive, np.float64(docs.size)))
            products[docs] += tf * count * idf**2
            length += (count * idf) ** 2
        lengths = self._of_documents(block, notes) * np.sqrt(length)
        cosines: np.ndarray = np.divide(
            products, lengths, out=np.zeros(len(block)), where=lengths > 0
        )
        return cosines

    def _of_documents(self, block: Block, notes: Annotations) -> np.ndarray:
        state = len(block), block.n_alive, notes.n_versions
        if state != self._state:
            self._lengths = _lengths(block, notes)
            self._state = state
        return self._lengths


def _idf(n: int, df: np.ndarray | np.float64) -> np.ndarray:
    return np.log((1 + n) / (1 + df)) + 1


def _lengths(block: Block, notes: Annotations) -> np.ndarray:
    """The lengths of the vectors of documents: (n,) float64."""
    own, about = occurrences(block.postings), notes.occurrences()
    terms, docs, counts = (np.concatenate(column) for column in zip(own, about, strict=True))
    alive = block.alive[docs]
    terms, docs, counts = terms[alive], docs[alive], counts[alive]
    _, which, df = np.unique(terms, return_inverse=True, return_counts=True)
    weights = counts * _idf(block.n_alive, df)[which]
    return np.sqrt(np.bincount(docs, weights**2, len(block)))
