"""Turns side by side as they were said: the layout that makes window views cheap.

Every session has a lane, a run of slots that holds its living turns in order, with `GAP` empty
slots around it. The window of a turn is then a stretch of slots, and adding up neighbours is
adding shifted arrays, without asking where a session ends.
"""

import numpy as np

from memsieve.search.columns import Column

GAP = 3
"""Empty slots between lanes: the widest reach of a window."""
_NONE = -1
_SMALLEST_LANE = 8

Stretch = tuple[int, int]
"""Slots from the first to the second number, the end excluded."""


class Lanes:
    """Where each document stands, and which document stands in each slot.

    `slot` has one entry per document (int32, -1 if it stands nowhere), `document` one per slot
    (int32, -1 if empty). A lane that is full moves to the end and doubles its room, so n appended
    turns cost O(n) in all, whatever order the sessions grow in.
    """

    def __init__(self) -> None:
        self._slot = Column(np.int32)
        self._document = Column(np.int32)
        self._lane: dict[int, tuple[int, int, int]] = {}  # session -> start, size, room
        self._document.extend(np.full(GAP, _NONE, np.int32))

    @property
    def slot(self) -> np.ndarray:
        return self._slot.values

    @property
    def document(self) -> np.ndarray:
        return self._document.values

    def __len__(self) -> int:
        return self._document.size

    def beside(self, docs: np.ndarray, steps: int) -> np.ndarray:
        """The document `steps` turns later (earlier if negative), -1 for none; |steps| <= GAP."""
        return self.document[self.slot[docs] + steps]

    def place_all(self, session: np.ndarray, ordinal: np.ndarray, alive: np.ndarray) -> None:
        """Lay out every living document anew, lanes side by side without spare room.

        A document without a session (-1) gets a lane of its own that never grows.
        """
        n = session.size
        lane = np.where(session >= 0, session, session.max(initial=0) + 1 + np.arange(n))
        docs = np.flatnonzero(alive)
        docs = docs[np.lexsort((docs, ordinal[docs], lane[docs]))]
        first = np.append(True, np.diff(lane[docs]) != 0)[: docs.size]
        slots = np.arange(docs.size) + GAP * np.cumsum(first)
        self._slot, self._document = Column(np.int32), Column(np.int32)
        self._slot.extend(np.full(n, _NONE, np.int32))
        n_slots = int(slots[-1]) + 1 + GAP if docs.size else GAP
        self._document.extend(np.full(n_slots, _NONE, np.int32))
        self.slot[docs] = slots
        self.document[slots] = docs
        starts = np.flatnonzero(first)
        sizes = np.diff(np.append(starts, docs.size))
        self._lane = {
            int(s): (int(start), int(size), int(size))
            for s, start, size in zip(session[docs[starts]], slots[starts], sizes, strict=True)
            if s >= 0
        }

    def insert(self, doc: int, session: int, ordinal: np.ndarray) -> list[Stretch]:
        """Put a new document behind those of its session that do not come after it.

        `ordinal` (n_documents,) says where turns belong. Gives the stretches of slots that changed.
        """
        self._slot.extend(np.full(1, _NONE, np.int32))
        if session < 0:
            return [self._fill(self._open(1), np.array([doc], np.int32))]
        start, size, room = self._lane.get(session, (0, 0, 0))
        if size and size < room and ordinal[self.document[start + size - 1]] <= ordinal[doc]:
            self._lane[session] = (start, size + 1, room)
            return [self._fill(start + size, np.array([doc], np.int32))]
        members = self.document[start : start + size].copy()
        at = int(np.searchsorted(ordinal[members], ordinal[doc], side="right"))
        members = np.insert(members, at, doc)
        left = []
        if size == room:
            left = [self._fill(start, np.full(size, _NONE, np.int32))]
            room = max(_SMALLEST_LANE, 2 * size)
            start = self._open(room)
        self._lane[session] = (start, size + 1, room)
        return [*left, self._fill(start, members)]

    def remove(self, doc: int, session: int) -> Stretch:
        """Take a document out; those behind it move up. Gives the stretch that changed."""
        at = int(self.slot[doc])
        self.slot[doc] = _NONE
        start, size, room = self._lane.get(session, (at, 1, 1))
        behind = self.document[at + 1 : start + size].copy()
        if session >= 0:
            self._lane[session] = (start, size - 1, room)
        return self._fill(at, np.append(behind, np.int32(_NONE)))

    def _open(self, room: int) -> int:
        start = self._document.size
        self._document.extend(np.full(room + GAP, _NONE, np.int32))
        return start

    def _fill(self, start: int, docs: np.ndarray) -> Stretch:
        self.document[start : start + docs.size] = docs
        held = docs >= 0
        self.slot[docs[held]] = start + np.flatnonzero(held)
        return start, start + docs.size
