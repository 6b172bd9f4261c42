"""One namespace in memory: postings, vectors, sessions, speakers and times as NumPy arrays.

The block is derived data. It is loaded once, follows the store by its journal position, and
numbers its documents 0, 1, ... in the order in which they arrived; a forgotten or superseded
document keeps its number and is dead.
"""

from collections.abc import Sequence

import numpy as np

from memsieve.search.postings import Postings
from memsieve.search.vectors import Vectors
from memsieve.search.words import terms_of, words
from memsieve.store.base import Changes, Columns

REACHES = (0, 1, 3)
"""Neighbours on each side that a view of a turn takes in: the turn, +-1 and +-3."""
_GROWTH = 1.5
_BULK = 5_000


class Column:
    """A NumPy array that grows by appending in amortised constant time."""

    def __init__(self, dtype: type[np.generic], width: int | None = None) -> None:
        shape = (0,) if width is None else (0, width)
        self._data = np.empty(shape, dtype)
        self.size = 0

    @property
    def values(self) -> np.ndarray:
        """The filled part, a writable view."""
        return self._data[: self.size]

    def extend(self, more: np.ndarray) -> None:
        """Append rows."""
        need = self.size + len(more)
        if need > len(self._data):
            room = need if not self.size else int(need * _GROWTH)
            grown = np.empty((room, *self._data.shape[1:]), self._data.dtype)
            grown[: self.size] = self.values
            self._data = grown
        self._data[self.size : need] = more
        self.size = need


