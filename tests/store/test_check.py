"""`check` finds every kind of damage, mends what is derived and only that."""

import sqlite3
from contextlib import closing

import pytest

from memsieve.errors import EmbedderMismatchError, StoreError


@pytest.fixture
def three(memory):
    """The ids of three items, two of them in one session."""
    return memory.add(
        [
            {"text": "The boat is called Marisol.", "session": "s"},
            {"text": "It lies in the harbour of Faro.", "session": "s"},
            {"text": "Its sails are red.", "key": "k"},
        ]
    )


@pytest.fixture
def damage(database):
    """Runs SQL with foreign keys off, as a damaged disk or a foreign tool would."""

    def run(statement, *values):
        with closing(sqlite3.connect(database, timeout=10)) as connection:
            connection.execute("PRAGMA foreign_keys = OFF")
            changed = connection.execute(statement, values).rowcount
            connection.commit()
        assert changed > 0

    return run


def found(memory, *, fix=False):
    return [(one.what, one.where, one.fixed) for one in memory.check(fix=fix)]


MENDABLE = {
    "no index row": ["DELETE FROM item_index WHERE seq = 2"],
    "index row differs from its text": [
        "UPDATE item_index SET terms = x'' WHERE seq = 2",
        "UPDATE item_index SET terms = zeroblob(length(terms)) WHERE seq = 2",
        "UPDATE item_index SET terms = x'010203' WHERE seq = 2",
        "UPDATE item_index SET codes = zeroblob(length(codes)) WHERE seq = 2",
        "UPDATE item_index SET codes = x'' WHERE seq = 2",
        "UPDATE item_index SET codes = 'not even bytes' WHERE seq = 2",
        "UPDATE item_index SET codes = (SELECT codes FROM item_index WHERE seq = 1) WHERE seq = 2",
        "UPDATE item_index SET scale = scale * 1.5 WHERE seq = 2",
        "UPDATE item SET tokens = tokens + 1 WHERE seq = 2",
    ],
}


@pytest.mark.parametrize(
    ("what", "statement"), [(what, each) for what, all_ in MENDABLE.items() for each in all_]
)
def test_a_damaged_index_row_is_found_and_rebuilt(memory, three, damage, what, statement):
    healthy = memory.recall("Where does the boat lie?", k=3).ids
    damage(statement)
    where = f"item {three[1]}"
    assert found(memory) == [(what, where, False)]
    assert found(memory, fix=True) == [(what, where, True)]
    assert memory.check() == []
    assert memory.recall("Where does the boat lie?", k=3).ids == healthy


def test_a_code_that_is_one_off_is_rounding_and_two_off_is_damage(memory, three, sql):
    ((codes,),) = sql("SELECT codes FROM item_index WHERE seq = 1")
    at = next(at for at, code in enumerate(codes) if code < 100)
    for off, n_found in ((1, 0), (2, 1)):
        changed = codes[:at] + bytes([codes[at] + off]) + codes[at + 1 :]
        sql("UPDATE item_index SET codes = ? WHERE seq = 1", changed)
        assert len(memory.check()) == n_found


def test_every_row_of_the_index_may_be_lost_and_is_rebuilt(memory, damage, texts_of):
    texts = [f"Ship number {n} carries {n * 3} barrels." for n in range(1_201)]
    memory.add(texts)
    damage("DELETE FROM item_index")
    assert len(memory.check(fix=True)) == 1_201
    assert memory.check() == []
    assert texts_of(memory.recall("Which ship carries 2997 barrels?", k=1)) == [texts[999]]


def test_other_processes_load_mended_rows_at_their_next_recall(opened, three, damage):
    damage("DELETE FROM item_index WHERE seq = 2")
    reader, mender = opened(), opened()
    assert three[1] not in reader.recall("the harbour of Faro", k=3).ids
    mender.check(fix=True)
    assert reader.recall("the harbour of Faro", k=3).ids[0] == three[1]
    assert reader.check() == []


def test_an_index_row_without_an_item_is_found_and_deleted(memory, three, damage, sql):
    damage("INSERT INTO item_index VALUES (99, x'', x'', 0, 0, 0)")
    assert found(memory) == [("index row without an item", "seq 99", False)]
    assert found(memory, fix=True) == [("index row without an item", "seq 99", True)]
    assert memory.check() == []
    assert sql("SELECT count(*) FROM item_index") == [(3,)]


