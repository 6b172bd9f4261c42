"""Opening a database file: refuse what is not ours, bring it to the present schema, set it up."""

import logging
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from memsieve.errors import (
    InputError,
    NotAStoreError,
    ParameterError,
    SchemaError,
    StoreAccessError,
    StoreBusyError,
    StoreError,
)
from memsieve.store.schema import APPLICATION_ID, MIGRATIONS

log = logging.getLogger(__name__)

_RETRY_S = 0.01


def connect(path: Path, timeout_s: float) -> sqlite3.Connection:
    """A connection to the memory at `path`, made if there is none; call it inside `translated`.

    WAL journal, full synchronisation, foreign keys, secure delete. What is not ours is refused
    before SQLite may write beside it. The caller holds `path` in `RAW_FILES`.
    """
    connection = sqlite3.connect(
        path, timeout=timeout_s, isolation_level=None, check_same_thread=False
    )
    try:
        run = connection.execute
        run("PRAGMA synchronous = FULL")
        run("PRAGMA foreign_keys = ON")
        run("PRAGMA secure_delete = ON")
        run("PRAGMA cache_size = -32768")
        run("PRAGMA mmap_size = 1073741824")
        _bring_up(connection, path)
        _use_write_ahead_log(connection, path, timeout_s)
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def translated(path: Path, timeout_s: float) -> Iterator[None]:
    """Turn SQLite's and the system's errors into ours, by their type and code."""
    try:
        yield
    except sqlite3.Error as error:
        raise _ours(error, path, timeout_s) from error
    except OSError as error:
        raise StoreAccessError(f"cannot open {path}: {error.strerror}") from error
    except UnicodeEncodeError as error:
        raise InputError(
            f"half of a surrogate pair at character {error.start}, which UTF-8 cannot hold: "
            "mend or remove it"
        ) from error
    except OverflowError as error:
        raise ParameterError(f"a number must fit into 64 bits: {error}") from error


def _ours(error: sqlite3.Error, path: Path, timeout_s: float) -> StoreError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreBusyError(f"{path} was locked by another writer for {timeout_s:g} s: try again")
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return NotAStoreError(f"{path} is not a memsieve database or is damaged: {error}")
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return StoreAccessError(f"cannot write {path}: {error}; check its permissions")
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        return StoreAccessError(f"cannot write {path}: {error}; check the disk")
    return StoreError(f"{path}: {error}")


def check_place(path: Path) -> None:
    """Refuse what is no memsieve database, or not to be written, before anything is touched."""
    if path.is_dir():
        raise NotAStoreError(f"{path} is a folder, not a memsieve database")
    if not path.parent.is_dir():
        raise StoreAccessError(f"the folder of {path} does not exist: create it first")
    if not path.exists():
        return
    if not path.is_file():
        raise NotAStoreError(f"{path} is not a file: choose another path")
    if path.stat().st_size and _mark(path) != APPLICATION_ID:
        raise NotAStoreError(f"{path} is an SQLite file of another program: choose another file")
    if not os.access(path, os.W_OK) or not os.access(path.parent, os.W_OK):
        raise StoreAccessError(
            f"{path} or its folder is read-only: memsieve writes beside the file; "
            "change the permissions or copy it elsewhere"
        )


def _mark(path: Path) -> int:
    """The application id in the header of an SQLite file.

    Read through SQLite, immutable: an ordinary connection might move another program's
    write-ahead log into its file, and a plain open and close would make this process lose its
    locks on the file (see `residue`).
    """
    uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    with closing(sqlite3.connect(uri, uri=True)) as connection:
        return int(connection.execute("PRAGMA application_id").fetchone()[0])


def _bring_up(connection: sqlite3.Connection, path: Path) -> None:
    """Apply the migrations that the file has not had, all in one transaction.

    A new file still has a rollback journal here: with its first commit the mark stands in the
    file itself and not only in a write-ahead log, where `_mark` would not see it.
    """
    run = connection.execute
    version = run("PRAGMA user_version").fetchone()[0]
    if version > len(MIGRATIONS):
        raise SchemaError(
            f"{path} has schema {version}, this memsieve knows up to {len(MIGRATIONS)}: "
            "upgrade memsieve"
        )
    if version == len(MIGRATIONS):
        return
    run("BEGIN IMMEDIATE")
    try:
        _migrate(connection, path)
        run("COMMIT")
    except BaseException:
        if connection.in_transaction:
            run("ROLLBACK")
        raise


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    run = connection.execute
    version = run("PRAGMA user_version").fetchone()[0]  # another process may have come first
    if not version and run("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise NotAStoreError(f"{path} is an SQLite file of another program: choose another file")
    for number, migration in enumerate(MIGRATIONS[version:], version + 1):
        migration(connection)
        run(f"PRAGMA user_version = {number}")
        log.info("%s: applied migration %d (%s)", path, number, migration.__name__)
    run(f"PRAGMA application_id = {APPLICATION_ID}")


def _use_write_ahead_log(connection: sqlite3.Connection, path: Path, timeout_s: float) -> None:
    """Switch to WAL; SQLite does not wait for other openers here, so we do."""
    give_up_at = time.monotonic() + timeout_s
    while True:
        try:
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
            break
        except sqlite3.OperationalError as error:
            busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not busy or time.monotonic() > give_up_at:
                raise
            time.sleep(_RETRY_S)
    if mode != "wal":
        log.warning("%s: no write-ahead log here, readers will wait for writers", path)
