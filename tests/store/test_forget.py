"""Forgetting: what goes, what stays, and the receipt's proof."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime

import pytest

from memsieve.errors import InputError, NotFoundError

SECRET = "The code of the wine cellar is seven seven nine."


def gone(item_id, sql):
    """Whether no table but the journal holds the item."""
    holders = [
        sql("SELECT count(*) FROM item WHERE id = ?", item_id),
        sql("SELECT count(*) FROM item WHERE supersedes = ?", item_id),
    ]
    return holders == [[(0,)], [(0,)]]


def test_text_index_row_and_vector_go_and_the_receipt_says_so(memory, sql, files_hold):
    id_ = memory.add(SECRET)
    kept = memory.add("The cellar is cold.")
    before = datetime.now(UTC)
    receipt = memory.forget(id_)
    assert (receipt.ids, receipt.residue) == ((id_,), 0)
    assert before <= receipt.at <= datetime.now(UTC)
    assert gone(id_, sql)
    assert sql("SELECT count(*) FROM item_index") == [(1,)]
    assert [hit.id for hit in memory.recall("the code of the wine cellar", k=5)] == [kept]
    with pytest.raises(NotFoundError):
        memory.get(id_)
    assert memory.check() == []
    memory.close()
    assert not files_hold("wine cellar")


def test_no_file_holds_the_text_even_while_the_memory_is_open(memory, database, elsewhere):
    id_ = memory.add(SECRET)
    memory.forget(id_)
    code = (
        "import sys, pathlib\n"
        "print(sum(b'wine cellar' in f.read_bytes() for f in pathlib.Path(sys.argv[1]).iterdir()))"
    )
    assert elsewhere(code, database.parent) == "0"
    assert memory.check() == []


def test_speaker_session_key_and_metadata_go_with_the_only_item_that_has_them(memory, files_hold):
    private = {
        "speaker": "Xerxes Quandt", "session": "consultation-44871", "key": "patient-90210",
        "metadata": {"diagnosis": "heliophobia"},
    }  # fmt: skip
    ids = memory.add([{"text": f"Filler number {n}.", "session": "x"} for n in range(50)])
    id_ = memory.add(SECRET, **private)
    receipt = memory.forget(id_)
    assert receipt.residue == 0
    assert len(memory.list(limit=None)) == len(ids)
    assert memory.check() == []
    memory.close()
    for word in ("Xerxes", "44871", "90210", "heliophobia"):
        assert not files_hold(word)
    assert files_hold(id_)  # in the journal, so that history can tell


def test_words_that_other_items_still_use_are_no_residue(memory, opened):
    other = memory.add(SECRET, namespace="elsewhere", speaker="Ana Maria Duarte")
    id_ = memory.add(SECRET, speaker="Ana Maria Duarte")
    receipt = memory.forget(id_)
    assert (receipt.residue, receipt.rewritten) == (0, False)
    assert memory.get(other).text == SECRET
    assert memory.check() == []


def test_older_versions_go_too_and_newer_ones_stay(memory, sql, files_hold):
    ids = [memory.add(f"Draft {n} of the {n * 'very '}letter.", key="k") for n in range(4)]
    receipt = memory.forget(ids[2])
    assert sorted(receipt.ids) == sorted(ids[:3])
    left = memory.get(ids[3])
    assert left.supersedes is None
    assert memory.list(with_superseded=True) == [left]
    assert memory.check() == []
    memory.close()
    assert not any(files_hold(f"Draft {n} of the {n * 'very '}letter") for n in range(3))


def test_two_thousand_versions_are_forgotten_at_once(memory, files_hold):
    for at in range(0, 2000, 500):
        batch = [{"text": f"Balance {n} euros.", "key": "k"} for n in range(at, at + 500)]
        id_ = memory.add(batch)[-1]
    assert [hit.id for hit in memory.recall("balance in euros")] == [id_]
    receipt = memory.forget(id_)
    assert (len(receipt.ids), receipt.residue) == (2000, 0)
    assert memory.list(with_superseded=True) == []
    assert memory.check() == []
    memory.close()
    assert not any(files_hold(f"Balance {n} euros") for n in (0, 999, 1999))


@pytest.fixture
def derive(memory, sql):
    """Adds an item derived from others, as enrichment will."""

    def add(text, *sources):
        id_ = memory.add(text, kind="summary", source="derived")
        for source in sources:
            sql(
                "INSERT INTO evidence SELECT a.seq, b.seq FROM item a, item b"
                " WHERE a.id = ? AND b.id = ?",
                id_,
                source,
            )
        return id_

    return add


def test_what_was_derived_from_a_forgotten_item_alone_goes_with_it(memory, derive, files_hold):
    a, b = memory.add("Ana fears dogs."), memory.add("Ben likes dogs.")
    from_a, from_both = derive("Someone fears dogs.", a), derive("Opinions on dogs differ.", a, b)
    deeper = derive("There is one fear in this house.", from_a)
    receipt = memory.forget(a)
    assert set(receipt.ids) == {a, from_a, deeper}
    assert {item.id for item in memory.list()} == {b, from_both}
    assert memory.check() == []
    assert set(memory.forget(b).ids) == {b, from_both}
    assert memory.check() == []
    memory.close()
    assert not files_hold("one fear")


def test_what_was_derived_from_two_forgotten_items_goes_when_both_go(memory, derive):
    a, b = memory.add("Ana fears dogs."), memory.add("Ben fears dogs.")
    summary = derive("All fear dogs.", a, b)
    deeper = derive("Nobody here wants a dog, it seems.", a, summary)
    assert set(memory.forget([b, a]).ids) == {a, b, summary, deeper}
    assert memory.check() == []


def test_links_and_slots_of_a_forgotten_item_go(memory, sql):
    a, b = memory.add("Ana moved to Porto."), memory.add("Ana lives by the sea.")
    sql("INSERT INTO link SELECT a.seq, b.seq, 'next', 1 FROM item a, item b WHERE a.seq < b.seq")
    sql("INSERT INTO slot SELECT namespace, 'Ana', 'home', seq, NULL, NULL FROM item WHERE id=?", a)
    memory.forget(a)
    assert sql("SELECT count(*) FROM link") == sql("SELECT count(*) FROM slot") == [(0,)]
    assert [item.id for item in memory.list()] == [b]
    assert memory.check() == []


def test_a_large_text_over_many_pages_leaves_no_piece(memory, files_hold):
    text = " ".join(f"paragraph{n:05}" for n in range(15_000))
    assert len(text) > 200_000
    id_ = memory.add(text)
    memory.add([f"Small line {n}." for n in range(300)])
    assert memory.forget(id_).residue == 0
    assert memory.check() == []
    memory.close()
    assert not any(files_hold(f"paragraph{n:05}") for n in range(0, 15_000, 997))


def test_items_between_others_leave_nothing_in_rebalanced_pages(memory, files_hold):
    ids = memory.add([f"Guest {n:04} stays in room {n * 7:05}." for n in range(2_000)])
    gone, kept = ids[::3], [id_ for at, id_ in enumerate(ids) if at % 3]
    receipt = memory.forget(gone)
    assert receipt.residue == 0
    assert [item.id for item in memory.list(limit=None)] == kept
    assert memory.check() == []
    memory.close()
    assert not any(files_hold(f"Guest {n:04} stays") for n in range(0, 2_000, 3))
    assert files_hold("Guest 0001 stays")


def test_copies_in_free_pages_make_the_file_be_rewritten(memory, database, files_hold):
    id_ = memory.add(SECRET)
    with closing(sqlite3.connect(database)) as other:
        # What a tool without secure delete would leave: pages that are free and still full.
        other.execute("PRAGMA secure_delete = OFF")
        other.execute("CREATE TABLE scratch (text)")
        other.executemany("INSERT INTO scratch VALUES (?)", [(SECRET * 30,)] * 20)
        other.execute("DROP TABLE scratch")
        other.commit()
    receipt = memory.forget(id_)
    assert (receipt.residue, receipt.rewritten) == (0, True)
    assert memory.check() == []
    memory.close()
    assert not files_hold("wine cellar")


def test_an_unknown_id_among_known_ones_forgets_nothing(memory, sql):
    ids = memory.add(["One.", "Two."])
    entries = sql("SELECT count(*) FROM journal")
    with pytest.raises(NotFoundError, match="no item has the id 'unknown': nothing was forgotten"):
        memory.forget([ids[0], "unknown", ids[1]])
    assert [item.id for item in memory.list()] == ids
    assert sql("SELECT count(*) FROM journal") == entries
    with pytest.raises(InputError, match="half of a surrogate pair"):
        memory.forget("\ud800")
    assert memory.check() == []


def test_an_id_given_twice_is_forgotten_once_and_no_ids_are_fine(memory):
    id_ = memory.add("One.")
    assert memory.forget([id_, id_]).ids == (id_,)
    assert memory.forget([]).ids == ()
    assert memory.check() == []


def test_a_reader_with_an_old_state_open_makes_the_receipt_admit_residue(
    opened, open_store, files_hold
):
    memory, reader = opened(timeout_s=0.05), open_store()
    id_ = memory.add(SECRET)
    with reader.reading() as run:
        assert run("SELECT count(*) FROM item").fetchone() == (1,)
        receipt = memory.forget(id_)
        assert receipt.residue > 0
        assert not receipt.rewritten
        assert run("SELECT text FROM item").fetchone() == (SECRET,)  # a snapshot stays one
    assert memory.list() == []
    what = "forgotten text may be left in the file: a reader held it, or a process died"
    assert [(one.what, one.where, one.fixed) for one in memory.check()] == [(what, "file", False)]
    assert [one.fixed for one in memory.check(fix=True)] == [True]
    assert memory.check() == []
    memory.close()
    reader.close()
    assert not files_hold("wine cellar")


def test_check_cannot_finish_an_erasure_while_the_reader_stays(opened, open_store):
    memory, reader = opened(timeout_s=0.05), open_store()
    id_ = memory.add(SECRET)
    with reader.reading() as run:
        run("SELECT count(*) FROM item").fetchone()
        memory.forget(id_)
        assert [one.fixed for one in memory.check(fix=True)] == [False]
    assert [one.fixed for one in memory.check(fix=True)] == [True]
    assert memory.check() == []


def test_a_process_killed_between_deleting_and_cleaning_leaves_a_note(
    database, opened, elsewhere, files_hold
):
    code = """
import os, sys, memsieve
from memsieve.store import erasing
memory = memsieve.open(sys.argv[1])
id_ = memory.add("The code of the wine cellar is seven seven nine.")
erasing.erase = lambda *_: os._exit(0)
memory.forget(id_)
"""
    elsewhere(code, database)
    memory = opened()
    assert memory.list() == []
    assert [one.where for one in memory.check(fix=True)] == ["file"]
    assert memory.check() == []
    memory.close()
    assert not files_hold("wine cellar")
