"""One namespace in memory: postings, vectors, sessions, speakers and times as NumPy arrays.

The block is derived data. It is loaded once, follows the store by its journal position, and
numbers its documents 0, 1, ... in the order in which they arrived; a forgotten or superseded
document keeps its number and is dead.
"""

from collections.abc import Sequence

import numpy as np

from memsieve.search.columns import Column, Names
from memsieve.search.lanes import GAP, Lanes
from memsieve.search.postings import Postings
from memsieve.search.stems import ROW, stems
from memsieve.search.vectors import Vectors
from memsieve.search.words import terms_of, words
from memsieve.store.base import Changes, Columns

REACHES = (0, 1, GAP)
"""Neighbours on each side that a view of a turn takes in: the turn, +-1 and +-3."""
_BULK = 2_000
_MINUTE = np.int64(60_000_000)  # microseconds


class Block:
    """The searchable arrays of one namespace.

    One entry per document: `seq`, `ordinal`, `tokens`, `dated_tokens`, `said_at`, `text_hash`
    (int64), `offset` (int32 minutes), `traits` (int32, see `memsieve.traits`), `session`,
    `speaker`, `role`, `kind` (int32 numbers of `sessions.names` and so on), `n_names` (int32, how
    many of its words are of a speaker's name), `alive` (bool). One entry per word, in the order of
    documents: `word_term` (uint32 hash), `word_stem` (uint16 row of `Stems`). One entry per time
    that a document mentions, in the same order: `event_from`, `event_to` (int64 microseconds),
    `event_doc` (int32). One entry per slot of `lanes`: `lengths(reach)`, float32, the words in the
    turn and `reach` neighbours on each side.
    """

    def __init__(self, dimensions: int) -> None:
        self.position = 0
        self.postings = Postings()
        self.vectors = Vectors(dimensions)
        self.lanes = Lanes()
        self.sessions, self.speakers, self.roles, self.kinds = Names(), Names(), Names(), Names()
        self.name_terms: dict[int, tuple[int, ...]] = {}
        self._all_name_terms: set[int] = set()
        self.session_lengths = np.empty(0, np.float32)
        self.n_alive = 0
        self._seq, self._ordinal = Column(np.int64), Column(np.int64)
        self._tokens, self._dated_tokens = Column(np.int64), Column(np.int64)
        self._said_at, self._offset = Column(np.int64), Column(np.int32)
        self._session, self._speaker = Column(np.int32), Column(np.int32)
        self._role, self._kind = Column(np.int32), Column(np.int32)
        self._traits, self._text_hash = Column(np.int32), Column(np.int64)
        self._terms, self._terms_start = Column(np.uint32), Column(np.int64)
        self._stems, self._n_names = Column(ROW), Column(np.int32)
        self._words = Column(np.float32)
        self._alive = Column(np.bool_)
        self._event_from, self._event_to = Column(np.int64), Column(np.int64)
        self._event_doc = Column(np.int32)
        self._lengths = {reach: Column(np.float32) for reach in REACHES}
        self._totals = dict.fromkeys(REACHES, 0.0)
        self._terms_start.extend(np.zeros(1, np.int64))
        self._measure(0, len(self.lanes))

    def __len__(self) -> int:
        return self._seq.size

    seq = property(lambda self: self._seq.values)
    ordinal = property(lambda self: self._ordinal.values)
    tokens = property(lambda self: self._tokens.values)
    dated_tokens = property(lambda self: self._dated_tokens.values)
    said_at = property(lambda self: self._said_at.values)
    offset = property(lambda self: self._offset.values)
    session = property(lambda self: self._session.values)
    speaker = property(lambda self: self._speaker.values)
    role = property(lambda self: self._role.values)
    kind = property(lambda self: self._kind.values)
    alive = property(lambda self: self._alive.values)
    traits = property(lambda self: self._traits.values)
    text_hash = property(lambda self: self._text_hash.values)
    n_names = property(lambda self: self._n_names.values)
    word_term = property(lambda self: self._terms.values)
    word_stem = property(lambda self: self._stems.values)
    event_from = property(lambda self: self._event_from.values)
    event_to = property(lambda self: self._event_to.values)
    event_doc = property(lambda self: self._event_doc.values)

    @property
    def said_local(self) -> np.ndarray:
        """What the speakers' clocks showed: shape (n,), int64 microseconds since 1970."""
        return self.said_at + self.offset * _MINUTE

    def local(self, docs: np.ndarray) -> np.ndarray:
        """`said_local` of some documents: shape (len(docs),)."""
        return self.said_at[docs] + self.offset[docs] * _MINUTE

    def lengths(self, reach: int) -> np.ndarray:
        """Words in the window of each slot: shape (n_slots,), float32; inf in an empty slot.

        The infinite length makes every score of an empty slot zero.
        """
        return self._lengths[reach].values

    def mean_length(self, reach: int) -> float:
        """Mean number of words in the windows of living turns, at least 1."""
        return max(self._totals[reach] / max(self.n_alive, 1), 1.0)

    @property
    def all_alive(self) -> bool:
        return self.n_alive == len(self)

    def spans(self, docs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where the words of some documents are among all words, one after another.

        Gives the places (m,) and where each document begins among them (len(docs) + 1,).
        """
        begins = self._terms_start.values[docs]
        lengths = self._terms_start.values[docs + 1] - begins
        starts = np.zeros(docs.size + 1, np.int64)
        np.cumsum(lengths, out=starts[1:])
        return np.repeat(begins - starts[:-1], lengths) + np.arange(starts[-1]), starts

    def terms(self, docs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The words of some documents: uint32 hashes one after another, and where each begins.

        Gives terms (m,) and starts (len(docs) + 1,).
        """
        at, starts = self.spans(docs)
        return self.word_term[at], starts

    def frequency(self, term: int) -> int:
        """How many living documents hold a term."""
        docs = self.postings.find(term)[0]
        return docs.size if self.all_alive else int(np.count_nonzero(self.alive[docs]))

    def nbytes(self) -> int:
        """Memory of the arrays, in bytes, growth room not counted."""
        segments = self.postings.segments
        index = sum(
            s.terms.nbytes + s.starts.nbytes + s.docs.nbytes + s.tf.nbytes for s in segments
        )
        columns = [c for c in vars(self).values() if isinstance(c, Column)]
        columns += self._lengths.values()
        lanes = self.lanes.slot.nbytes + self.lanes.document.nbytes
        return index + lanes + self.vectors.nbytes() + sum(c.values.nbytes for c in columns)

    def documents(self, seqs: Sequence[int]) -> np.ndarray:
        """Document numbers of items by `seq`; those that are not here are left out."""
        wanted = np.asarray(seqs, dtype=np.int64)
        at = np.searchsorted(self.seq, wanted)
        known = at < len(self)
        known[known] = self.seq[at[known]] == wanted[known]
        return at[known]

    def apply(self, changes: Changes) -> None:
        """Follow the store: append what is new, mark dead what is gone."""
        if len(changes.added.seq):
            self._append(changes.added)
        for doc in self.documents(changes.gone).tolist():
            if self.alive[doc]:
                self._kill(doc)
        self.position = changes.added.position

    def _append(self, added: Columns) -> None:
        first = len(self)
        for column, values in (
            (self._seq, added.seq),
            (self._ordinal, added.ordinal),
            (self._tokens, added.tokens),
            (self._dated_tokens, added.dated_tokens),
            (self._said_at, added.said_at),
            (self._offset, added.offset),
            (self._session, self.sessions.codes(added.session)),
            (self._speaker, self.speakers.codes(added.speaker)),
            (self._role, self.roles.codes(added.role)),
            (self._kind, self.kinds.codes(added.kind)),
            (self._words, added.lengths),
            (self._traits, added.traits),
            (self._text_hash, added.text_hash),
            (self._terms, added.terms),
            (self._stems, stems().rows(added.terms)),
            (self._terms_start, self._terms_start.values[-1] + np.cumsum(added.lengths)),
            (self._alive, np.ones(len(added.seq), bool)),
            (self._event_from, added.event_from),
            (self._event_to, added.event_to),
            (self._event_doc, np.repeat(np.arange(first, first + len(added.seq)), added.n_events)),
        ):
            column.extend(values)
        self.n_alive += len(added.seq)
        self.postings.append(added.terms, added.lengths, first)
        self.vectors.extend(added.codes, added.scales)
        self._count_names(added.terms, added.lengths)
        self._count_sessions(first)
        self._lay_out(first)

    def _count_names(self, terms: np.ndarray, lengths: np.ndarray) -> None:
        """Learn the names of new speakers, and count the words of names in new documents.

        Words that were no names so far are looked up in the index: they occur in old ones too.
        """
        known, counts = self._all_name_terms, np.zeros(lengths.size, np.int32)
        if known:  # nothing is known when a block is loaded, which has the most words
            is_name = np.fromiter(map(known.__contains__, terms.tolist()), bool, terms.size)
            owner = np.repeat(np.arange(lengths.size), lengths)
            counts += np.bincount(owner[is_name], minlength=lengths.size).astype(np.int32)
        self._n_names.extend(counts)
        for number in range(len(self.name_terms), len(self.speakers.names)):
            own = tuple(terms_of(words(self.speakers.names[number])).tolist())
            self.name_terms[number] = own
            for term in {*own} - known:
                docs, tf = self.postings.find(term)
                self.n_names[docs] += tf.astype(np.int32)
            known.update(own)

    def _count_sessions(self, first: int) -> None:
        counted = self.session[first:] >= 0
        sessions, n_words = self.session[first:][counted], self._words.values[first:][counted]
        grown = np.bincount(sessions, n_words, len(self.sessions.names)).astype(np.float32)
        grown[: self.session_lengths.size] += self.session_lengths
        self.session_lengths = grown

    def _lay_out(self, first: int) -> None:
        if first == 0 or len(self) - first > _BULK:
            self.lanes.place_all(self.session, self.ordinal, self.alive)
            self._lengths = {reach: Column(np.float32) for reach in REACHES}
            self._totals = dict.fromkeys(REACHES, 0.0)
            self._measure(0, len(self.lanes))
            return
        for doc in range(first, len(self)):
            for stretch in self.lanes.insert(doc, int(self.session[doc]), self.ordinal):
                self._measure(*stretch)

    def _kill(self, doc: int) -> None:
        self.alive[doc] = False
        self.n_alive -= 1
        session = int(self.session[doc])
        if session >= 0:
            self.session_lengths[session] -= self._words.values[doc]
        self._measure(*self.lanes.remove(doc, session))

    def _measure(self, begin: int, end: int) -> None:
        """Count the words again in the windows that see the slots from `begin` to `end`."""
        n_slots = len(self.lanes)
        low, high = max(begin - 2 * GAP, 0), min(end + 2 * GAP, n_slots)
        changed = slice(max(begin - GAP, 0), min(end + GAP, n_slots))
        docs = self.lanes.document[low:high]
        own = np.zeros(docs.size)
        own[docs >= 0] = self._words.values[docs[docs >= 0]]
        for reach, column in self._lengths.items():
            column.extend(np.full(max(n_slots - column.size, 0), np.inf, np.float32))
            column.size = n_slots
            windows = np.convolve(own, np.ones(2 * reach + 1))[reach : reach + docs.size]
            windows[docs < 0] = np.inf
            new = windows[changed.start - low : changed.stop - low]
            self._totals[reach] += _finite_sum(new) - _finite_sum(column.values[changed])
            column.values[changed] = new


def _finite_sum(values: np.ndarray) -> float:
    return float(values[np.isfinite(values)].sum(dtype=np.float64))
