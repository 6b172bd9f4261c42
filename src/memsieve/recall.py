"""The read path: question, candidates, features, score, selection, hits."""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from memsieve.embed import Embedder
from memsieve.layout import Layout, alike
from memsieve.recollection import (
    Computed,
    Recollection,
    happened_on,
    render,
    spoken,
    with_lines,
)
from memsieve.request import Request, micros
from memsieve.score import EVENT_VIEWS, Scores, StandardisedSum, features
from memsieve.search import Block, find, mask, read
from memsieve.search.blocks import Blocks
from memsieve.search.question import NOT_ASKED
from memsieve.search.windows import Window, inside, meeting
from memsieve.select import Candidates, Distinct, Reason, Selection
from memsieve.stages import Place, Reading, System, Weighed
from memsieve.store.base import Claim, Store
from memsieve.store.ids import new_ids
from memsieve.store.recalls import RecallRow
from memsieve.timeline import Reader
from memsieve.timeline.asking import Asked, ask
from memsieve.timeline.verbs import with_forms
from memsieve.timing import ENOUGH, NO_TIMING, Found, Timing, covered, timing
from memsieve.types import Hit, Item, SessionHit

if TYPE_CHECKING:
    from memsieve.llm import Model

_N_LEFT_OUT = 5
_N_SESSIONS = 20
_OUTSIDE = "outside"
_HOLDS = "holds"
_EVENT_POOL = 30
_N_RECENT = 64
_N_KEPT = 120
_FIRST_DAY = datetime(1970, 1, 1, tzinfo=UTC).toordinal()


