"""The proof that a file is consistent, and the rebuilding of what is derived."""

import math
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from memsieve.store.base import Finding, IndexRow
from memsieve.store.rows import digest

_Run = Callable[..., sqlite3.Cursor]
_Index = Callable[[str], IndexRow]

_LONE_ROWS = {
    "index row without an item": (
        "SELECT seq FROM item_index WHERE seq NOT IN (SELECT seq FROM item)",
        "DELETE FROM item_index WHERE seq = ?",
    ),
}


def findings(run: _Run, index: _Index, *, fix: bool) -> list[Finding]:
    """Everything that is wrong, in the order: file, references, items, index rows, journal.

    Canonical rows are only reported; index rows, token counts and dangling derived rows are
    mended if `fix`. Cost: one pass over all texts, which are analysed and embedded anew.
    """
    return [
        *_file(run),
        *_lone_rows(run, fix),
        *_references(run),
        *_items(run, index, fix),
        *_versions(run),
        *_journal(run),
    ]


def _file(run: _Run) -> Iterator[Finding]:
    for (message,) in run("PRAGMA integrity_check").fetchall():
        if message != "ok":
            yield Finding(message, "file", False)


def _references(run: _Run) -> Iterator[Finding]:
    for table, row, parent, _ in run("PRAGMA foreign_key_check").fetchall():
        if table != "item_index":
            yield Finding(f"reference to a {parent} that is not there", f"{table} {row}", False)


def _lone_rows(run: _Run, fix: bool) -> Iterator[Finding]:
    for what, (find, mend) in _LONE_ROWS.items():
        for (seq,) in run(find).fetchall():
            if fix:
                run(mend, (seq,))
            yield Finding(what, f"seq {seq}", fix)


def _items(run: _Run, index: _Index, fix: bool) -> Iterator[Finding]:
    last = 0
    while True:
        rows = run(
            "SELECT i.seq, i.id, i.text, i.hash, i.tokens, x.terms, x.codes, x.scale"
            " FROM item i LEFT JOIN item_index x ON x.seq = i.seq"
            " WHERE i.seq > ? ORDER BY i.seq LIMIT 500",
            (last,),
        ).fetchall()
        if not rows:
            return
        last = rows[-1][0]
        for seq, id_, text, held, tokens, *stored in rows:
            if digest(text) != held:
                yield Finding("text does not match its hash", f"item {id_}", False)
            due = index(text)
            if tokens == due.tokens and _same(stored, due):
                continue
            what = "no index row" if stored[0] is None else "index row differs from its text"
            if fix:
                _write(run, seq, due)
            yield Finding(what, f"item {id_}", fix)


def _same(stored: Sequence[Any], due: IndexRow) -> bool:
    """Whether a stored row is what its text gives.

    A sum of floats depends on how many texts were embedded together, so a code may differ by one.
    """
    terms, codes, scale = stored
    if terms != due.terms or len(codes) != len(due.codes):
        return False
    apart = np.frombuffer(codes, np.int8).astype(int) - np.frombuffer(due.codes, np.int8)
    return bool((np.abs(apart) <= 1).all()) and math.isclose(scale, due.scale, rel_tol=1e-4)


def _write(run: _Run, seq: int, row: IndexRow) -> None:
    run("DELETE FROM item_index WHERE seq = ?", (seq,))
    run("INSERT INTO item_index VALUES (?, ?, ?, ?)", (seq, row.terms, row.codes, row.scale))
    run("UPDATE item SET tokens = ? WHERE seq = ?", (row.tokens, seq))


def _versions(run: _Run) -> Iterator[Finding]:
    for (id_,) in run(
        "SELECT id FROM item WHERE supersedes NOTNULL AND supersedes NOT IN (SELECT id FROM item)"
    ).fetchall():
        yield Finding("supersedes an item that is not there", f"item {id_}", False)
    for namespace, session, ordinal, count in run(
        "SELECT namespace, session, ordinal, count(*) FROM item WHERE invalid_at IS NULL"
        " GROUP BY namespace, session, ordinal HAVING count(*) > 1"
    ).fetchall():
        where = f"namespace {namespace}, session {session}, ordinal {ordinal}"
        yield Finding(f"{count} items in one place of a session", where, False)


def _journal(run: _Run) -> Iterator[Finding]:
    for (id_,) in run(
        "SELECT id FROM item i WHERE NOT EXISTS (SELECT 1 FROM journal j WHERE j.operation = 'add'"
        " AND j.namespace = i.namespace AND i.seq BETWEEN j.first_seq AND j.last_seq)"
    ).fetchall():
        yield Finding("item that the journal never saw added", f"item {id_}", False)
