"""What A-MEM holds of a namespace: its notes, the words they add, their vectors and links."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain

import numpy as np

from memsieve.errors import ParameterError
from memsieve.search import Block
from memsieve.search.annotations import Annotations, bm25_of_all
from memsieve.search.tf_idf import TfIdf
from memsieve.search.words import terms, terms_of, words
from memsieve.stages import Place
from memsieve.store.base import UNKNOWN, Note
from memsieve.systems.a_mem_notes import MONTHS, Body, Tally

MATCHES = ("bm25", "tf-idf", "dense")

_STRETCH = 65_536  # vectors made floats at a time
_LONGEST_TOLD = 31 * 86_400_000_000  # microseconds: what tells of a year tells of no month


@dataclass(frozen=True, slots=True)
class Query:
    """What notes are matched with: uint32 terms, and a unit vector (d,) or None."""

    terms: np.ndarray
    vector: np.ndarray | None


@dataclass(frozen=True, slots=True)
class Kept:
    """A note in memory: its body, its unit and what it was made from."""

    body: Body
    unit: str
    sources: tuple[int, ...]

    @classmethod
    def of(cls, note: Note) -> "Kept":
        """From the store."""
        return cls(Body.of(note), note.unit, note.sources)


@dataclass(slots=True)
class _Vectors:
    """Vectors of the documents that have a note: rows in the order in which they came."""

    rows: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    docs: list[int] = field(default_factory=list)
    row_of: dict[int, int] = field(default_factory=dict)

    def put(self, doc: int, vector: np.ndarray) -> None:
        if doc not in self.row_of:
            self.row_of[doc] = len(self.docs)
            self.docs.append(doc)
            if len(self.docs) > len(self.rows):
                grown = np.zeros((max(2 * len(self.rows), 64), vector.size), np.float32)
                if len(self.rows):
                    grown[: len(self.rows)] = self.rows
                self.rows = grown
        self.rows[self.row_of[doc]] = vector


class Index:
    """Notes and links of one block, and how well each item matches a query.

    notes: by document number; links: from a document to `seq` numbers, as the model ordered them;
    n_evolutions: writes that changed anything so far. Changed notes reach the search at every
    `reindex_every`-th of these.
    """

    def __init__(self, match: str, *, who_and_when: bool, reindex_every: int) -> None:
        self._match, self._who_and_when = match, who_and_when
        self._every = reindex_every
        self.notes: dict[int, Kept] = {}
        self.links: dict[int, list[int]] = {}
        self.n_evolutions = 0
        self._annotations, self._tf_idf, self._vectors = Annotations(), TfIdf(), _Vectors()
        self._searched: dict[int, Body] = {}
        self._waiting: dict[int, Body] = {}
        self._state: tuple[int, int] | None = None
        self._n_seen = self._n_alive = 0
        self._tally: Tally | None = None
        self._of_speaker: dict[tuple[int, int], np.ndarray] = {}

    def follow(self, place: Place, block: Block, system: str) -> None:
        """Take in what is new in the block and in the store; let go of what is dead."""
        if self._n_alive != block.n_alive:
            for doc in [doc for doc in self.notes if not block.alive[doc]]:
                for held in (self.notes, self._searched, self._waiting, self.links):
                    held.pop(doc, None)
            self._tally = None
        if self._n_seen < len(block):
            self._annotate(block, range(self._n_seen, len(block)))
        self._n_seen, self._n_alive = len(block), block.n_alive
        state = place.store.notes_state(place.namespace, system)
        if state != self._state:
            self._load(place, block, system)
            self._state = state

    def wrote(
        self,
        place: Place,
        block: Block,
        system: str,
        notes: Sequence[Note],
        links: Iterable[tuple[int, int, float]],
        n_evolutions: int,
    ) -> None:
        """Follow what this process has just stored, without reading it all again."""
        self._tally = None
        self.n_evolutions = n_evolutions
        fresh: dict[int, Body] = {}
        for note in notes:
            body = Body.of(note)
            for doc in block.documents([body.seq]).tolist():
                self.notes[doc] = Kept.of(note)
                waits = body.rewrites and body.evolution > self._rebuilt and doc in self._searched
                (self._waiting if waits else fresh)[doc] = body
        for a, b, _ in links:
            for doc in block.documents([a]).tolist():
                self.links.setdefault(doc, []).append(b)
        ready = {doc: b for doc, b in self._waiting.items() if b.evolution <= self._rebuilt}
        self._waiting = {doc: b for doc, b in self._waiting.items() if doc not in ready}
        fresh.update(ready)
        self._search(place, block, fresh)
        if self._state is not None:
            state = place.store.notes_state(place.namespace, system)
            # One more than were written here is another process's: read all again next time.
            is_own = state[0] == self._state[0] + len(notes)
            self._state = state if is_own else None

    @property
    def tally(self) -> Tally:
        """What the notes tell of how they came about."""
        if self._tally is None:
            self._tally = Tally.over(kept.body for kept in self.notes.values())
        return self._tally

    @property
    def _rebuilt(self) -> int:
        """The evolution at which the search last took in what had changed."""
        return self.n_evolutions - self.n_evolutions % self._every

    def scores(self, block: Block, query: Query) -> np.ndarray:
        """How well each document matches: (n,) float64, higher is better."""
        if self._match == "bm25":
            return bm25_of_all(block, self._annotations, query.terms)
        if self._match == "tf-idf":
            return self.alike(block, query)
        if query.vector is None or not block.vectors.dimensions:
            raise ParameterError("match='dense' needs an embedder: open the memory with one")
        scores = _cosines(block, query.vector)
        if docs := self._vectors.docs:
            scores[docs] = self._vectors.rows[: len(docs)] @ query.vector
        return scores

    def alike(self, block: Block, query: Query) -> np.ndarray:
        """Cosines with a query: of vectors for match="dense", else of tf-idf; (n,) float64."""
        if self._match == "dense":
            return self.scores(block, query)
        return self._tf_idf.cosines(block, self._annotations, query.terms)

    def linked(self, block: Block, doc: int) -> list[int]:
        """The documents that the model linked a document to, in its order, dead ones included."""
        found: list[int] = block.documents(self.links.get(doc, ())).tolist()
        return found

    def _load(self, place: Place, block: Block, system: str) -> None:
        """Read every note and link, and search anew what has changed."""
        self._tally = None
        kept = [Kept.of(note) for note in place.store.notes(place.namespace, system)]
        self.n_evolutions = max((one.body.evolution for one in kept), default=0)
        self.notes = {}
        for one in kept:
            for doc in block.documents([one.body.seq]).tolist():
                if block.alive[doc]:
                    self.notes[doc] = one
        self._waiting = {}
        wanted = {doc: self._searchable(place, system, one) for doc, one in self.notes.items()}
        for doc, body in wanted.items():
            if body != self.notes[doc].body:
                self._waiting[doc] = self.notes[doc].body
        gone = {doc: None for doc in self._searched if doc not in wanted}
        changed = {doc: body for doc, body in wanted.items() if self._searched.get(doc) != body}
        self._search(place, block, {**gone, **changed})
        links: dict[int, list[tuple[float, int]]] = {}
        for a, b, weight in place.store.links(place.namespace, system):
            for doc in block.documents([a]).tolist():
                links.setdefault(doc, []).append((-weight, b))
        self.links = {doc: [b for _, b in sorted(each)] for doc, each in links.items()}

    def _searchable(self, place: Place, system: str, kept: Kept) -> Body:
        """The version of a note that the last rebuild of the index has seen."""
        if not kept.body.rewrites or kept.body.evolution <= self._rebuilt:
            return kept.body
        versions = [Body.of(n) for n in place.store.notes(place.namespace, system, kept.unit)]
        seen = [one for one in versions if not one.rewrites or one.evolution <= self._rebuilt]
        # Without any, what it was before has been forgotten together with a source.
        return seen[-1] if seen else kept.body

    def _search(self, place: Place, block: Block, bodies: Mapping[int, Body | None]) -> None:
        """Let the search see these bodies; None is a note that is gone."""
        for doc, body in bodies.items():
            if body is None:
                del self._searched[doc]
            else:
                self._searched[doc] = body
        if self._match == "dense":
            self._embed(place, block, bodies)
        elif bodies:
            self._annotate(block, bodies)

    def _embed(self, place: Place, block: Block, bodies: Mapping[int, Body | None]) -> None:
        docs = list(bodies)
        items = {item.seq: item.text for item in place.store.items(block.seq[docs].tolist())}
        added = [body.text if (body := bodies[doc]) else "" for doc in docs]
        texts = [
            f"{items.get(seq, '')} {more}".strip()
            for seq, more in zip(block.seq[docs].tolist(), added, strict=True)
        ]
        if texts and place.embedder.dimensions:
            for doc, vector in zip(docs, place.embedder.embed(texts), strict=True):
                self._vectors.put(doc, vector)

    def _annotate(self, block: Block, docs: Iterable[int]) -> None:
        """Write the words of notes, speakers and dates about documents."""
        listed = np.fromiter(docs, dtype=np.int64)
        told = self._told(block, listed) if self._who_and_when else {}
        months = _months(block.said_local[listed]).tolist()
        written = {}
        for doc, speaker, month in zip(
            listed.tolist(), block.speaker[listed].tolist(), months, strict=True
        ):
            parts = [self._said(block, speaker, month)] if self._who_and_when else []
            if body := self._searched.get(doc):
                parts.append(terms(body.text))
            else:
                parts += [_words_of(one) for one in told.get(doc, ())]
            is_one = len(parts) == 1 and body is None
            written[doc] = parts[0] if is_one else np.array(sorted({*chain(*parts)}), np.uint32)
        self._annotations.put(block, written)

    def _said(self, block: Block, speaker: int, month: int) -> np.ndarray:
        """The terms of a speaker's name and of a month, each once."""
        known = self._of_speaker.get((speaker, month))
        if known is None:
            known = np.append(_words_of(month), block.name_terms.get(speaker, ()))
            known = self._of_speaker[speaker, month] = np.unique(known.astype(np.uint32))
        return known

    def _told(self, block: Block, docs: np.ndarray) -> dict[int, list[int]]:
        """The months of which documents tell, of times that are not longer."""
        begins, ends, event_doc = block.event_from, block.event_to, block.event_doc
        # Bounds that are unknown are extremes: floats, for their differences overflow.
        is_short = ends.astype(float) - begins.astype(float) <= _LONGEST_TOLD
        is_known = (begins != UNKNOWN[0]) & (ends != UNKNOWN[1])
        rows = np.flatnonzero(is_short & is_known & np.isin(event_doc, docs))
        told: dict[int, list[int]] = {}
        months = _months(begins[rows]).tolist()
        for doc, month in zip(event_doc[rows].tolist(), months, strict=True):
            told.setdefault(doc, []).append(month)
        return told


def _cosines(block: Block, vector: np.ndarray) -> np.ndarray:
    """Of every document's text: (n,) float64."""
    if block.vectors.is_exact:
        return block.vectors.scan(vector).astype(np.float64)
    stretches = np.split(np.arange(len(block)), range(_STRETCH, len(block), _STRETCH))
    found = [block.vectors.exact(vector, docs) for docs in stretches]
    return np.concatenate(found).astype(np.float64)


def query_of(place: Place, block: Block, text: str) -> Query:
    """A text as a query; its vector only where the block has vectors."""
    vector = place.embedder.embed([text])[0] if block.vectors.dimensions else None
    return Query(terms(text), vector)


def _months(micros: np.ndarray) -> np.ndarray:
    """Months since 1970 of microseconds since then: (n,) int64."""
    return micros.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)


@lru_cache(maxsize=10_000)
def _words_of(month: int) -> np.ndarray:
    """The terms of the name of a month and its year."""
    year, number = divmod(month, 12)
    return terms_of(words(f"{MONTHS[number]} {1970 + year}"))
