"""The default store: one SQLite file in WAL mode, shared by threads and processes."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from memsieve.errors import EmbedderMismatchError, ParameterError
from memsieve.store import erasing, notes, recalls, slots, times
from memsieve.store.base import (
    Analysis,
    Changes,
    Claim,
    Event,
    Finding,
    IndexRow,
    Job,
    Note,
    Record,
    Versions,
)
from memsieve.store.database import Database
from memsieve.store.recalls import RecallRow
from memsieve.store.rows import (
    COLUMNS,
    EVENTS,
    ITEM,
    VERSIONS,
    Page,
    Run,
    columns_of,
    conditions_of,
    item_of,
    micros,
    moment,
)
from memsieve.store.writing import Forgetting, Insertion
from memsieve.types import NOTHING, Interval, Item, Receipt

_PAGE = 20_000
_BATCH = 1_000
_VARIABLES = 900  # SQLite builds before 3.32 allow 999 bound variables in a statement


class SQLite(Database):
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
        super().__init__(path, timeout_s)

    # Identity

    def meta(self, key: str) -> str | None:
        """A remembered fact about the file, such as its embedder."""
        with self.reading() as run:
            row = run("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def set_meta(self, key: str, value: str, *, keep: bool = False) -> str:
        """Remember a fact; with `keep`, only if none is there. Gives what holds afterwards."""
        clash = "NOTHING" if keep else "UPDATE SET value = excluded.value"
        with self.writing() as run:
            run(f"INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO {clash}", (key, value))
            return str(run("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()[0])

    def require_embedder(self, embedder: str) -> None:
        """Refuse an embedder other than the one whose vectors the file holds.

        Raises
        ------
        EmbedderMismatchError
            If the file has been moved to another one.
        """
        with self.reading() as run:
            self._require(run, embedder)

    def namespaces(self) -> list[str]:
        """Names in order of creation."""
        with self.reading() as run:
            return [row[0] for row in run("SELECT name FROM namespace ORDER BY id")]

    def has_namespace(self, name: str) -> bool:
        """Whether anything was ever written into a namespace."""
        with self.reading() as run:
            return _namespace(run, name) >= 0

    # Writing

    def insert(
        self, namespace: str, records: Sequence[Record], *, actor: str, embedder: str, timeline: str
    ) -> list[str]:
        """Write records in one transaction; ids in order, known keys giving their old id.

        A key that is there with the same text adds nothing. With another text the new version
        supersedes the old one, takes its place in the session, and the old one is kept but no
        longer recalled.

        Raises
        ------
        EmbedderMismatchError, ParameterError
            If the file has been moved to another embedder or reader of time than those that
            made the records.
        """
        if not records:
            return []
        with self.writing() as run:
            self._require(run, embedder, timeline)
            return Insertion(run, namespace, actor).write(records)

    def _require(self, run: Run, embedder: str | None = None, timeline: str | None = None) -> None:
        """Refuse what the file has moved away from; None is not asked about."""
        held = dict(run("SELECT key, value FROM meta WHERE key IN ('embedder', 'timeline')"))
        for key, ours, error in (
            ("embedder", embedder, EmbedderMismatchError),
            ("timeline", timeline, ParameterError),
        ):
            if ours is not None and held.get(key, ours) != ours:
                raise error(
                    f"{self.path} has moved to the {key} {held[key]}, this process works with"
                    f" {ours}: open it again"
                )

    def forget(self, ids: Sequence[str], actor: str) -> Receipt:
        """Delete items for good: text, index row, vector, links, slots, older versions.

        Items derived from a forgotten one alone go with it. The journal keeps the ids. Then the
        files are cleaned and searched, see `erasing.erase`. What a reader with an old state open
        prevents is counted in the receipt and left to `check(fix=True)`.

        Raises
        ------
        NotFoundError
            If an id does not exist; then nothing is forgotten.
        """
        with self.writing() as run:
            gone = Forgetting(run, actor).delete(ids)
            note = erasing.begin(run)
        residue, rewritten = erasing.erase(self, gone.traces)
        if not residue:
            erasing.finish(self, [note])
        return Receipt(tuple(gone.ids), moment(gone.at), residue, rewritten)

    # Reading

    def position(self, namespace: str) -> int:
        """The last journal entry that concerns a namespace; 0 if there is none."""
        with self.reading() as run:
            return self._position(run, _namespace(run, namespace))

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
        with self.reading() as run:
            number = _namespace(run, namespace)
            events = run(
                "SELECT operation, first_seq FROM journal WHERE namespace = ? AND entry > ?"
                " AND operation IN ('forget', 'supersede', 'reindex')",
                (number, position),
            ).fetchall()
            now = self._position(run, number)
            beyond = (number, after_seq)
            pages, event_pages = _pages(run, COLUMNS, beyond), _pages(run, EVENTS, beyond)
            added = columns_of(pages, event_pages, now, dimensions)
        gone = [seq for operation, seq in events if operation != "reindex"]
        return Changes(added, gone, len(gone) < len(events))

    def versions(self, namespace: str, at: datetime) -> Versions:
        """Which replaced versions were in force at a moment.

        A version holds from when it was said until its successor was said; where that is no
        later, until it was replaced. Of several the oldest holds: newer ones that were said
        earlier are not in force before those between them.
        """
        with self.reading() as run:
            rows = run(VERSIONS, (_namespace(run, namespace), micros(at), micros(at))).fetchall()
        after = {seq for which, seq in rows if which == "after"}
        held = {seq for which, seq in rows if which == "held"}
        return Versions(tuple(sorted(held - after)), tuple(sorted(after)))

    def past(self, namespace: str, versions: Versions, *, dimensions: int = 0) -> Changes:
        """The whole namespace's columns with old versions in the place of their successors."""
        # One value for each list: a statement has room for some ten thousand numbers only.
        old, new = (json.dumps(seqs) for seqs in (versions.old, versions.new))
        listed = "IN (SELECT value FROM json_each(?))"
        living = f"(i.invalid_at IS NULL OR i.seq {listed}) AND i.seq NOT {listed}"
        columns = COLUMNS.replace("i.invalid_at IS NULL", living)
        with self.reading() as run:
            number = _namespace(run, namespace)
            now = self._position(run, number)
            pages = _pages(run, columns, (number, 0, old, new))
            event_pages = _pages(run, EVENTS, (number, 0))
            return Changes(columns_of(pages, event_pages, now, dimensions), ())

    def holding(
        self, namespace: str, seqs: Sequence[int], until_micros: int, as_of: datetime | None = None
    ) -> dict[int, Claim]:
        """Of those of these items that have a slot, what they state and which item holds it.

        What was said last up to `until_micros`, in microseconds since 1970, holds. With `as_of`
        the versions of that moment count in the place of their successors.
        """
        with self.reading() as run:
            versions = Versions((), ()) if as_of is None else self.versions(namespace, as_of)
            return slots.holding(run, namespace, seqs, until_micros, versions)

    def items(self, seqs: Sequence[int]) -> list[Item]:
        """Items by `seq`, in the order asked; those that are gone are left out."""
        found = {item.seq: item for item in self._select("i.seq", [int(s) for s in seqs])}
        return [found[int(seq)] for seq in seqs if int(seq) in found]

    def get(self, ids: Sequence[str]) -> list[Item]:
        """Items by id, in the order asked; those that are unknown are left out."""
        found = {item.id: item for item in self._select("i.id", ids)}
        return [found[id_] for id_ in ids if id_ in found]

    def _select(self, column: str, values: Sequence[Any]) -> list[Item]:
        found: list[Item] = []
        with self.reading() as run:
            for part in _parts(values):
                marks = ",".join("?" * len(part))
                found += _items(run, run(f"{ITEM} WHERE {column} IN ({marks})", part).fetchall())
        return found

    def find_key(self, namespace: str, keys: Sequence[str]) -> dict[str, str]:
        """The ids of the living items with these keys."""
        found: dict[str, str] = {}
        with self.reading() as run:
            number = _namespace(run, namespace)
            for part in _parts(keys):
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
        during: Interval | None = None,
        metadata: Mapping[str, Any] = NOTHING,
        with_invalid: bool = False,
        newest_first: bool = False,
        page: int = 1_000,
    ) -> Iterator[Item]:
        """Items of a namespace in the order written, a page at a time.

        `where` maps columns (kind, speaker, role, session, source) to a value; `metadata` maps
        top-level keys to values; `since` and `until` bound `said_at`, the end excluded. `during`
        keeps what mentions a time that overlaps it, or mentions none and was said on a day that
        does; these are looked up once, so what others write meanwhile is not among them.
        """
        conditions, values = conditions_of(where, since, until, metadata)
        if not with_invalid:
            conditions.append("i.invalid_at IS NULL")
        order, beyond = ("DESC", "<") if newest_first else ("ASC", ">")

        def read(extra: str) -> list[Item]:
            clause = " AND ".join(["n.name = ?", *conditions, *([extra] if extra else [])])
            query = f"{ITEM} WHERE {clause} ORDER BY i.seq {order} LIMIT {page}"
            with self.reading() as run:
                return _items(run, run(query, (namespace, *values)).fetchall())

        if during is not None:
            for part in _parts(self._during(namespace, during, newest_first), page):
                yield from read(f"i.seq IN ({','.join(map(str, part))})")
            return
        items = read("")
        yield from items
        while len(items) == page:
            items = read(f"i.seq {beyond} {items[-1].seq}")
            yield from items

    def _during(self, namespace: str, interval: Interval, newest_first: bool) -> list[int]:
        with self.reading() as run:
            seqs = times.during(run, _namespace(run, namespace), interval)
        return seqs[::-1] if newest_first else seqs

    def seqs(
        self,
        namespace: str,
        *,
        metadata: Mapping[str, Any],
        with_invalid: bool = False,
    ) -> list[int]:
        """The `seq` of every living item whose metadata holds these top-level values."""
        conditions, values = conditions_of(NOTHING, None, None, metadata)
        if not with_invalid:
            conditions.append("i.invalid_at IS NULL")
        clause = " AND ".join(["n.name = ?", *conditions])
        with self.reading() as run:
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
        with self.reading() as run:
            ids = [id_]
            while row := run("SELECT supersedes FROM item WHERE id = ?", (ids[-1],)).fetchone():
                if row[0] is None:
                    break
                ids.append(row[0])
            events = [event for known in ids for event in events_of(run, known)]
        return [event for _, event in sorted(events, key=lambda pair: pair[0])]

    def counts(self) -> dict[str, dict[str, int]]:
        """Per namespace: items, sessions, tokens, and superseded items."""
        with self.reading() as run:
            rows = run(
                "SELECT n.name, sum(i.seq NOTNULL AND i.invalid_at IS NULL),"
                " count(DISTINCT i.session), sum(CASE WHEN i.invalid_at IS NULL THEN i.tokens END),"
                " sum(i.invalid_at NOTNULL) FROM namespace n"
                " LEFT JOIN item i ON i.namespace = n.id GROUP BY n.id"
            ).fetchall()
        names = ("items", "sessions", "tokens", "superseded")
        return {
            row[0]: {k: int(v or 0) for k, v in zip(names, row[1:], strict=True)} for row in rows
        }

    # Index rows

    def begin_reindex(self, embedder: str) -> None:
        """Take the file over to another embedder: all vectors are blank until written anew.

        In one transaction, so that no reader ever compares vectors of two models.
        """
        with self.writing() as run:
            self.set_meta("embedder", embedder)
            run("UPDATE item_index SET codes = x'', scale = 0")
            _note_reindex(run, embedder=embedder)

    def end_reindex(self, embedder: str) -> None:
        """Tell every reader that the vectors are there.

        Raises
        ------
        EmbedderMismatchError
            If the file has been moved on to another embedder meanwhile.
        """
        with self.writing() as run:
            self._require(run, embedder)
            _note_reindex(run, embedder=embedder)

    def texts_without_vector(self, count: int) -> list[tuple[int, str]]:
        """`seq` and text of up to `count` items whose vector is blank."""
        with self.reading() as run:
            return run(
                "SELECT i.seq, i.text FROM item_index x JOIN item i ON i.seq = x.seq"
                " WHERE x.codes = x'' ORDER BY i.seq LIMIT ?",
                (count,),
            ).fetchall()

    def write_index(self, rows: Mapping[int, IndexRow], embedder: str) -> None:
        """Replace the index rows of items, in one transaction.

        Raises
        ------
        EmbedderMismatchError
            If the file has been moved to another embedder than the one that made the rows.
        """
        with self.writing() as run:
            self._require(run, embedder)
            for seq, row in rows.items():
                run(
                    "UPDATE item_index SET terms = ?, codes = ?, scale = ?, traits = ?"
                    " WHERE seq = ?",
                    (row.terms, row.codes, row.scale, row.traits, seq),
                )

    # Times

    def begin_times(self, timeline: str) -> None:
        """Take the file over to another reader of time: all times are unread until read anew."""
        with self.writing() as run:
            self.set_meta("timeline", timeline)
            times.forget_times(run)
            _note_reindex(run, timeline=timeline)

    def unread_times(self) -> int:
        """How many items have times that were not read yet."""
        with self.reading() as run:
            return times.count_unread(run)

    def read_times(
        self,
        analysis: Analysis,
        timeline: str,
        progress: Callable[[int, int], None] | None = None,
    ) -> int:
        """Read the times of all items that were not read yet, a thousand to a transaction.

        Gives their number; readers are told at the end. Interrupted, it goes on where it was.

        Raises
        ------
        ParameterError
            If the file has been moved on to another reader of time meanwhile.
        """
        done, total = 0, self.unread_times()
        while rows := self._unread():
            seqs, texts, clocks = zip(*rows, strict=True)
            found = analysis.times(texts, clocks)
            with self.writing() as run:
                self._require(run, timeline=timeline)
                for seq, row in zip(seqs, found, strict=True):
                    times.write_times(run, seq, row)
            done += len(rows)
            if progress:
                progress(done, total)
        with self.writing() as run:
            self._require(run, timeline=timeline)
            _note_reindex(run, timeline=timeline)
        return done

    def _unread(self) -> list[tuple[int, str, datetime]]:
        with self.reading() as run:
            return times.unread(run, _BATCH)

    # Jobs

    def job(self, kind: str, key: str) -> Job | None:
        """The state of a piece of resumable work, or None if it never began."""
        with self.reading() as run:
            row = run(
                "SELECT kind, key, state, done, total, error FROM job WHERE kind = ? AND key = ?",
                (kind, key),
            ).fetchone()
        return None if row is None else Job(*row)

    def save_job(self, job: Job) -> None:
        """Record how far a piece of work came."""
        now = micros(datetime.now(UTC))
        with self.writing() as run:
            run(
                "INSERT INTO job (kind, key, state, done, total, error, created_at, updated_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (kind, key) DO UPDATE SET"
                " state = excluded.state, done = excluded.done, total = excluded.total,"
                " error = excluded.error, updated_at = excluded.updated_at",
                (job.kind, job.key, job.state, job.done, job.total, job.error, now, now),
            )

    # Recalls and what they were worth

    def keep_recall(self, row: RecallRow) -> None:
        """Write down what a recall weighed, so that it can be judged later."""
        with self.writing() as run:
            recalls.write(run, row)

    def judge_recall(
        self, id_: str, used: Sequence[int], reward: float | None, row: RecallRow | None = None
    ) -> None:
        """Write down what a recall was worth, and the recall itself if `row` is not kept yet.

        Raises
        ------
        NotFoundError
            If it was not kept and no `row` is given.
        """
        with self.writing() as run:
            if row is not None:
                recalls.write(run, row)
            recalls.judge(run, id_, used, reward)

    def weighed(self, recall_id: str) -> dict[str, int] | None:
        """The candidates of a recall that was kept, id to `seq`; None if it was not kept."""
        with self.reading() as run:
            return recalls.weighed(run, recall_id)

    def judged_recalls(self, namespace: str | None = None) -> list[RecallRow]:
        """Every recall with feedback, oldest first, of one namespace or of all."""
        with self.reading() as run:
            return recalls.judged(run, None if namespace is None else _namespace(run, namespace))

    # Notes and links of named systems

    def write_notes(
        self,
        namespace: str,
        system: str,
        written: Sequence[Note],
        links: Sequence[tuple[int, int, float]] = (),
    ) -> None:
        """Store notes, and links between items by `seq` with a weight, in one transaction.

        Raises
        ------
        NotFoundError
            If a source of a note is not there; then nothing is stored.
        """
        with self.writing() as run:
            notes.write(run, _namespace(run, namespace), system, written)
            notes.write_links(run, system, links)

    def notes(self, namespace: str, system: str, unit: str | None = None) -> list[Note]:
        """The notes of a system that hold, oldest first; with a `unit` its old versions as well."""
        with self.reading() as run:
            return notes.read(run, _namespace(run, namespace), system, unit)

    def notes_state(self, namespace: str, system: str) -> tuple[int, int]:
        """Two numbers that change whenever the notes of a system do."""
        with self.reading() as run:
            return notes.state(run, _namespace(run, namespace), system)

    def links(self, namespace: str, system: str) -> list[tuple[int, int, float]]:
        """The links of a system as (a, b, weight), by `seq`, in the order of a and b."""
        with self.reading() as run:
            return notes.read_links(run, _namespace(run, namespace), system)

    # Proof

    def check(
        self, analysis: Analysis, *, embedder: str, timeline: str, fix: bool = False
    ) -> list[Finding]:
        """Every inconsistency of the file; with `fix`, derived rows are rebuilt by `analysis`.

        Raises
        ------
        EmbedderMismatchError, ParameterError
            If the vectors and times of the file are not those of `embedder` and `timeline`,
            which `analysis` uses.
        """
        from memsieve.store.check import findings

        @contextmanager
        def reading() -> Iterator[Run]:
            with self.reading() as run:
                self._require(run, embedder, timeline)
                yield run

        def tell_readers(run: Run) -> None:
            self._require(run, embedder, timeline)
            _note_reindex(run, embedder=embedder)

        def read_unread() -> None:
            self.read_times(analysis, timeline)

        return findings(self, reading, analysis, read_unread, mended=tell_readers if fix else None)


