"""The baselines of every run: random, recency, BM25 on turns, BM25 and dense by rank fusion.

They rank all turns of a scope and pack them in rank order, paying for lines and headings as
memsieve's own context does, so that a budget means the same to every system.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np

from memsieve.embed import Embedder, Static
from memsieve.evaluate.report import Packed, Ranking
from memsieve.evaluate.scopes import Scope
from memsieve.intake import Analyst, as_message
from memsieve.layout import Layout
from memsieve.search import Block
from memsieve.search.lexical import bm25
from memsieve.search.words import terms
from memsieve.select import TopK
from memsieve.store.base import Changes, Columns, Record
from memsieve.store.rows import offset_minutes
from memsieve.timeline import NoTimeline

_DEPTH = 60  # the constant of reciprocal rank fusion, as published


class Baseline(ABC):
    """Ranks every turn of a scope in memory; nothing is written."""

    name: str
    policy = "none"
    embedder = "none"

    def __init__(self, embedder: Embedder | None = None) -> None:
        self._analyst = Analyst(embedder or Static(), NoTimeline())
        self._layout = Layout(self._analyst.count)
        self._keys: tuple[str, ...] = ()
        self._block = Block(self._analyst.embedder.dimensions)

    @abstractmethod
    def scores(self, question: str) -> np.ndarray:
        """What each turn is worth: shape (n,), higher is better."""

    def session_scores(self, turn_scores: np.ndarray, question: str) -> np.ndarray:
        """What each session is worth: that of its best turn; shape (n_sessions,)."""
        best = np.full(len(self._block.sessions.names), -np.inf)
        inside = self._block.session >= 0
        np.maximum.at(best, self._block.session[inside], turn_scores[inside])
        return best

    def _turn_words(self, question: str) -> np.ndarray:
        """BM25 of each turn: shape (n,)."""
        scores = bm25(self._block, terms(question)).windows[0]
        return scores[self._block.lanes.slot].astype(float)

    def load(self, scope: Scope) -> None:
        """Index the messages of a scope."""
        messages = [as_message(message) for message in scope.messages]
        records = self._analyst.records(messages, datetime.now(UTC))
        self._keys = tuple(message.key or str(i) for i, message in enumerate(messages))
        self._block = Block(self._analyst.embedder.dimensions)
        self._block.apply(Changes(_columns(records, self._block.vectors.dimensions), ()))

    def rank(self, question: str, now: datetime, k: int) -> Ranking:
        """The best `k` turns, and all sessions."""
        scores = self.scores(question)
        sessions = self.session_scores(scores, question)
        order = np.argsort(-sessions, kind="stable")
        return Ranking(
            tuple(self._keys[i] for i in np.argsort(-scores, kind="stable")[:k]),
            tuple(self._block.sessions.names[s] for s in order),
        )

    def pack(self, question: str, now: datetime, budget_tokens: int) -> Packed:
        """Turns in rank order while they fit."""
        candidates = self._layout.candidates(
            self._block, np.arange(len(self._block)), self.scores(question)
        )
        chosen = TopK().select(candidates, budget_tokens=budget_tokens)
        return Packed(tuple(self._keys[i] for i in chosen.picked), int(chosen.spent.tokens or 0))

    def close(self) -> None:
        """Let go of the scope."""
        self._keys, self._block = (), Block(self._analyst.embedder.dimensions)


class Random(Baseline):
    """A shuffle, the same for the same question."""

    name = "random"

    def scores(self, question: str) -> np.ndarray:
        return np.random.default_rng(list(question.encode())).random(len(self._block))


class Recency(Baseline):
    """The latest turns first."""

    name = "recency"

    def scores(self, question: str) -> np.ndarray:
        return np.arange(len(self._block), dtype=float)


class BM25(Baseline):
    """BM25 on turns; for sessions, BM25 on whole sessions, which ranks them better."""

    name = "bm25"

    def scores(self, question: str) -> np.ndarray:
        return self._turn_words(question)

    def session_scores(self, turn_scores: np.ndarray, question: str) -> np.ndarray:
        return bm25(self._block, terms(question)).session


class BM25Dense(Baseline):
    """BM25 and cosine of the turn by reciprocal rank fusion."""

    name = "bm25+dense"

    def __init__(self, embedder: Embedder | None = None) -> None:
        super().__init__(embedder)
        self.embedder = self._analyst.embedder.identity

    def scores(self, question: str) -> np.ndarray:
        lexical = self._turn_words(question)
        dense = self._block.vectors.scan(self._analyst.embedder.embed([question])[0])
        return 1 / (_DEPTH + _ranks(lexical)) + 1 / (_DEPTH + _ranks(dense))


def _ranks(scores: np.ndarray) -> np.ndarray:
    """Rank from 1, best first, ties to the earlier turn."""
    ranks = np.empty(scores.size)
    ranks[np.argsort(-scores, kind="stable")] = np.arange(1, scores.size + 1)
    return ranks


def _columns(records: Sequence[Record], dimensions: int) -> Columns:
    """Records without times as the columns of a block, without a store between."""
    n = len(records)
    count: Counter[str | None] = Counter()
    rows = [record.row for record in records]
    messages = [record.message for record in records]
    ordinal = []
    for message in messages:
        ordinal.append(count[message.session])
        count[message.session] += 1
    return Columns(
        position=1,
        seq=np.arange(1, n + 1),
        ordinal=np.array(ordinal, dtype=np.int64),
        tokens=np.array([row.tokens for row in rows], dtype=np.int64),
        dated_tokens=np.zeros(n, np.int64),
        said_at=np.array([int(r.said_at.timestamp() * 1e6) for r in records], dtype=np.int64),
        offset=np.array([offset_minutes(r.said_at) for r in records], dtype=np.int64),
        traits=np.array([row.traits for row in rows], dtype=np.int64),
        session=[m.session for m in messages],
        speaker=[m.speaker for m in messages],
        role=[m.role for m in messages],
        kind=[m.kind for m in messages],
        terms=np.frombuffer(b"".join(row.terms for row in rows), "<u4"),
        lengths=np.array([len(row.terms) // 4 for row in rows], dtype=np.int64),
        codes=np.frombuffer(b"".join(row.codes for row in rows), np.int8).reshape(n, dimensions),
        scales=np.array([row.scale for row in rows], dtype=np.float32),
        text_hash=np.arange(n),
        n_events=np.zeros(n, np.int64),
        event_from=np.empty(0, np.int64),
        event_to=np.empty(0, np.int64),
    )
