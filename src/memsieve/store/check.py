"""The proof that a file is consistent, and the rebuilding of what is derived."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import numpy as np

from memsieve.errors import NotAStoreError
from memsieve.store import erasing
from memsieve.store.base import Finding, IndexRow
from memsieve.store.database import Database
from memsieve.store.rows import digest
from memsieve.store.writing import Run

Index = Callable[[Sequence[str]], Sequence[IndexRow]]
Mend = Callable[[Run], object]
Found = tuple[Finding, Mend | None]
Reading = Callable[[], AbstractContextManager[Run]]

_PAGE = 500


def findings(
    database: Database, reading: Reading, index: Index, *, mended: Mend | None
) -> list[Finding]:
    """Everything that is wrong, in the order: file, references, items, journal, erasures.

    What is derived is mended if `mended` is given, which then ends the transaction that does so;
    canonical rows are only reported. Cost: one pass over all texts, which are analysed and
    embedded anew; no lock is held meanwhile.

    Parameters
    ----------
    reading
        Opens a snapshot; it refuses one whose vectors are of another embedder than `index`.
    index
        Gives the index rows that texts should have.
    """
    found = list(Walk(reading, index).findings())
    mends = [mend for _, mend in found if mend is not None]
    # Writing into a file that SQLite itself finds damaged could make it worse.
    fix = mended is not None and not any(finding.where == "file" for finding, _ in found)
    if mends and fix and mended is not None:
        with database.writing() as run:
            for mend in (*mends, mended):
                mend(run)
    rows = [replace(finding, fixed=fix and mend is not None) for finding, mend in found]
    return rows + _erasures(database, fix)


def _erasures(database: Database, fix: bool) -> list[Finding]:
    with database.reading() as run:
        keys = erasing.unfinished(run)
    if not keys:
        return []
    what = "forgotten text may be left in the file: a reader held it, or a process died"
    return [Finding(what, "file", fix and erasing.complete(database, keys))]


class Walk:
    """One walk through the rows of a file."""

    def __init__(self, reading: Reading, index: Index) -> None:
        self.reading, self.index = reading, index

    def findings(self) -> Iterator[Found]:
        """Everything that is wrong with rows, each with what mends it, or None if nothing can."""
        try:
            yield from self._rows()
        except NotAStoreError as error:
            yield Finding(f"what follows cannot be read: {error}", "file", False), None

    def _rows(self) -> Iterator[Found]:
        for part in (self._file, self._lone_rows, self._references):
            with self.reading() as run:
                yield from part(run)
        yield from self._items()
        for part in (self._versions, self._places, self._journal):
            with self.reading() as run:
                yield from part(run)

    def _file(self, run: Run) -> Iterator[Found]:
        for (message,) in run("PRAGMA integrity_check"):
            if message != "ok":
                yield Finding(message, "file", False), None

    def _lone_rows(self, run: Run) -> Iterator[Found]:
        query = "SELECT seq FROM item_index WHERE seq NOT IN (SELECT seq FROM item)"
        for (seq,) in run(query).fetchall():
            yield Finding("index row without an item", f"seq {seq}", False), _delete(seq)

    def _references(self, run: Run) -> Iterator[Found]:
        for table, row, parent, _ in run("PRAGMA foreign_key_check").fetchall():
            if table != "item_index":
                what = f"reference to a row of {parent} that is not there"
                yield Finding(what, table if row is None else f"{table} {row}", False), None

    def _items(self) -> Iterator[Found]:
        last = 0
        while rows := self._page(last):
            last = rows[-1][0]
            yield from self._compare(rows)

    def _page(self, last: int) -> list[tuple[Any, ...]]:
        # As a blob: a damaged text may be no UTF-8, on which SQLite's adapter would give up.
        with self.reading() as run:
            return run(
                "SELECT i.seq, i.id, CAST(i.text AS BLOB), i.hash, i.tokens, x.terms, x.codes,"
                " x.scale FROM item i LEFT JOIN item_index x ON x.seq = i.seq"
                " WHERE i.seq > ? ORDER BY i.seq LIMIT ?",
                (last, _PAGE),
            ).fetchall()

    def _compare(self, rows: Sequence[tuple[Any, ...]]) -> Iterator[Found]:
        texts = [bytes(row[2]).decode("utf-8", "replace") for row in rows]
        for row, text, due in zip(rows, texts, self.index(texts), strict=True):
            seq, id_, raw, held, tokens, *stored = row
            if raw != text.encode():
                yield Finding("text is not UTF-8", f"item {id_}", False), None
            elif digest(text) != held:
                yield Finding("text does not match its hash", f"item {id_}", False), None
            if stored[0] is None:
                yield Finding("no index row", f"item {id_}", False), _write(seq, due)
            elif tokens != due.tokens or not _same(stored, due):
                what = "index row differs from its text"
                yield Finding(what, f"item {id_}", False), _write(seq, due)

    def _versions(self, run: Run) -> Iterator[Found]:
        query = (
            "SELECT id FROM item"
            " WHERE supersedes NOTNULL AND supersedes NOT IN (SELECT id FROM item)"
        )
        for (id_,) in run(query).fetchall():
            yield Finding("supersedes an item that is not there", f"item {id_}", False), None

    def _places(self, run: Run) -> Iterator[Found]:
        query = (
            "SELECT coalesce(n.name, i.namespace), i.session, i.ordinal, count(*)"
            " FROM item i LEFT JOIN namespace n ON n.id = i.namespace WHERE i.invalid_at IS NULL"
            " GROUP BY i.namespace, i.session, i.ordinal HAVING count(*) > 1"
        )
        for namespace, session, ordinal, count in run(query).fetchall():
            where = f"namespace {namespace}, session {session}, ordinal {ordinal}"
            yield Finding(f"{count} items in one place of a session", where, False), None

    def _journal(self, run: Run) -> Iterator[Found]:
        """Walks items and stretches of additions side by side: both are ordered by `seq`."""
        stretches = run(
            "SELECT first_seq, last_seq, namespace FROM journal WHERE operation = 'add'"
            " ORDER BY first_seq"
        ).fetchall()
        at = 0
        for seq, id_, namespace in run("SELECT seq, id, namespace FROM item ORDER BY seq"):
            while at < len(stretches) and stretches[at][1] < seq:
                at += 1
            if at == len(stretches) or stretches[at][0] > seq or stretches[at][2] != namespace:
                yield Finding("item that the journal never saw added", f"item {id_}", False), None


def _same(stored: Sequence[Any], due: IndexRow) -> bool:
    """Whether a stored row is what its text gives.

    A sum of floats depends on how many texts were embedded together, so a code may differ by one.
    """
    terms, codes, scale = stored
    if not isinstance(codes, bytes) or terms != due.terms or len(codes) != len(due.codes):
        return False
    apart = np.frombuffer(codes, np.int8).astype(int) - np.frombuffer(due.codes, np.int8)
    return bool((np.abs(apart) <= 1).all()) and math.isclose(scale, due.scale, rel_tol=1e-4)


def _delete(seq: int) -> Mend:
    return lambda run: run("DELETE FROM item_index WHERE seq = ?", (seq,))


def _write(seq: int, row: IndexRow) -> Mend:
    def mend(run: Run) -> None:
        run("DELETE FROM item_index WHERE seq = ?", (seq,))
        run(
            # The item may have been forgotten since it was looked at.
            "INSERT INTO item_index SELECT seq, ?, ?, ? FROM item WHERE seq = ?",
            (row.terms, row.codes, row.scale, seq),
        )
        run("UPDATE item SET tokens = ? WHERE seq = ?", (row.tokens, seq))

    return mend
