"""What MemGAS holds of a namespace: four views of every session, and what links them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from memsieve.errors import ParameterError
from memsieve.manage.association import accepted, strongest
from memsieve.search import Block
from memsieve.search.bags import Bag, Bags, Vocabulary, inverse_frequency
from memsieve.search.pagerank import Graph
from memsieve.search.question import Question
from memsieve.search.words import terms
from memsieve.stages import Place
from memsieve.store.base import Note

VIEWS = ("session", "turns", "summary", "keywords")
SIMILARITIES = ("words", "meaning", "both")
TURNS = ("best", "mean")

_N_KEYWORDS = 10
_N_CENTRAL = 3
_PAIR = 2


@dataclass(frozen=True, slots=True)
class Digest:
    """What a session is about: a summary, and keywords or short statements of its facts."""

    summary: str
    keywords: tuple[str, ...]

    def __post_init__(self) -> None:
        if not any(text.strip() for text in self.texts):
            raise ParameterError("Digest must have a summary or keywords, got neither")

    @property
    def texts(self) -> tuple[str, str]:
        """The summary and the keywords, each as one text."""
        return self.summary, "; ".join(self.keywords)

    def note(self, session: str, sources: tuple[int, ...], author: str) -> Note:
        """As the store takes it."""
        body = {"summary": self.summary, "keywords": list(self.keywords)}
        return Note(session, body, sources, author)

    @classmethod
    def of(cls, note: Note) -> "Digest":
        """From the store."""
        return cls(note.body["summary"], tuple(note.body["keywords"]))


@dataclass(frozen=True, slots=True)
class Linking:
    """How sessions are linked.

    Parameters
    ----------
    n_nearest
        Of so many nearest earlier nodes some may be accepted, >= 1; 30 in the paper.
    min_gap, otherwise
        As `memsieve.manage.association.accepted` takes them; the paper has 0 and 0.
    max_degree
        The strongest links of a node that stay, >= 0; None for all, as in the paper.
    reach
        A session is compared with so many sessions before it, >= 0, which bounds what it costs to
        link one; the paper compares it with all.
    weighted
        Whether the walk prefers near neighbours, by the similarity at which they were linked; in
        the paper all links are alike. Where every session has some words in common it is then
        still the rare ones that lead on.

    Raises
    ------
    ParameterError
        If one lies outside its rule.
    """

    n_nearest: int = 30
    min_gap: float = 2.0
    otherwise: int = 3
    max_degree: int | None = 40
    reach: int = 1_000
    weighted: bool = True

    def __post_init__(self) -> None:
        least = {"n_nearest": 1, "min_gap": 0, "otherwise": 0, "max_degree": 0, "reach": 0}
        for name, rule in least.items():
            value = getattr(self, name)
            if value is not None and not value >= rule:
                raise ParameterError(f"Linking.{name} must be >= {rule}, got {value!r}")


@dataclass(slots=True)
class _Unit:
    """A session, or an item without one: its living documents in order, and its four views."""

    key: str
    docs: np.ndarray
    digest: Digest | None
    text: Bag
    pairs: list[Bag]
    pair_vectors: np.ndarray
    told: list[Bag] = field(default_factory=list)
    told_vectors: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    views: list[Bag] = field(default_factory=list)
    vectors: np.ndarray = field(default_factory=lambda: np.zeros((len(VIEWS), 0)))

    def is_still(self, docs: np.ndarray, digest: Digest | None) -> bool:
        return self.digest == digest and np.array_equal(self.docs, docs)


class Sessions:
    """The sessions of one block in the order in which they began, followed as it grows.

    Row 4 i + g stands for view g of session i. All is a function of the living documents and the
    digests: a session is linked with the statistics of words that the memory had when it last
    doubled in sessions before it, so that linking one more does not move the others. What a change
    touches is worked out anew, and so are the sessions that began after it.
    """

    def __init__(self, similarity: str, turns: str, linking: Linking) -> None:
        self._by_words = similarity != "meaning"
        self._by_meaning = similarity != "words"
        self._turns, self._linking = turns, linking
        self._vocabulary = Vocabulary()
        self._units: list[_Unit] = []
        self._links: list[np.ndarray] = []
        self._state: tuple[int, ...] | None = None
        self.unit_of = np.zeros(0, np.int64)
        self.graph = Graph.of(0, np.zeros((0, 2)))

    def __len__(self) -> int:
        return len(self._units)

    def documents(self, i: int) -> np.ndarray:
        """The living documents of session i, in the order in which they were said."""
        return self._units[i].docs

    def follow(self, block: Block, place: Place, system: str) -> None:
        """Take in what the block and the notes of `system` have become."""
        store, namespace = place.store, place.namespace
        now = (len(block), block.n_alive, block.position, *store.notes_state(namespace, system))
        if now == self._state:
            return
        digests = {note.unit: Digest.of(note) for note in store.notes(namespace, system)}
        found = _sessions(block)
        kept = 0
        for unit, (key, docs) in zip(self._units, found, strict=False):
            if unit.key != key or not unit.is_still(docs, digests.get(key)):
                break
            kept += 1
        old = {unit.key: unit for unit in self._units[kept:] if unit.key}
        del self._units[kept:], self._links[kept:]
        fresh = []
        for key, docs in found[kept:]:
            known = old.get(key)
            if known is not None and known.is_still(docs, digests.get(key)):
                self._units.append(known)
            else:
                fresh.append(self._unit(block, key, docs, digests.get(key)))
                self._units.append(fresh[-1])
        self._tell(place, fresh)
        self._link_from(kept, block)
        self._index(block)
        self._state = now

    def similarities(self, question: Question) -> np.ndarray:
        """How near each view of each session is to a question: shape (4, n), in [-1, 1]."""
        found = []
        if self._by_words:
            asked = self._vocabulary.bag(question.terms, grow=False)
            near = self._bags.cosines(asked).reshape(-1, len(VIEWS)).T.copy()
            if self._turns == "best":
                near[1] = self._best(self._pair_bags.cosines(asked))
            found.append(near)
        if self._by_meaning and question.vector is not None:
            near = (self._matrix @ question.vector).reshape(-1, len(VIEWS)).T.copy()
            if self._turns == "best":
                near[1] = self._best(self._pair_matrix @ question.vector)
            found.append(near)
        return np.mean(found, axis=0) if found else np.zeros((len(VIEWS), len(self)))

    def _best(self, of_pairs: np.ndarray) -> np.ndarray:
        best = np.full(len(self), -np.inf)
        np.maximum.at(best, self._pair_unit, of_pairs)
        return best

    def _unit(self, block: Block, key: str, docs: np.ndarray, digest: Digest | None) -> _Unit:
        turns = _words(block, docs)
        ends = [*range(0, docs.size, _PAIR), docs.size]
        pairs = [self._vocabulary.bag(np.concatenate(turns[a:b])) for a, b in pairwise(ends)]
        vectors = np.zeros((0, 0))
        if self._by_meaning:
            weighted = block.vectors.rows(docs) * np.maximum(block.tokens[docs], 1)[:, None]
            vectors = _unit_rows(np.add.reduceat(weighted, ends[:-1], axis=0))
        text = self._vocabulary.bag(np.concatenate([*turns, _names(block, docs)]))
        return _Unit(key, docs, digest, text, pairs, vectors)

    def _tell(self, place: Place, fresh: Sequence[_Unit]) -> None:
        """Read the digests of new sessions, all in one call of the embedder."""
        told = [(unit, unit.digest) for unit in fresh if unit.digest is not None]
        texts = [text for _, digest in told for text in digest.texts]
        vectors = np.zeros((len(texts), 0))
        if texts and self._by_meaning:
            vectors = place.embedder.embed(texts)
        for i, (unit, digest) in enumerate(told):
            unit.told = [self._vocabulary.bag(terms(text)) for text in digest.texts]
            unit.told_vectors = vectors[2 * i : 2 * i + 2]

    def _link_from(self, first: int, block: Block) -> None:
        """Work out the views and links of session `first` and of all later ones."""
        units, n = self._units, len(self._units)
        while first < n:
            known = 1 << (first.bit_length() - 1) if first else 0
            end = min(max(2 * known, 1), n)
            idf = inverse_frequency([unit.text for unit in units[:known]], len(self._vocabulary))
            for unit in units[first:end]:
                self._view(unit, block, idf)
            self._links += self._linked(first, end, idf)
            first = end

    def _view(self, unit: _Unit, block: Block, idf: np.ndarray) -> None:
        """The four views of a session; what no note tells is taken from its own words."""
        turns = _words(block, unit.docs)
        nearness = Bags([self._vocabulary.bag(turn) for turn in turns], idf).cosines(unit.text)
        central = np.sort(np.argsort(-nearness, kind="stable")[:_N_CENTRAL])
        heaviest = np.argsort(-unit.text.weights * idf[unit.text.terms], kind="stable")
        keywords = unit.text.hashes[heaviest[:_N_KEYWORDS]]
        summary = np.concatenate([turns[i] for i in central])
        told = [self._vocabulary.bag(summary), self._vocabulary.bag(keywords)]
        unit.views = [unit.text, Bag.mean(unit.pairs), *(unit.told or told)]
        if self._by_meaning:
            rows = block.vectors.rows(unit.docs)
            rows *= np.maximum(block.tokens[unit.docs], 1)[:, None]
            told_rows = unit.told_vectors
            if not unit.told:
                n_held = np.array([np.isin(turn, keywords).sum() for turn in turns])
                told_rows = np.stack([rows[central].sum(axis=0), n_held @ rows])
            of_turns = unit.pair_vectors.sum(axis=0)
            unit.vectors = _unit_rows([rows.sum(axis=0), of_turns, *told_rows])

    def _linked(self, first: int, end: int, idf: np.ndarray) -> list[np.ndarray]:
        """Links of each session from `first` to before `end`: rows (new, earlier, nearness)."""
        n_views, nearest = len(VIEWS), self._linking.n_nearest
        oldest = max(first - self._linking.reach, 0)
        units = self._units[oldest:end]
        bags = Bags([view for unit in units for view in unit.views], idf)
        matrix = np.concatenate([unit.vectors for unit in units])
        scores = np.full((n_views * (end - first), nearest), np.nan)
        rows = np.zeros(scores.shape, np.int64)
        for i in range(first, end):
            low = n_views * (max(i - self._linking.reach, 0) - oldest)
            high = n_views * (i - oldest)
            for g in range(n_views):
                near = self._nearness(bags, matrix, units[i - oldest], g, low, high)
                best = np.argsort(-near, kind="stable")[:nearest]
                best = best[near[best] > 0]
                at = n_views * (i - first) + g
                scores[at, : best.size] = near[best]
                rows[at, : best.size] = best + low + n_views * oldest
        taken = accepted(scores, min_gap=self._linking.min_gap, otherwise=self._linking.otherwise)
        links = []
        for i in range(end - first):
            part = slice(n_views * i, n_views * (i + 1))
            new = np.nonzero(taken[part])[0] + n_views * (first + i)
            links.append(np.column_stack([new, rows[part][taken[part]], scores[part][taken[part]]]))
        return links

    def _nearness(
        self, bags: Bags, matrix: np.ndarray, unit: _Unit, g: int, low: int, high: int
    ) -> np.ndarray:
        found = []
        if self._by_words:
            found.append(bags.cosines(unit.views[g], low, high))
        if self._by_meaning:
            found.append(matrix[low:high] @ unit.vectors[g])
        near: np.ndarray = np.mean(found, axis=0)
        return near

    def _index(self, block: Block) -> None:
        """What a question is compared with, by the statistics of all words."""
        units, n = self._units, len(self._units)
        idf = inverse_frequency([unit.text for unit in units], len(self._vocabulary))
        self._bags = Bags([view for unit in units for view in unit.views], idf)
        self._pair_bags = Bags([pair for unit in units for pair in unit.pairs], idf)
        self._pair_unit = np.repeat(np.arange(n), [len(unit.pairs) for unit in units])
        if self._by_meaning and units:
            self._matrix = np.concatenate([unit.vectors for unit in units])
            self._pair_matrix = np.concatenate([unit.pair_vectors for unit in units])
        links = np.concatenate([np.zeros((0, 3)), *self._links])
        pairs, n_rows = links[:, :2].astype(np.int64), len(VIEWS) * n
        if self._linking.max_degree is not None:
            kept = strongest(pairs, links[:, 2], n_rows, self._linking.max_degree)
            links, pairs = links[kept], pairs[kept]
        self.graph = Graph.of(n_rows, pairs, links[:, 2] if self._linking.weighted else None)
        self.unit_of = np.full(len(block), -1)
        for i, unit in enumerate(units):
            self.unit_of[unit.docs] = i


def _sessions(block: Block) -> list[tuple[str, np.ndarray]]:
    """Name and living documents of every session in the order in which they began.

    An item without a session is one of its own, without a name.
    """
    docs = np.flatnonzero(block.alive)
    n_named = len(block.sessions.names)
    code = np.where(block.session[docs] >= 0, block.session[docs], n_named + docs)
    order = np.lexsort((docs, block.ordinal[docs], code))
    docs, code = docs[order], code[order]
    cuts = np.flatnonzero(np.diff(code)) + 1
    groups = np.split(docs, cuts) if docs.size else []
    groups.sort(key=lambda group: int(group.min()))
    sessions = [int(block.session[group[0]]) for group in groups]
    names = [block.sessions.names[s] if s >= 0 else "" for s in sessions]
    return list(zip(names, groups, strict=True))


def _words(block: Block, docs: np.ndarray) -> list[np.ndarray]:
    """The words of each turn, hashed."""
    hashes, starts = block.terms(docs)
    return [hashes[a:b] for a, b in pairwise(starts)]


def _names(block: Block, docs: np.ndarray) -> np.ndarray:
    """The words of the names of all who speak, hashed, each speaker once."""
    speakers = set(block.speaker[docs].tolist())
    found = [name for one in speakers for name in block.name_terms.get(one, ())]
    return np.array(found, dtype=np.uint32)


def _unit_rows(rows: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
    """Rows at length 1; a row of zeros stays: float32."""
    found = np.asarray(rows, dtype=np.float32)
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    scaled: np.ndarray = found / np.where(lengths > 0, lengths, 1)
    return scaled