class Names:
    """Numbers for strings in order of first appearance; None is the number -1."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.number: dict[str, int] = {}

    def codes(self, values: Sequence[str | None]) -> np.ndarray:
        """The number of each value, new ones added: shape (n,), int32."""
        number = self.number
        for value in dict.fromkeys(values):
            if value is not None and value not in number:
                number[value] = len(self.names)
                self.names.append(value)
        return np.array([-1 if v is None else number[v] for v in values], dtype=np.int32)


class Block:
    """The searchable arrays of one namespace.

    Attributes are arrays of one entry per document: `seq`, `ordinal`, `tokens`, `said_at`
    (int64), `session`, `speaker`, `role`, `kind` (int32 numbers of `sessions.names` and so on),
    `alive` (bool), `previous` and `next` (int32 neighbours in the same session, -1 for none) and
    `lengths[reach]` (float32 words in the turn and `reach` neighbours on each side).
    """

    def __init__(self, dimensions: int) -> None:
        self.position = 0
        self.postings = Postings()
        self.vectors = Vectors(dimensions)
        self.sessions, self.speakers, self.roles, self.kinds = Names(), Names(), Names(), Names()
        self._seq, self._ordinal = Column(np.int64), Column(np.int64)
        self._tokens, self._said_at = Column(np.int64), Column(np.int64)
        self._session, self._speaker = Column(np.int32), Column(np.int32)
        self._role, self._kind = Column(np.int32), Column(np.int32)
        self._alive = Column(np.bool_)
        self._previous, self._next = Column(np.int32), Column(np.int32)
        self._lengths = {reach: Column(np.float32) for reach in REACHES}
        self.session_lengths = np.empty(0, np.float32)
        self._tail: dict[int, int] = {}
        self.n_alive = 0
        self.name_terms: dict[int, tuple[int, ...]] = {}

    def __len__(self) -> int:
        return self._seq.size

    seq = property(lambda self: self._seq.values)
    ordinal = property(lambda self: self._ordinal.values)
    tokens = property(lambda self: self._tokens.values)
    said_at = property(lambda self: self._said_at.values)
    session = property(lambda self: self._session.values)
    speaker = property(lambda self: self._speaker.values)
    role = property(lambda self: self._role.values)
    kind = property(lambda self: self._kind.values)
    alive = property(lambda self: self._alive.values)
    previous = property(lambda self: self._previous.values)
    next = property(lambda self: self._next.values)

    def lengths(self, reach: int) -> np.ndarray:
        """Words in each turn and `reach` neighbours on each side: shape (n,), float32."""
        return self._lengths[reach].values

    @property
    def all_alive(self) -> bool:
        return self.n_alive == len(self)

    def nbytes(self) -> int:
        """Memory of the arrays, in bytes, growth room not counted."""
        segments = self.postings.segments
        index = sum(
            s.terms.nbytes + s.starts.nbytes + s.docs.nbytes + s.tf.nbytes for s in segments
        )
        columns = [c for c in vars(self).values() if isinstance(c, Column)]
        columns += self._lengths.values()
        return index + self.vectors.nbytes() + sum(c.values.nbytes for c in columns)

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
        for doc in self.documents(changes.gone):
            if self.alive[doc]:
                self._kill(int(doc))
        self.position = changes.added.position

    def _append(self, added: Columns) -> None:
        first, n = len(self), len(added.seq)
        for column, values in (
            (self._seq, added.seq),
            (self._ordinal, added.ordinal),
            (self._tokens, added.tokens),
            (self._said_at, added.said_at),
            (self._session, self.sessions.codes(added.session)),
            (self._speaker, self.speakers.codes(added.speaker)),
            (self._role, self.roles.codes(added.role)),
            (self._kind, self.kinds.codes(added.kind)),
            (self._alive, np.ones(n, bool)),
            (self._previous, np.full(n, -1, np.int32)),
            (self._next, np.full(n, -1, np.int32)),
        ):
            column.extend(values)
        for reach in REACHES:
            self._lengths[reach].extend(added.lengths)
        self.n_alive += n
        self.postings.append(added.terms, added.lengths, first)
        self.vectors.extend(added.codes, added.scales)
        self._learn_names()
        self._add_to_sessions(first)
        for doc in np.flatnonzero(added.dead):
            self._kill(first + int(doc))

    def _learn_names(self) -> None:
        for number in range(len(self.name_terms), len(self.speakers.names)):
            self.name_terms[number] = tuple(
                int(t) for t in terms_of(words(self.speakers.names[number]))
            )

    def _add_to_sessions(self, first: int) -> None:
        new = np.arange(first, len(self))
        sessions = self.session[first:]
        grown = np.zeros(len(self.sessions.names), np.float32)
        grown[: self.session_lengths.size] = self.session_lengths
        inside = sessions >= 0
        grown += np.bincount(sessions[inside], self.lengths(0)[first:][inside], grown.size)
        self.session_lengths = grown.astype(np.float32)
        if new.size > _BULK or first == 0:
            self._chain_all()
            return
        for doc in new[inside]:
            self._chain(int(doc))
        self._measure(self._around(new))

    def _chain_all(self) -> None:
        """Link every session's living documents by ordinal: one sort."""
        docs = np.flatnonzero(self.alive & (self.session >= 0))
        order = docs[np.lexsort((docs, self.ordinal[docs], self.session[docs]))].astype(np.int32)
        self.previous[:] = -1
        self.next[:] = -1
        self._tail = {}
        if order.size:
            sessions = self.session[order]
            same = sessions[1:] == sessions[:-1]
            self.next[order[:-1][same]] = order[1:][same]
            self.previous[order[1:][same]] = order[:-1][same]
            last = np.append(~same, True)
            self._tail = dict(zip(sessions[last].tolist(), order[last].tolist(), strict=True))
        self._measure(np.arange(len(self)))

    def _chain(self, doc: int) -> None:
        """Put one new document behind the last of its session that does not come after it."""
        session, ordinal = int(self.session[doc]), self.ordinal
        before, after = self._tail.get(session, -1), -1
        while before >= 0 and ordinal[before] > ordinal[doc]:
            before, after = int(self.previous[before]), before
        self.previous[doc], self.next[doc] = before, after
        if before >= 0:
            self.next[before] = doc
        if after >= 0:
            self.previous[after] = doc
        else:
            self._tail[session] = doc

    def _kill(self, doc: int) -> None:
        before, after = int(self.previous[doc]), int(self.next[doc])
        self.alive[doc] = False
        self.n_alive -= 1
        session = int(self.session[doc])
        if session < 0:
            return
        touched = self._around(np.array([doc]))
        if before >= 0:
            self.next[before] = after
        if after >= 0:
            self.previous[after] = before
        elif before >= 0:
            self._tail[session] = before
        else:
            del self._tail[session]
        self.previous[doc] = self.next[doc] = -1
        self.session_lengths[session] -= self.lengths(0)[doc]
        self._measure(touched)

    def _around(self, docs: np.ndarray) -> np.ndarray:
        """`docs` and every document whose widest view takes one of them in."""
        found = [docs]
        for link in (self.previous, self.next):
            at = docs
            for _ in range(max(REACHES)):
                at = link[at]
                at = at[at >= 0]
                found.append(at)
        return np.unique(np.concatenate(found))

    def _measure(self, docs: np.ndarray) -> None:
        """Recount the words that the wider views of `docs` hold."""
        own = self.lengths(0)
        total = own[docs].copy()
        back, ahead = docs, docs
        for step in range(1, max(REACHES) + 1):
            back, ahead = (
                np.where(at >= 0, link[at], -1)
                for at, link in ((back, self.previous), (ahead, self.next))
            )
            total += np.where(back >= 0, own[back], 0) + np.where(ahead >= 0, own[ahead], 0)
            if step in self._lengths:
                self.lengths(step)[docs] = total
