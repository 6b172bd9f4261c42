"""The second half of forgetting: no byte of the text is left in the files, and proof of it."""

from datetime import UTC, datetime

from memsieve.store.database import Database
from memsieve.store.ids import new_ids
from memsieve.store.residue import PROBE_BYTES, Search, probes
from memsieve.store.rows import Run, micros

_KIND = "erase"
_PAGE = 1_000

# Every column that holds words and stays: a probe that occurs here proves nothing.
_WORDS = (
    "SELECT text, speaker, role, session, key, metadata, kind, source, id FROM item",
    "SELECT name FROM namespace",
    "SELECT subject, attribute FROM slot",
    "SELECT relation FROM link",
    "SELECT operation, actor, item, detail FROM journal",
    "SELECT kind, key, error FROM job",
    "SELECT key, value FROM meta",
    "SELECT system, unit, body, author FROM note",
    "SELECT name, sql FROM sqlite_master",
)


def begin(run: Run) -> str:
    """Note, in the transaction that deletes, that the files are still to be cleaned.

    Whoever is killed in between leaves the note behind, and `check` finds it.
    """
    key, now = new_ids(1)[0], micros(datetime.now(UTC))
    run(
        "INSERT INTO job (kind, key, state, done, created_at, updated_at)"
        " VALUES (?, ?, 'running', 0, ?, ?)",
        (_KIND, key, now, now),
    )
    return key


def unfinished(run: Run) -> list[str]:
    """The notes of erasures that were not seen through."""
    return [row[0] for row in run("SELECT key FROM job WHERE kind = ?", (_KIND,))]


def finish(database: Database, keys: list[str]) -> None:
    """Take notes away."""
    with database.writing() as run:
        for key in keys:
            run("DELETE FROM job WHERE kind = ? AND key = ?", (_KIND, key))


def complete(database: Database, keys: list[str]) -> bool:
    """Write the file anew for erasures that were not seen through; False if a reader holds it."""
    if not (database.empty_log() and database.rewrite()):
        return False
    finish(database, keys)
    return True


def erase(database: Database, traces: list[str]) -> tuple[int, bool]:
    """Clean the files of `traces`: how many places still show one, and if the file was rewritten.

    Deleted cells are overwritten by SQLite itself, yet a page that was rebalanced may keep a
    copy in its slack, and the write-ahead log holds what was written lately. So the log is
    emptied, the files are searched, and a find makes the file be written anew. A reader that
    holds an old state open prevents both; the count then says what is left.
    """
    wanted = probes(traces)
    emptied = database.empty_log()
    wanted = _unused(database, _found(database, wanted))
    if wanted and emptied and database.rewrite():
        return len(_found(database, wanted)), True
    return len(wanted), False


def _found(database: Database, wanted: list[bytes]) -> list[bytes]:
    """Those of `wanted` that occur in the files."""
    search = Search(wanted)
    if wanted:
        for chunk in database.raw(overlap=PROBE_BYTES - 1):
            search.feed(chunk)
    return [piece for piece in wanted if piece in search.found]


def _unused(database: Database, wanted: list[bytes]) -> list[bytes]:
    """Those of `wanted` that nothing that stays says as well."""
    search = Search(wanted)
    for query in _WORDS if wanted else ():
        with database.reading() as run:
            cursor = run(query)
            while rows := cursor.fetchmany(_PAGE):
                cells = [cell for row in rows for cell in row if isinstance(cell, str)]
                search.feed("\n".join(cells).encode())
    return [piece for piece in wanted if piece not in search.found]
