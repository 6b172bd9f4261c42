"""Small namespaces built without a store."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from memsieve.search import Block
from memsieve.search.windows import DAY
from memsieve.search.words import terms
from memsieve.store.base import UNKNOWN, Changes, Columns

Turn = tuple[str, str | None, str | None]


def columns(turns: list[Turn], vectors: np.ndarray | None = None, first_seq: int = 1) -> Columns:
    """Columns of turns given as (text, speaker, session), numbered in the order given."""
    n = len(turns)
    vectors = np.zeros((n, 4), np.float32) if vectors is None else np.asarray(vectors)
    words = [terms(text) for text, _, _ in turns]
    count: Counter[str | None] = Counter()
    ordinals = []
    for _, _, session in turns:
        ordinals.append(count[session])
        count[session] += 1
    return Columns(
        position=first_seq + n,
        seq=np.arange(first_seq, first_seq + n),
        ordinal=np.array(ordinals, dtype=np.int64),
        tokens=np.array([len(text.split()) for text, _, _ in turns], dtype=np.int64),
        dated_tokens=np.zeros(n, np.int64),
        said_at=np.arange(n, dtype=np.int64),
        offset=np.zeros(n, np.int64),
        traits=np.zeros(n, np.int64),
        session=[session for _, _, session in turns],
        speaker=[speaker for _, speaker, _ in turns],
        role=[None] * n,
        kind=["turn"] * n,
        terms=np.concatenate([*words, np.empty(0, np.uint32)]).astype(np.uint32),
        lengths=np.array([len(w) for w in words], dtype=np.int64),
        codes=np.round(vectors * 127).astype(np.int8),
        scales=np.full(n, 1 / 127, np.float32),
        text_hash=np.arange(n),
        n_events=np.zeros(n, np.int64),
        event_from=np.empty(0, np.int64),
        event_to=np.empty(0, np.int64),
    )


def _micros(day: float | None, unknown: int) -> int:
    return unknown if day is None else int(day * DAY)


@pytest.fixture
def block_of() -> Callable[..., Block]:
    """A block of turns given as (text, speaker, session), with vectors if wanted.

    `days` are the days since 1970 on which they were said, at noon; `events` the (document, first
    day, day after the last) of times that they mention, ascending by document, None where unknown.
    """

    def make(
        turns: list[Turn],
        vectors: np.ndarray | None = None,
        days: Sequence[float] | None = None,
        events: Sequence[tuple[int, float | None, float | None]] = (),
    ) -> Block:
        made = columns(turns, vectors)
        if days is not None:
            made.said_at[:] = [(day + 0.5) * DAY for day in days]
        docs = [doc for doc, _, _ in events]
        made = replace(
            made,
            n_events=np.bincount(docs, minlength=len(turns)).astype(np.int64),
            event_from=np.array([_micros(f, UNKNOWN[0]) for _, f, _ in events], dtype=np.int64),
            event_to=np.array([_micros(t, UNKNOWN[1]) for _, _, t in events], dtype=np.int64),
        )
        block = Block(4)
        block.apply(Changes(made, ()))
        return block

    return make


@pytest.fixture
def grow() -> Callable[..., None]:
    """Appends turns to a block as a later change of the store would."""

    def more(block: Block, turns: list[Turn], ordinals: list[int] | None = None) -> None:
        added = columns(turns, first_seq=len(block) + 1)
        if ordinals is not None:
            added.ordinal[:] = ordinals
        block.apply(Changes(added, ()))

    return more


@pytest.fixture
def kill() -> Callable[..., None]:
    """Marks items of a block as gone, by their `seq`."""

    def gone(block: Block, seqs: list[int]) -> None:
        nothing = columns([], np.zeros((0, block.vectors.dimensions)))
        block.apply(Changes(nothing, seqs))

    return gone
