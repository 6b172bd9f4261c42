"""Between SQLite's rows and our shapes."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any

import numpy as np

from memsieve.errors import ParameterError, StoreError
from memsieve.store.base import Columns
from memsieve.types import Interval, Item

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

ITEM = """SELECT i.id, i.seq, n.name, i.kind, i.text, i.speaker, i.role, i.session, i.ordinal,
    i.source, i.trust, i.key, i.metadata, i.said_at, i.happened_from, i.happened_to,
    i.happened_precision, i.stored_at, i.invalid_at, i.supersedes, i.tokens
    FROM item i JOIN namespace n ON n.id = i.namespace"""
COLUMNS = """SELECT i.seq, i.ordinal, i.tokens, i.said_at, i.session, i.speaker, i.role, i.kind,
    x.terms, x.codes, x.scale
    FROM item i JOIN item_index x ON x.seq = i.seq
    WHERE i.namespace = ? AND i.seq > ? AND i.invalid_at IS NULL ORDER BY i.seq"""
INSERT_ITEM = """INSERT INTO item (id, namespace, kind, text, speaker, role, session, ordinal,
    source, trust, key, hash, metadata, said_at, stored_at, supersedes, tokens)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""


def columns_of(
    pages: Iterable[Sequence[tuple[Any, ...]]], position: int, dimensions: int
) -> Columns:
    """Pages of rows of `COLUMNS` as arrays; a vector of another length than `dimensions` is zero.

    A page becomes arrays before the next one is read: a million rows as Python objects would take
    four times the memory of the result.

    Raises
    ------
    StoreError
        If the words of an item are damaged.
    """
    parts = [_arrays(rows, dimensions) for rows in pages] or [_arrays((), dimensions)]
    numbers, strings, terms, lengths, codes, scales = zip(*parts, strict=True)
    seq, ordinal, tokens, said_at = np.concatenate(numbers, axis=1)
    session, speaker, role, kind = (tuple(chain(*part)) for part in zip(*strings, strict=True))
    return Columns(
        position=position,
        seq=seq,
        ordinal=ordinal,
        tokens=tokens,
        said_at=said_at,
        session=session,
        speaker=speaker,
        role=role,
        kind=kind,
        terms=np.concatenate(terms),
        lengths=np.concatenate(lengths),
        codes=np.concatenate(codes),
        scales=np.concatenate(scales),
    )


def _arrays(rows: Sequence[tuple[Any, ...]], dimensions: int) -> tuple[Any, ...]:
    """One page: numbers (4, n), four lists of strings, words, their counts, codes, scales."""
    cells = list(zip(*rows, strict=True)) if rows else [()] * 11
    terms, codes, scales = cells[8:]
    blank = bytes(dimensions)
    if any(len(words) % 4 for words in terms):
        raise StoreError(
            "the index is damaged: mend it with check(fix=True), 'memsieve check --fix'"
        )
    vectors = b"".join(code if len(code) == dimensions else blank for code in codes)
    return (
        np.array(cells[:4], dtype=np.int64),
        cells[4:8],
        np.frombuffer(b"".join(terms), "<u4"),
        np.array([len(words) // 4 for words in terms], dtype=np.int64),
        np.frombuffer(vectors, np.int8).reshape(len(rows), dimensions),
        np.array(scales, dtype=np.float32),
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
        metadata=json.loads(metadata) if metadata else {},
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
    for key, value in _filters(metadata):
        inside = "SELECT 1 FROM json_each(i.metadata) m WHERE m.key = ? AND "
        if value is None:  # missing and null are the same
            conditions.append(f"NOT EXISTS ({inside} m.value NOTNULL)")
            values.append(key)
        else:
            conditions.append(
                f"EXISTS ({inside} m.type NOT IN ('array', 'object') AND m.value = ?)"
            )
            values += [key, value]
    return conditions, values


def _filters(metadata: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    if not isinstance(metadata, Mapping):
        raise ParameterError(f"metadata must be a mapping to filter by, got {metadata!r}")
    for key, value in metadata.items():
        if not isinstance(key, str) or not isinstance(value, str | int | float | None):
            raise ParameterError(
                "metadata can be filtered by text, numbers, booleans and None under a text key, "
                f"got {key!r}: {value!r}"
            )
        yield key, value


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
