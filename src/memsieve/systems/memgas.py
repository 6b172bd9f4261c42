"""MemGAS: sessions seen in four views, linked to one another, weighed for each question.

Every session is a session text, the mean or the best of its pairs of turns, a summary and keywords.
A view of a new session is linked to the views of earlier ones that a mixture of two Gaussians sets
apart as kin. For a question the views are weighed by how sure they are, the best nodes start a
personalised PageRank, and a session is worth what its nodes are worth in it.
"""

import math
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np

from memsieve.errors import ParameterError
from memsieve.manage.extractive import best_sentence
from memsieve.manage.verbatim import Quotes, quotes
from memsieve.recollection import Recollection, day_line, spoken
from memsieve.score import EQUAL_VIEWS, Features, Scores, StandardisedSum, features
from memsieve.score.routing import FORMS, entropies, view_weights
from memsieve.search.candidates import Found, found_of
from memsieve.search.pagerank import pagerank
from memsieve.stages import Card, Place, Progress, Reading, System
from memsieve.store.base import Note
from memsieve.systems.held import PerBlock
from memsieve.systems.memgas_graph import (
    SIMILARITIES,
    TURNS,
    VIEWS,
    Digest,
    Linking,
    Sessions,
)
from memsieve.types import NOTHING, Item

if TYPE_CHECKING:
    from memsieve.llm import Model

__all__ = ["CARD", "Digest", "Linking", "MemGAS"]

CARD = Card(
    name="memgas",
    paper="From Single to Multi-Granularity: Toward Long-Term Memory Association and Selection "
    "of Conversational Agents, arXiv 2505.19549",
    unit="a session in four views: its text, its pairs of turns, a summary, keywords",
    written="turns verbatim; summary and keywords by one call of a model for each session, later",
    scored="similarity of each view, weighed by its entropy, spread by personalised PageRank",
    selected="turns of the best sessions until the budget is full; the paper's top 3 as an option",
    managed="views of a session are linked to kin among those of earlier ones, at most 40 each",
    learns="nothing",
    differences=(
        "similarities are those of words (tf-idf) by default, of the embedder as an option: a "
        "whole session in one vector of 512 word pieces loses what stands behind them",
        "the view of turns is the best pair by default, the mean of the paper as an option",
        "an entropy is taken at a temperature of twice the deviation of the similarities of the "
        "question, or at one that is given; the paper's 0.2 fits one scale of similarities",
        "the script's weights 1 - H are not offered: they become negative and prefer the vaguest",
        "without notes the summary is three central turns and the keywords are the ten heaviest "
        "words, worked out in memory",
        "of two groups of similarities the higher counts if the means are two deviations apart, "
        "else the best three; links per view are limited; the walk prefers near neighbours; the "
        "paper has none of these and all links alike",
        "a session is linked from the second one on, the script begins with the sixth, and with "
        "the statistics of words that the memory had when it last doubled",
        "the hits are turns, ranked by the session and by themselves; the paper returns sessions",
        "where the walk leaves two sessions within a millionth, their similarity decides",
    ),
)

_TIE = 1e-6
_SESSION_WEIGHT = 2.0
_TURN_VIEWS = StandardisedSum(
    {name: weight for name, weight in EQUAL_VIEWS.items() if name != "words_session"}
)
_LEAST_SHARE = 1e-9
_N_VIEWS = 6
_N_ANSWERED_FROM = 3
_MAX_TOKENS = 500
ORDERS = ("turns", "sessions")

_DESCRIBE = """Below is a session of a conversation between {who}, held on {when}. It is to be \
found again by what it is about.

Write a summary that names the people, the facts, the plans and the dates that were spoken of, in \
a few sentences, and the keywords that tell this session from others. Add nothing that was not said.

The session:
{session}"""
_SELECT = """Which parts of the sessions below help to answer the question? Copy these parts word \
for word, each from a single line and as short as it can be without losing what matters; leave \
out all that does not help. Do not answer, do not paraphrase, do not add anything. If nothing \
helps, give no parts.

The question: {question}

{sessions}"""


@dataclass(frozen=True, slots=True)
class Selected:
    """What a model copied from sessions."""

    parts: Annotated[tuple[str, ...], "copied word for word"]


