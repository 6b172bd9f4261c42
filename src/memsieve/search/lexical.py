"""BM25 at every granularity from one inverted index.

A query term's frequencies per turn are added up over neighbours for the +-1 and +-3 windows and
over whole sessions, so that one set of postings serves four views of the same text.
"""

from dataclasses import dataclass

import numpy as np

from memsieve.search.block import REACHES, Block

K1 = 1.2
B = 0.75
"""Saturation and length normalisation: the values Robertson and Zaragoza (2009) recommend
starting from, left as they are."""


@dataclass(frozen=True, slots=True)
class LexicalScores:
    """BM25 scores of one question; higher is better, 0 where no word matches.

    windows: reach -> (n,) float32, reach 0 being the turn itself; session: (n_sessions,);
    nameless: (n,), the turn view of the question without the speakers' names.
    """

    windows: dict[int, np.ndarray]
    session: np.ndarray
    nameless: np.ndarray


def bm25(block: Block, terms: np.ndarray, names: frozenset[int] = frozenset()) -> LexicalScores:
    """Score every document of `block` against the query `terms` (uint32, repeats count).

    score = sum over terms of idf * tf (K1 + 1) / (tf + K1 (1 - B + B length / mean length)),
    idf = ln(1 + (n - df + 0.5) / (df + 0.5)) with n and df counted over turns in every view.
    Cost: proportional to the postings of the terms, times 7 for the widest view.

    References
    ----------
    Robertson and Zaragoza, The Probabilistic Relevance Framework, 2009. Differs: the idf is
    the non-negative form; the wider views use the idf of turns.
    """
    scorer = _Scorer(block, names)
    values, counts = np.unique(terms, return_counts=True)
    for term, count in zip(values.tolist(), counts.tolist(), strict=True):
        scorer.add(term, float(count))
    return LexicalScores(scorer.windows, scorer.session, scorer.nameless)


class _Scorer:
    def __init__(self, block: Block, names: frozenset[int]) -> None:
        n = len(block)
        self.block, self.names = block, names
        self.windows = {reach: np.zeros(n, np.float32) for reach in REACHES}
        self.session = np.zeros(len(block.sessions.names), np.float32)
        self.nameless = np.zeros(n, np.float32) if names else self.windows[0]
        self.counts = np.zeros(n, np.float32)
        self.mean_length = {reach: _mean(block.lengths(reach)) for reach in REACHES}
        self.mean_session = _mean(block.session_lengths)

    def add(self, term: int, weight: float) -> None:
        docs, tf = self.block.postings.find(term)
        if not self.block.all_alive:
            living = self.block.alive[docs]
            docs, tf = docs[living], tf[living]
        if not docs.size:
            return
        n, df = self.block.n_alive, docs.size
        idf = weight * float(np.log(1 + (n - df + 0.5) / (df + 0.5)))
        own = idf * self._saturated(tf, self.block.lengths(0)[docs], self.mean_length[0])
        self.windows[0][docs] += own
        if self.names and term not in self.names:
            self.nameless[docs] += own
        self._add_to_windows(docs, tf, idf)
        self._add_to_sessions(docs, tf, idf)

    def _add_to_windows(self, docs: np.ndarray, tf: np.ndarray, idf: float) -> None:
        """Let each occurrence count for the neighbours that see it, nearest first."""
        counts, touched = self.counts, [docs]
        counts[docs] = tf
        ends = [(docs, tf, self.block.previous), (docs, tf, self.block.next)]
        for step in range(1, max(REACHES) + 1):
            ends = [_stepped(end) for end in ends]
            for at, found, _ in ends:
                counts[at] += found
                touched.append(at)
            if step in self.windows:
                # A document reached twice stands twice in `seen` with one and the same gain, and
                # a fancy-index addition applies the last of equal values once: no sort needed.
                seen = np.concatenate(touched)
                length = self.block.lengths(step)[seen]
                gain = idf * self._saturated(counts[seen], length, self.mean_length[step])
                self.windows[step][seen] += gain
        counts[np.concatenate(touched)] = 0

    def _add_to_sessions(self, docs: np.ndarray, tf: np.ndarray, idf: float) -> None:
        session = self.block.session[docs]
        inside = session >= 0
        counts = np.bincount(session[inside], tf[inside], self.session.size)
        seen = np.flatnonzero(counts)
        length = self.block.session_lengths[seen]
        self.session[seen] += idf * self._saturated(counts[seen], length, self.mean_session)

    @staticmethod
    def _saturated(tf: np.ndarray, length: np.ndarray, mean: float) -> np.ndarray:
        return tf * (K1 + 1) / (tf + K1 * (1 - B + B * length / mean))


_End = tuple[np.ndarray, np.ndarray, np.ndarray]


def _stepped(end: _End) -> _End:
    """One step along the links; an occurrence at the end of its session goes no further."""
    docs, tf, link = end
    docs = link[docs]
    inside = docs >= 0
    return docs[inside], tf[inside], link


def _mean(lengths: np.ndarray) -> float:
    return max(float(lengths.mean()), 1.0) if lengths.size else 1.0
