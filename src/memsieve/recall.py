"""The read path: question, candidates, features, score, selection, hits."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Protocol

import numpy as np

from memsieve.embed import Embedder
from memsieve.errors import ParameterError
from memsieve.recollection import Recollection, day_line, reference, render, spoken, voice
from memsieve.score import Features, Scores, StandardisedSum, features, score_sessions
from memsieve.search import Block, find, mask, read
from memsieve.search.blocks import Blocks
from memsieve.search.candidates import POOL
from memsieve.search.lanes import GAP
from memsieve.select import Budget, Candidates, Selection, Selector, TopK, Windows
from memsieve.store.base import Store
from memsieve.types import NOTHING, Hit, Item, SessionHit

DEFAULT_K = 10
_N_LEFT_OUT = 5
_N_SESSIONS = 20
_DAY = 86_400_000_000  # microseconds
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Scorer(Protocol):
    """Anything that turns the features of candidates into scores."""

    def score(self, features: Features) -> Scores: ...


@dataclass(frozen=True, slots=True)
class Request:
    """A recall with its options checked; see `Memory.recall` for their meaning."""

    question: str
    budget_tokens: int | None = None
    k: int | None = None
    equal: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    since: datetime | None = None
    until: datetime | None = None
    metadata: Mapping[str, Any] = field(default_factory=lambda: NOTHING)
    neighbours: int = 0
    cite: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.question, str) or not self.question.strip():
            raise ParameterError("the question must not be empty: say what to look for")
        for name in ("budget_tokens", "k", "neighbours"):
            value = getattr(self, name)
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int | np.integer):
                raise ParameterError(f"{name} must be a whole number, got {value!r}")
            if value < 0:
                raise ParameterError(f"{name} must be >= 0, got {value}")
        if self.neighbours > GAP:
            raise ParameterError(f"neighbours must be at most {GAP}, got {self.neighbours}")

    @property
    def budget(self) -> Budget:
        """What the selection may spend; ten items if nothing was said."""
        if self.k is None and self.budget_tokens is None:
            return Budget(items=DEFAULT_K)
        return Budget(items=self.k, tokens=self.budget_tokens)

    @property
    def pool(self) -> int:
        """Candidates to take from each ranking: enough to fill a large budget with short turns."""
        return max(POOL, 2 * (self.k or 0), (self.budget_tokens or 0) // 10)


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
        lines: np.ndarray | None = None,
    ) -> Candidates:
        """Documents with their relevance and costs, ready for a selector.

        `lines` (n,) replaces the tokens of the lines, which otherwise are the stored length of
        the text and that of the voice before it: the shipped counter adds up over words.
        """
        days = block.said_at[docs] // _DAY
        places, group = np.unique(
            (block.session[docs].astype(np.int64) << 32) + days, return_inverse=True
        )
        of_place = days[_first(group, places.size)]
        headings = [self._heading(day) for day in of_place.tolist()]
        number = max(self._short(reference(n)) for n in (9, 99, 999)) if cite else 0
        return Candidates(
            relevance=relevance,
            tokens=(self._lines(block, docs) if lines is None else lines) + number,
            position=block.ordinal[docs],
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


class Recaller:
    """Answers requests over one store; holds no state besides the loaded blocks."""

    def __init__(
        self,
        store: Store,
        embedder: Embedder,
        count_tokens: Callable[[str], int] | None,
        shipped_count: Callable[[str], int],
        scorer: Scorer | None = None,
    ) -> None:
        self._store, self._embedder = store, embedder
        self._count, self._custom_count = count_tokens or shipped_count, count_tokens is not None
        self._scorer = scorer or StandardisedSum()
        self.blocks = Blocks(store, embedder.dimensions)
        self._layout = Layout(self._count)

    def recall(self, namespace: str, request: Request) -> Recollection:
        """Find, score and select what answers the request."""
        block = self.blocks.get(namespace)
        question = read(request.question, block, self._embedder)
        allowed = self._allowed(namespace, block, request)
        found = find(block, question, allowed, request.pool, beside=request.neighbours)
        docs = found.docs
        scores = self._scorer.score(features(block, question, found))
        selection, rest = self._select(block, docs, scores, request)
        picked = list(selection.picked)
        items = self._store.items(block.seq[docs[picked + rest]].tolist())
        hits = _hits(items, picked + rest, block.seq[docs], scores)
        kept = [hit for hit in hits if hit.rank <= len(picked)]
        left = [
            (hit, selection.trace.reason(rest[hit.rank - len(picked) - 1]))
            for hit in hits[len(kept) :]
        ]
        if self._custom_count:
            left = self._trim(kept, request) + left
        return Recollection(
            question=request.question,
            hits=tuple(kept),
            sessions=_sessions(block, score_sessions(block, found, scores.values)),
            left_out=tuple(hit for hit, _ in left),
            reasons=tuple(reason for _, reason in left),
            n_candidates=docs.size,
            budget_tokens=request.budget_tokens,
            cite=request.cite,
            count_tokens=self._count,
        )

    def _allowed(self, namespace: str, block: Block, request: Request) -> np.ndarray | None:
        seqs = None
        if request.metadata:
            seqs = self._store.seqs(namespace, metadata=request.metadata)
        return mask(
            block,
            equal=request.equal,
            since=_micros(request.since),
            until=_micros(request.until),
            seqs=seqs,
        )

    def _select(
        self, block: Block, docs: np.ndarray, scores: Scores, request: Request
    ) -> tuple[Selection, list[int]]:
        """The selection, and the best few that it left out."""
        if request.budget_tokens is None and not request.neighbours:
            candidates = Candidates(relevance=scores.values)
        else:
            lines = self._counted_lines(block, docs) if self._custom_count else None
            candidates = self._layout.candidates(
                block, docs, scores.values, cite=request.cite, lines=lines
            )
        selector: Selector = TopK()
        if request.neighbours:
            selector = Windows(selector, before=request.neighbours, after=request.neighbours)
        selection = selector.select(candidates, request.budget)
        left = np.ones(docs.size, bool)
        left[list(selection.picked)] = False
        order = np.argsort(-scores.values, kind="stable")
        return selection, order[left[order]][:_N_LEFT_OUT].tolist()

    def _counted_lines(self, block: Block, docs: np.ndarray) -> np.ndarray:
        """Tokens of each line by the caller's counter, which may not add up over words."""
        found = {item.seq: item for item in self._store.items(block.seq[docs].tolist())}
        counts = [self._count(spoken(found[s])) if s in found else 0 for s in block.seq[docs]]
        return np.array(counts, dtype=np.int64)

    def _trim(self, hits: list[Hit], request: Request) -> list[tuple[Hit, str]]:
        """Drop the last picked until the text fits: counts of lines may not add up exactly."""
        budget = request.budget_tokens
        dropped: list[tuple[Hit, str]] = []
        while hits and budget is not None:
            tokens = self._count(render(hits, cite=request.cite))
            if tokens <= budget:
                break
            reason = f"dropped: the whole text has {tokens} tokens, {budget} are allowed"
            dropped.insert(0, (hits.pop(), reason))
        return dropped


def _first(labels: np.ndarray, n_labels: int) -> np.ndarray:
    """The index of one element of each label 0 .. n_labels - 1."""
    first = np.empty(n_labels, np.int64)
    first[labels] = np.arange(labels.size)
    return first


def _hits(
    items: Sequence[Item], order: Sequence[int], seqs: np.ndarray, scores: Scores
) -> list[Hit]:
    """Hits in the order given, ranked from 1; what was forgotten meanwhile is left out."""
    by_seq = {item.seq: item for item in items}
    return [
        Hit(by_seq[int(seqs[i])], float(scores.values[i]), scores.why(i), rank)
        for rank, i in enumerate(order, 1)
        if int(seqs[i]) in by_seq
    ]


def _sessions(block: Block, scores: np.ndarray) -> tuple[SessionHit, ...]:
    order = np.argsort(-scores, kind="stable")[:_N_SESSIONS]
    return tuple(
        SessionHit(block.sessions.names[s], float(scores[s]), rank)
        for rank, s in enumerate(order.tolist(), 1)
        if np.isfinite(scores[s])
    )


def _micros(moment: datetime | None) -> int | None:
    return None if moment is None else (moment - _EPOCH) // timedelta(microseconds=1)