@dataclass(frozen=True, slots=True)
class _Plan:
    """What was decided for a question.

    sessions: the sessions held; ranks: what each is worth, (n,), 0 where nothing speaks for it;
    weights: of the views, (4,).
    """

    sessions: Sessions
    ranks: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True, eq=False)
class MemGAS(System):
    """Sessions found through four views of each, their links, and the entropy of the views.

    For a question, s[g, i] is the similarity of view g of session i. w = `view_weights` of the
    entropies of s at `temperature`; node (i, g) is worth w[g] s[g, i]; the `n_seeds` best nodes
    start a walk of `damping` over the links; a session is worth the sum of its four ranks. The
    first question after a change takes in what is new: O(words of a session * words of `reach`
    sessions) for each new session. A question: O(words of the namespace + links).

    Parameters
    ----------
    similarity
        "words": cosine of tf-idf vectors; "meaning": of the embedder's; "both": their mean. On
        LoCoMo words find far more than a small static embedder does.
    turns
        "best": the pair of turns nearest to the question; "mean": the mean of all pairs.
    router
        "paper", "normalised" or "equal": see `memsieve.score.routing`.
    temperature
        The paper's lambda, in units of similarity; 0.2 there. None takes twice the standard
        deviation of all similarities of the question, whatever their scale.
    n_seeds
        The paper's alpha; None for all. Larger values find more of what is spread over sessions,
        given summaries of a model, and less without.
    damping
        The chance to follow a link, in [0, 1); 0.1 in the paper.
    graph
        Whether the walk is taken at all; without it the seeds alone count.
    linking
        How sessions are linked.
    n_sessions
        Hits come from so many sessions, 3 in the paper; None for as many as the budget holds.
    order
        "turns": hits by ln(share of the session) plus the standardised views of the turn, ours:
        a small budget holds turns of several sessions. "sessions": all turns of the best session
        come before those of the next.
    given
        Summaries and keywords that are at hand, by namespace and session; `enrich` stores them as
        notes of the author "given" and no model is asked about these sessions.

    Raises
    ------
    ParameterError
        If an option lies outside its rule; on recall, if "meaning" finds no embedder.

    References
    ----------
    arXiv 2505.19549; see `CARD` for every difference. UNCONFIRMED in the paper's sources: whether
    pairs of turns overlap; here they do not. The weight 1 / H, the temperature 0.2 and alpha 15
    were tuned by the authors on LoCoMo.
    """

    CARD: ClassVar[Card] = CARD

    _: KW_ONLY
    similarity: str = "words"
    turns: str = "best"
    router: str = "paper"
    temperature: float | None = None
    n_seeds: int | None = 15
    damping: float = 0.1
    graph: bool = True
    linking: Linking = field(default_factory=Linking)
    n_sessions: int | None = None
    order: str = "turns"
    given: Mapping[str, Mapping[str, Digest]] = field(default_factory=lambda: NOTHING, repr=False)
    _held: PerBlock[Sessions] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        for name, value, known in (
            ("similarity", self.similarity, SIMILARITIES),
            ("turns", self.turns, TURNS),
            ("router", self.router, FORMS),
            ("order", self.order, ORDERS),
        ):
            if value not in known:
                raise ParameterError(
                    f"MemGAS.{name} must be one of {', '.join(known)}, got {value!r}"
                )
        if self.temperature is not None and not (0 < self.temperature < math.inf):
            raise ParameterError(f"MemGAS.temperature must be > 0, got {self.temperature!r}")
        if not 0 <= self.damping < 1:
            raise ParameterError(f"MemGAS.damping must be in [0, 1), got {self.damping!r}")
        for name in ("n_seeds", "n_sessions"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ParameterError(f"MemGAS.{name} must be >= 1, got {value!r}")
        make = partial(Sessions, self.similarity, self.turns, self.linking)
        object.__setattr__(self, "_held", PerBlock(make))

    # Reading

    def plan(self, reading: Reading) -> _Plan:
        """What every session is worth, and how much each view counts."""
        place = reading.place
        if self.similarity == "meaning" and not place.embedder.dimensions:
            raise ParameterError(
                "MemGAS(similarity='meaning') needs an embedder: open the memory with one, or "
                "take 'words'"
            )
        sessions = self._held.of(reading.block)
        sessions.follow(reading.block, place, self.name)
        n = len(sessions)
        allowed = np.zeros(n, bool)
        allowed[sessions.unit_of[np.flatnonzero(reading.fit)]] = True
        ranks, weights = np.zeros(n), np.full(len(VIEWS), 1 / len(VIEWS))
        if not allowed.any():
            return _Plan(sessions, ranks, weights)
        near = np.maximum(sessions.similarities(reading.question), 0.0)
        weights = self._weights(near[:, allowed])
        nodes = np.where(allowed, weights[:, None] * near, 0.0).T.ravel()
        seeds = np.zeros(nodes.size)
        best = np.argsort(-nodes, kind="stable")[: self.n_seeds]
        seeds[best] = nodes[best]
        if not seeds.any():
            return _Plan(sessions, ranks, weights)
        walked: np.ndarray = seeds / seeds.sum()
        if self.graph:
            kept = np.repeat(allowed, len(VIEWS))
            graph = sessions.graph if allowed.all() else sessions.graph.within(kept)
            walked = pagerank(graph, seeds, self.damping)
        walked += _TIE * nodes / nodes.sum()
        return _Plan(sessions, walked.reshape(n, -1).sum(axis=1), weights)

    def _weights(self, near: np.ndarray) -> np.ndarray:
        """Weight of each view for similarities (4, n)."""
        temperature = self.temperature or 2 * float(near.std())
        if not temperature > 0:  # all alike: no view knows anything
            temperature = 1.0
        return view_weights(entropies(near, temperature), near.shape[1], self.router)

    def find(self, reading: Reading) -> Found:
        """The turns of the best sessions, enough of them to fill the budget."""
        plan: _Plan = reading.plan
        enough = max(_N_VIEWS * reading.request.pool, reading.request.k or 0)
        docs = [np.zeros(0, np.int64)]
        fit, n_found = reading.fit, 0
        for i in np.argsort(-plan.ranks, kind="stable")[: self.n_sessions].tolist():
            if n_found >= enough or not plan.ranks[i] > 0:
                break
            own = plan.sessions.documents(i)
            docs.append(own[fit[own]])
            n_found += docs[-1].size
        return found_of(reading.block, reading.question, np.sort(np.concatenate(docs)))

    def features(self, reading: Reading, found: Found) -> Features:
        """The share of the session, ln, and the library's views of the turn alone."""
        plan: _Plan = reading.plan
        turns = features(reading.block, reading.question, found)
        ranks = plan.ranks[plan.sessions.unit_of[found.docs]]
        share = ranks / max(float(plan.ranks.max(initial=0.0)), _LEAST_SHARE)
        session = np.log(np.maximum(share, _LEAST_SHARE))
        return Features(
            ("session", *turns.names), np.concatenate([session[:, None], turns.values], axis=1)
        )

    def score(self, reading: Reading, found: Found, columns: Features) -> Scores:
        """The session and the turn in one sum, or the session first."""
        own = _TURN_VIEWS.score(Features(columns.names[1:], columns.values[:, 1:]))
        session: np.ndarray = _SESSION_WEIGHT * columns.values[:, 0]
        if self.order == "sessions":
            # Ranks of sessions, each worth more than turns can differ.
            _, place = np.unique(session, return_inverse=True)
            session = (np.ptp(own.values) + 1.0 if own.values.size else 1.0) * place
        parts = np.concatenate([session[:, None], own.parts], axis=1)
        return Scores(parts.sum(axis=1), columns.names, parts)

    def rank_sessions(self, reading: Reading, found: Found, scores: np.ndarray) -> np.ndarray:
        """What MemGAS says of each session, whichever turns are candidates."""
        plan: _Plan = reading.plan
        ranks = np.full(len(reading.block.sessions.names), -np.inf)
        for i in np.flatnonzero(plan.ranks > 0).tolist():
            session = reading.block.session[plan.sessions.documents(i)[0]]
            if session >= 0:
                ranks[session] = plan.ranks[i]
        return ranks

    def explain(self, reading: Reading) -> Mapping[str, Any]:
        """The weights of the views."""
        weights = reading.plan.weights.round(4).tolist()
        return {"views": dict(zip(VIEWS, weights, strict=True))}

    # Writing

    def enrich(self, place: Place, progress: Progress | None = None) -> int:
        """Store what was given, and ask the model about the sessions that have no note or grew.

        A note that was given is never replaced by one of a model.

        Raises
        ------
        AnswerError, EndpointError
            From the model; what was written before stays.
        """
        given = self.given.get(place.namespace, NOTHING)
        sessions = _by_session(place)
        notes = {note.unit: note for note in place.store.notes(place.namespace, self.name)}
        n_written = 0
        for done, (session, items) in enumerate(sessions.items(), 1):
            note = self._note(session, items, notes.get(session), given.get(session), place.model)
            if note is not None:
                place.store.write_notes(place.namespace, self.name, [note])
                n_written += 1
            if progress is not None:
                progress(done, len(sessions))
        return n_written

    def _note(
        self,
        session: str,
        items: list[Item],
        old: Note | None,
        given: Digest | None,
        model: "Model | None",
    ) -> Note | None:
        """The note that a session should get now; None if the old one stands."""
        sources = tuple(item.seq for item in items)
        is_same = old is not None and set(old.sources) == set(sources)
        if given is not None:
            if is_same and old is not None and Digest.of(old) == given:
                return None
            return given.note(session, sources, "given")
        if model is None or is_same or (old is not None and old.author == "given"):
            return None
        digest = model.ask(_described(items), Digest, max_tokens=_MAX_TOKENS)
        return digest.note(session, sources, model.identity)

    def relevant(
        self,
        found: Recollection,
        model: "Model | None" = None,
        digests: Mapping[str, Digest] = NOTHING,
    ) -> Quotes:
        """The redundancy filter: those parts of the hits that help to answer, verbatim.

        The model is shown the hits of the best sessions, 3 or `n_sessions`, with their dates and
        digests, and copies from them. What stands in none of them is dropped and counted, and so
        is what it copies twice. Without a model it is the sentence of each hit that shares most
        words with the question.

        Parameters
        ----------
        found
            What `Memory.recall` gave.
        digests
            By session, what the model is told besides; as `Digest.of` reads them from
            `Memory.notes`.

        Raises
        ------
        AnswerError, EndpointError
            From the model.
        """
        best = [hit.session for hit in found.sessions][: self.n_sessions or _N_ANSWERED_FROM]
        order = {session: place for place, session in enumerate(best)}
        items = [hit.item for hit in found if hit.item.session in (*best, None)]
        items.sort(key=lambda item: (order.get(item.session or "", len(order)), item.ordinal))
        if model is None or not items:
            parts = (best_sentence(found.question, item.text) for item in items)
            return quotes([part for part in parts if part], items)
        shown = [
            _shown(list(group), digests.get(session or ""))
            for session, group in groupby(items, key=lambda item: item.session)
        ]
        prompt = _SELECT.format(question=found.question, sessions="\n\n".join(shown))
        return quotes(model.ask(prompt, Selected, max_tokens=_MAX_TOKENS).parts, items)


def _by_session(place: Place) -> dict[str, list[Item]]:
    """The items of a namespace by session, in the order in which they were said."""
    found: dict[str, list[Item]] = {}
    for item in place.store.walk(place.namespace):
        if item.session is not None:
            found.setdefault(item.session, []).append(item)
    for items in found.values():
        items.sort(key=lambda item: (item.ordinal, item.seq))
    return found


def _described(items: list[Item]) -> str:
    is_assistant = any(item.role == "assistant" for item in items)
    return _DESCRIBE.format(
        who="a user and an assistant" if is_assistant else "people",
        when=day_line(items[0].said_local),
        session="\n".join(spoken(item) for item in items),
    )


def _shown(items: list[Item], digest: Digest | None) -> str:
    lines = [day_line(items[0].said_local)]
    if digest is not None:
        summary, keywords = digest.texts
        lines += [f"(in short: {summary})", f"(keywords: {keywords})"]
    return "\n".join([*lines, *(spoken(item) for item in items)])
