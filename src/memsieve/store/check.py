"""The proof that a file is consistent, and the rebuilding of what is derived."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from memsieve.errors import NotAStoreError
from memsieve.store import erasing
from memsieve.store.base import Analysis, Finding, IndexRow, TimeRow
from memsieve.store.database import Database
from memsieve.store.rows import Run, cells_of, digest, mention_rows, micros, on_clock, zone_of
from memsieve.store.times import count_unread, mentions_of, write_times

Mend = Callable[[Run], object]
Found = tuple[Finding, Mend | None]
Reading = Callable[[], AbstractContextManager[Run]]

_PAGE = 500
_MOMENT = (
    "typeof(i.said_at) = 'integer' AND i.said_at BETWEEN"
    f" {micros(datetime.min.replace(tzinfo=UTC))} AND {micros(datetime.max.replace(tzinfo=UTC))}"
    " AND coalesce(i.offset_minutes, 0) BETWEEN -1439 AND 1439"
)
_LONE = "SELECT DISTINCT {0} FROM {1} WHERE {0} NOT IN (SELECT seq FROM item)"


def findings(
    database: Database,
    reading: Reading,
    analysis: Analysis,
    read_unread: Callable[[], object],
    *,
    mended: Mend | None,
) -> list[Finding]:
    """Everything that is wrong: file, references, items, times, journal, what was not finished.

    What is derived is mended if `mended` is given, which then ends the transaction that does so;
    canonical rows are only reported. Cost: two passes over all texts, which are analysed and
    embedded anew, and read for times; no lock is held meanwhile.

    Parameters
    ----------
    reading
        Opens a snapshot; it refuses one whose vectors or times are of others than `analysis`.
    analysis
        Gives the rows that texts should have.
    read_unread
        Reads the times that were never read, in transactions of its own.
    """
    n_unread = _count_unread(database)
    found = list(Walk(reading, analysis).findings())
    mends = [mend for _, mend in found if mend is not None]
    # Writing into a file that SQLite itself finds damaged could make it worse.
    fix = mended is not None and not any(finding.where == "file" for finding, _ in found)
    if mends and fix and mended is not None:
        with database.writing() as run:
            for mend in (*mends, mended):
                mend(run)
    rows = [replace(finding, fixed=fix and mend is not None) for finding, mend in found]
    # An index row that was lost and mended has unread times as well.
    if fix and _count_unread(database):
        read_unread()
    return rows + _unread(n_unread, fix) + _erasures(database, fix)


def _count_unread(database: Database) -> int:
    with database.reading() as run:
        return count_unread(run)


def _unread(count: int, fix: bool) -> list[Finding]:
    what = f"times of {count} items not read: run memsieve reindex --time"
    return [Finding(what, "times", fix)] if count else []


def _erasures(database: Database, fix: bool) -> list[Finding]:
    with database.reading() as run:
        keys = erasing.unfinished(run)
    if not keys:
        return []
    what = "forgotten text may be left in the file: a reader held it, or a process died"
    return [Finding(what, "file", fix and erasing.complete(database, keys))]


class Walk:
    """One walk through the rows of a file."""

    def __init__(self, reading: Reading, analysis: Analysis) -> None:
        self.reading, self.analysis = reading, analysis

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
        yield from self._times()
        for part in (self._moments, self._versions, self._places, self._journal):
            with self.reading() as run:
                yield from part(run)

    def _file(self, run: Run) -> Iterator[Found]:
        for (message,) in run("PRAGMA integrity_check"):
            if message != "ok":
                yield Finding(message, "file", False), None

    def _lone_rows(self, run: Run) -> Iterator[Found]:
        for (seq,) in run(_LONE.format("seq", "item_index")).fetchall():
            mend = _delete("DELETE FROM item_index WHERE seq = ?", seq)
            yield Finding("index row without an item", f"seq {seq}", False), mend
        for (seq,) in run(_LONE.format("item", "item_time")).fetchall():
            mend = _delete("DELETE FROM item_time WHERE item = ?", seq)
            yield Finding("times without an item", f"seq {seq}", False), mend

    def _references(self, run: Run) -> Iterator[Found]:
        for table, row, parent, _ in run("PRAGMA foreign_key_check").fetchall():
            if table not in ("item_index", "item_time"):
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
                " x.scale, x.traits FROM item i LEFT JOIN item_index x ON x.seq = i.seq"
                " WHERE i.seq > ? ORDER BY i.seq LIMIT ?",
                (last, _PAGE),
            ).fetchall()

    def _compare(self, rows: Sequence[tuple[Any, ...]]) -> Iterator[Found]:
        texts = [bytes(row[2]).decode("utf-8", "replace") for row in rows]
        for row, text, due in zip(rows, texts, self.analysis.index(texts), strict=True):
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

    def _times(self) -> Iterator[Found]:
        last = 0
        while rows := self._timed(last):
            last = rows[-1][0]
            texts = [bytes(row[2]).decode("utf-8", "replace") for row in rows]
            clocks = [on_clock(row[3], zone_of(row[4])) for row in rows]
            for row, due in zip(rows, self.analysis.times(texts, clocks), strict=True):
                seq, id_, _, _, _, *event, mentions = row
                if event != [*cells_of(due.happened), due.dated_tokens] or (
                    mentions != mention_rows(seq, due.mentions)
                ):
                    what = "times differ from what the text says"
                    yield Finding(what, f"item {id_}", False), _write_times(seq, due)

    def _timed(self, last: int) -> list[tuple[Any, ...]]:
        """Items beyond `last` whose times were read, each with its rows of mentions at the end."""
        with self.reading() as run:
            rows = run(
                "SELECT i.seq, i.id, CAST(i.text AS BLOB), i.said_at,"
                " coalesce(i.offset_minutes, 0), i.happened_from, i.happened_to,"
                " i.happened_precision, x.dated_tokens FROM item i JOIN item_index x"
                f" ON x.seq = i.seq WHERE i.seq > ? AND x.dated_tokens NOTNULL AND {_MOMENT}"
                " ORDER BY i.seq LIMIT ?",
                (last, _PAGE),
            ).fetchall()
            mentions = mentions_of(run, [row[0] for row in rows])
        return [(*row, mentions.get(row[0], [])) for row in rows]

    def _moments(self, run: Run) -> Iterator[Found]:
        for (id_,) in run(f"SELECT i.id FROM item i WHERE NOT ({_MOMENT})").fetchall():
            yield Finding("was said at no moment that there is", f"item {id_}", False), None

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
    terms, codes, scale, traits = stored
    if not isinstance(codes, bytes) or (terms, traits) != (due.terms, due.traits):
        return False
    if len(codes) != len(due.codes):
        return False
    apart = np.frombuffer(codes, np.int8).astype(int) - np.frombuffer(due.codes, np.int8)
    return bool((np.abs(apart) <= 1).all()) and math.isclose(scale, due.scale, rel_tol=1e-4)


def _delete(statement: str, seq: int) -> Mend:
    return lambda run: run(statement, (seq,))


def _write_times(seq: int, times: TimeRow) -> Mend:
    return lambda run: write_times(run, seq, times)


def _write(seq: int, row: IndexRow) -> Mend:
    def mend(run: Run) -> None:
        run(
            # The item may have been forgotten since it was looked at.
            "INSERT INTO item_index (seq, terms, codes, scale, traits)"
            " SELECT seq, ?, ?, ?, ? FROM item WHERE seq = ? ON CONFLICT (seq) DO UPDATE SET"
            " terms = excluded.terms, codes = excluded.codes, scale = excluded.scale,"
            " traits = excluded.traits",
            (row.terms, row.codes, row.scale, row.traits, seq),
        )
        run("UPDATE item SET tokens = ? WHERE seq = ?", (row.tokens, seq))

    return mend
