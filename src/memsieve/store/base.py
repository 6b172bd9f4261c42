"""What a store takes and gives: records in, items and index columns out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Protocol

import numpy as np

from memsieve.types import Item, Message, Receipt


@dataclass(frozen=True, slots=True)
class IndexRow:
    """What the search needs of one text, derived from it and rebuildable.

    tokens: length in WordPiece tokens; terms: uint32 word hashes as little-endian bytes;
    codes: int8 vector as bytes, empty without an embedder; scale: its float factor.
    """

    tokens: int
    terms: bytes
    codes: bytes
    scale: float


class Record(NamedTuple):
    """One message ready to be written: every default filled in, with its index row."""

    message: Message
    said_at: datetime
    row: IndexRow


@dataclass(frozen=True, slots=True)
class Columns:
    """Index columns of the items of a namespace, ascending by `seq`; all of length n.

    seq, ordinal, tokens: int64; said_at: int64 microseconds since 1970 UTC; session, speaker,
    role, kind: lists of str or None; terms: flat uint32 with `lengths` (n,) words per item;
    codes: (n, d) int8 with `scales` (n,) float32. Superseded items are not among them.
    `position` is the journal entry up to which the columns are complete.
    """

    position: int
    seq: np.ndarray
    ordinal: np.ndarray
    tokens: np.ndarray
    said_at: np.ndarray
    session: Sequence[str | None]
    speaker: Sequence[str | None]
    role: Sequence[str | None]
    kind: Sequence[str]
    terms: np.ndarray
    lengths: np.ndarray
    codes: np.ndarray
    scales: np.ndarray


@dataclass(frozen=True, slots=True)
class Changes:
    """What happened in a namespace after a journal position: new rows and rows gone.

    `reindexed` says that the vectors of old rows changed, so that a copy must be loaded anew.
    """

    added: Columns
    gone: Sequence[int]
    reindexed: bool = False


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the journal: what was done to which item, when and by whom. No text."""

    at: datetime
    operation: str
    actor: str
    ids: tuple[str, ...]
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Finding:
    """One inconsistency that `check` found; `fixed` says whether it mended it."""

    what: str
    where: str
    fixed: bool


@dataclass(frozen=True, slots=True)
class Job:
    """Resumable work: how far it came (`done` of `total`) and whether it ended or failed."""

    kind: str
    key: str
    state: str
    done: int
    total: int | None
    error: str | None


class Store(Protocol):
    """A place that keeps items; every write is one transaction that has reached the disk."""

    def insert(
        self, namespace: str, records: Sequence[Record], *, actor: str, embedder: str
    ) -> list[str]: ...
    def changes(
        self, namespace: str, position: int, after_seq: int, *, dimensions: int = 0
    ) -> Changes: ...
    def position(self, namespace: str) -> int: ...
    def items(self, seqs: Sequence[int]) -> list[Item]: ...
    def get(self, ids: Sequence[str]) -> list[Item]: ...
    def seqs(self, namespace: str, *, metadata: Mapping[str, Any]) -> list[int]: ...
    def forget(self, ids: Sequence[str], actor: str) -> Receipt: ...
    def namespaces(self) -> list[str]: ...
    def close(self) -> None: ...
