"""The read path: question, candidates, features, score, selection, hits."""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Protocol

import numpy as np

from memsieve.embed import Embedder
from memsieve.errors import ParameterError
from memsieve.recollection import (
    Computed,
    Recollection,
    day_line,
    happened_on,
    reference,
    render,
    spoken,
    voice,
    with_lines,
)
from memsieve.score import (
    EVENT_VIEWS,
    Features,
    Scores,
    StandardisedSum,
    features,
    score_sessions,
)
from memsieve.search import Block, find, mask, read
from memsieve.search.blocks import Blocks
from memsieve.search.candidates import POOL
from memsieve.search.candidates import Found as FoundDocs
from memsieve.search.lanes import GAP
from memsieve.search.question import Question
from memsieve.search.windows import DAY, Window, inside, meeting
from memsieve.select import Budget, Candidates, Distinct, Reason, Selection, Selector, TopK, Windows
from memsieve.store.base import Claim, Store
from memsieve.store.ids import new_ids
from memsieve.store.recalls import RecallRow
from memsieve.timeline import Reader
from memsieve.timeline.asking import Asked, ask
from memsieve.timeline.verbs import with_forms
from memsieve.timing import ENOUGH, NO_TIMING, Found, Timing, covered, timing
from memsieve.types import NOTHING, Hit, Interval, Item, SessionHit

DEFAULT_K = 10
WINDOWS = ("soft", "hard")
_N_LEFT_OUT = 5
_N_SESSIONS = 20
_OUTSIDE = "outside"
_HOLDS = "holds"
_EVENT_POOL = 30
_MIXER = np.int64(-7046029254386353131)  # 2^64 over the golden ratio: products wrap around
_N_RECENT = 64
_N_KEPT = 120
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_DAY = _EPOCH.toordinal()
_MICROSECOND = timedelta(microseconds=1)


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
    clock: datetime = field(default_factory=lambda: datetime.now(UTC))
    during: Interval | None = None
    window: str = "soft"
    as_of: datetime | None = None
    dates: bool = True
    stale: bool = False

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
        if self.window not in WINDOWS:
            raise ParameterError(f"window must be soft or hard, got {self.window!r}")
        if self.neighbours > GAP:
            raise ParameterError(f"neighbours must be at most {GAP}, got {self.neighbours}")

    @property
    def budget(self) -> Budget:
        """What the selection may spend; ten items if nothing was said."""
        if self.k is None and self.budget_tokens is None:
            return Budget(items=DEFAULT_K)
        return Budget(items=self.k, tokens=self.budget_tokens)

    @property
    def truth_at(self) -> int:
        """The last microsecond that may say what holds: of the clock's second, before `until`."""
        clock = (self.clock.astimezone(UTC).replace(microsecond=999_999) - _EPOCH) // _MICROSECOND
        until = _micros(self.until)
        return clock if until is None else min(clock, until - 1)

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
            same=_alike(block, docs),
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


@dataclass(frozen=True, slots=True)
class Weighed:
    """The candidates of a request before they are scored.

    features: one row for each of `found.docs`; timing: what the question's times come to; stale:
    by `seq` what those candidates state that another item says otherwise.
    """

    block: Block
    question: Question
    found: FoundDocs
    features: Features
    timing: Timing
    stale: Mapping[int, Claim] = field(default_factory=dict)

    @property
    def seqs(self) -> np.ndarray:
        """The candidates by `seq`: shape (n,)."""
        return self.block.seq[self.found.docs]

    @property
    def holds(self) -> np.ndarray:
        """Which candidates may be picked, those that are not stale: shape (n,), bool."""
        return ~np.isin(self.seqs, list(self.stale))


