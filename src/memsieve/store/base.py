"""What a store takes and gives: records in, items and index columns out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Protocol

import numpy as np

from memsieve.types import Interval, Item, Mention, Message, Receipt

UNKNOWN = (int(np.iinfo(np.int64).min), int(np.iinfo(np.int64).max))
"""What stands in `Columns` for an unknown begin and an unknown end."""


@dataclass(frozen=True, slots=True)
class IndexRow:
    """What the search needs of one text, derived from it and rebuildable.

    tokens: length in WordPiece tokens; terms: uint32 word hashes as little-endian bytes;
    codes: int8 vector as bytes, empty without an embedder; scale: its float factor; traits: the
    form of the text, see `memsieve.traits`.
    """

    tokens: int
    terms: bytes
    codes: bytes
    scale: float
    traits: int


@dataclass(frozen=True, slots=True)
class TimeRow:
    """The times of one text, derived from it and from the clock of whoever said it.

    mentions: in the order of the text; happened: the interval of the surest, the local day if
    there is none; dated_tokens: by how many tokens the dates beside relative words lengthen it.
    """

    mentions: tuple[Mention, ...]
    happened: Interval
    dated_tokens: int


class Record(NamedTuple):
    """One message ready to be written: every default filled in, with what is derived from it.

    `said_at` is aware and keeps the speaker's offset.
    """

    message: Message
    said_at: datetime
    row: IndexRow
    times: TimeRow


@dataclass(frozen=True, slots=True)
class Columns:
    """Index columns of the items of a namespace, ascending by `seq`; all of length n.

    seq, ordinal, tokens, dated_tokens, traits: int64; said_at: int64 microseconds since 1970 UTC;
    offset: int64 minutes of the speaker's clock against UTC; session, speaker, role, kind: lists of
    str or None; terms: flat uint32 with `lengths` (n,) words per item; codes: (n, d) int8 with
    `scales` (n,) float32; text_hash: int64, alike for the same text; event_from, event_to: flat
    int64 microseconds of the times mentioned, `UNKNOWN` where a bound is, with `n_events` (n,) per
    item. Superseded items are not among them. `position` is the journal entry up to which the
    columns are complete.
    """

    position: int
    seq: np.ndarray
    ordinal: np.ndarray
    tokens: np.ndarray
    dated_tokens: np.ndarray
    said_at: np.ndarray
    offset: np.ndarray
    traits: np.ndarray
    session: Sequence[str | None]
    speaker: Sequence[str | None]
    role: Sequence[str | None]
    kind: Sequence[str]
    terms: np.ndarray
    lengths: np.ndarray
    codes: np.ndarray
    scales: np.ndarray
    text_hash: np.ndarray
    n_events: np.ndarray
    event_from: np.ndarray
    event_to: np.ndarray


@dataclass(frozen=True, slots=True)
class Changes:
    """What happened in a namespace after a journal position: new rows and rows gone.

    `reindexed` says that vectors or times of old rows changed: a copy must be loaded anew.
    """

    added: Columns
    gone: Sequence[int]
    reindexed: bool = False


@dataclass(frozen=True, slots=True)
class Versions:
    """Of items with several versions, those that held at some moment: `seq` numbers.

    old: replaced since, and in force then; new: every later version of these. Empty is false.
    """

    old: tuple[int, ...]
    new: tuple[int, ...]

    def __bool__(self) -> bool:
        return bool(self.old)


class Claim(NamedTuple):
    """What an item with a slot states, as given, and the `seq` of the item that holds that slot.

    `holder` is None where none does: whatever was said of it was said later.
    """

    subject: str
    attribute: str
    holder: int | None


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
class Note:
    """What was written about one unit of a system.

    unit: what it is about, by the system's own naming, such as the id of an item or the name of a
    session; body: JSON values by name; sources: `seq` of every item whose text it may repeat;
    author: the model that wrote it, or "given"; made_at: None before it is stored.
    """

    unit: str
    body: Mapping[str, Any]
    sources: tuple[int, ...]
    author: str
    made_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """Resumable work: how far it came (`done` of `total`) and whether it ended or failed."""

    kind: str
    key: str
    state: str
    done: int
    total: int | None
    error: str | None


class Analysis(Protocol):
    """What derives rows from texts: words and vectors, and times by the clock of the speaker."""

    def index(self, texts: Sequence[str]) -> Sequence[IndexRow]: ...
    def times(self, texts: Sequence[str], clocks: Sequence[datetime]) -> Sequence[TimeRow]: ...


class Store(Protocol):
    """A place that keeps items; every write is one transaction that has reached the disk."""

    def insert(
        self, namespace: str, records: Sequence[Record], *, actor: str, embedder: str, timeline: str
    ) -> list[str]: ...
    def changes(
        self, namespace: str, position: int, after_seq: int, *, dimensions: int = 0
    ) -> Changes: ...
    def versions(self, namespace: str, at: datetime) -> Versions: ...
    def past(self, namespace: str, versions: Versions, *, dimensions: int = 0) -> Changes: ...
    def position(self, namespace: str) -> int: ...
    def items(self, seqs: Sequence[int]) -> list[Item]: ...
    def get(self, ids: Sequence[str]) -> list[Item]: ...
    def seqs(
        self, namespace: str, *, metadata: Mapping[str, Any], with_invalid: bool = False
    ) -> list[int]: ...
    def holding(
        self, namespace: str, seqs: Sequence[int], until_micros: int, as_of: datetime | None = None
    ) -> dict[int, Claim]: ...
    def walk(self, namespace: str) -> Iterator[Item]: ...
    def write_notes(
        self,
        namespace: str,
        system: str,
        written: Sequence[Note],
        links: Sequence[tuple[int, int, float]] = (),
    ) -> None: ...
    def notes(self, namespace: str, system: str, unit: str | None = None) -> list[Note]: ...
    def notes_state(self, namespace: str, system: str) -> tuple[int, int]: ...
    def links(self, namespace: str, system: str) -> list[tuple[int, int, float]]: ...
    def forget(self, ids: Sequence[str], actor: str) -> Receipt: ...
    def namespaces(self) -> list[str]: ...
    def close(self) -> None: ...