class Recaller:
    """Answers requests over one store; holds the loaded blocks and what was recalled last."""

    def __init__(
        self,
        store: Store,
        embedder: Embedder,
        timeline: Reader,
        count_tokens: Callable[[str], int] | None,
        shipped_count: Callable[[str], int],
        system: System,
        *,
        model: "Model | None" = None,
        actor: str = "library",
    ) -> None:
        self._store, self._embedder, self._timeline = store, embedder, timeline
        self._count, self._custom_count = count_tokens or shipped_count, count_tokens is not None
        self.system, self._model, self._actor = system, model, actor
        self.blocks = Blocks(store, embedder.dimensions)
        self._layout = Layout(self._count)
        self._recent: OrderedDict[str, RecallRow] = OrderedDict()

    def place(self, namespace: str) -> Place:
        """A namespace as systems are given it."""
        return Place(
            namespace,
            self._store,
            self._embedder,
            self._timeline,
            self._count,
            self._model,
            self._actor,
        )

    def recall(self, namespace: str, request: Request) -> Recollection:
        """Find, score and select what answers the request; it can be judged by its id."""
        weighed = self.weigh(namespace, request)
        scores = self._scored(weighed)
        answer = replace(self._answer(weighed, scores), id=new_ids(1)[0])
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
            policy=self.system.scorer_name,
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
        asked = NOT_ASKED
        if self.system.reads_time:
            asked = ask(request.question, request.clock, self._timeline)
        found_time = self._timing(block, asked, request, allowed)
        window = found_time.window
        if request.during is not None:
            window = Window.of([(request.during, 1.0)])
        elif window is not None and request.window == "hard":
            allowed = _within(block, window, allowed)
        question = read(request.question, block, self._embedder, asked, window)
        reading = Reading(self.place(namespace), block, question, request, allowed, found_time)
        reading = replace(reading, plan=self.system.plan(reading))
        found = self.system.find(reading)
        found = found.with_docs(block, question, block.documents(found_time.evidence))
        until = None if request.stale else self.system.holds_at(reading)
        stale = {} if until is None else self._stale(namespace, block, found.docs, until, request)
        holders = block.documents(sorted({claim.holder or 0 for claim in stale.values()}))
        found = found.with_docs(block, question, holders[reading.fit[holders]])
        return Weighed(reading, found, self.system.features(reading, found), stale)

    def _stale(
        self, namespace: str, block: Block, docs: np.ndarray, until: int, request: Request
    ) -> dict[int, Claim]:
        """By `seq`, the documents with a slot that another item holds.

        An item that was written since the block was loaded is not waited for.
        """
        claims = self._store.holding(namespace, block.seq[docs].tolist(), until, request.as_of)
        return {
            seq: claim
            for seq, claim in claims.items()
            if claim.holder not in (None, seq) and block.documents([claim.holder or 0]).size
        }

    def _scored(self, weighed: Weighed) -> Scores:
        reading, block, docs = weighed.reading, weighed.block, weighed.found.docs
        scores = self.system.score(reading, weighed.found, weighed.features)
        scores = _lifted(scores, weighed)
        if reading.timing.evidence:
            scores = _raised(scores, np.isin(block.seq[docs], reading.timing.evidence))
        window, request = reading.question.window, reading.request
        if window is not None and request.during is not None and request.window == "soft":
            scores = _demoted(scores, inside(block, window, docs))
        return scores

    def _answer(self, weighed: Weighed, scores: Scores) -> Recollection:
        """Select under the budget and gather what a reader of the answer wants to know."""
        reading, block, found = weighed.reading, weighed.block, weighed.found
        request, by_event = reading.request, reading.question.asked.wants_order
        docs, seqs, holds = found.docs, weighed.seqs, weighed.holds
        relevance = np.where(holds, scores.values, -np.inf)
        budget = self.system.budget(reading)
        computed, remarks, room = self._room(
            reading.timing.computed, self.system.remarks(reading, found, scores), budget.tokens
        )
        is_costed = room is not None or request.neighbours > 0
        # Only a counter of the caller's, which may not add up over words, and an order of events
        # need the texts of all candidates.
        texts = self._items(seqs) if is_costed and (by_event or self._custom_count) else None
        candidates = Candidates(relevance=relevance, same=alike(block, docs))
        if is_costed:
            candidates = self._costed(block, docs, relevance, request, texts, by_event)
        selector = Distinct(self.system.selector(reading))
        selection = selector.select(candidates, replace(budget, tokens=room))
        picked = list(selection.picked)
        rest = _best_left(scores, picked)
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
                self.system.rank_sessions(
                    reading, replace(found, docs=docs[holds]), scores.values[holds]
                ),
            ),
            left_out=tuple(hit for hit, _ in left),
            reasons=tuple(reason for _, reason in left),
            n_candidates=docs.size,
            budget_tokens=budget.tokens,
            cite=request.cite,
            count_tokens=self._count,
            computed=computed,
            remarks=remarks,
            plan=self.system.explain(reading),
            by_event=by_event,
            dates=request.dates,
        )
        is_sure = not self._custom_count and not (request.dates and _is_behind(block, kept))
        return answer if is_sure else _trimmed(answer)

    def _items(self, seqs: np.ndarray) -> dict[int, Item]:
        """Items by `seq`, without those that were forgotten meanwhile."""
        return {item.seq: item for item in self._store.items(seqs.tolist())}

    def _room(
        self, computed: tuple[Computed, ...], remarks: tuple[str, ...], budget_tokens: int | None
    ) -> tuple[tuple[Computed, ...], tuple[str, ...], int | None]:
        """The lines below the evidence that fit, and the tokens they leave for it.

        They come first: what a question asks for outright is worth more than one turn more.
        """
        if budget_tokens is None:
            return computed, remarks, None
        room, kept = budget_tokens, []
        for line in (*(one.line for one in computed), *remarks):
            cost = self._count(line)
            kept.append(cost <= room)
            room -= cost if kept[-1] else 0
        lines = zip(computed, kept, strict=False)
        more = zip(remarks, kept[len(computed) :], strict=True)
        return tuple(c for c, fits in lines if fits), tuple(r for r, fits in more if fits), room

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
            since=micros(request.since),
            until=micros(request.until),
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


def _best_left(scores: Scores, picked: Sequence[int]) -> list[int]:
    """The best few candidates that were not picked."""
    left = np.ones(scores.values.size, bool)
    left[list(picked)] = False
    order = np.argsort(-scores.values, kind="stable")
    return order[left[order]][:_N_LEFT_OUT].tolist()


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
        tokens = answer.count_tokens(with_lines(text, answer.computed, answer.remarks))
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
