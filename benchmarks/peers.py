"""The stores that are measured, behind one small contract; memsieve is one of them.

The same turns go in, one durable add is one transaction, a search returns the ten best texts
with their keys. SQLite peers get memsieve's own settings (write-ahead log, full synchronisation,
the same caches), so a difference is not a matter of settings.

`sqlite-vec+fts5` needs a Python whose sqlite3 loads extensions, or the package pysqlite3-binary.
LanceDB and Chroma take part once they are installed: `pip install lancedb chromadb`.
"""

import re
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from memsieve import open as open_memory
from memsieve.embed import Static
from memsieve.search.words import STOP_WORDS
from memsieve.types import Message

RRF_DEPTH = 60  # the constant of reciprocal rank fusion, as published
POOL_FACTOR = 5  # each ranking gives five times as many candidates as are asked for


class Found(NamedTuple):
    """One hit as a program needs it: its key and its text."""

    key: str
    text: str


class Peer(ABC):
    """A store of turns in a folder, made there or opened again."""

    name: ClassVar[str]
    what: ClassVar[str]
    """Its settings in one line."""

    @abstractmethod
    def __init__(self, folder: Path) -> None: ...

    @classmethod
    def missing(cls) -> str | None:
        """Why it cannot run here and what to do; None if it can."""
        return None

    def add(self, turn: Message) -> None:
        """Write one turn; it is on the disk on return, if the store syncs at all."""
        self.add_many([turn])

    @abstractmethod
    def add_many(self, turns: Sequence[Message]) -> None:
        """Write turns in one transaction."""

    @abstractmethod
    def search(self, question: str, k: int) -> list[Found]:
        """The best `k` turns, best first."""

    @abstractmethod
    def close(self) -> None: ...


class Memsieve(Peer):
    """`memsieve.open(...)` and its defaults."""

    name = "memsieve"
    what = "default settings, recall(k)"

    def __init__(self, folder: Path) -> None:
        self._memory = open_memory(folder / "memory.db")

    def add_many(self, turns: Sequence[Message]) -> None:
        self._memory.add(list(turns))

    def add(self, turn: Message) -> None:
        self._memory.add(turn)

    def search(self, question: str, k: int) -> list[Found]:
        found = self._memory.recall(question, k=k)
        return [Found(hit.item.key or hit.id, hit.text) for hit in found]

    def close(self) -> None:
        self._memory.close()


class FTS5(Peer):
    """SQLite's own full-text index, as its documentation shows it."""

    name = "fts5"
    what = "porter unicode61, OR of the question's words without stop words, order of bm25()"

    def __init__(self, folder: Path) -> None:
        self._connection = self._connect(folder / "fts5.db")
        self._run = self._connection.execute
        for setting in ("journal_mode = WAL", "synchronous = FULL", "cache_size = -32768",
                        "mmap_size = 1073741824"):  # fmt: skip
            self._run(f"PRAGMA {setting}")
        self._make()

    def _connect(self, path: Path) -> Any:
        return sqlite3.connect(path, isolation_level=None)

    def _make(self) -> None:
        self._run(
            "CREATE VIRTUAL TABLE IF NOT EXISTS turn USING fts5(text, speaker, key UNINDEXED,"
            " session UNINDEXED, at UNINDEXED, tokenize = 'porter unicode61')"
        )

    def add_many(self, turns: Sequence[Message]) -> None:
        self._run("BEGIN IMMEDIATE")
        self._insert(turns)
        self._run("COMMIT")

    def _insert(self, turns: Sequence[Message]) -> None:
        self._connection.executemany("INSERT INTO turn VALUES (?, ?, ?, ?, ?)", map(_row, turns))

    def search(self, question: str, k: int) -> list[Found]:
        rows = self._run(
            "SELECT key, text FROM turn WHERE turn MATCH ? ORDER BY rank LIMIT ?",
            (_any_word(question), k),
        )
        return [Found(*row) for row in rows]

    def close(self) -> None:
        self._connection.close()


class SqliteVecFTS5(FTS5):
    """The usual hybrid in one SQLite file: FTS5 and sqlite-vec, fused by rank."""

    name = "sqlite-vec+fts5"
    what = "vec0 float[256] of memsieve's own embedder beside fts5, reciprocal rank fusion (60)"

    @classmethod
    def missing(cls) -> str | None:
        if find_spec("sqlite_vec") is None:
            return "install it: pip install sqlite-vec"
        if _extensible() is None:
            return (
                "this Python's sqlite3 loads no extensions: use one that does (Debian's and"
                " python.org's do), or pip install pysqlite3-binary"
            )
        return None

    def _connect(self, path: Path) -> Any:
        connection = import_module(_extensible() or "sqlite3").connect(path, isolation_level=None)
        connection.enable_load_extension(True)
        import_module("sqlite_vec").load(connection)
        return connection

    def _make(self) -> None:
        super()._make()
        self._embedder = Static()
        self._run(
            "CREATE VIRTUAL TABLE IF NOT EXISTS vector USING"
            f" vec0(embedding float[{self._embedder.dimensions}] distance_metric=cosine)"
        )

    def _insert(self, turns: Sequence[Message]) -> None:
        last = self._run("SELECT max(rowid) FROM turn").fetchone()[0] or 0
        super()._insert(turns)
        vectors = self._embedder.embed([turn.text for turn in turns])
        self._connection.executemany(
            "INSERT INTO vector (rowid, embedding) VALUES (?, ?)",
            ((last + i, vector.tobytes()) for i, vector in enumerate(vectors, 1)),
        )

    def search(self, question: str, k: int) -> list[Found]:
        depth = POOL_FACTOR * k
        by_word = self._run(
            "SELECT rowid FROM turn WHERE turn MATCH ? ORDER BY rank LIMIT ?",
            (_any_word(question), depth),
        )
        words = [row[0] for row in by_word]
        vector = self._embedder.embed([question])[0].tobytes()
        by_meaning = self._run(
            "SELECT rowid FROM vector WHERE embedding MATCH ? AND k = ? ORDER BY distance",
            (vector, depth),
        )
        best = fused([words, [row[0] for row in by_meaning]])[:k]
        marks = ",".join("?" * len(best))
        rows = self._run(f"SELECT rowid, key, text FROM turn WHERE rowid IN ({marks})", best)
        held = {row[0]: Found(row[1], row[2]) for row in rows}
        return [held[rowid] for rowid in best]


