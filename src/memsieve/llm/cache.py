"""Answers that were paid for once: the latest in memory, all of them in a file where asked."""

import hashlib
import logging
import sqlite3
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Lock

from memsieve.errors import NotAStoreError, StoreAccessError, StoreBusyError, StoreError

_LOG = logging.getLogger(__name__)
_APPLICATION_ID = 0x6D73_616E  # "msan"
_TIMEOUT_S = 10.0


class Answers:
    """Texts by key: the `size` last used in memory, and where `path` is given all of them there.

    The file is an SQLite database that many processes may share. It holds what models wrote, which
    may quote memories; forgetting an item does not reach it, `clear` does. It grows until then.

    Raises
    ------
    NotAStoreError
        If the file is something else or damaged. It is never overwritten.
    StoreAccessError
        If it cannot be read or made.
    """

    def __init__(self, size: int, path: str | Path | None = None) -> None:
        self._size = size
        self._recent: OrderedDict[str, str] = OrderedDict()
        self._lock = Lock()
        self._file = None if path is None else _File(Path(path))

    def get(self, key: str) -> str | None:
        """The text kept under a key, or None."""
        with self._lock:
            if key in self._recent:
                self._recent.move_to_end(key)
                return self._recent[key]
        text = self._file.get(key) if self._file else None
        if text is not None:
            self._keep(key, text)
        return text

    def put(self, key: str, text: str) -> None:
        """Keep a text; one that the file cannot take is kept in memory, and a warning logged."""
        self._keep(key, text)
        if self._file is None:
            return
        try:
            self._file.put(key, text)
        except StoreError as error:  # the answer is paid for: it must not be lost with its copy
            _LOG.warning("an answer was not cached: %s", error)

    def clear(self) -> None:
        """Forget every text, in the file too."""
        with self._lock:
            self._recent.clear()
        if self._file:
            self._file.clear()

    def _keep(self, key: str, text: str) -> None:
        with self._lock:
            self._recent[key] = text
            self._recent.move_to_end(key)
            while len(self._recent) > self._size:
                self._recent.popitem(last=False)


class _File:
    """Keys and texts in SQLite. Each call opens the file anew: it costs less than any model."""

    def __init__(self, path: Path) -> None:
        self._path = path
        if path.exists() and (not path.is_file() or path.stat().st_size):
            self._require_mark()
            return
        with self._open() as connection:
            connection.execute("BEGIN IMMEDIATE")  # another thread must not see half of it
            connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            connection.execute(
                "CREATE TABLE IF NOT EXISTS answer"
                " (key TEXT PRIMARY KEY, text TEXT NOT NULL, seal TEXT NOT NULL) WITHOUT ROWID"
            )

    def get(self, key: str) -> str | None:
        with self._open() as connection:
            found = connection.execute(
                "SELECT text, seal FROM answer WHERE key = ?", (key,)
            ).fetchone()
        # A damaged text is asked for again, never answered.
        return found[0] if found and found[1] == _seal(key, found[0]) else None

    def put(self, key: str, text: str) -> None:
        with self._open() as connection:
            row = (key, text, _seal(key, text))
            connection.execute("INSERT OR REPLACE INTO answer VALUES (?, ?, ?)", row)

    def clear(self) -> None:
        with self._open() as connection:
            connection.execute("DELETE FROM answer")

    def _require_mark(self) -> None:
        # Immutable: an ordinary connection might write beside the file of another program.
        uri = f"{self._path.absolute().as_uri()}?mode=ro&immutable=1"
        with self._open(uri) as connection:
            (mark,) = connection.execute("PRAGMA application_id").fetchone()
        if mark != _APPLICATION_ID:
            raise NotAStoreError(
                f"{self._path} is a database of something else than answers: choose another file"
            )

    @contextmanager
    def _open(self, uri: str | None = None) -> Iterator[sqlite3.Connection]:
        """One transaction; SQLite's errors become ours, by their code."""
        try:
            with (
                closing(
                    sqlite3.connect(uri or self._path, timeout=_TIMEOUT_S, uri=uri is not None)
                ) as connection,
                connection,
            ):
                connection.execute("PRAGMA secure_delete = ON")
                yield connection
        except sqlite3.Error as error:
            raise self._ours(error) from error

    def _ours(self, error: sqlite3.Error) -> StoreError:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return StoreBusyError(f"{self._path} was locked for {_TIMEOUT_S:g} s: try again")
        if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
            return StoreAccessError(f"cannot write {self._path}: {error}; check its folder")
        if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
            return StoreAccessError(f"cannot write {self._path}: {error}; check the disk")
        return NotAStoreError(
            f"{self._path} is no cache of answers or is damaged: {error}; choose another file, or "
            "delete it if it is one, it holds only copies"
        )


def _seal(key: str, text: str) -> str:
    """What tells a text that was changed on the disk."""
    return hashlib.blake2b(f"{key}\n{text}".encode(errors="surrogatepass")).hexdigest()[:32]
