"""Opening files: new, old, newer, foreign, damaged, by several processes at once."""

import gc
import os
import sqlite3
from contextlib import closing

import pytest

from memsieve.errors import (
    NotAStoreError,
    ParameterError,
    SchemaError,
    StoreAccessError,
    StoreBusyError,
)
from memsieve.store import SQLite, schema
from memsieve.store.raw import RAW_FILES
from memsieve.store.schema import APPLICATION_ID, MIGRATIONS

OPEN_AND_ADD = """
import sys, memsieve
memsieve.open  # brings the imports before the start sign
print("ready", flush=True)
sys.stdin.readline()
with memsieve.open(sys.argv[1]) as memory:
    memory.add(f"said by process {sys.argv[2]}")
print("done")
"""


@pytest.fixture
def foreign(tmp_path):
    """An SQLite file of another program, with a write-ahead log that is not yet in the file."""
    path = tmp_path / "foreign.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE cookies (name TEXT)")
        connection.execute("INSERT INTO cookies VALUES ('theirs')")
        connection.commit()
        files = {file.name: file.read_bytes() for file in tmp_path.iterdir() if file.is_file()}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "foreign.db-shm").unlink(missing_ok=True)
    return path


def test_a_new_file_is_marked_and_has_every_migration(store, sql):
    assert sql("PRAGMA user_version") == [(len(MIGRATIONS),)]
    assert sql("PRAGMA application_id") == [(APPLICATION_ID,)]
    assert sql("PRAGMA journal_mode") == [("wal",)]


def test_a_new_file_carries_its_mark_before_anything_is_moved_out_of_the_log(database, elsewhere):
    code = "import os, sys, memsieve\nmemsieve.open(sys.argv[1]).add('x')\nos._exit(0)"
    elsewhere(code, database)
    header = database.read_bytes()[:100]
    assert int.from_bytes(header[68:72], "big") == APPLICATION_ID


def test_an_empty_file_becomes_a_memory(database, open_store, insert, check):
    database.touch()
    store = open_store()
    insert(store, "A first thing.")
    assert check(store) == []


def test_a_file_of_version_0_is_migrated(database, open_store, insert, check, sql):
    sql(f"PRAGMA application_id = {APPLICATION_ID}")
    assert sql("PRAGMA user_version") == [(0,)]
    store = open_store()
    insert(store, "A first thing.")
    assert sql("PRAGMA user_version") == [(len(MIGRATIONS),)]
    assert check(store) == []


def test_a_later_migration_is_applied_to_an_old_file_and_keeps_its_items(
    monkeypatch, open_store, insert, check, sql
):
    old = open_store()
    ids = insert(old, "Said before the upgrade.")
    old.close()

    def add_colour(connection):
        connection.execute("ALTER TABLE item ADD COLUMN colour TEXT")

    monkeypatch.setattr("memsieve.store.opening.MIGRATIONS", (*MIGRATIONS, add_colour))
    new = open_store()
    assert sql("PRAGMA user_version") == [(len(MIGRATIONS) + 1,)]
    assert new.get(ids)[0].text == "Said before the upgrade."
    assert check(new) == []


def test_a_migration_that_fails_leaves_the_file_as_it_was(monkeypatch, open_store, sql):
    open_store().close()

    def fail(connection):
        connection.execute("CREATE TABLE half_done (x)")
        raise RuntimeError("power cut")

    monkeypatch.setattr("memsieve.store.opening.MIGRATIONS", (*MIGRATIONS, fail))
    with pytest.raises(RuntimeError, match="power cut"):
        open_store()
    assert sql("PRAGMA user_version") == [(len(MIGRATIONS),)]
    assert sql("SELECT name FROM sqlite_master WHERE name = 'half_done'") == []