class LanceDB(Peer):
    """LanceDB's hybrid search: its full-text index, exact vectors, its rank fusion."""

    name = "lancedb"
    what = "hybrid query, optimize() when closed, no fsync of its own"

    @classmethod
    def missing(cls) -> str | None:
        return None if find_spec("lancedb") else "optional: pip install lancedb"

    def __init__(self, folder: Path) -> None:
        self._embedder = Static()
        self._base = import_module("lancedb").connect(str(folder / "lance"))
        held = (folder / "lance" / "turn.lance").exists()
        self._table = self._base.open_table("turn") if held else None
        self._grown = False

    def add_many(self, turns: Sequence[Message]) -> None:
        vectors = self._embedder.embed([turn.text for turn in turns])
        names = ("text", "speaker", "key", "session", "at")
        rows = [
            {**dict(zip(names, _row(turn), strict=True)), "vector": vector}
            for turn, vector in zip(turns, vectors, strict=True)
        ]
        if self._table is None:
            self._table = self._base.create_table("turn", rows)
            config = import_module("lancedb.index").FTS()
            self._table.create_index("text", config=config)
        else:
            self._table.add(rows)
        self._grown = True

    def search(self, question: str, k: int) -> list[Found]:
        if self._table is None:
            return []
        query = self._table.search(query_type="hybrid").text(question)
        rows = query.vector(self._embedder.embed([question])[0]).limit(k).to_list()
        return [Found(row["key"], row["text"]) for row in rows]

    def close(self) -> None:
        # Until then what is not indexed yet is searched as well, only slowly.
        if self._grown and self._table is not None:
            self._table.optimize()
        self._table = None


class Chroma(Peer):
    """Chroma with memsieve's vectors: its HNSW index, no words."""

    name = "chroma"
    what = "dense only, HNSW with its default settings"

    @classmethod
    def missing(cls) -> str | None:
        return None if find_spec("chromadb") else "optional: pip install chromadb"

    def __init__(self, folder: Path) -> None:
        chroma = import_module("chromadb")
        settings = chroma.Settings(anonymized_telemetry=False)
        client = chroma.PersistentClient(str(folder / "chroma"), settings)
        self._embedder = Static()
        self._turns = client.get_or_create_collection("turn", metadata={"hnsw:space": "cosine"})

    def add_many(self, turns: Sequence[Message]) -> None:
        texts = [turn.text for turn in turns]
        self._turns.add(
            ids=[turn.key for turn in turns],
            embeddings=self._embedder.embed(texts),
            documents=texts,
            metadatas=[
                {"speaker": turn.speaker or "", "session": turn.session or ""} for turn in turns
            ],
        )

    def search(self, question: str, k: int) -> list[Found]:
        found = self._turns.query(
            query_embeddings=self._embedder.embed([question]),
            n_results=k,
            include=["documents"],
        )
        return list(map(Found, found["ids"][0], found["documents"][0]))

    def close(self) -> None:
        """Nothing is to be closed."""


PEERS: dict[str, type[Peer]] = {
    peer.name: peer for peer in (Memsieve, FTS5, SqliteVecFTS5, LanceDB, Chroma)
}


def fused(rankings: Iterable[Sequence[int]], depth: int = RRF_DEPTH) -> list[int]:
    """Reciprocal rank fusion: sum over rankings of 1 / (depth + rank), best first.

    >>> fused([[1, 2, 3], [3, 1]])
    [1, 3, 2]
    """
    scores: dict[int, float] = {}
    for ranking in rankings:
        for rank, each in enumerate(ranking, 1):
            scores[each] = scores.get(each, 0.0) + 1 / (depth + rank)
    return sorted(scores, key=lambda each: -scores[each])


def present(names: Iterable[str]) -> tuple[list[str], list[str]]:
    """Of the peers named: those that can run here, and a line about each that cannot."""
    reasons = {name: PEERS[name].missing() for name in names}
    skipped = [f"skipped {name}: {reason}" for name, reason in reasons.items() if reason]
    return [name for name, reason in reasons.items() if reason is None], skipped


def _row(turn: Message) -> tuple[str, str | None, str | None, str | None, str | None]:
    at = None if turn.at is None else turn.at.isoformat()
    return turn.text, turn.speaker, turn.key, turn.session, at


def _any_word(question: str) -> str:
    """An FTS5 query: any word of the question that is no stop word, or any word at all."""
    words = list(dict.fromkeys(re.findall(r"\w+", question.lower())))
    telling = [word for word in words if word not in STOP_WORDS] or words
    return " OR ".join(f'"{word}"' for word in telling)


def _extensible() -> str | None:
    """The module of an SQLite that loads extensions; None if there is none."""
    if hasattr(sqlite3.Connection, "enable_load_extension"):
        return "sqlite3"
    return "pysqlite3" if find_spec("pysqlite3") else None
