"""Files that earlier versions made: they open, and what is new in them is made up for.

`files/v1.memsieve` was written by the version before times were read, `files/v2.memsieve` by the
one before traits were, both in pages of 512 bytes.
"""

import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from memsieve.store.schema import MIGRATIONS
from memsieve.timeline import DEFAULT_TIMELINE, Interval, from_spec
from memsieve.traits import traits

FIRST = Path(__file__).parent / "files" / "v1.memsieve"
SECOND = Path(__file__).parent / "files" / "v2.memsieve"
TEXTS = [
    "I saw the otters yesterday.",
    "The kettle is broken.",
    "Ana lives in Lisbon since last spring.",
    "We moved to Ghent in May 2021.",
    "The lease ends next month.",
]
SECOND_TEXTS = [
    "Did you feed the otters, Tom?",
    "I did, and they ate my sandwich yesterday.",
    "Ana lives in Lisbon since last spring.",
]
UNREAD = "times of 7 items not read: run memsieve reindex --time"
READER = from_spec(DEFAULT_TIMELINE).identity
RENT = "Pay the rent tomorrow."


@pytest.fixture
def old(database, sql):
    """A copy of the file of version 1 at `database`: seven items, one of them superseded."""
    shutil.copyfile(FIRST, database)
    assert sql("PRAGMA user_version") == [(1,)]


def test_a_file_of_version_1_opens_with_everything_that_was_in_it(old, opened, sql, texts_of):
    memory = opened()
    assert sql("PRAGMA user_version") == [(len(MIGRATIONS),)]
    assert texts_of(memory.list()) == TEXTS
    otters = memory.list()[0]
    assert otters.said_at == otters.said_local == datetime(2026, 3, 2, 8, tzinfo=UTC)
    assert (otters.offset_minutes, otters.happened, otters.mentions) == (0, None, ())
    assert memory.recall("Who saw the otters?", k=1)[0].item == otters
    assert memory.get(memory.list()[2].supersedes).text == "Ana lives in Porto."
    assert texts_of(memory.list(namespace="other")) == [RENT]
    assert memory.timeline_reader.identity == READER


def test_its_times_are_unread_until_they_are_read(old, opened, texts_of):
    memory = opened()
    assert memory.stats()["unread_times"] == 7
    may = Interval(datetime(2021, 5, 1, tzinfo=UTC), datetime(2021, 6, 1, tzinfo=UTC))
    second = Interval(datetime(2026, 3, 2, tzinfo=UTC), datetime(2026, 3, 3, tzinfo=UTC))
    walk = memory._store.walk
    assert texts_of(walk("default", during=may)) == []
    assert texts_of(walk("default", during=second)) == [TEXTS[n] for n in (0, 1, 3, 4)]
    assert memory.reindex(time=True) == 7
    assert memory.stats()["unread_times"] == 0
    assert texts_of(walk("default", during=may)) == [TEXTS[3]]
    assert memory.check() == []
    assert opened().reindex(time=True) == 0


def test_what_is_new_in_it_is_read_at_once(old, opened, sql):
    memory = opened()
    id_ = memory.add("It rained in June 2024.", at="2026-03-05T12:00+02:00")
    assert memory.get(id_).offset_minutes == 120
    assert memory.get(id_).happened.start.year == 2024
    assert memory.stats()["unread_times"] == 7


def test_that_nothing_was_read_is_one_finding_and_fix_reads_it(old, opened):
    memory = opened()
    assert [(one.what, one.fixed) for one in memory.check()] == [(UNREAD, False)]
    assert [(one.what, one.fixed) for one in memory.check(fix=True)] == [(UNREAD, True)]
    assert memory.check() == []


def test_it_may_be_opened_with_any_reader(old, opened):
    assert opened(timeline="none").timeline_reader.identity == "none"


def test_its_items_are_forgotten_without_residue(old, opened, files_hold):
    memory = opened()
    memory.reindex(time=True)
    assert memory.forget(memory.list()[0].id).residue == 0
    assert memory.check() == []
    memory.close()
    assert not files_hold("otters")


def test_the_migration_changes_no_row_that_was_there(old, opened, database):
    def rows(path):
        with closing(sqlite3.connect(path)) as connection:
            connection.row_factory = sqlite3.Row
            tables = ("item", "item_index", "journal", "meta", "namespace", "job")
            found = {t: connection.execute(f"SELECT * FROM {t}").fetchall() for t in tables}
        return {table: [dict(row) for row in rows] for table, rows in found.items()}

    before = rows(database)
    opened()
    after = rows(database)
    assert after.pop("meta") == [
        *before.pop("meta"),
        {"key": "timeline", "value": READER},
    ]
    for table, held in before.items():
        new = {"item": ["offset_minutes"], "item_index": ["dated_tokens", "traits"]}.get(table, [])
        read = [row.pop("traits", None) for row in after[table]]
        expected = [{**row, **dict.fromkeys(new)} for row in held]
        assert after[table] == [
            {name: value for name, value in row.items() if name != "traits"} for row in expected
        ]
        assert (None in read) is (table != "item_index")


def test_a_file_of_version_2_opens_with_its_traits_read(database, opened, sql, texts_of):
    shutil.copyfile(SECOND, database)
    assert sql("PRAGMA user_version") == [(2,)]
    memory = opened()
    assert sql("PRAGMA user_version") == [(len(MIGRATIONS),)]
    assert texts_of(memory.list()) == SECOND_TEXTS
    assert sql("SELECT traits FROM item_index ORDER BY seq") == [
        (traits(text),)
        for text in [*SECOND_TEXTS[:2], "Ana lives in Porto.", *SECOND_TEXTS[2:], RENT]
    ]
    assert memory.check() == []
    assert {hit.text for hit in memory.recall("Who fed the otters?", k=2)} == set(SECOND_TEXTS[:2])
    assert memory.judged() == []


def test_a_damaged_text_does_not_keep_an_old_file_shut(database, opened, sql):
    shutil.copyfile(SECOND, database)
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE item SET text = CAST(x'ff41' AS TEXT) WHERE seq = 1")
    memory = opened()
    assert next(one.what for one in memory.check()) == "text is not UTF-8"