def test_every_table_is_named_in_the_docstring_of_the_schema(store, sql):
    tables = sql("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    assert all(name in schema.__doc__ for (name,) in tables)


def test_a_file_of_a_newer_schema_is_refused_with_the_way_out(open_store, sql):
    open_store().close()
    sql(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    with pytest.raises(SchemaError, match=r"has schema \d+, .* knows up to \d+: upgrade memsieve"):
        open_store()


def test_another_programs_file_is_refused_and_left_byte_identical(foreign, open_store):
    folder = foreign.parent
    before = {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}
    with pytest.raises(NotAStoreError, match="SQLite file of another program"):
        open_store(foreign)
    after = {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}
    assert after == before


def test_another_programs_file_that_calls_itself_version_1_is_refused(tmp_path, open_store):
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE item (id)")
        connection.execute("PRAGMA user_version = 1")
    with pytest.raises(NotAStoreError, match="another program"):
        open_store(path)


@pytest.mark.parametrize("content", [b"x", b"Dear diary,\n" * 9, b"SQLite format 3\0" + bytes(99)])
def test_a_file_that_is_no_database_is_refused_and_kept(write_file, open_store, content):
    path = write_file("notes.txt", content)
    with pytest.raises(NotAStoreError, match=r"is not a memsieve database|of another program"):
        open_store(path)
    assert path.read_bytes() == content


def test_a_folder_is_refused(tmp_path, open_store):
    with pytest.raises(NotAStoreError, match="is a folder, not a memsieve database"):
        open_store(tmp_path)


def test_a_pipe_is_refused_without_waiting_for_its_other_end(tmp_path, open_store):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(NotAStoreError, match="is not a file"):
        open_store(tmp_path / "pipe")


def test_a_missing_parent_folder_is_named(tmp_path, open_store):
    with pytest.raises(StoreAccessError, match=r"the folder of .* does not exist: create it first"):
        open_store(tmp_path / "no" / "agent.db")


@pytest.mark.parametrize("path", ["", " ", ":memory:", "a\0b", None, 5])
def test_what_is_no_path_is_refused(open_store, path):
    with pytest.raises(ParameterError, match="path"):
        open_store(path)


@pytest.mark.parametrize("timeout_s", [-1, float("nan"), float("inf"), "5"])
def test_a_time_out_that_is_no_time_is_refused(open_store, timeout_s):
    with pytest.raises(ParameterError, match=r"timeout_s must be in \[0, 86400\], got"):
        open_store(timeout_s=timeout_s)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_file_is_refused(database, open_store):
    open_store().close()
    database.chmod(0o400)
    with pytest.raises(StoreAccessError, match="read-only"):
        open_store()


def test_a_file_cut_in_the_middle_is_called_damaged(database, open_store, insert):
    store = open_store()
    insert(store, *(f"Line {n} of a long talk." for n in range(400)))
    store.close()
    os.truncate(database, database.stat().st_size // 2)
    with pytest.raises(NotAStoreError, match="not a memsieve database or is damaged"):
        list(open_store().walk("default"))


def test_a_relative_path_still_leads_to_the_file_after_a_change_of_folder(
    database, open_store, insert, monkeypatch
):
    monkeypatch.chdir(database.parent)
    store = open_store("agent.db")
    (id_,) = insert(store, "Said in one folder, forgotten in another.")
    monkeypatch.chdir("/")
    assert store.path == database
    assert store.nbytes() > 0
    assert store.forget([id_], "test").residue == 0


def test_a_link_and_its_target_are_one_memory(database, tmp_path, open_store, insert, check):
    store = open_store()
    insert(store, "Written through the real name.")
    link = tmp_path / "link.db"
    link.symlink_to(database)
    through = open_store(link)
    insert(through, "Written through the link.")
    assert [item.text for item in store.walk("default")][1] == "Written through the link."
    assert through.nbytes() == store.nbytes()
    assert check(store) == []


def test_six_processes_may_open_a_new_file_at_once(database, process, opened):
    others = [process(OPEN_AND_ADD, database, n) for n in range(6)]
    assert [other.stdout.readline() for other in others] == ["ready\n"] * 6
    for other in others:
        other.stdin.write("go\n")
        other.stdin.flush()
    for other in others:
        out, error = other.communicate(timeout=60)
        assert out == "done\n", error
    memory = opened()
    assert len(memory.list()) == 6
    assert memory.check() == []


def test_a_writer_that_waits_too_long_says_who_holds_what(database, open_store, insert, check):
    store, other = open_store(timeout_s=0.05), open_store()
    with (
        other.writing(),
        pytest.raises(StoreBusyError, match=r"locked by another writer for 0\.05 s"),
    ):
        insert(store, "Nobody waits for me.")
    insert(store, "Now it is my turn.")
    assert check(store) == []


def test_a_closed_store_says_so_and_may_be_closed_again(store):
    store.close()
    store.close()
    with pytest.raises(Exception, match="closed"):
        store.namespaces()


def test_an_object_that_nobody_holds_any_more_closes_itself(tmp_path):
    store = SQLite(tmp_path / "agent.db")
    key = store._held
    assert RAW_FILES._users[key] == 1
    del store
    gc.collect()
    assert key not in RAW_FILES._users
