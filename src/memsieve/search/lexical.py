"""BM25 at every granularity from one inverted index.

A query term's frequencies per turn are added up over neighbours for the +-1 and +-3 windows and
over whole sessions, so that one set of postings serves four views of the same text.
"""

from collections import Counter
from dataclasses import dataclass
from math import log

import numpy as np

from memsieve.search.block import REACHES, Block
from memsieve.search.lanes import GAP

K1 = 1.2
B = 0.75
"""Saturation and length normalisation: the values Robertson and Zaragoza (2009) recommend
starting from, left as they are."""

_DENSE_SHARE = 1 / 100
"""A term in more than this share of the slots is added up over whole arrays, a rarer one slot by
slot: the two cost the same about here."""
_STRETCH = 65_536
"""Slots handled at a time by the dense way, so that its arrays stay in the processor's cache."""


@dataclass(frozen=True, slots=True)
class LexicalScores:
    """BM25 scores of one question; higher is better, 0 where no word matches.

    windows: reach -> (n_slots,) float32, reach 0 being the turn itself; nameless: (n_slots,), the
    turn view of the question without the speakers' names; session: (n_sessions,);
    session_nameless: the same without these names and by the idf of sessions; covered:
    (n_slots,), the share of the question's words, without those names, that the turn holds, each
    by its idf. Slots are those of `Block.lanes`.
    """

    windows: dict[int, np.ndarray]
    session: np.ndarray
    session_nameless: np.ndarray
    nameless: np.ndarray
    covered: np.ndarray


def bm25(block: Block, terms: np.ndarray, names: frozenset[int] = frozenset()) -> LexicalScores:
    """Score every turn of `block` against the query `terms` (uint32, repeats count).

    score = sum over terms of idf * tf (K1 + 1) / (tf + K1 (1 - B + B length / mean length)),
    idf = ln(1 + (n - df + 0.5) / (df + 0.5)) with n and df counted over turns in every view.
    Cost: a term of df turns takes O(df), or O(n_slots) at some 4 ns per slot if it is frequent.

    References
    ----------
    Robertson and Zaragoza, The Probabilistic Relevance Framework, 2009. Differs: the idf is
    the non-negative form; the wider views use the idf of turns.
    """
    scorer = _Scorer(block, names)
    for term, count in sorted(Counter(terms.tolist()).items()):
        scorer.add(term, float(count))
    covered = scorer.covered / np.float32(max(scorer.idf_asked, 1e-9))
    return LexicalScores(
        scorer.windows, scorer.session, scorer.session_nameless, scorer.nameless, covered
    )


class _Scorer:
    def __init__(self, block: Block, names: frozenset[int]) -> None:
        n_slots = len(block.lanes)
        self.block, self.names = block, names
        self.windows = {reach: np.zeros(n_slots, np.float32) for reach in REACHES}
        self.session = np.zeros(len(block.sessions.names), np.float32)
        self.session_nameless = np.zeros_like(self.session)
        self.n_sessions = int(np.count_nonzero(block.session_lengths))
        lengths = block.session_lengths
        mean = max(float(lengths.mean()), 1.0) if lengths.size else 1.0
        self.session_norm = K1 * (1 - B) + lengths * (K1 * B / mean)
        self.nameless = np.zeros(n_slots, np.float32) if names else self.windows[0]
        self.counts = np.zeros(n_slots, np.float32)
        self.covered = np.zeros(n_slots, np.float32)
        self.idf_asked = 0.0

    def add(self, term: int, weight: float) -> None:
        docs, tf = self.block.postings.find(term)
        slots = self.block.lanes.slot[docs]
        if not self.block.all_alive:
            living = slots >= 0
            docs, slots, tf = docs[living], slots[living], tf[living]
        n, df = self.block.n_alive, docs.size
        idf = weight * log(1 + (n - df + 0.5) / (df + 0.5))
        if term not in self.names:
            self.idf_asked += idf / weight
            self.covered[slots] += np.float32(idf / weight)
        if not docs.size:
            return
        own = self._gain(tf, self.block.lengths(0)[slots], 0, idf)
        self.windows[0][slots] += own
        if self.names and term not in self.names:
            self.nameless[slots] += own
        self.counts[slots] = tf
        if df > _DENSE_SHARE * self.counts.size:
            self._add_windows_everywhere(idf)
        else:
            self._add_windows_around(slots, tf, idf)
        self.counts[slots] = 0
        self._add_to_sessions(docs, tf, idf, 0.0 if term in self.names else weight)

    def _gain(self, tf: np.ndarray, lengths: np.ndarray, reach: int, idf: float) -> np.ndarray:
        """idf times the saturated frequency, for windows of `lengths` words."""
        norm = lengths * np.float32(K1 * B / self.block.mean_length(reach))
        norm += np.float32(K1 * (1 - B))
        norm += tf
        return np.divide(tf * np.float32(idf * (K1 + 1)), norm, out=norm)

    def _add_windows_everywhere(self, idf: float) -> None:
        """Neighbours' counts by adding shifted arrays, a stretch of slots at a time."""
        counts, n_slots = self.counts, self.counts.size
        for begin in range(GAP, n_slots - GAP, _STRETCH):
            end = min(begin + _STRETCH, n_slots - GAP)
            near = counts[begin - GAP : end + GAP - 2] + counts[begin - GAP + 1 : end + GAP - 1]
            near += counts[begin - GAP + 2 : end + GAP]
            # near[i] is centred on slot begin - 2 + i.
            wide = near[: end - begin] + counts[begin:end]
            wide += near[4:]
            for reach, total in ((1, near[2:-2]), (GAP, wide)):
                lengths = self.block.lengths(reach)[begin:end]
                self.windows[reach][begin:end] += self._gain(total, lengths, reach, idf)

    def _add_windows_around(self, slots: np.ndarray, tf: np.ndarray, idf: float) -> None:
        """The same for the slots that see an occurrence only."""
        counts, done = self.counts, 0
        for reach in REACHES[1:]:
            for step in range(done + 1, reach + 1):
                counts[slots - step] += tf
                counts[slots + step] += tf
            done = reach
            # A slot that sees two occurrences stands twice in `seen` with one and the same value,
            # and an assignment keeps the last of equal values: no sort needed.
            # Clipping never happens, yet spares the check that all indices are inside.
            seen = (slots[:, None] + np.arange(-reach, reach + 1, dtype=np.int64)).ravel()
            lengths = self.block.lengths(reach).take(seen, mode="clip")
            gain = self._gain(counts.take(seen, mode="clip"), lengths, reach, idf)
            gain += self.windows[reach].take(seen, mode="clip")
            self.windows[reach][seen] = gain
        counts[seen] = 0

    def _add_to_sessions(
        self, docs: np.ndarray, tf: np.ndarray, idf: float, nameless: float
    ) -> None:
        session = self.block.session[docs]
        if session.min() < 0:
            inside = session >= 0
            session, tf = session[inside], tf[inside]
        counts = np.bincount(session, tf, self.session.size)
        gain = (K1 + 1) * counts / (counts + self.session_norm)
        self.session += idf * gain
        if nameless:
            n, df = self.n_sessions, int(np.count_nonzero(counts))
            self.session_nameless += nameless * log(1 + (n - df + 0.5) / (df + 0.5)) * gain