class Recaller:
    """Answers requests over one store; holds the loaded blocks and what was recalled last."""

    def __init__(
        self,
        store: Store,
        embedder: Embedder,
        timeline: Reader,
        count_tokens: Callable[[str], int] | None,
        shipped_count: Callable[[str], int],
        scorer: Scorer | None = None,
    ) -> None:
        self._store, self._embedder, self._timeline = store, embedder, timeline
        self._count, self._custom_count = count_tokens or shipped_count, count_tokens is not None
        self._scorer = scorer or StandardisedSum()
        self.blocks = Blocks(store, embedder.dimensions)
        self._layout = Layout(self._count)
        self._recent: OrderedDict[str, RecallRow] = OrderedDict()

    def recall(self, namespace: str, request: Request) -> Recollection:
        """Find, score and select what answers the request; it can be judged by its id."""
        weighed = self.weigh(namespace, request)
        scores = self._scored(weighed, request)
        answer = replace(self._answer(weighed, scores, request), id=new_ids(1)[0])
        self._recent[answer.id] = self._row(namespace, weighed, scores, answer)
        while len(self._recent) > _N_RECENT:
            self._recent.popitem(last=False)
        return answer

    def recalled(self, id_: str) -> RecallRow | None:
        """What one of the last recalls weighed, its best candidates; None if it is forgotten."""
        return self._recent.get(id_)

    def _row(
        self, namespace: str, weighed: Weighed, scores: Scores, answer: Recollection
    ) -> RecallRow:
        seqs = weighed.block.seq[weighed.found.docs]
        rank = {hit.item.seq: hit.rank for hit in answer}
        ranks = np.array([rank.get(seq, 0) for seq in seqs.tolist()], dtype=np.int64)
        order = np.argsort(-scores.values, kind="stable")
        kept = order[(np.arange(order.size) < _N_KEPT) | (ranks[order] > 0)]
        return RecallRow(
            id=answer.id,
            namespace=namespace,
            at=datetime.now(UTC),
            policy=str(getattr(self._scorer, "name", type(self._scorer).__name__)),
            names=weighed.features.names,
            seqs=seqs[kept],
            ranks=ranks[kept],
            scores=scores.values[kept],
            values=weighed.features.values[kept],
            used=np.zeros(kept.size, bool),
        )

    def weigh(self, namespace: str, request: Request) -> Weighed:
        """Find the candidates of a request and their features, without scoring them."""
        block = self.blocks.get(namespace, request.as_of)
        allowed = self._allowed(namespace, block, request)
        asked = ask(request.question, request.clock, self._timeline)
        found_time = self._timing(block, asked, request, allowed)
        window = found_time.window
        if request.during is not None:
            window = Window.of([(request.during, 1.0)])
        elif window is not None and request.window == "hard":
            allowed = _within(block, window, allowed)
        question = read(request.question, block, self._embedder, asked, window)
        found = find(block, question, allowed, request.pool, beside=request.neighbours)
        found = found.with_docs(block, question, block.documents(found_time.evidence))
        stale = {} if request.stale else self._stale(namespace, block, found.docs, request)
        holders = block.documents(sorted({claim.holder or 0 for claim in stale.values()}))
        fit = block.alive if allowed is None else block.alive & allowed
        found = found.with_docs(block, question, holders[fit[holders]])
        return Weighed(block, question, found, features(block, question, found), found_time, stale)

    def _stale(
        self, namespace: str, block: Block, docs: np.ndarray, request: Request
    ) -> dict[int, Claim]:
        """By `seq`, the documents with a slot that another item holds.

        An item that was written since the block was loaded is not waited for.
        """
        claims = self._store.holding(
            namespace, block.seq[docs].tolist(), request.truth_at, request.as_of
        )
        return {
            seq: claim
            for seq, claim in claims.items()
            if claim.holder not in (None, seq) and block.documents([claim.holder or 0]).size
        }

    def _scored(self, weighed: Weighed, request: Request) -> Scores:
        block, docs, window = weighed.block, weighed.found.docs, weighed.question.window
        scores = _lifted(self._scorer.score(weighed.features), weighed)
        if weighed.timing.evidence:
            scores = _raised(scores, np.isin(block.seq[docs], weighed.timing.evidence))
        if window is not None and request.during is not None and request.window == "soft":
            scores = _demoted(scores, inside(block, window, docs))
        return scores

    def _answer(self, weighed: Weighed, scores: Scores, request: Request) -> Recollection:
        """Select under the budget and gather what a reader of the answer wants to know."""
        block, found, by_event = weighed.block, weighed.found, weighed.question.asked.wants_order
        docs, seqs, holds = found.docs, weighed.seqs, weighed.holds
        relevance = np.where(holds, scores.values, -np.inf)
        computed, room = self._room(weighed.timing.computed, request.budget_tokens)
        is_costed = room is not None or request.neighbours > 0
        # Only a counter of the caller's, which may not add up over words, and an order of events
        # need the texts of all candidates.
        texts = self._items(seqs) if is_costed and (by_event or self._custom_count) else None
        candidates = Candidates(relevance=relevance, same=_alike(block, docs))
        if is_costed:
            candidates = self._costed(block, docs, relevance, request, texts, by_event)
        selection, rest = _select(candidates, scores, request, room)
        picked = list(selection.picked)
        items = self._items(seqs[picked + rest]) if texts is None else texts
        hits = _hits(items, picked + rest, seqs, scores)
        kept = [hit for hit in hits if hit.rank <= len(picked)]
        left = [
            (hit, _reason(weighed, selection, rest[hit.rank - len(picked) - 1]))
            for hit in hits[len(kept) :]
        ]
        answer = Recollection(
            question=request.question,
            hits=tuple(kept),
            sessions=_sessions(
                block,
                score_sessions(block, replace(found, docs=docs[holds]), scores.values[holds]),
            ),
            left_out=tuple(hit for hit, _ in left),
            reasons=tuple(reason for _, reason in left),
            n_candidates=docs.size,
            budget_tokens=request.budget_tokens,
            cite=request.cite,
            count_tokens=self._count,
            computed=computed,
            by_event=by_event,
            dates=request.dates,
        )
        is_sure = not self._custom_count and not (request.dates and _is_behind(block, kept))
        return answer if is_sure else _trimmed(answer)

    def _items(self, seqs: np.ndarray) -> dict[int, Item]:
        """Items by `seq`, without those that were forgotten meanwhile."""
        return {item.seq: item for item in self._store.items(seqs.tolist())}

    def _room(
        self, computed: tuple[Computed, ...], budget_tokens: int | None
    ) -> tuple[tuple[Computed, ...], int | None]:
        """The worked-out lines that fit, and the tokens they leave for evidence.

        They come first: what a question asks for outright is worth more than one turn more.
        """
        if budget_tokens is None:
            return computed, None
        kept, room = [], budget_tokens
        for line in computed:
            cost = self._count(line.line)
            if cost <= room:
                kept.append(line)
                room -= cost
        return tuple(kept), room

    def _timing(
        self, block: Block, asked: Asked, request: Request, allowed: np.ndarray | None
    ) -> Timing:
        """What the question's times and events come to; events are looked for among `allowed`."""

        def find_event(phrase: str, besides: Item | None = None) -> Found | None:
            return self._event(block, phrase, allowed, besides)

        if not asked:
            return NO_TIMING
        return timing(asked, block, request.clock, find_event, self._timeline)

    def _event(
        self, block: Block, phrase: str, allowed: np.ndarray | None, besides: Item | None
    ) -> Found | None:
        """The item that tells best of an event, with the share of its words, `besides` one."""
        question = read(with_forms(phrase), block, self._embedder, Asked(wants_date=True))
        found = find(block, question, allowed, _EVENT_POOL)
        if not found.docs.size:
            return None
        scores = StandardisedSum(EVENT_VIEWS).score(features(block, question, found))
        values = scores.values
        if besides is not None:
            values = np.where(block.seq[found.docs] == besides.seq, -np.inf, values)
        best = found.docs[int(np.argmax(values))]
        around = np.array([best, *(block.lanes.beside(np.array([best]), s)[0] for s in (-1, 1))])
        items = self._store.items(block.seq[around[around >= 0]].tolist())
        if not items or items[0].seq != block.seq[best]:  # forgotten meanwhile
            return None
        names = [block.speakers.names[n] for n in question.speakers]
        share = covered(phrase, [item.text for item in items], names, block)
        return Found(items[0], share) if share >= ENOUGH else None

    def _allowed(self, namespace: str, block: Block, request: Request) -> np.ndarray | None:
        seqs = None
        if request.metadata:
            seqs = self._store.seqs(
                namespace, metadata=request.metadata, with_invalid=request.as_of is not None
            )
        allowed = mask(
            block,
            equal=request.equal,
            since=_micros(request.since),
            until=_micros(request.until),
            seqs=seqs,
        )
        if request.during is not None and request.window == "hard":
            allowed = _within(block, Window.of([(request.during, 1.0)]), allowed)
        return allowed

    def _costed(
        self,
        block: Block,
        docs: np.ndarray,
        relevance: np.ndarray,
        request: Request,
        texts: Mapping[int, Item] | None,
        by_event: bool,
    ) -> Candidates:
        """Candidates with what their lines and headings cost; `texts` where that takes them."""
        lines = days = None
        if texts is not None:
            items = [texts.get(seq) for seq in block.seq[docs].tolist()]
            if self._custom_count:
                counts = [(i and self._count(spoken(i, dates=request.dates))) or 0 for i in items]
                lines = np.array(counts, dtype=np.int64)
            if by_event:
                numbers = [(i and happened_on(i).toordinal() - _FIRST_DAY) or 0 for i in items]
                days = np.array(numbers, dtype=np.int64)
        return self._layout.candidates(
            block,
            docs,
            relevance,
            cite=request.cite,
            dates=request.dates,
            lines=lines,
            days=days,
        )