def _parts(values: Sequence[Any], size: int = _VARIABLES) -> Iterator[Sequence[Any]]:
    """Stretches that one statement can take."""
    size = min(size, _VARIABLES)
    return (values[at : at + size] for at in range(0, len(values), size))


def _pages(run: Run, query: str, values: tuple[Any, ...]) -> Iterator[Page]:
    rows = run(query, values)
    return iter(lambda: rows.fetchmany(_PAGE), [])


def _items(run: Run, rows: Sequence[tuple[Any, ...]]) -> list[Item]:
    """Rows of `ITEM` as items, with their mentions."""
    mentions: dict[int, list[tuple[Any, ...]]] = {}
    for part in _parts([row[1] for row in rows]):
        mentions.update(times.mentions_of(run, part))
    return [item_of(row, mentions.get(row[1], ())) for row in rows]


def _note_reindex(run: Run, **what: str) -> None:
    """Tell the readers of every namespace to load it anew."""
    run(
        "INSERT INTO journal (at, actor, operation, namespace, detail)"
        " SELECT ?, 'reindex', 'reindex', id, ? FROM namespace",
        (micros(datetime.now(UTC)), json.dumps(what)),
    )


def _namespace(run: Run, name: str) -> int:
    row = run("SELECT id FROM namespace WHERE name = ?", (name,)).fetchone()
    return -1 if row is None else int(row[0])


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
