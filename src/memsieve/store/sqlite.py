"""The default store: one SQLite file in WAL mode, shared by threads and processes."""

import json
import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from memsieve.errors import (
    EmbedderMismatchError,
    NotAStoreError,
    SchemaError,
    StoreAccessError,
    StoreBusyError,
    StoreError,
)
from memsieve.store.base import Changes, Event, Finding, IndexRow, Job, Record
from memsieve.store.residue import count_residue, probes
from memsieve.store.rows import COLUMNS, ITEM, columns_of, conditions_of, item_of, micros, moment
from memsieve.store.schema import APPLICATION_ID, MIGRATIONS
from memsieve.store.writing import Forgetting, Insertion, Run
from memsieve.types import NOTHING, Item, Receipt

log = logging.getLogger(__name__)

_VARIABLES = 900  # SQLite builds before 3.32 allow 999 bound variables in a statement


class SQLite:
    """Items in one SQLite file.

    WAL journal, full synchronisation (one fsync for each transaction), immediate write
    transactions that wait up to `timeout_s` for other writers, foreign keys, secure delete.
    Readers never wait. One object may be used from many threads; many processes may open the
    same file.

    Raises
    ------
    NotAStoreError, SchemaError, StoreAccessError, StoreBusyError
        If the file is something else, newer, not to be opened or written, or locked.
    """

    def __init__(self, path: str | Path, *, timeout_s: float = 30.0) -> None:
        self.path = Path(path)
        self.timeout_s = timeout_s
        self._lock = threading.RLock()
        self._check_place()
        with self._translated():
            self._connection = sqlite3.connect(
                self.path, timeout=timeout_s, isolation_level=None, check_same_thread=False
            )
        try:
            with self._translated():
                self._prepare()
        except BaseException:
            self._connection.close()
            raise

    # Opening

    def _check_place(self) -> None:
        if self.path.is_dir():
            raise NotAStoreError(f"{self.path} is a folder, not a memsieve database")
        if self.path.exists():
            with self._translated(), self.path.open("rb") as file:
                head = file.read(16)
            if head and head != b"SQLite format 3\0":
                raise NotAStoreError(f"{self.path} is not a memsieve database: choose another file")
        elif not self.path.parent.is_dir():
            raise StoreAccessError(f"the folder of {self.path} does not exist: create it first")

    def _prepare(self) -> None:
        run = self._connection.execute
        run(f"PRAGMA busy_timeout = {int(self.timeout_s * 1000)}")
        version = run("PRAGMA user_version").fetchone()[0]
        marked = run("PRAGMA application_id").fetchone()[0] == APPLICATION_ID
        if not marked and run("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise NotAStoreError(
                f"{self.path} is an SQLite file of another program: choose another file"
            )
        if version > len(MIGRATIONS):
            raise SchemaError(
                f"{self.path} has schema {version}, this memsieve knows up to {len(MIGRATIONS)}: "
                "upgrade memsieve"
            )
        if not os.access(self.path, os.W_OK) or not os.access(self.path.parent, os.W_OK):
            raise StoreAccessError(
                f"{self.path} or its folder is read-only: memsieve writes beside the file; "
                "change the permissions or copy it elsewhere"
            )
        run("PRAGMA journal_mode = WAL")
        run("PRAGMA synchronous = FULL")
        run("PRAGMA foreign_keys = ON")
        run("PRAGMA secure_delete = ON")
        run("PRAGMA cache_size = -32768")
        run("PRAGMA mmap_size = 1073741824")
        if version < len(MIGRATIONS):
            self._migrate()

    def _migrate(self) -> None:
        with self._writing() as run:
            version = run("PRAGMA user_version").fetchone()[
                0
            ]  # another process may have come first
            for number, migration in enumerate(MIGRATIONS[version:], version + 1):
                migration(self._connection)
                run(f"PRAGMA user_version = {number}")
                log.info("%s: applied migration %d (%s)", self.path, number, migration.__name__)
            run(f"PRAGMA application_id = {APPLICATION_ID}")

    def close(self) -> None:
        """Close the connection; the object cannot be used afterwards."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn SQLite's and the system's errors into ours, by their type and code."""
        try:
            yield
        except sqlite3.Error as error:
            raise self._ours(error) from error
        except OSError as error:
            raise StoreAccessError(f"cannot open {self.path}: {error.strerror}") from error

    def _ours(self, error: sqlite3.Error) -> StoreError:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return StoreBusyError(
                f"{self.path} was locked by another writer for {self.timeout_s:g} s: try again"
            )
        if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
            return NotAStoreError(f"{self.path} is not a database or is damaged: {error}")
        if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
            return StoreAccessError(f"cannot write {self.path}: {error}; check its permissions")
        if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
            return StoreAccessError(f"cannot write {self.path}: {error}; check the disk")
        return StoreError(f"{self.path}: {error}")

    @contextmanager
    def _writing(self) -> Iterator[Run]:
        """One immediate transaction: all of it reaches the disk, or nothing of it."""
        with self._lock, self._translated():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection.execute
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _reading(self) -> Iterator[Run]:
        """One snapshot: every statement inside sees the same state."""
        with self._lock, self._translated():
            if self._connection.in_transaction:
                yield self._connection.execute
                return
            self._connection.execute("BEGIN")
            try:
                yield self._connection.execute
            finally:
                self._connection.execute("COMMIT")

    # Identity

    def meta(self, key: str) -> str | None:
        """A remembered fact about the file, such as its embedder."""
        with self._reading() as run:
            row = run("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def set_meta(self, key: str, value: str, *, keep: bool = False) -> str:
        """Remember a fact; with `keep`, only if none is there. Gives what holds afterwards."""
        clash = "NOTHING" if keep else "UPDATE SET value = excluded.value"
        with self._writing() as run:
            run(f"INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO {clash}", (key, value))
            return str(run("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()[0])

    def namespaces(self) -> list[str]:
        """Names in order of creation."""
        with self._reading() as run:
            return [row[0] for row in run("SELECT name FROM namespace ORDER BY id")]

    def _namespace(self, name: str) -> int:
        row = self._connection.execute(
            "SELECT id FROM namespace WHERE name = ?", (name,)
        ).fetchone()
        return -1 if row is None else int(row[0])

    # Writing

    def insert(
        self, namespace: str, records: Sequence[Record], *, actor: str, embedder: str
    ) -> list[str]:
        """Write records in one transaction; ids in order, known keys giving their old id.

        A key that is there with the same text adds nothing. With another text the new version
        supersedes the old one, takes its place in the session, and the old one is kept but no
        longer recalled.

        Raises
        ------
        EmbedderMismatchError
            If the file has been moved to another embedder than the one that made the records.
        """
        if not records:
            return []
        with self._writing() as run:
            held = run("SELECT value FROM meta WHERE key = 'embedder'").fetchone()
            if held is not None and held[0] != embedder:
                raise EmbedderMismatchError(
                    f"{self.path} has moved to the embedder {held[0]}, this process writes with"
                    f" {embedder}: open it again"
                )
            return Insertion(run, namespace, actor).write(records)

    def forget(self, ids: Sequence[str], actor: str) -> Receipt:
        """Delete items for good: text, index row, vector, links, slots, older versions.

        Items derived from a forgotten one alone go with it. The journal keeps the ids. The
        write-ahead log is emptied and the files are then searched for the texts; a find makes
        the file be rewritten (VACUUM) and searched again.

        Raises
        ------
        NotFoundError
            If an id does not exist; then nothing is forgotten.
        """
        with self._lock:
            with self._writing() as run:
                gone = Forgetting(run).delete(ids, actor)
            wanted = probes(gone.texts)
            with self._translated():
                wanted = [p for p in wanted if not self._still_used(p)]
                self._checkpoint()
                residue, rewritten = count_residue(self.path, wanted), False
                if residue:
                    self._connection.execute("VACUUM")
                    self._checkpoint()
                    residue, rewritten = count_residue(self.path, wanted), True
            return Receipt(tuple(gone.ids), moment(gone.at), residue, rewritten)

    def _still_used(self, probe: bytes) -> bool:
        """Whether a remaining item holds the same words, so that finding them proves nothing."""
        found = self._connection.execute(
            "SELECT 1 FROM item WHERE instr(CAST(text AS BLOB), ?) LIMIT 1", (probe,)
        ).fetchone()
        return found is not None

    def _checkpoint(self) -> None:
        """Move the write-ahead log into the file and empty it, waiting for readers."""
        busy = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        if busy:
            log.warning("%s: a reader keeps the write-ahead log from being emptied", self.path)

    # Reading

    def position(self, namespace: str) -> int:
        """The last journal entry that concerns a namespace; 0 if there is none."""
        with self._reading() as run:
            return self._position(run, self._namespace(namespace))

    @staticmethod
    def _position(run: Run, number: int) -> int:
        found = run("SELECT max(entry) FROM journal WHERE namespace = ?", (number,)).fetchone()[0]
        return int(found or 0)

    def changes(
        self, namespace: str, position: int, after_seq: int, *, dimensions: int = 0
    ) -> Changes:
        """What came into a namespace beyond `after_seq` and went after journal entry `position`.

        From (0, 0) these are the whole namespace's columns. Writers take turns, so `seq` grows
        in the order of commits and nothing can appear below one already seen. Vectors have
        `dimensions` columns; rows that carry none are zero.
        """
        with self._reading() as run:
            number = self._namespace(namespace)
            events = run(
                "SELECT operation, first_seq FROM journal WHERE namespace = ? AND entry > ?"
                " AND operation IN ('forget', 'supersede', 'reindex')",
                (number, position),
            ).fetchall()
            rows = run(COLUMNS, (number, after_seq)).fetchall()
            now = self._position(run, number)
        gone = [seq for operation, seq in events if operation != "reindex"]
        return Changes(columns_of(rows, now, dimensions), gone, len(gone) < len(events))

    def items(self, seqs: Sequence[int]) -> list[Item]:
        """Items by `seq`, in the order asked; those that are gone are left out."""
        found = {item.seq: item for item in self._select("i.seq", [int(s) for s in seqs])}
        return [found[int(seq)] for seq in seqs if int(seq) in found]

    def get(self, ids: Sequence[str]) -> list[Item]:
        """Items by id, in the order asked; those that are unknown are left out."""
        found = {item.id: item for item in self._select("i.id", ids)}
        return [found[id_] for id_ in ids if id_ in found]

    def _select(self, column: str, values: Sequence[Any]) -> Iterator[Item]:
        with self._reading() as run:
            rows: list[tuple[Any, ...]] = []
            for at in range(0, len(values), _VARIABLES):
                part = values[at : at + _VARIABLES]
                marks = ",".join("?" * len(part))
                rows += run(f"{ITEM} WHERE {column} IN ({marks})", part).fetchall()
        return map(item_of, rows)

    def find_key(self, namespace: str, keys: Sequence[str]) -> dict[str, str]:
        """The ids of the living items with these keys."""
        found: dict[str, str] = {}
        with self._reading() as run:
            number = self._namespace(namespace)
            for at in range(0, len(keys), _VARIABLES):
                part = keys[at : at + _VARIABLES]
                marks = ",".join("?" * len(part))
                found.update(
                    run(
                        "SELECT key, id FROM item WHERE namespace = ? AND invalid_at IS NULL"
                        f" AND key IN ({marks})",
                        (number, *part),
                    ).fetchall()
                )
        return found

    def walk(
        self,
        namespace: str,
        *,
        where: Mapping[str, Any] = NOTHING,
        since: datetime | None = None,
        until: datetime | None = None,
        metadata: Mapping[str, Any] = NOTHING,
        with_invalid: bool = False,
        newest_first: bool = False,
        page: int = 1_000,
    ) -> Iterator[Item]:
        """Items of a namespace in the order written, a page at a time.

        `where` maps columns (kind, speaker, role, session, source) to a value; `metadata` maps
        top-level keys to values; `since` and `until` bound `said_at`, the end excluded.
        """
        conditions, values = conditions_of(where, since, until, metadata)
        if not with_invalid:
            conditions.append("i.invalid_at IS NULL")
        order, beyond = ("DESC", "<") if newest_first else ("ASC", ">")
        last: int | None = None
        while True:
            extra = [] if last is None else [f"i.seq {beyond} {last}"]
            clause = " AND ".join(["n.name = ?", *conditions, *extra])
            with self._reading() as run:
                rows = run(
                    f"{ITEM} WHERE {clause} ORDER BY i.seq {order} LIMIT {page}",
                    (namespace, *values),
                ).fetchall()
            yield from map(item_of, rows)
            if len(rows) < page:
                return
            last = rows[-1][1]

    def seqs(
        self,
        namespace: str,
        *,
        metadata: Mapping[str, Any],
    ) -> list[int]:
        """The `seq` of every living item whose metadata holds these top-level values."""
        conditions, values = conditions_of(NOTHING, None, None, metadata)
        clause = " AND ".join(["n.name = ?", "i.invalid_at IS NULL", *conditions])
        with self._reading() as run:
            return [
                row[0]
                for row in run(
                    "SELECT i.seq FROM item i JOIN namespace n ON n.id = i.namespace"
                    f" WHERE {clause} ORDER BY i.seq",
                    (namespace, *values),
                )
            ]

    def history(self, id_: str) -> list[Event]:
        """What the journal says of an item and the versions before it, oldest first."""
        with self._reading() as run:
            ids = [id_]
            while row := run("SELECT supersedes FROM item WHERE id = ?", (ids[-1],)).fetchone():
                if row[0] is None:
                    break
                ids.append(row[0])
            events = [event for known in ids for event in events_of(run, known)]
        return [event for _, event in sorted(events, key=lambda pair: pair[0])]

    def counts(self) -> dict[str, dict[str, int]]:
        """Per namespace: items, sessions, tokens, and superseded items."""
        with self._reading() as run:
            rows = run(
                "SELECT n.name, sum(i.invalid_at IS NULL), count(DISTINCT i.session),"
                " sum(CASE WHEN i.invalid_at IS NULL THEN i.tokens END), sum(i.invalid_at NOTNULL)"
                " FROM namespace n LEFT JOIN item i ON i.namespace = n.id GROUP BY n.id"
            ).fetchall()
        names = ("items", "sessions", "tokens", "superseded")
        return {
            row[0]: {k: int(v or 0) for k, v in zip(names, row[1:], strict=True)} for row in rows
        }

    def nbytes(self) -> int:
        """Size of the file and its write-ahead log."""
        parts = (self.path, Path(f"{self.path}-wal"))
        return sum(part.stat().st_size for part in parts if part.exists())

    # Index rows

    def begin_reindex(self, embedder: str) -> None:
        """Take the file over to another embedder: all vectors are blank until written anew.

        In one transaction, so that no reader ever compares vectors of two models.
        """
        now = micros(datetime.now(UTC))
        with self._writing() as run:
            run(
                "INSERT INTO meta VALUES ('embedder', ?)"
                " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                (embedder,),
            )
            run("UPDATE item_index SET codes = x'', scale = 0")
            self._note_reindex(run, now, embedder)

    def end_reindex(self, embedder: str) -> None:
        """Tell every reader that the vectors are there."""
        with self._writing() as run:
            self._note_reindex(run, micros(datetime.now(UTC)), embedder)

    @staticmethod
    def _note_reindex(run: Run, now: int, embedder: str) -> None:
        run(
            "INSERT INTO journal (at, actor, operation, namespace, detail)"
            " SELECT ?, 'reindex', 'reindex', id, ? FROM namespace",
            (now, json.dumps({"embedder": embedder})),
        )

    def texts_without_vector(self, count: int) -> list[tuple[int, str]]:
        """`seq` and text of up to `count` items whose vector is blank."""
        with self._reading() as run:
            return run(
                "SELECT i.seq, i.text FROM item_index x JOIN item i ON i.seq = x.seq"
                " WHERE x.codes = x'' ORDER BY i.seq LIMIT ?",
                (count,),
            ).fetchall()

    def write_index(self, rows: Mapping[int, IndexRow]) -> None:
        """Replace the index rows of items, in one transaction."""
        with self._writing() as run:
            for seq, row in rows.items():
                run(
                    "UPDATE item_index SET terms = ?, codes = ?, scale = ? WHERE seq = ?",
                    (row.terms, row.codes, row.scale, seq),
                )

    # Jobs

    def job(self, kind: str, key: str) -> Job | None:
        """The state of a piece of resumable work, or None if it never began."""
        with self._reading() as run:
            row = run(
                "SELECT kind, key, state, done, total, error FROM job WHERE kind = ? AND key = ?",
                (kind, key),
            ).fetchone()
        return None if row is None else Job(*row)

    def save_job(self, job: Job) -> None:
        """Record how far a piece of work came."""
        now = micros(datetime.now(UTC))
        with self._writing() as run:
            run(
                "INSERT INTO job (kind, key, state, done, total, error, created_at, updated_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (kind, key) DO UPDATE SET"
                " state = excluded.state, done = excluded.done, total = excluded.total,"
                " error = excluded.error, updated_at = excluded.updated_at",
                (job.kind, job.key, job.state, job.done, job.total, job.error, now, now),
            )

    # Proof

    def check(
        self,
        index: Callable[[str], IndexRow],
        *,
        fix: bool = False,
    ) -> list[Finding]:
        """Every inconsistency of the file; with `fix`, derived rows are rebuilt by `index`."""
        from memsieve.store.check import findings

        with self._lock, self._translated():
            if not fix:
                with self._reading() as run:
                    return findings(run, index, fix=False)
            with self._writing() as run:
                return findings(run, index, fix=True)


def events_of(run: Run, id_: str) -> Iterator[tuple[int, Event]]:
    row = run("SELECT seq, namespace FROM item WHERE id = ?", (id_,)).fetchone()
    if row is None:
        row = run("SELECT first_seq, namespace FROM journal WHERE item = ?", (id_,)).fetchone()
    if row is None:
        return
    rows = run(
        "SELECT entry, at, operation, actor, item, detail FROM journal"
        " WHERE namespace = ? AND first_seq <= ? AND last_seq >= ? ORDER BY entry",
        (row[1], row[0], row[0]),
    ).fetchall()
    for entry, at, operation, actor, _, detail in rows:
        yield entry, Event(moment(at), operation, actor, (id_,), json.loads(detail or "{}"))
