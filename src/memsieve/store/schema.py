"""The tables, one numbered migration at a time.

Canonical: namespace, item, evidence, link, slot, journal, job, meta, recall, recall_item, note,
note_source. Derived, rebuildable by `check(fix=True)`: item_index, item_time, and the event
interval of an item (`happened_*`). A migration is never edited once released: a
change is a new one.
"""

import sqlite3
from collections.abc import Callable

from memsieve.traits import traits

APPLICATION_ID = 0x6D656D73
"""'mems': marks the file as ours in SQLite's header."""


def _first_tables(connection: sqlite3.Connection) -> None:
    _run_all(connection, _FIRST_TABLES)


def _times(connection: sqlite3.Connection) -> None:
    _run_all(connection, _TIMES)


def _traits_and_recalls(connection: sqlite3.Connection) -> None:
    _run_all(connection, _TRAITS_AND_RECALLS)
    connection.create_function("traits_of", 1, _traits_of, deterministic=True)
    connection.execute(
        "UPDATE item_index SET traits = (SELECT traits_of(CAST(i.text AS BLOB)) FROM item i"
        " WHERE i.seq = item_index.seq)"
    )
    connection.create_function("traits_of", 1, None)


def _notes(connection: sqlite3.Connection) -> None:
    _run_all(connection, _NOTES)


def _traits_of(text: bytes) -> int:
    return traits(text.decode("utf-8", "replace"))  # a damaged text must not keep a file shut


def _run_all(connection: sqlite3.Connection, statements: str) -> None:
    # Not executescript, which would commit first.
    for statement in statements.split(";"):
        if statement.strip():
            connection.execute(statement)


_FIRST_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE namespace (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL
);

CREATE TABLE item (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    namespace INTEGER NOT NULL REFERENCES namespace(id),
    kind TEXT NOT NULL,
    text TEXT NOT NULL,
    speaker TEXT,
    role TEXT,
    session TEXT,
    ordinal INTEGER NOT NULL,
    source TEXT NOT NULL,
    trust REAL NOT NULL CHECK (trust BETWEEN 0 AND 1),
    key TEXT,
    hash BLOB NOT NULL,
    metadata TEXT,
    said_at INTEGER NOT NULL,
    happened_from INTEGER,
    happened_to INTEGER,
    happened_precision TEXT,
    stored_at INTEGER NOT NULL,
    invalid_at INTEGER,
    supersedes TEXT,
    tokens INTEGER NOT NULL
);
CREATE INDEX item_by_namespace ON item(namespace, seq);
CREATE INDEX item_by_session ON item(namespace, session, ordinal);
CREATE UNIQUE INDEX item_by_key ON item(namespace, key)
    WHERE key IS NOT NULL AND invalid_at IS NULL;
CREATE INDEX item_by_supersedes ON item(supersedes) WHERE supersedes IS NOT NULL;

CREATE TABLE item_index (
    seq INTEGER PRIMARY KEY REFERENCES item(seq) ON DELETE CASCADE,
    terms BLOB NOT NULL,
    codes BLOB NOT NULL,
    scale REAL NOT NULL
);

CREATE TABLE evidence (
    item INTEGER NOT NULL REFERENCES item(seq) ON DELETE CASCADE,
    source_item INTEGER NOT NULL REFERENCES item(seq) ON DELETE CASCADE,
    PRIMARY KEY (item, source_item)
) WITHOUT ROWID;
CREATE INDEX evidence_by_source ON evidence(source_item);

CREATE TABLE link (
    a INTEGER NOT NULL REFERENCES item(seq) ON DELETE CASCADE,
    b INTEGER NOT NULL REFERENCES item(seq) ON DELETE CASCADE,
    relation TEXT NOT NULL,
    weight REAL NOT NULL,
    PRIMARY KEY (a, b, relation)
) WITHOUT ROWID;
CREATE INDEX link_by_b ON link(b);

