"""The shapes that travel between the rooms: frozen, with units stated.

Scores: higher is better. Times: aware UTC. Costs: tokens and bytes, never negative.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any

from memsieve.errors import ParameterError

KINDS = (
    "turn",
    "document",
    "fact",
    "note",
    "summary",
    "instruction",
    "preference",
    "profile",
    "case",
    "tool",
    "skill",
)
SOURCES = ("user", "assistant", "tool", "import", "derived")
NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Interval:
    """A half-open stretch of time [start, end); an end of None means unknown or open.

    `precision` says how finely the text spoke: minute, day, week, month, season, year, decade.
    """

    start: datetime | None
    end: datetime | None
    precision: str = "day"

    def __post_init__(self) -> None:
        for name, moment in (("start", self.start), ("end", self.end)):
            if moment is not None and moment.tzinfo is None:
                raise ParameterError(f"Interval.{name} must be an aware datetime, got {moment!r}")
        if self.start is not None and self.end is not None and self.start > self.end:
            raise ParameterError(f"Interval must not end before it starts: {self!r}")


@dataclass(frozen=True, slots=True)
class Message:
    """One thing to remember, as a caller or an importer hands it in.

    Parameters
    ----------
    text
        Kept verbatim. At most 1 MiB of UTF-8.
    at
        When it was said, aware; None means now.
    speaker, role, session
        Who said it, as what ("user", "assistant", ...), and in which conversation.
    key
        The caller's own id, unique inside a namespace: adding a key twice adds nothing.
    kind, source, trust
        One of `KINDS`, one of `SOURCES`, and a number in [0, 1].
    namespace
        Where it belongs if not in the memory's own namespace; importers set it, one per scope.
    """

    text: str
    at: datetime | None = None
    speaker: str | None = None
    role: str | None = None
    session: str | None = None
    key: str | None = None
    kind: str = "turn"
    source: str = "user"
    trust: float = 1.0
    metadata: Mapping[str, Any] = field(default_factory=lambda: NOTHING)
    namespace: str | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """One remembered thing as the store holds it; its text never changes.

    `seq` orders items as they were written, `ordinal` counts from 0 inside the session.
    `tokens` is the length of the text in tokens of the shipped WordPiece vocabulary.
    `supersedes` is the id of the version that this one replaces.
    """

    id: str
    seq: int
    namespace: str
    kind: str
    text: str
    speaker: str | None
    role: str | None
    session: str | None
    ordinal: int
    source: str
    trust: float
    key: str | None
    metadata: Mapping[str, Any]
    said_at: datetime
    happened: Interval | None
    stored_at: datetime
    invalid_at: datetime | None
    supersedes: str | None
    tokens: int


@dataclass(frozen=True, slots=True)
class Hit:
    """One recalled item: what it scored and what each feature gave to that score."""

    item: Item
    score: float
    why: Mapping[str, float]
    rank: int

    @property
    def id(self) -> str:
        return self.item.id

    @property
    def text(self) -> str:
        return self.item.text


@dataclass(frozen=True, slots=True)
class SessionHit:
    """One recalled session: the conversation as a whole, with its score."""

    session: str
    score: float
    rank: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """Proof of a forgetting: what went, when, and what a search of the file still found.

    `residue` counts pieces of forgotten text that the database files still hold; 0 is the promise,
    and the file is rewritten if the first search finds any. It can only be more while a reader
    keeps an old state open; `check(fix=True)` completes the work when that reader is gone.
    """

    ids: tuple[str, ...]
    at: datetime
    residue: int
    rewritten: bool
