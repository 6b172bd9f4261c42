"""Words that were written about documents, searched as one text with the words they have."""

from collections.abc import Mapping

import numpy as np

from memsieve.search.block import Block
from memsieve.search.columns import Column
from memsieve.search.lexical import K1, B
from memsieve.search.postings import Postings

_NONE = -1


class Annotations:
    """Further words of the documents of one block, such as the tags that a model gave them.

    A word that a document has itself is left out of what is written about it: a note repeats what
    it describes, and to count that twice finds less (of the evidence in ten turns of LoCoMo .713
    with the speakers' names, .707 with keywords and a sentence of the turn repeated). Words are
    written anew in O(words log n); what they replace stays until the object is let go.
    """

    def __init__(self) -> None:
        self._postings = Postings()
        self._doc, self._holds = Column(np.int32), Column(np.bool_)  # one entry per version
        self._version, self._length = Column(np.int64), Column(np.float32)  # one per document

    @property
    def n_versions(self) -> int:
        """How often anything was written: changes whenever the words do."""
        return self._doc.size

    def put(self, block: Block, written: Mapping[int, np.ndarray]) -> None:
        """Put words (uint32 terms, repeats count) in the place of those of some documents."""
        docs = np.fromiter(written, dtype=np.int64, count=len(written))
        flat = np.concatenate([np.zeros(0, np.uint32), *written.values()]).astype(np.uint32)
        which = np.repeat(np.arange(docs.size), [len(terms) for terms in written.values()])
        own, starts = block.terms(docs)
        whose = np.repeat(np.arange(docs.size), np.diff(starts))
        fresh = ~np.isin(_pairs(which, flat), _pairs(whose, own))
        flat, lengths = flat[fresh], np.bincount(which[fresh], minlength=docs.size)
        self._room_for(len(block))
        old = self._version.values[docs]
        self._holds.values[old[old != _NONE]] = False
        first = self.n_versions
        self._doc.extend(docs)
        self._holds.extend(np.ones(docs.size, bool))
        self._version.values[docs] = first + np.arange(docs.size)
        self._length.values[docs] = lengths
        if flat.size:
            self._postings.append(flat, lengths, first)

    def find(self, term: int) -> tuple[np.ndarray, np.ndarray]:
        """The documents about which a word was written, and how often: as `Postings.find`."""
        versions, counts = self._postings.find(term)
        if not versions.size:
            return versions, counts
        holds = self._holds.values[versions]
        return self._doc.values[versions[holds]], counts[holds]

    def lengths(self, n: int) -> np.ndarray:
        """How many words were written about each of the first `n` documents: (n,) float32."""
        self._room_for(n)
        return self._length.values[:n]

    def occurrences(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Every word about every document: terms (m,) uint32, docs (m,), counts (m,)."""
        terms, versions, counts = occurrences(self._postings)
        holds = self._holds.values[versions]
        return terms[holds], self._doc.values[versions[holds]], counts[holds]

    def _room_for(self, n: int) -> None:
        more = max(n - self._version.size, 0)
        self._version.extend(np.full(more, _NONE, np.int64))
        self._length.extend(np.zeros(more, np.float32))


def _pairs(which: np.ndarray, terms: np.ndarray) -> np.ndarray:
    """One number for each term of each document."""
    return (which.astype(np.uint64) << np.uint64(32)) | terms.astype(np.uint64)


def occurrences(postings: Postings) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every entry of an index: terms (m,) uint32, documents (m,) int32, counts (m,) float32."""
    nothing = np.zeros(0, np.uint32), np.zeros(0, np.int32), np.zeros(0, np.float32)
    parts = [(np.repeat(s.terms, np.diff(s.starts)), s.docs, s.tf) for s in postings.segments]
    terms, docs, counts = (np.concatenate(column) for column in zip(nothing, *parts, strict=True))
    return terms, docs, counts


def found_in(block: Block, notes: Annotations, term: int) -> tuple[np.ndarray, np.ndarray]:
    """The living documents that a word is in or was written about, and how often it is there."""
    docs, counts = block.postings.find(term)
    about, times = notes.find(term)
    if about.size:
        docs, counts = np.append(docs, about), np.append(counts, times)
    if block.all_alive:
        return docs, counts
    alive = block.alive[docs]
    return docs[alive], counts[alive]


def bm25_of_all(block: Block, notes: Annotations, terms: np.ndarray) -> np.ndarray:
    """BM25 of every document with the words about it: (n,) float64, 0 for those that are dead.

    `terms` are those of the query (uint32, repeats count); the formula is that of
    `memsieve.search.lexical.bm25`, on turns: without annotations both give the same scores.
    """
    scores = np.zeros(len(block))
    if not block.n_alive:
        return scores
    lengths = block.lengths(0)[block.lanes.slot] + notes.lengths(len(block))
    mean = max(float(lengths[block.alive].mean(dtype=np.float64)), 1.0)
    for term, count in zip(*np.unique(terms, return_counts=True), strict=True):
        docs, tf = found_in(block, notes, int(term))
        idf = np.log(1 + (block.n_alive - docs.size + 0.5) / (docs.size + 0.5))
        norm = tf + K1 * (1 - B + B * lengths[docs] / mean)
        scores[docs] += count * idf * tf * (K1 + 1) / norm
    return scores