def _select(
    candidates: Candidates, scores: Scores, request: Request, room: int | None
) -> tuple[Selection, list[int]]:
    """The selection, and the best few that it left out; `room` is what computed lines leave."""
    selector: Selector = TopK()
    if request.neighbours:
        selector = Windows(selector, before=request.neighbours, after=request.neighbours)
    selector = Distinct(selector)
    budget = request.budget if room is None else replace(request.budget, tokens=room)
    selection = selector.select(candidates, budget)
    left = np.ones(len(candidates.relevance), bool)
    left[list(selection.picked)] = False
    order = np.argsort(-scores.values, kind="stable")
    return selection, order[left[order]][:_N_LEFT_OUT].tolist()


def _reason(weighed: Weighed, selection: Selection, i: int) -> str:
    """Why a candidate was left out; another that is the cause has the rank that readers see."""
    seqs, trace, block = weighed.seqs, selection.trace, weighed.block
    if claim := weighed.stale.get(int(seqs[i])):
        own, other = block.said_at[block.documents([seqs[i], claim.holder or 0])]
        holds = "does not hold yet" if own > other else "no longer holds"
        by = _named(selection, *np.flatnonzero(seqs == claim.holder).tolist())
        return f"dropped: {holds}, [{claim.subject}, {claim.attribute}] is said by {by}"
    if trace.codes[i] != Reason.REPEATS:
        return trace.reason(i)
    return f"dropped: says the same as {_named(selection, int(trace.first[i]))}"


