"""A-MEM: notes that a model describes, links to one another, and rewrites as new ones arrive."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

import numpy as np

from memsieve.errors import AnswerError, ParameterError
from memsieve.score import Features
from memsieve.search import Block
from memsieve.search.candidates import Found, found_of
from memsieve.search.links import Step, beside, expand, nearest
from memsieve.search.top import top
from memsieve.search.words import terms_of, words
from memsieve.stages import Card, Place, Progress, Reading, System
from memsieve.systems.a_mem_index import MATCHES, Index, Query, query_of
from memsieve.systems.a_mem_notes import Keywords, capitalised, searching, tidy
from memsieve.systems.a_mem_writing import Writer
from memsieve.systems.held import PerBlock

LINKS = ("adjacency", "model", "similarity", "entity")

_N_SIMILAR = 5
_RARE = 5
_STEP = 1e-6


@dataclass(frozen=True)
class AMem(System):
    """Notes with context, keywords and tags, found by their words and followed along their links.

    `enrich` has a model write one note for each item: one call describes it, a second one links it
    to some of its `n_neighbours` nearest earlier notes and rewrites their contexts and tags. What
    a note says is searched together with the item. A recall takes the best item, then what it
    links, then the next best, up to the budget, which counts all of them.

    Parameters
    ----------
    links
        Along which links hits bring others, in this order: "adjacency", the turns before and after;
        "model", those that `enrich` wrote; "similarity", up to five earlier items of a cosine above
        `theta`; "entity", up to five earlier items with a rare capitalised word of the hit. One
        name, several, or None for hits alone. The default serves without a model, and with one
        leaves room for a link of it: ten turns of LoCoMo's development part hold .73 of the
        evidence with adjacency, .65 without links, .57 with similarity (`benchmarks/a_mem.py`).
    expansion
        How many others one hit brings at most, >= 0; None for all that it links.
    match
        What hits are ranked by, and what makes neighbours near: "bm25", "tf-idf" or "dense", the
        cosine of the memory's embedder, as published. Vectors of notes are not stored: with "dense"
        they are made when a memory is first asked.
    who_and_when
        Whether the speaker, the month in which something was said, and for items without a note
        the months of which they tell, count as words of an item for "bm25" and "tf-idf".
    n_neighbours
        How many notes a new one may link and change, >= 0. 5 as published.
    rewrites
        How often neighbours may change the context and tags of a note, None for ever, as
        published: repeated rewriting drifts from the text.
    reindex_every
        After how many writes that changed anything the search sees the changes; 1 is at once, 100
        as published. New notes are seen at once.
    theta
        Cosine above which items are similar, of tf-idf (.2 is that of our measurements) or, for
        match="dense", of the embedder.
    keyword_query
        Have the model turn a question into keywords first, as in the paper's experiments. Without
        a model, or if it gives none, the words of the question are taken.

    Raises
    ------
    ParameterError
        If an option lies outside its rule; at a recall, if match="dense" has no embedder.
    EndpointError
        From `enrich`, if the model cannot be reached; from a recall with `keyword_query`.

    Examples
    --------
    >>> import memsieve, tempfile, pathlib
    >>> folder = tempfile.TemporaryDirectory()
    >>> memory = memsieve.open(pathlib.Path(folder.name) / "m.db", system=AMem())
    >>> ids = memory.add(["Rex has to see the vet.", "On Friday at nine.", "I like tea."],
    ...                  session="s", at="2024-06-11")
    >>> [hit.text for hit in memory.recall("When does Rex see the vet?", k=2)]
    ['Rex has to see the vet.', 'On Friday at nine.']
    >>> memory.close(); folder.cleanup()

    References
    ----------
    Xu et al., A-MEM: Agentic Memory for LLM Agents, arXiv 2502.12110 (NeurIPS 2025); code
    agiresearch/A-mem and WujiangXu/AgenticMemory. For the published behaviour take
    `AMem(links="model", expansion=None, match="dense", rewrites=None, reindex_every=100,
    keyword_query=True)`. What differs even then is in `CARD.differences`.
    """

    CARD: ClassVar[Card] = Card(
        name="a-mem",
        paper="Xu et al., A-MEM: Agentic Memory for LLM Agents, arXiv 2502.12110",
        unit="a note about one item: keywords, a sentence of context, tags, links",
        written="every item verbatim; notes by a model when enriched, two calls each",
        scored="BM25, tf-idf or cosine of an item together with its note; links rank behind the"
        " hit that brings them",
        selected="the best hits, each followed by what it links, inside one budget for all",
        managed="a new note is linked to its neighbours and rewrites their context and tags;"
        " nothing is merged, nothing fades",
        learns="nothing",
        differences=(
            "published: cosine of MiniLM; here BM25 unless match='dense', because with adjacency it"
            " finds more than the cosine of the shipped embedder",
            "published: linked notes are the model's; here the turns before and after come first,"
            " which pays most at equal budget",
            "published: up to k linked notes on top of k, or none for the library; here k counts"
            " everything",
            "the speaker and the month of an item are searched too, and a word that an item and its"
            " note share counts once",
            "published (library): evolution edits the five oldest notes; here notes go by their"
            " ids, and the neighbours that the model saw are changed",
            "published: changed notes are searched after the 100th evolution; here at once unless"
            " reindex_every=100, counted over the namespace",
            "published: rewritten notes are lost; here every version is kept and a note is"
            " rewritten at most five times unless rewrites=None (suggestion)",
            "empty contexts and tags from the model leave a note as it is",
            "an answer that does not fit is asked for once more; then the stand-in describes the"
            " item, nothing evolves, and the failure is counted",
            "without a model there are no notes to read: of what would stand in for them only the"
            " months of which an item tells add words to search, for keywords and context are words"
            " of the item; links are worked out at the question, and nothing evolves",
            "every item costs two calls: batches and a gate by novelty (suggestions) are not made",
            "the context shows items as they were said; what notes say of them is in notes()",
            "category, retrieval_count, last_accessed, evolution_history and importance_score are"
            " left out: neither code uses them",
        ),
    )
    reads_time: ClassVar[bool] = False

    links: str | Sequence[str] | None = ("adjacency", "model")
    expansion: int | None = 3
    match: str = "bm25"
    who_and_when: bool = True
    n_neighbours: int = 5
    rewrites: int | None = 5
    reindex_every: int = 1
    theta: float = 0.2
    keyword_query: bool = False
    _held: "PerBlock[Index]" = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        kinds = (self.links,) if isinstance(self.links, str) else tuple(self.links or ())
        object.__setattr__(self, "links", kinds)
        if strange := [kind for kind in kinds if kind not in LINKS]:
            raise ParameterError(f"AMem.links must be of {', '.join(LINKS)}, got {strange[0]!r}")
        if self.match not in MATCHES:
            raise ParameterError(
                f"AMem.match must be one of {', '.join(MATCHES)}, got {self.match!r}"
            )
        for name, least, may_be_none in (
            ("expansion", 0, True),
            ("rewrites", 0, True),
            ("n_neighbours", 0, False),
            ("reindex_every", 1, False),
        ):
            _check_whole(name, getattr(self, name), least, may_be_none=may_be_none)
        if not -1 <= self.theta <= 1:
            raise ParameterError(f"AMem.theta must be in [-1, 1], got {self.theta!r}")
        make = partial(
            Index, self.match, who_and_when=self.who_and_when, reindex_every=self.reindex_every
        )
        object.__setattr__(self, "_held", PerBlock(make))

    def index(self, place: Place, block: Block) -> Index:
        """The notes of a block as the store has them now."""
        index = self._held.of(block)
        index.follow(place, block, self.name)
        return index

    def plan(self, reading: Reading) -> "_Plan":
        """The way along hits and links."""
        block, fit = reading.block, reading.fit
        index = self.index(reading.place, block)
        keywords = self._keywords(reading) if self.keyword_query else ()
        query = Query(reading.question.terms, reading.question.vector)
        if keywords:
            query = query_of(reading.place, block, " ".join(keywords))
        scores = index.scores(block, query)
        pool = reading.request.pool
        hits = top(np.where(fit, scores, -np.inf), pool)
        links = _Links(self, reading, index)
        steps = expand(hits.tolist(), links.of, pool, each=self.expansion)
        return _Plan(index, keywords, scores, hits, steps)

    def _keywords(self, reading: Reading) -> tuple[str, ...]:
        model = reading.place.model
        if model is None:
            return ()
        try:
            return tidy(model.ask(searching(reading.question.text), Keywords).keywords)
        except AnswerError:
            return ()

    def find(self, reading: Reading) -> Found:
        """The hits and what they link."""
        docs = np.array(sorted(step.doc for step in reading.plan.steps), dtype=np.int64)
        return found_of(reading.block, reading.question, docs)

    def features(self, reading: Reading, found: Found) -> Features:
        """How well it matches, what the hit that brings it adds to that, and its place there."""
        plan: _Plan = reading.plan
        rows = np.zeros((found.docs.size, 3))
        rows[:, 0] = plan.scores[found.docs]
        step_of = {step.doc: step for step in plan.steps}
        of_hits = plan.scores[plan.hits]
        for row, doc in zip(rows, found.docs.tolist(), strict=True):
            if step := step_of.get(doc):  # others bring a newer truth
                row[1] = of_hits[step.hit] - row[0]
                row[2] = -_STEP * (step.hit + step.place / (step.place + 1))
        return Features(("match", "linked", "order"), rows)

    def explain(self, reading: Reading) -> Mapping[str, Any]:
        """The keywords that were searched for, by which links, and what the notes tell."""
        plan: _Plan = reading.plan
        tally = plan.index.tally
        return {
            "keywords": list(plan.keywords),
            "links": list(self.links or ()),
            "notes": tally.notes,
            "failed": tally.failed_descriptions + tally.failed_evolutions,
            "unknown_links": tally.unknown_links,
        }

    def enrich(self, place: Place, progress: Progress | None = None) -> int:
        """Write the notes that are missing, in the order of the items; gives how many.

        One call of the model for the first, two for each later one. A note and all that it changes
        is one transaction. Where forgetting took a note along because it may have repeated what
        was forgotten, its last version without that is put back, without a call and without a
        model.

        Raises
        ------
        EndpointError
            If the model cannot be reached: nothing is stored of that item, everything before it
            stays, and the next call goes on there. If the endpoint refuses only this item, which a
            short question to it tells, the stand-in describes it and the run goes on.
        """
        has_notes = place.store.notes_state(place.namespace, self.name)[0] > 0
        return Writer(self, place).run(progress) if place.model or has_notes else 0


@dataclass(frozen=True, slots=True)
class _Plan:
    """scores: (n,) of all documents; hits: (h,) document numbers, the best first."""

    index: Index
    keywords: tuple[str, ...]
    scores: np.ndarray
    hits: np.ndarray
    steps: list[Step]


class _Links:
    """What a hit brings along, best first, among what may be candidates."""

    def __init__(self, system: AMem, reading: Reading, index: Index) -> None:
        self._system, self._reading, self._index = system, reading, index
        self._fit = reading.fit
        kinds: dict[str, Callable[[int], Sequence[int]]] = {
            "adjacency": partial(beside, reading.block),
            "model": partial(index.linked, reading.block),
            "similarity": self._similar,
            "entity": self._sharing,
        }
        self._kinds = [kinds[kind] for kind in system.links or ()]

    def of(self, doc: int) -> list[int]:
        return [one for kind in self._kinds for one in kind(doc) if self._fit[one]]

    def _similar(self, doc: int) -> Sequence[int]:
        block = self._reading.block
        if self._system.match == "dense":
            query = query_of(self._reading.place, block, self._text(doc))
        else:
            query = Query(block.terms(np.array([doc]))[0], None)
        alike = self._index.alike(block, query)
        return nearest(alike, self._earlier(doc), _N_SIMILAR, self._system.theta)

    def _sharing(self, doc: int) -> Sequence[int]:
        block = self._reading.block
        names = terms_of(
            dict.fromkeys(w for one in capitalised(self._text(doc)) for w in words(one))
        )
        shared = np.zeros(len(block))
        for name in names.tolist():
            docs = block.postings.find(name)[0]
            docs = docs[block.alive[docs]]
            if docs.size <= _RARE:
                shared[docs] += 1
        return nearest(shared, self._earlier(doc), _N_SIMILAR, 0.0)

    def _earlier(self, doc: int) -> np.ndarray:
        return self._fit & (np.arange(len(self._reading.block)) < doc)

    def _text(self, doc: int) -> str:
        items = self._reading.place.store.items([int(self._reading.block.seq[doc])])
        return items[0].text if items else ""


def _check_whole(name: str, value: object, least: int, *, may_be_none: bool) -> None:
    if value is None and may_be_none:
        return
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        rule = f"a whole number >= {least}" + (" or None" if may_be_none else "")
        raise ParameterError(f"AMem.{name} must be {rule}, got {value!r}")