CREATE TABLE slot (
    namespace INTEGER NOT NULL REFERENCES namespace(id),
    subject TEXT NOT NULL,
    attribute TEXT NOT NULL,
    item INTEGER NOT NULL REFERENCES item(seq) ON DELETE CASCADE,
    valid_from INTEGER,
    valid_to INTEGER,
    PRIMARY KEY (namespace, subject, attribute, item)
) WITHOUT ROWID;
CREATE INDEX slot_by_item ON slot(item);

CREATE TABLE journal (
    entry INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    operation TEXT NOT NULL,
    namespace INTEGER,
    first_seq INTEGER,
    last_seq INTEGER,
    item TEXT,
    detail TEXT
);
CREATE INDEX journal_by_namespace ON journal(namespace, entry);
CREATE INDEX journal_by_item ON journal(item) WHERE item IS NOT NULL;

CREATE TABLE job (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('running', 'done', 'failed')),
    done INTEGER NOT NULL,
    total INTEGER,
    error TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (kind, key)
)
"""

# Times in microseconds since 1970, NULL where unknown. dated_tokens is NULL while the times of a
# text are unread; such an item has no rows in item_time.
_TIMES = """
ALTER TABLE item ADD COLUMN offset_minutes INTEGER;
CREATE INDEX item_by_happened ON item(namespace, happened_from);

ALTER TABLE item_index ADD COLUMN dated_tokens INTEGER;
CREATE INDEX item_index_by_unread ON item_index(seq) WHERE dated_tokens IS NULL;

CREATE TABLE item_time (
    item INTEGER NOT NULL REFERENCES item(seq) ON DELETE CASCADE,
    n INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    begins INTEGER,
    ends INTEGER,
    precision TEXT NOT NULL,
    weight REAL NOT NULL,
    is_relative INTEGER NOT NULL,
    PRIMARY KEY (item, n)
) WITHOUT ROWID;
CREATE INDEX item_time_by_begin ON item_time(begins, ends)
"""

# Recalls that somebody wants to judge later, and the candidates they weighed. `features` names the
# values (float16, little-endian) of the candidates; no text is kept. reward and judged_at are NULL
# until there is feedback.
_TRAITS_AND_RECALLS = """
ALTER TABLE item_index ADD COLUMN traits INTEGER;

CREATE TABLE recall (
    id TEXT PRIMARY KEY,
    namespace INTEGER NOT NULL REFERENCES namespace(id),
    at INTEGER NOT NULL,
    policy TEXT NOT NULL,
    features TEXT NOT NULL,
    reward REAL,
    judged_at INTEGER
) WITHOUT ROWID;
CREATE INDEX recall_by_judged ON recall(judged_at) WHERE judged_at IS NOT NULL;

CREATE TABLE recall_item (
    recall TEXT NOT NULL REFERENCES recall(id) ON DELETE CASCADE,
    item INTEGER NOT NULL REFERENCES item(seq) ON DELETE CASCADE,
    rank INTEGER,
    score REAL NOT NULL,
    used INTEGER NOT NULL DEFAULT 0,
    features BLOB NOT NULL,
    PRIMARY KEY (recall, item)
) WITHOUT ROWID;
CREATE INDEX recall_item_by_item ON recall_item(item)
"""

# What named systems had written about items; `body` is JSON. replaced_at is NULL for what holds.
_NOTES = """
CREATE TABLE note (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    namespace INTEGER NOT NULL REFERENCES namespace(id),
    system TEXT NOT NULL,
    unit TEXT NOT NULL,
    body TEXT NOT NULL,
    author TEXT NOT NULL,
    made_at INTEGER NOT NULL,
    replaced_at INTEGER
);
CREATE UNIQUE INDEX note_by_unit ON note(namespace, system, unit) WHERE replaced_at IS NULL;

CREATE TABLE note_source (
    note INTEGER NOT NULL REFERENCES note(id) ON DELETE CASCADE,
    item INTEGER NOT NULL REFERENCES item(seq) ON DELETE CASCADE,
    PRIMARY KEY (note, item)
) WITHOUT ROWID;
CREATE INDEX note_source_by_item ON note_source(item)
"""

MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (
    _first_tables,
    _times,
    _traits_and_recalls,
    _notes,
)
"""Applied in order; `PRAGMA user_version` counts how many a file has had."""
