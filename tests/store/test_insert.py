"""Writing: ids after the commit, keys, versions, places in a session, namespaces."""

import sqlite3
import threading
from contextlib import closing
from datetime import UTC, datetime

import pytest

from memsieve.errors import EmbedderMismatchError, InputError
from memsieve.types import Message


def state(sql):
    """What the tables hold, for comparison."""
    return [
        sql(f"SELECT * FROM {table} ORDER BY 1")
        for table in ("namespace", "item", "item_index", "journal", "meta")
    ]


def test_what_insert_returned_another_connection_reads_at_once(store, insert, sql, check):
    ids = insert(store, "First.", "Second.")
    assert sql("SELECT id, text FROM item ORDER BY seq") == [
        (ids[0], "First."),
        (ids[1], "Second."),
    ]
    assert check(store) == []


def test_every_field_of_a_message_comes_back(store, insert, check):
    message = {
        "text": "Grüße aus Łódź!", "speaker": "Ana", "role": "user", "session": "s1", "key": "k1",
        "kind": "note", "source": "tool", "trust": 0.25, "metadata": {"a": [1, None], "ü": "ß"},
        "slot": ("Ana", "Größe"),
    }  # fmt: skip
    (item,) = store.get(insert(store, message))
    assert {name: getattr(item, name) for name in message} == message
    assert item.said_at == datetime(2026, 3, 2, 12, tzinfo=UTC)
    assert (item.namespace, item.ordinal, item.supersedes) == ("default", 0, None)
    assert item.tokens > 3
    assert check(store) == []


def test_items_of_a_session_are_counted_from_0_and_those_of_others_apart(store, insert, check):
    insert(store, *({"text": f"{n}", "session": s} for n, s in enumerate("aabab")))
    insert(store, {"text": "later", "session": "a"}, "outside", "outside too")
    rows = [(item.session, item.ordinal) for item in store.walk("default")]
    assert rows == [
        ("a", 0), ("a", 1), ("b", 0), ("a", 2), ("b", 1), ("a", 3), (None, 0), (None, 1),
    ]  # fmt: skip
    assert check(store) == []


def test_a_known_key_with_the_same_text_writes_nothing(store, insert, sql, check):
    first = insert(store, {"text": "Once.", "key": "k"})
    before = state(sql)
    assert insert(store, {"text": "Once.", "key": "k"}) == first
    assert state(sql) == before
    assert check(store) == []


def test_a_known_key_inside_one_batch_is_written_once(store, insert, check):
    ids = insert(store, *[{"text": "Once.", "key": "k"}] * 3)
    assert len(set(ids)) == 1
    assert len(list(store.walk("default"))) == 1
    assert check(store) == []


def test_a_changed_text_supersedes_and_takes_the_place_of_the_old(store, insert, check):
    old, _ = insert(
        store,
        {"text": "Old address.", "key": "k", "session": "s"},
        {"text": "And a phone.", "session": "s"},
    )
    (new,) = insert(store, {"text": "New address.", "key": "k", "session": "s"})
    assert new != old
    was, now = store.get([old, new])
    assert (now.supersedes, now.ordinal, now.invalid_at) == (old, 0, None)
    assert was.text == "Old address."
    assert was.invalid_at == now.stored_at
    assert [item.id for item in store.walk("default")][-1] == new
    assert check(store) == []


def test_a_new_version_that_names_no_session_stays_in_the_old_one(store, insert, check):
    insert(store, {"text": "Old.", "key": "k", "session": "s"})
    (new,) = insert(store, {"text": "New.", "key": "k"})
    assert (store.get([new])[0].session, store.get([new])[0].ordinal) == ("s", 0)
    assert check(store) == []


def test_a_new_version_that_names_another_session_goes_to_its_end(store, insert, check):
    insert(store, {"text": "Old.", "key": "k", "session": "s"}, {"text": "Other.", "session": "t"})
    (new,) = insert(store, {"text": "New.", "key": "k", "session": "t"})
    assert (store.get([new])[0].session, store.get([new])[0].ordinal) == ("t", 1)
    assert check(store) == []