def test_a_changed_text_is_reported_and_never_repaired_away(memory, three, damage, sql):
    damage("UPDATE item SET text = 'The boat is called Carmen.' WHERE seq = 1")
    what = "text does not match its hash"
    where = f"item {three[0]}"
    assert (what, where, False) in found(memory)
    assert (what, where, False) in found(memory, fix=True)
    assert found(memory) == [(what, where, False)]  # its words were indexed anew
    assert sql("SELECT text FROM item WHERE seq = 1") == [("The boat is called Carmen.",)]


def test_a_text_that_is_no_utf_8_is_reported_and_does_not_stop_the_check(memory, three, damage):
    damage("UPDATE item SET text = CAST(x'46c3' AS TEXT) WHERE seq = 1")
    damage("DELETE FROM item_index WHERE seq = 3")
    assert ("text is not UTF-8", f"item {three[0]}", False) in found(memory)
    assert ("no index row", f"item {three[2]}", False) in found(memory)
    with pytest.raises(StoreError, match="Could not decode to UTF-8"):
        memory.get(three[0])


REPORTED = [
    (
        "INSERT INTO evidence VALUES (1, 99)",
        "reference to a row of item that is not there",
        "evidence",
    ),
    (
        "INSERT INTO link VALUES (99, 1, 'next', 1)",
        "reference to a row of item that is not there",
        "link",
    ),
    (
        "INSERT INTO slot VALUES (7, 'Ana', 'home', 1, NULL, NULL)",
        "reference to a row of namespace that is not there",
        "slot",
    ),
    (
        "UPDATE item SET ordinal = 0 WHERE seq = 2",
        "2 items in one place of a session",
        "namespace default, session s, ordinal 0",
    ),
    ("UPDATE item SET supersedes = 'x' WHERE seq = 3", "supersedes an item that is not there", 2),
    ("DELETE FROM journal", "item that the journal never saw added", 0),
    ("UPDATE journal SET first_seq = 2", "item that the journal never saw added", 0),
    ("UPDATE journal SET last_seq = 2", "item that the journal never saw added", 2),
]


@pytest.mark.parametrize(("statement", "what", "where"), REPORTED)
def test_damage_to_what_is_canonical_is_reported_and_left_alone(
    memory, three, damage, statement, what, where
):
    damage(statement)
    expected = (what, f"item {three[where]}" if isinstance(where, int) else where, False)
    assert expected in found(memory)
    assert expected in found(memory, fix=True)
    assert expected in found(memory)


def test_a_reference_to_a_missing_namespace_is_reported(memory, three, damage):
    damage("UPDATE item SET namespace = 5 WHERE seq = 3")
    whats = {what for what, _, _ in found(memory, fix=True)}
    assert whats == {
        "reference to a row of namespace that is not there",
        "item that the journal never saw added",
    }


def test_a_damaged_page_is_reported_and_the_file_not_written_to(memory, database, opened):
    memory.add([f"Line {n} of a long talk." for n in range(400)])
    memory.close()
    content = bytearray(database.read_bytes())
    page = content.index(b"Line 200 of a long talk.") // 4096
    content[page * 4096 + 3 : page * 4096 + 5] = b"\xff\xff"  # the number of cells on the page
    database.write_bytes(content)
    again = opened()
    found = again.check(fix=True)
    assert not any(one.fixed for one in found)
    assert "what follows cannot be read" in found[-1].what
    again.close()
    assert database.read_bytes() == content


def test_words_that_are_cut_off_stop_a_recall_with_the_way_out(memory, three, damage, opened):
    damage("UPDATE item_index SET terms = x'010203' WHERE seq = 2")
    with pytest.raises(StoreError, match=r"index is damaged: mend it with check\(fix=True\)"):
        opened().recall("boat")
    memory.check(fix=True)
    assert len(memory.recall("boat")) > 0


def test_check_refuses_to_judge_vectors_of_another_embedder(opened, letters):
    old = opened(embedder=letters("old"))
    old.add("Something said before.")
    opened(embedder=letters("new"), adopt=True).reindex(letters("new"))
    with pytest.raises(EmbedderMismatchError, match="has moved to the embedder new"):
        old.check(fix=True)
    assert opened(embedder=letters("new")).check() == []