def _named(selection: Selection, *candidates: int) -> str:
    for i in candidates:
        if i in selection.picked:
            return f"hit {selection.picked.index(i) + 1}"
    return "another that was left out"


def _alike(block: Block, docs: np.ndarray) -> np.ndarray:
    """Labels of documents, one for all that say the same: (n,).

    The same text by the same speaker on the same day: stored twice, not said again.
    """
    place = (block.local(docs) // DAY << 32) + block.speaker[docs]
    # Mixed into the 64 bits of the hash, which are as good as random: one sort instead of three.
    return np.unique(block.text_hash[docs] ^ place * _MIXER, return_inverse=True)[1]


def _within(block: Block, window: Window, allowed: np.ndarray | None) -> np.ndarray:
    """Documents that are allowed and were said, or tell of something, in a window."""
    then = meeting(block, window)
    return then if allowed is None else allowed & then


def _demoted(scores: Scores, kept: np.ndarray) -> Scores:
    """Scores in which whatever is not kept, outside a window, comes after all that is."""
    if not scores.values.size:
        return scores
    part = np.where(kept, 0.0, -(np.ptp(scores.values) + 1.0))
    return _with_part(scores, _OUTSIDE, part)


def _lifted(scores: Scores, weighed: Weighed) -> Scores:
    """Scores in which what holds is worth at least what the best that it replaces would be."""
    place = {seq: i for i, seq in enumerate(weighed.seqs.tolist())} if weighed.stale else {}
    part = np.zeros_like(scores.values)
    for seq, claim in weighed.stale.items():
        if (at := place.get(claim.holder or 0)) is not None:
            part[at] = max(part[at], scores.values[place[seq]] - scores.values[at])
    return _with_part(scores, _HOLDS, part) if part.any() else scores


def _raised(scores: Scores, evidence: np.ndarray) -> Scores:
    """Scores in which the evidence of what was worked out comes first."""
    if not evidence.any():
        return scores
    return _with_part(scores, "worked out", evidence * (np.ptp(scores.values) + 1.0))


def _with_part(scores: Scores, name: str, part: np.ndarray) -> Scores:
    parts = np.concatenate([scores.parts, part[:, None]], axis=1)
    return Scores(scores.values + part, (*scores.names, name), parts)


def _trimmed(answer: Recollection) -> Recollection:
    """Without the last picked until the text fits: counts of lines may not add up exactly."""
    hits = list(answer.hits)
    dropped: list[tuple[Hit, str]] = []
    budget = answer.budget_tokens
    while hits and budget is not None:
        text = render(hits, cite=answer.cite, dates=answer.dates, by_event=answer.by_event)
        tokens = answer.count_tokens(with_lines(text, answer.computed))
        if tokens <= budget:
            break
        reason = f"dropped: the whole text has {tokens} tokens, {budget} are allowed"
        dropped.insert(0, (hits.pop(), reason))
    return replace(
        answer,
        hits=tuple(hits),
        left_out=(*(hit for hit, _ in dropped), *answer.left_out),
        reasons=(*(reason for _, reason in dropped), *answer.reasons),
    )


def _first(labels: np.ndarray, n_labels: int) -> np.ndarray:
    """The index of one element of each label 0 .. n_labels - 1."""
    first = np.empty(n_labels, np.int64)
    first[labels] = np.arange(labels.size)
    return first


def _hits(
    items: Mapping[int, Item], order: Sequence[int], seqs: np.ndarray, scores: Scores
) -> list[Hit]:
    """Hits in the order given, ranked from 1; what was forgotten meanwhile is left out."""
    return [
        Hit(items[int(seqs[i])], float(scores.values[i]), scores.why(i), rank)
        for rank, i in enumerate(order, 1)
        if int(seqs[i]) in items
    ]


def _is_behind(block: Block, hits: Sequence[Hit]) -> bool:
    """Whether a hit shows dates that the block does not count.

    While a reindex runs it has read times of items that were loaded before, with no cost of dates;
    all readers load anew at its end.
    """
    dated = [hit.item for hit in hits if any(one.is_relative for one in hit.item.mentions)]
    costs = block.dated_tokens[block.documents([item.seq for item in dated])]
    return any(
        not cost and spoken(item, dates=True) != spoken(item)
        for item, cost in zip(dated, costs.tolist(), strict=True)
    )


def _sessions(block: Block, scores: np.ndarray) -> tuple[SessionHit, ...]:
    order = np.argsort(-scores, kind="stable")[:_N_SESSIONS]
    return tuple(
        SessionHit(block.sessions.names[s], float(scores[s]), rank)
        for rank, s in enumerate(order.tolist(), 1)
        if np.isfinite(scores[s])
    )


def _micros(moment: datetime | None) -> int | None:
    return None if moment is None else (moment - _EPOCH) // timedelta(microseconds=1)
