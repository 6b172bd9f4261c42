"""Between SQLite's rows and our shapes."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from memsieve.errors import ParameterError
from memsieve.store.base import Columns
from memsieve.types import NOTHING, Interval, Item

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

ITEM = """SELECT i.id, i.seq, n.name, i.kind, i.text, i.speaker, i.role, i.session, i.ordinal,
    i.source, i.trust, i.key, i.metadata, i.said_at, i.happened_from, i.happened_to,
    i.happened_precision, i.stored_at, i.invalid_at, i.supersedes, i.tokens
    FROM item i JOIN namespace n ON n.id = i.namespace"""
COLUMNS = """SELECT i.seq, i.ordinal, i.tokens, i.said_at, i.session, i.speaker, i.role, i.kind,
    i.invalid_at IS NOT NULL, x.terms, x.codes, x.scale
    FROM item i JOIN item_index x ON x.seq = i.seq
    WHERE i.namespace = ? AND i.seq > ? ORDER BY i.seq"""
INSERT_ITEM = """INSERT INTO item (id, namespace, kind, text, speaker, role, session, ordinal,
    source, trust, key, hash, metadata, said_at, stored_at, supersedes, tokens)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""


def columns_of(rows: Sequence[tuple[Any, ...]], position: int, dimensions: int) -> Columns:
    """The rows of `COLUMNS` as arrays; a vector of another length than `dimensions` is zero."""
    cells = list(zip(*rows, strict=True)) if rows else [()] * 12
    seq, ordinal, tokens, said_at, session, speaker, role, kind, dead, terms, codes, scales = cells
    blank = bytes(dimensions)
    vectors = b"".join(code if len(code) == dimensions else blank for code in codes)
    return Columns(
        position=position,
        seq=np.array(seq, dtype=np.int64),
        ordinal=np.array(ordinal, dtype=np.int64),
        tokens=np.array(tokens, dtype=np.int64),
        said_at=np.array(said_at, dtype=np.int64),
        session=session,
        speaker=speaker,
        role=role,
        kind=kind,
        terms=np.frombuffer(b"".join(terms), "<u4"),
        lengths=np.array([len(t) // 4 for t in terms], dtype=np.int64),
        codes=np.frombuffer(vectors, np.int8).reshape(len(rows), dimensions),
        scales=np.array(scales, dtype=np.float32),
        dead=np.array(dead, dtype=bool),
    )


def item_of(row: Sequence[Any]) -> Item:
    """One row of `ITEM` as an item."""
    (id_, seq, namespace, kind, text, speaker, role, session, ordinal, source, trust) = row[:11]
    (key, metadata, said_at, begin, end, precision, stored_at, invalid_at) = row[11:19]
    (supersedes, tokens) = row[19:]
    happened = None if precision is None else Interval(_maybe(begin), _maybe(end), precision)
    return Item(
        id=id_,
        seq=seq,
        namespace=namespace,
        kind=kind,
        text=text,
        speaker=speaker,
        role=role,
        session=session,
        ordinal=ordinal,
        source=source,
        trust=trust,
        key=key,
        metadata=json.loads(metadata) if metadata else NOTHING,
        said_at=moment(said_at),
        happened=happened,
        stored_at=moment(stored_at),
        invalid_at=_maybe(invalid_at),
        supersedes=supersedes,
        tokens=tokens,
    )


def conditions_of(
    where: Mapping[str, Any],
    since: datetime | None,
    until: datetime | None,
    metadata: Mapping[str, Any],
) -> tuple[list[str], list[Any]]:
    """SQL conditions on items `i` and their values; see `SQLite.walk`."""
    conditions, values = [], []
    for column, value in where.items():
        if column not in ("kind", "speaker", "role", "session", "source", "key"):
            raise ParameterError(f"items cannot be filtered by {column!r}")
        conditions.append(f"i.{column} = ?")
        values.append(value)
    for sign, bound in ((">=", since), ("<", until)):
        if bound is not None:
            conditions.append(f"i.said_at {sign} ?")
            values.append(micros(bound))
    for key, value in metadata.items():
        conditions.append("json_extract(i.metadata, ?) IS ?")
        values += [f'$."{key}"', value]
    return conditions, values


def digest(text: str) -> bytes:
    """The content hash of a text: 16 bytes."""
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def micros(at: datetime) -> int:
    """An aware moment as microseconds since 1970 UTC."""
    return (at - EPOCH) // MICROSECOND


def moment(microseconds: int) -> datetime:
    """The inverse of `micros`."""
    return EPOCH + microseconds * MICROSECOND


def _maybe(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else moment(microseconds)
