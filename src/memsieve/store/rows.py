"""Between SQLite's rows and our shapes."""

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from itertools import chain
from typing import Any

import numpy as np

from memsieve.errors import ParameterError, StoreError
from memsieve.store.base import UNKNOWN, Columns
from memsieve.types import Interval, Item, Mention

Run = Callable[..., sqlite3.Cursor]
"""What executes a statement inside a transaction."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
MINUTE = timedelta(minutes=1)

ITEM = """SELECT i.id, i.seq, n.name, i.kind, i.text, i.speaker, i.role, i.session, i.ordinal,
    i.source, i.trust, i.key, i.metadata, i.said_at, i.happened_from, i.happened_to,
    i.happened_precision, i.stored_at, i.invalid_at, i.supersedes, i.tokens, i.offset_minutes,
    t.subject, t.attribute
    FROM item i JOIN namespace n ON n.id = i.namespace LEFT JOIN slot t ON t.item = i.seq"""
COLUMNS = """SELECT i.seq, i.ordinal, i.tokens, coalesce(x.dated_tokens, 0), i.said_at,
    coalesce(i.offset_minutes, 0), coalesce(x.traits, 0), i.session, i.speaker, i.role, i.kind,
    x.terms, x.codes, x.scale, i.hash
    FROM item i JOIN item_index x ON x.seq = i.seq
    WHERE i.namespace = ? AND i.seq > ? AND i.invalid_at IS NULL ORDER BY i.seq"""
# The cross join keeps the order of the loops: a namespace may be a small part of the file.
EVENTS = f"""SELECT t.item, coalesce(t.begins, {UNKNOWN[0]}), coalesce(t.ends, {UNKNOWN[1]})
    FROM item i CROSS JOIN item_time t ON t.item = i.seq
    WHERE i.namespace = ? AND i.seq > ? ORDER BY i.seq, t.n"""
# Cross joins again: what has newer versions may be a small part of a namespace.
VERSIONS = """WITH RECURSIVE held (seq, id) AS (
    SELECT o.seq, o.id FROM item s CROSS JOIN item o ON o.id = s.supersedes
    WHERE s.supersedes NOTNULL AND o.namespace = ? AND o.said_at <= ?
    AND CASE WHEN s.said_at > o.said_at THEN s.said_at ELSE o.invalid_at END > ?
), after (seq, id) AS (
    SELECT s.seq, s.id FROM held CROSS JOIN item s ON s.supersedes = held.id
    UNION SELECT s.seq, s.id FROM after CROSS JOIN item s ON s.supersedes = after.id
) SELECT 'held', seq FROM held UNION ALL SELECT 'after', seq FROM after"""
MENTIONS = """SELECT item, n, first, last, begins, ends, precision, weight, is_relative
    FROM item_time"""
INSERT_ITEM = """INSERT INTO item (id, namespace, kind, text, speaker, role, session, ordinal,
    source, trust, key, hash, metadata, said_at, offset_minutes, happened_from, happened_to,
    happened_precision, stored_at, supersedes, tokens)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
INSERT_MENTION = """INSERT INTO item_time
    (item, n, first, last, begins, ends, precision, weight, is_relative)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"""

INSERT_SLOT = """INSERT INTO slot (namespace, subject, attribute, item, valid_from)
    VALUES (?, ?, ?, ?, ?)"""

Page = Sequence[tuple[Any, ...]]


def columns_of(
    pages: Iterable[Page], event_pages: Iterable[Page], position: int, dimensions: int
) -> Columns:
    """Pages of rows of `COLUMNS` and `EVENTS` as arrays.

    A vector of another length than `dimensions` is zero; events of other items are left out.

    A page becomes arrays before the next one is read: a million rows as Python objects would take
    four times the memory of the result.

    Raises
    ------
    StoreError
        If the words of an item are damaged.
    """
    parts = [_arrays(rows, dimensions) for rows in pages] or [_arrays((), dimensions)]
    numbers, strings, terms, lengths, codes, scales, hashes = zip(*parts, strict=True)
    seq, ordinal, tokens, dated_tokens, said_at, offset, traits = np.concatenate(numbers, axis=1)
    n_events, event_from, event_to = _events(event_pages, seq)
    session, speaker, role, kind = (tuple(chain(*part)) for part in zip(*strings, strict=True))
    return Columns(
        position=position,
        seq=seq,
        ordinal=ordinal,
        tokens=tokens,
        dated_tokens=dated_tokens,
        said_at=said_at,
        offset=offset,
        traits=traits,
        session=session,
        speaker=speaker,
        role=role,
        kind=kind,
        terms=np.concatenate(terms),
        lengths=np.concatenate(lengths),
        codes=np.concatenate(codes),
        scales=np.concatenate(scales),
        text_hash=np.concatenate(hashes),
        n_events=n_events,
        event_from=event_from,
        event_to=event_to,
    )