def test_going_back_to_an_old_text_is_a_third_version(store, insert, check):
    ids = [insert(store, {"text": text, "key": "k"})[0] for text in ("A", "B", "A")]
    assert len(set(ids)) == 3
    assert [item.id for item in store.walk("default")] == [ids[2]]
    assert store.get([ids[2]])[0].supersedes == ids[1]
    assert check(store) == []


def test_the_same_key_in_another_namespace_is_another_item(store, insert, check):
    (a,) = insert(store, {"text": "Ana's.", "key": "k"}, namespace="ana")
    (b,) = insert(store, {"text": "Ben's.", "key": "k"}, namespace="ben")
    assert [item.text for item in store.get([a, b])] == ["Ana's.", "Ben's."]
    assert store.namespaces() == ["ana", "ben"]
    assert check(store) == []


def test_an_error_in_the_middle_of_a_batch_writes_nothing_at_all(store, insert, analyst, sql):
    insert(store, "Before.")
    before = state(sql)
    good, bad = analyst.records([Message("Good."), Message("Bad.")], datetime.now(UTC))
    bad = bad._replace(message=Message("Bad.", trust=2.0))  # the table refuses it
    with pytest.raises(Exception, match="CHECK constraint failed"):
        store.insert("new", [good, bad], actor="test", embedder="none", timeline="none")
    assert state(sql) == before
    insert(store, "After.")
    assert [item.text for item in store.walk("default")] == ["Before.", "After."]


def test_half_a_surrogate_pair_is_refused_as_input_and_writes_nothing(store, analyst, sql):
    before = state(sql)
    record = analyst.records([Message("Fine.")], datetime.now(UTC))[0]
    broken = record._replace(message=Message("Fine.", speaker="\ud800"))
    with pytest.raises(InputError, match="half of a surrogate pair"):
        store.insert("default", [broken], actor="test", embedder="none", timeline="none")
    assert state(sql) == before


def test_an_empty_batch_does_not_even_make_the_namespace(store):
    assert store.insert("nobody", [], actor="test", embedder="none", timeline="none") == []
    assert store.namespaces() == []


def test_records_of_another_embedder_than_the_files_are_refused(store, insert, sql):
    assert store.set_meta("embedder", "theirs", keep=True) == "theirs"
    assert store.set_meta("embedder", "ours", keep=True) == "theirs"
    before = state(sql)
    with pytest.raises(EmbedderMismatchError, match=r"moved to the embedder theirs, .* none: open"):
        insert(store, "Never written.")
    assert state(sql) == before


def test_inserts_inside_one_transaction_come_and_go_together(store, insert, check):
    def both(last):
        with store.writing():
            insert(store, "First half.", namespace="a")
            insert(store, "Second half.", namespace=last)

    with pytest.raises(InputError):
        both("\ud800")
    assert store.namespaces() == []
    both("b")
    assert store.namespaces() == ["a", "b"]
    assert check(store) == []


def test_readers_see_the_old_state_until_the_commit_and_never_wait(store, open_store, insert):
    insert(store, "Before.")
    reader = open_store(timeout_s=0)
    with store.writing():
        insert(store, "Not yet.")
        assert [item.text for item in reader.walk("default")] == ["Before."]
    assert [item.text for item in reader.walk("default")] == ["Before.", "Not yet."]


def test_sixteen_threads_write_through_one_store(store, insert, check):
    def write(number):
        for n in range(5):
            insert(store, {"text": f"Thread {number}, line {n}.", "session": str(number)})

    threads = [threading.Thread(target=write, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    by_session = {}
    for item in store.walk("default"):
        by_session.setdefault(item.session, []).append((item.ordinal, item.text[-2]))
    assert len(by_session) == 16
    assert all(rows == [(n, str(n)) for n in range(5)] for rows in by_session.values())
    assert check(store) == []


def test_the_journal_holds_no_word_of_any_text(store, insert, database):
    insert(store, {"text": "Xylophone practice.", "key": "k", "metadata": {"m": "marimba"}})
    insert(store, {"text": "Xylophone concert.", "key": "k"})
    store.forget([item.id for item in store.walk("default")], "test")
    with closing(sqlite3.connect(database)) as connection:
        journal = repr(connection.execute("SELECT * FROM journal").fetchall())
    assert journal.count("'forget'") == 2
    assert "ylophone" not in journal
    assert "marimba" not in journal
