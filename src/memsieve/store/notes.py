"""Notes: what a named system had written about items, by a model or by hand, and its links.

Texts that can be worked out again are not kept. A note names the items it was made from; forgetting
one of them takes the note along, for it may repeat what was forgotten. A note that is written anew
replaces the old one, which is kept.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime

from memsieve.errors import NotFoundError
from memsieve.store.base import Note
from memsieve.store.rows import Run, micros, moment

_INSERT = """INSERT INTO note (namespace, system, unit, body, author, made_at)
    VALUES (?, ?, ?, ?, ?, ?)"""
_SELECT = """SELECT n.unit, n.body, n.author, n.made_at,
    (SELECT json_group_array(s.item) FROM note_source s WHERE s.note = n.id)
    FROM note n WHERE n.namespace = ? AND n.system = ?"""


def write(run: Run, namespace: int, system: str, notes: Sequence[Note]) -> None:
    """Store notes in the place of those of the same units.

    Raises
    ------
    NotFoundError
        If a source is not there, because it was forgotten meanwhile.
    """
    now = micros(datetime.now(UTC))
    for note in notes:
        run(
            "UPDATE note SET replaced_at = ?"
            " WHERE namespace = ? AND system = ? AND unit = ? AND replaced_at IS NULL",
            (now, namespace, system, note.unit),
        )
        body = json.dumps(dict(note.body), ensure_ascii=False)
        number = run(_INSERT, (namespace, system, note.unit, body, note.author, now)).lastrowid
        for seq in dict.fromkeys(note.sources):
            added = run(
                "INSERT INTO note_source (note, item)"
                " SELECT ?, seq FROM item WHERE seq = ? AND namespace = ?",
                (number, seq, namespace),
            )
            if not added.rowcount:
                raise NotFoundError(f"a note about {note.unit!r} has a source that is not there")


def read(run: Run, namespace: int, system: str, unit: str | None = None) -> list[Note]:
    """The notes of a system that hold now, oldest first; with a `unit` its old versions as well."""
    if unit is None:
        rows = run(f"{_SELECT} AND n.replaced_at IS NULL ORDER BY n.id", (namespace, system))
    else:
        rows = run(f"{_SELECT} AND n.unit = ? ORDER BY n.id", (namespace, system, unit))
    return [
        Note(unit, json.loads(body), tuple(json.loads(sources)), author, moment(made_at))
        for unit, body, author, made_at, sources in rows.fetchall()
    ]


def state(run: Run, namespace: int, system: str) -> tuple[int, int]:
    """Two numbers that change whenever the notes of a system do: how many, and the newest."""
    count, newest = run(
        "SELECT count(*), ifnull(max(id), 0) FROM note WHERE namespace = ? AND system = ?",
        (namespace, system),
    ).fetchone()
    return int(count), int(newest)


def write_links(run: Run, relation: str, links: Sequence[tuple[int, int, float]]) -> None:
    """Link items by `seq`, with a weight; a link that is there takes the new weight."""
    for a, b, weight in links:
        run(
            "INSERT INTO link (a, b, relation, weight)"
            " SELECT x.seq, y.seq, ?, ? FROM item x JOIN item y ON y.namespace = x.namespace"
            " WHERE x.seq = ? AND y.seq = ? AND x.seq <> y.seq"
            " ON CONFLICT (a, b, relation) DO UPDATE SET weight = excluded.weight",
            (relation, weight, a, b),
        )


def read_links(run: Run, namespace: int, relation: str) -> list[tuple[int, int, float]]:
    """The links of a namespace as (a, b, weight), by `seq`, in the order of a and b."""
    rows = run(
        "SELECT l.a, l.b, l.weight FROM item i JOIN link l ON l.a = i.seq"
        " WHERE i.namespace = ? AND l.relation = ? ORDER BY l.a, l.b",
        (namespace, relation),
    )
    return [(int(a), int(b), float(weight)) for a, b, weight in rows.fetchall()]


def forget(run: Run, seq: int) -> list[str]:
    """Delete every note that was made from an item, old versions too; gives their texts."""
    numbers = run("SELECT note FROM note_source WHERE item = ?", (seq,)).fetchall()
    bodies = []
    for (number,) in numbers:
        bodies += run("SELECT body FROM note WHERE id = ?", (number,)).fetchone()
        run("DELETE FROM note WHERE id = ?", (number,))
    return bodies