def _arrays(rows: Sequence[tuple[Any, ...]], dimensions: int) -> tuple[Any, ...]:
    """One page: numbers (7, n), strings, words, their counts, codes, scales, hashes of texts."""
    cells = list(zip(*rows, strict=True)) if rows else [()] * 15
    terms, codes, scales, hashes = cells[11:]
    blank = bytes(dimensions)
    if any(len(words) % 4 for words in terms):
        raise StoreError(
            "the index is damaged: mend it with check(fix=True), 'memsieve check --fix'"
        )
    vectors = b"".join(code if len(code) == dimensions else blank for code in codes)
    return (
        np.array(cells[:7], dtype=np.int64),
        cells[7:11],
        np.frombuffer(b"".join(terms), "<u4"),
        np.array([len(words) // 4 for words in terms], dtype=np.int64),
        np.frombuffer(vectors, np.int8).reshape(len(rows), dimensions),
        np.array(scales, dtype=np.float32),
        np.frombuffer(b"".join(bytes(held)[:8].ljust(8) for held in hashes), "<i8"),
    )


def _events(pages: Iterable[Page], seq: np.ndarray) -> tuple[np.ndarray, ...]:
    """How many events each of the items `seq` has, and their begins and ends."""
    parts = [np.array(rows, dtype=np.int64) for rows in pages] or [np.empty((0, 3), np.int64)]
    item, begins, ends = np.concatenate(parts).T
    at = np.searchsorted(seq, item)
    known = at < seq.size
    known[known] = seq[at[known]] == item[known]
    return np.bincount(at[known], minlength=seq.size), begins[known], ends[known]


def item_of(row: Sequence[Any], mentions: Iterable[Sequence[Any]]) -> Item:
    """One row of `ITEM` and its rows of `MENTIONS` as an item, with times on its own clock."""
    (id_, seq, namespace, kind, text, speaker, role, session, ordinal, source, trust) = row[:11]
    (key, metadata, said_at, begin, end, precision, stored_at, invalid_at) = row[11:19]
    supersedes, tokens, offset, subject, attribute = row[19:]
    zone = zone_of(offset or 0)
    happened = None if precision is None else _interval(begin, end, precision, zone)
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
        offset_minutes=offset or 0,
        mentions=tuple(
            Mention(first, last, _interval(begin, end, precision, zone), weight, bool(relative))
            for _, _, first, last, begin, end, precision, weight, relative in mentions
        ),
        slot=None if subject is None else (as_given(subject), as_given(attribute)),
    )


def _interval(begin: int | None, end: int | None, precision: str, zone: timezone) -> Interval:
    start, stop = (None if at is None else on_clock(at, zone) for at in (begin, end))
    return Interval(start, stop, precision)


def cells_of(interval: Interval) -> tuple[int | None, int | None, str]:
    """An interval as it stands in a row: begin, end and precision."""
    start, end = (None if at is None else micros(at) for at in (interval.start, interval.end))
    return start, end, interval.precision


def mention_rows(seq: int, mentions: Sequence[Mention]) -> list[tuple[Any, ...]]:
    """The mentions of an item as rows for `INSERT_MENTION`."""
    return [
        (seq, n, m.first, m.last, *cells_of(m.interval), m.weight, int(m.is_relative))
        for n, m in enumerate(mentions)
    ]


def slot_cell(given: str) -> str:
    """A subject or an attribute as it stands in a row: its key, a line break, what was given.

    The key comes first so that the primary key finds all spellings in one stretch.
    """
    return f"{slot_key(given)}\n{given}"


def slot_key(given: str) -> str:
    """What two spellings of a subject or an attribute have in common; one line."""
    return " ".join(given.casefold().split())


def as_given(cell: str) -> str:
    """The inverse of `slot_cell`."""
    return cell.partition("\n")[2]


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


def offset_minutes(at: datetime) -> int:
    """How far the clock of an aware moment is ahead of UTC."""
    return (at.utcoffset() or timedelta()) // MINUTE


def moment(microseconds: int) -> datetime:
    """The inverse of `micros`."""
    return EPOCH + microseconds * MICROSECOND


@lru_cache
def zone_of(offset_minutes: int) -> timezone:
    """The clock that is so many minutes ahead of UTC."""
    return timezone(offset_minutes * MINUTE)


def on_clock(microseconds: int, zone: timezone) -> datetime:
    """The inverse of `micros` on another clock, even where UTC falls into the year 0 or 10,000."""
    local = EPOCH + (microseconds * MICROSECOND + zone.utcoffset(None))
    return local.replace(tzinfo=zone)


def _maybe(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else moment(microseconds)
