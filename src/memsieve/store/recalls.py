"""Recalls that somebody judges: which candidates were weighed, which were picked, which were used.

Rows hold numbers only, no text and no question: forgetting an item takes its rows along.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from memsieve.errors import NotFoundError
from memsieve.store.rows import Run, micros, moment

_FEATURE = np.dtype("<f2")


@dataclass(frozen=True, slots=True)
class RecallRow:
    """One recall with the candidates that it weighed.

    namespace: its name; at: when; policy: the name of what scored; names: (d,) features; seqs: (n,)
    items by `seq`, the best score first; ranks: (n,) place among the hits from 1, 0 for what was
    left out; scores: (n,); values: (n, d) features in their own units; used: (n,) bool; reward:
    what the caller gave, None for none; judged_at: None while there is no feedback.
    """

    id: str
    namespace: str
    at: datetime
    policy: str
    names: tuple[str, ...]
    seqs: np.ndarray
    ranks: np.ndarray
    scores: np.ndarray
    values: np.ndarray
    used: np.ndarray
    reward: float | None = None
    judged_at: datetime | None = None


def write(run: Run, row: RecallRow) -> None:
    """Keep a recall; one that is kept already stays as it is.

    Candidates that were forgotten meanwhile are left out.
    """
    now = micros(datetime.now(UTC))
    run("INSERT OR IGNORE INTO namespace (name, created_at) VALUES (?, ?)", (row.namespace, now))
    found = run("SELECT id FROM namespace WHERE name = ?", (row.namespace,)).fetchone()
    written = run(
        "INSERT OR IGNORE INTO recall (id, namespace, at, policy, features) VALUES (?, ?, ?, ?, ?)",
        (row.id, found[0], micros(row.at), row.policy, json.dumps(row.names)),
    )
    if not written.rowcount:
        return
    cells = zip(row.seqs.tolist(), row.ranks.tolist(), row.scores.tolist(), row.values, strict=True)
    rows = [
        (row.id, rank or None, score, values.astype(_FEATURE).tobytes(), seq)
        for seq, rank, score, values in cells
    ]
    statement = (
        "INSERT INTO recall_item (recall, item, rank, score, features)"
        " SELECT ?, seq, ?, ?, ? FROM item WHERE seq = ?"
    )
    for cell in rows:
        run(statement, cell)


def judge(run: Run, id_: str, used: Sequence[int], reward: float | None) -> None:
    """Write down what a recall was worth, in the place of what was said of it before.

    Raises
    ------
    NotFoundError
        If the recall was not kept.
    """
    judged = run(
        "UPDATE recall SET reward = ?, judged_at = ? WHERE id = ?",
        (reward, micros(datetime.now(UTC)), id_),
    )
    if not judged.rowcount:
        raise NotFoundError(f"no recall {id_!r} was kept")
    run("UPDATE recall_item SET used = 0 WHERE recall = ?", (id_,))
    for seq in used:
        run("UPDATE recall_item SET used = 1 WHERE recall = ? AND item = ?", (id_, seq))


def weighed(run: Run, id_: str) -> dict[str, int] | None:
    """The candidates of a recall that was kept, id to `seq`; None if it was not kept."""
    if run("SELECT 1 FROM recall WHERE id = ?", (id_,)).fetchone() is None:
        return None
    rows = run(
        "SELECT i.id, i.seq FROM recall_item r JOIN item i ON i.seq = r.item WHERE r.recall = ?",
        (id_,),
    )
    return {str(item): int(seq) for item, seq in rows.fetchall()}


def judged(run: Run, namespace: int | None) -> list[RecallRow]:
    """Every recall with feedback, oldest first, of one namespace or of all."""
    where = "" if namespace is None else " AND r.namespace = ?"
    values = () if namespace is None else (namespace,)
    rows = run(
        "SELECT r.id, n.name, r.at, r.policy, r.features, r.reward, r.judged_at FROM recall r"
        " JOIN namespace n ON n.id = r.namespace"
        f" WHERE r.judged_at IS NOT NULL{where} ORDER BY r.at, r.id",
        values,
    ).fetchall()
    return [_row(run, *row) for row in rows]


def _row(
    run: Run,
    id_: str,
    namespace: str,
    at: int,
    policy: str,
    features: str,
    reward: float | None,
    judged_at: int,
) -> RecallRow:
    names = tuple(json.loads(features))
    cells: list[tuple[Any, ...]] = run(
        "SELECT item, rank, score, used, features FROM recall_item WHERE recall = ?"
        " ORDER BY score DESC, item",
        (id_,),
    ).fetchall()
    values = [np.frombuffer(cell[4], _FEATURE).astype(float) for cell in cells]
    return RecallRow(
        id=id_,
        namespace=namespace,
        at=moment(at),
        policy=policy,
        names=names,
        seqs=np.array([cell[0] for cell in cells], dtype=np.int64),
        ranks=np.array([cell[1] or 0 for cell in cells], dtype=np.int64),
        scores=np.array([cell[2] for cell in cells], dtype=float),
        values=np.array(values, dtype=float).reshape(len(cells), len(names)),
        used=np.array([cell[3] for cell in cells], dtype=bool),
        reward=reward,
        judged_at=moment(judged_at),
    )