def test_check_of_ten_thousand_single_additions_is_not_quadratic(memory, sql):
    # The journal holds one line for each; a nested loop over both takes minutes.
    memory.add([f"Note {n}." for n in range(10_000)])
    sql("DELETE FROM journal")
    sql(
        "INSERT INTO journal (at, actor, operation, namespace, first_seq, last_seq)"
        " SELECT 0, 'test', 'add', namespace, seq, seq FROM item"
    )
    assert memory.check() == []


def test_nothing_is_written_where_nothing_is_wrong(memory, three, sql):
    entries = sql("SELECT * FROM journal")
    assert memory.check(fix=True) == []
    assert sql("SELECT * FROM journal") == entries


# Times

DATED = ["It was yesterday, not in 2021.", "It is.", "It was so since 2020."]
WRONG_TIMES = [
    "DELETE FROM item_time WHERE item = 1",
    "DELETE FROM item_time WHERE item = 1 AND n = 1",
    "UPDATE item_time SET begins = begins + 1 WHERE item = 1 AND n = 1",
    "UPDATE item_time SET ends = NULL WHERE item = 1 AND n = 0",
    "UPDATE item_time SET precision = 'nonsense' WHERE item = 1 AND n = 0",
    "UPDATE item_time SET weight = 0.25 WHERE item = 1 AND n = 0",
    "UPDATE item_time SET is_relative = 1 WHERE item = 1 AND n = 1",
    "UPDATE item_time SET last = 99 WHERE item = 1 AND n = 1",
    "INSERT INTO item_time VALUES (1, 2, 0, 1, 0, 1, 'day', 1, 0)",
    "UPDATE item SET happened_from = happened_from - 1 WHERE seq = 1",
    "UPDATE item SET happened_precision = NULL WHERE seq = 1",
    "UPDATE item_index SET dated_tokens = dated_tokens + 1 WHERE seq = 1",
]


@pytest.mark.parametrize("statement", WRONG_TIMES)
def test_times_that_differ_from_the_text_are_found_and_read_anew(dated, damage, statement):
    ids = dated.add(DATED, at="2026-03-02")
    healthy = [dated.get(id_) for id_ in ids]
    damage(statement)
    wrong = ("times differ from what the text says", f"item {ids[0]}")
    assert found(dated) == [(*wrong, False)]
    assert found(dated, fix=True) == [(*wrong, True)]
    assert dated.check() == []
    assert [dated.get(id_) for id_ in ids] == healthy


def test_times_without_an_item_are_found_and_deleted(dated, damage, sql):
    dated.add(DATED)
    for n in (0, 1):
        damage(f"INSERT INTO item_time VALUES (99, {n}, 0, 1, 0, 1, 'day', 1, 0)")
    assert found(dated) == [("times without an item", "seq 99", False)]
    assert found(dated, fix=True) == [("times without an item", "seq 99", True)]
    assert dated.check() == []
    assert sql("SELECT count(*) FROM item_time") == [(3,)]


def test_times_that_were_never_read_are_one_finding_and_read_by_fix(dated, sql):
    healthy = [dated.get(id_) for id_ in dated.add(DATED)]
    sql("UPDATE item_index SET dated_tokens = NULL")
    sql("DELETE FROM item_time")
    sql("UPDATE item SET happened_from = NULL, happened_to = NULL, happened_precision = NULL")
    what = "times of 3 items not read: run memsieve reindex --time"
    assert found(dated) == [(what, "times", False)]
    assert found(dated, fix=True) == [(what, "times", True)]
    assert dated.check() == []
    assert dated.list() == healthy


def test_a_lost_index_row_comes_back_with_its_times(dated, damage, sql):
    dated.add(DATED)
    before = sql("SELECT * FROM item_index")
    damage("DELETE FROM item_index WHERE seq = 1")
    assert [what for what, _, _ in found(dated, fix=True)] == ["no index row"]
    assert sql("SELECT * FROM item_index") == before
    assert dated.check() == []


@pytest.mark.parametrize("said_at", ["'noon'", "1 << 62"])
def test_an_item_said_at_no_moment_is_reported_and_stops_nothing(dated, damage, said_at):
    ids = dated.add(DATED)
    damage(f"UPDATE item SET said_at = {said_at} WHERE seq = 2")
    reported = ("was said at no moment that there is", f"item {ids[1]}", False)
    assert found(dated, fix=True) == [reported]
    assert found(dated) == [reported]
