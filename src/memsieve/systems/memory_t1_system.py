"""Memory-T1 over a memory file: its sessions in its order, their turns as they were said."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from memsieve.evaluate.scopes import Scope
from memsieve.score import Features
from memsieve.search.candidates import Found, found_of
from memsieve.stages import Reading, System
from memsieve.systems.held import Items, PerBlock
from memsieve.systems.memory_t1 import CARD, MemoryT1, Result
from memsieve.types import Item, Message


class MemoryT1System(System):
    """`MemoryT1` as a way to recall: the turns of the evidence first, then of what it saw.

    Parameters
    ----------
    options
        As `MemoryT1` takes them.

    Raises
    ------
    ParameterError
        As `MemoryT1`.
    """

    CARD = CARD
    reads_time = False

    def __init__(self, *options: Any, **named: Any) -> None:
        make = partial(MemoryT1, *options, **named)
        make()  # refuses unfit options now, not at the first question
        self._held = PerBlock(lambda: _Held(make()))

    def plan(self, reading: Reading) -> "_Plan":
        """Which sessions Memory-T1 takes; the selected first, then the packed, the candidates."""
        held = self._held.of(reading.block)
        held.follow(reading)
        result = held.memory.answer(reading.request.question, reading.request.clock)
        order = dict.fromkeys([*result.selected, *result.packed, *result.candidates])
        turns = {session.id: session.turns for session in held.memory.sessions}
        ranked = [[int(str(turn.key)) for turn in turns[id_]] for id_ in order]
        return _Plan(result, ranked)

    def find(self, reading: Reading) -> Found:
        """The turns of these sessions."""
        seqs = sorted(seq for session in reading.plan.ranked for seq in session)
        return found_of(reading.block, reading.question, reading.block.documents(seqs))

    def features(self, reading: Reading, found: Found) -> Features:
        """The place of the session, and of the turn in it: the earlier, the more."""
        n = len(reading.plan.ranked)
        place = {
            seq: (float(n - i), -j / (len(session) + 1))
            for i, session in enumerate(reading.plan.ranked)
            for j, seq in enumerate(session)
        }
        seqs = reading.block.seq[found.docs].tolist()
        rows = [place.get(seq, (0.0, 0.0)) for seq in seqs]  # others bring a newer truth
        return Features(("session", "turn"), np.array(rows, dtype=float).reshape(-1, 2))

    def explain(self, reading: Reading) -> Mapping[str, Any]:
        """The days of the question, what was selected, and the answer if the policy gives one."""
        result: Result = reading.plan.result
        days = result.time_range
        return {
            "days": None if days.is_open else [str(days.start), days.end and str(days.end)],
            "selected": list(result.selected),
            "answer": result.answer,
            "parse_failed": result.parse_failed,
        }


class _Plan:
    """What Memory-T1 found, and the turns of its sessions by `seq`, the best session first."""

    def __init__(self, result: Result, ranked: list[list[int]]) -> None:
        self.result, self.ranked = result, ranked


class _Held:
    """A `MemoryT1` that holds the items of a block which may be candidates."""

    def __init__(self, memory: MemoryT1) -> None:
        self.memory = memory
        self._items = Items()
        self._loaded: bytes | None = None

    def follow(self, reading: Reading) -> None:
        """Load the sessions anew if others may be candidates than last time."""
        docs = np.flatnonzero(reading.fit)
        state = reading.block.seq[docs].tobytes()
        if state != self._loaded:
            items = self._items.of(reading.place.store, reading.block, docs)
            messages = [_message(item) for item in items if item is not None]
            self.memory.load(Scope(reading.place.namespace, tuple(messages)))
            self._loaded = state


def _message(item: Item) -> Message:
    return Message(
        item.text,
        at=item.said_local,
        speaker=item.speaker,
        role=item.role,
        session=item.session,
        key=str(item.seq),
    )
