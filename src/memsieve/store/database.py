"""One SQLite connection: snapshots, transactions, and what keeps the file in order."""

import logging
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from memsieve.errors import ParameterError, StoreAccessError, StoreBusyError
from memsieve.store.opening import check_place, connect, translated
from memsieve.store.raw import RAW_FILES, read_chunks
from memsieve.store.rows import Run

log = logging.getLogger(__name__)

_LONGEST_S = 86_400
_PATIENCE_S = 5.0
"""How long forgetting waits for readers; meanwhile no other process can write."""


class Database:
    """A connection that many threads share, one transaction at a time."""

    def __init__(self, path: str | Path, timeout_s: float) -> None:
        self.path, self.timeout_s = _file_path(path), _checked_timeout_s(timeout_s)
        self._lock = threading.RLock()
        self._is_writing, self._is_closed = False, True
        # SQLite puts its log beside the file that a symbolic link points to.
        self._file = self.path.resolve()
        with self._translated():
            check_place(self.path)
            self._held = RAW_FILES.hold(self._file)
            try:
                self._connection = connect(self._file, timeout_s)
            except BaseException:
                RAW_FILES.release(self._held)
                raise
        self._is_closed = False

    def __del__(self) -> None:
        # A script that ends without closing leaves no open file behind, and no warning of one.
        if not getattr(self, "_is_closed", True):
            self.close()

    def close(self) -> None:
        """Close the connection; the object cannot be used afterwards."""
        with self._lock:
            if not self._is_closed:
                self._is_closed = True
                self._connection.close()
                RAW_FILES.release(self._held)

    def _translated(self) -> AbstractContextManager[None]:
        return translated(self.path, self.timeout_s)

    @contextmanager
    def writing(self) -> Iterator[Run]:
        """One immediate transaction: all of it reaches the disk, or nothing of it.

        Inside another one it becomes a part of that.
        """
        with self._lock, self._translated():
            if self._is_writing:
                yield self._connection.execute
                return
            self._connection.execute("BEGIN IMMEDIATE")
            self._is_writing = True
            try:
                yield self._connection.execute
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            finally:
                self._is_writing = False

    @contextmanager
    def reading(self) -> Iterator[Run]:
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

    def nbytes(self) -> int:
        """Size of the file and its write-ahead log."""
        parts = (self._file, self._beside("-wal"))
        return sum(part.stat().st_size for part in parts if part.exists())

    def empty_log(self) -> bool:
        """Move the write-ahead log into the file and empty it; False if a reader kept it."""
        run = self._connection.execute
        wait_ms = int(1000 * min(self.timeout_s, _PATIENCE_S))
        with self._lock, self._translated():
            try:
                run(f"PRAGMA busy_timeout = {wait_ms}")
                busy = run("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            finally:
                run(f"PRAGMA busy_timeout = {int(1000 * self.timeout_s)}")
        if busy:
            log.warning("%s: a reader keeps the write-ahead log from being emptied", self.path)
        return not busy

    def rewrite(self) -> bool:
        """Write the whole file anew without its free space; False if something prevents it."""
        try:
            with self._lock, self._translated():
                self._connection.execute("VACUUM")
        except (StoreBusyError, StoreAccessError) as error:
            log.warning("%s: could not be rewritten: %s", self.path, error)
            return False
        return self.empty_log()

    def raw(self, overlap: int) -> Iterator[bytes]:
        """All bytes of the file, its write-ahead log and its rollback journal, in chunks."""
        with self._translated():
            yield from RAW_FILES.chunks(self._held, self._file, overlap=overlap)
            for suffix in ("-wal", "-journal"):
                # SQLite locks neither of these, so they may be opened and closed.
                path = self._beside(suffix)
                if path.exists():
                    with path.open("rb", buffering=0) as file:
                        yield from read_chunks(file, threading.Lock(), overlap=overlap)

    def _beside(self, suffix: str) -> Path:
        return Path(f"{self._file}{suffix}")


def _file_path(path: str | Path) -> Path:
    if not isinstance(path, str | Path) or not str(path).strip() or "\0" in str(path):
        raise ParameterError(f"a database needs the path of a file, got {path!r}")
    if str(path) == ":memory:":
        raise ParameterError("a memory lives in a file: pass its path, ':memory:' is none")
    return Path(path).absolute()


def _checked_timeout_s(timeout_s: float) -> float:
    if not isinstance(timeout_s, int | float) or not 0 <= timeout_s <= _LONGEST_S:
        raise ParameterError(f"timeout_s must be in [0, {_LONGEST_S}], got {timeout_s!r}")
    return float(timeout_s)
