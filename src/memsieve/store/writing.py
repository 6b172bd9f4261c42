"""What happens inside a write transaction: adding a batch, forgetting items."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from memsieve.errors import NotFoundError
from memsieve.store import notes
from memsieve.store.base import Record
from memsieve.store.ids import new_ids
from memsieve.store.rows import (
    INSERT_ITEM,
    INSERT_MENTION,
    INSERT_SLOT,
    Run,
    as_given,
    cells_of,
    digest,
    mention_rows,
    micros,
    offset_minutes,
    slot_cell,
)

_FEW = 32


class Insertion:
    """The writing of one batch inside one transaction."""

    def __init__(self, run: Run, namespace: str, actor: str) -> None:
        self.run, self.actor = run, actor
        self.now = micros(datetime.now(UTC))
        run(
            "INSERT OR IGNORE INTO namespace (name, created_at) VALUES (?, ?)",
            (namespace, self.now),
        )
        row = run("SELECT id FROM namespace WHERE name = ?", (namespace,)).fetchone()
        self.namespace = int(row[0])
        self.ordinals: dict[str | None, int] = {}
        self.written: list[int] = []
        self.mentions: list[tuple[Any, ...]] = []

    def write(self, records: Sequence[Record]) -> list[str]:
        fresh = new_ids(len(records))
        ids = [self._write(id_, record) for id_, record in zip(fresh, records, strict=True)]
        insert_mentions(self.run, self.mentions)
        if self.written:
            self._note("add", self.written[0], self.written[-1], None, {"n": len(self.written)})
        return ids

    def _write(self, id_: str, record: Record) -> str:
        message, content = record.message, digest(record.message.text)
        old = self._by_key(message.key)
        if old is not None and old["hash"] == content:
            return str(old["id"])
        session, ordinal = self._place(message.session, old)
        if old is not None:
            self.run("UPDATE item SET invalid_at = ? WHERE seq = ?", (self.now, old["seq"]))
        metadata = None
        if message.metadata:
            metadata = json.dumps(dict(message.metadata), ensure_ascii=False)
        cursor = self.run(
            INSERT_ITEM,
            (id_, self.namespace, message.kind, message.text, message.speaker, message.role,
             session, ordinal, message.source, message.trust, message.key, content,
             metadata, micros(record.said_at), offset_minutes(record.said_at),
             *cells_of(record.times.happened), self.now, old and old["id"], record.row.tokens),
        )  # fmt: skip
        seq = int(cursor.lastrowid or 0)
        row = record.row
        self.run(
            "INSERT INTO item_index (seq, terms, codes, scale, traits, dated_tokens)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (seq, row.terms, row.codes, row.scale, row.traits, record.times.dated_tokens),
        )
        if message.slot is not None:
            cells = map(slot_cell, message.slot)
            self.run(INSERT_SLOT, (self.namespace, *cells, seq, micros(record.said_at)))
        self.mentions += mention_rows(seq, record.times.mentions)
        self.written.append(seq)
        if old is not None:
            self._note("supersede", old["seq"], old["seq"], old["id"], {"by": id_})
        return id_

    def _by_key(self, key: str | None) -> dict[str, Any] | None:
        if key is None:
            return None
        row = self.run(
            "SELECT seq, id, hash, session, ordinal FROM item"
            " WHERE namespace = ? AND key = ? AND invalid_at IS NULL",
            (self.namespace, key),
        ).fetchone()
        if row is None:
            return None
        return dict(zip(("seq", "id", "hash", "session", "ordinal"), row, strict=True))

    def _place(self, session: str | None, old: Mapping[str, Any] | None) -> tuple[str | None, int]:
        """Session and ordinal of a new item: a new version takes the place of the old one.

        Only a version that names another session goes to the end of that.
        """
        if old is not None and session in (None, old["session"]):
            return old["session"], int(old["ordinal"])
        return session, self._next_ordinal(session)

    def _next_ordinal(self, session: str | None) -> int:
        if session not in self.ordinals:
            row = self.run(
                "SELECT max(ordinal) FROM item WHERE namespace = ? AND session IS ?",
                (self.namespace, session),
            ).fetchone()
            self.ordinals[session] = -1 if row[0] is None else int(row[0])
        self.ordinals[session] += 1
        return self.ordinals[session]

    def _note(
        self, operation: str, first: int, last: int, item: str | None, detail: Mapping[str, Any]
    ) -> None:
        self.run(
            "INSERT INTO journal"
            " (at, actor, operation, namespace, first_seq, last_seq, item, detail)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                self.now,
                self.actor,
                operation,
                self.namespace,
                first,
                last,
                item,
                json.dumps(detail),
            ),
        )


def insert_mentions(run: Run, rows: Sequence[tuple[Any, ...]]) -> None:
    """Write rows of `item_time`, as `mention_rows` makes them."""
    if rows:
        run(INSERT_MENTION, rows[0]).executemany(INSERT_MENTION, rows[1:])


class Forgetting:
    """The deletion of items inside one transaction.

    `ids` are the items that went, `traces` the strings that nothing should hold any more: their
    texts, and what else of them no other item has.
    """

    def __init__(self, run: Run, actor: str) -> None:
        self.run, self.actor = run, actor
        self.at = micros(datetime.now(UTC))
        self.ids: list[str] = []
        self.traces: list[str] = []
        self._seen: set[int] = set()
        self._beside: dict[str, set[str]] = {
            column: set() for column in ("key", "session", "speaker", "metadata")
        }
        self._slots: list[tuple[str, str]] = []

    def delete(self, ids: Sequence[str]) -> "Forgetting":
        for id_ in dict.fromkeys(ids):
            row = self.run("SELECT seq FROM item WHERE id = ?", (id_,)).fetchone()
            if row is None:
                raise NotFoundError(f"no item has the id {id_!r}: nothing was forgotten")
            self._mark(int(row[0]))
        for seq in sorted(self._seen):
            self._remove(seq)
        for column, values in self._beside.items():
            self.traces += self._gone_from(column, values)
        # What other rows still hold, `erase` finds there itself.
        self.traces += sorted({as_given(cell) for slot in self._slots for cell in slot})
        return self

    def _mark(self, seq: int) -> None:
        """This item, its older versions, and what was derived from them and nothing else."""
        waiting = [seq]
        while waiting:
            seq = waiting.pop()
            if seq in self._seen:
                continue
            self._seen.add(seq)
            waiting += self._column(
                "SELECT o.seq FROM item i JOIN item o ON o.id = i.supersedes WHERE i.seq = ?", seq
            )
            for item in self._column("SELECT item FROM evidence WHERE source_item = ?", seq):
                sources = self._column("SELECT source_item FROM evidence WHERE item = ?", item)
                if self._seen.issuperset(sources):
                    waiting.append(item)

    def _column(self, query: str, seq: int) -> list[int]:
        return [int(row[0]) for row in self.run(query, (seq,))]

    def _remove(self, seq: int) -> None:
        id_, namespace, text, *beside = self.run(
            "SELECT id, namespace, text, key, session, speaker, metadata FROM item WHERE seq = ?",
            (seq,),
        ).fetchone()
        self._slots += self.run("SELECT subject, attribute FROM slot WHERE item = ?", (seq,))
        self.traces += notes.forget(self.run, seq)
        self.run("DELETE FROM item WHERE seq = ?", (seq,))
        self.run("UPDATE item SET supersedes = NULL WHERE supersedes = ?", (id_,))
        self.run(
            "INSERT INTO journal (at, actor, operation, namespace, first_seq, last_seq, item)"
            " VALUES (?, ?, 'forget', ?, ?, ?, ?)",
            (self.at, self.actor, namespace, seq, seq, id_),
        )
        self.ids.append(id_)
        self.traces.append(text)
        for values, value in zip(self._beside.values(), beside, strict=True):
            if value is not None:
                values.add(value)

    def _gone_from(self, column: str, values: set[str]) -> list[str]:
        """Those that no item has any more; many are not asked for one by one, see `erase`."""
        if len(values) > _FEW:
            return sorted(values)
        query = f"SELECT 1 FROM item WHERE {column} = ? LIMIT 1"
        return [value for value in sorted(values) if not self.run(query, (value,)).fetchone()]
