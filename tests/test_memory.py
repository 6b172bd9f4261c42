"""The facade: what can be added, what comes back, what namespaces keep apart."""

import json
import threading
from datetime import UTC, datetime, timedelta, timezone

import pytest

import memsieve
from memsieve import Message
from memsieve.errors import InputError, NotFoundError, ParameterError, StoreError


def test_text_a_message_and_a_mapping_are_added_alike(memory):
    forms = [
        "The kettle is broken.",
        Message("The kettle is broken."),
        {"text": "The kettle is broken."},
        {"content": "The kettle is broken."},
    ]
    items = [memory.get(memory.add(form)) for form in forms]
    for item in items:
        assert (item.text, item.kind, item.source, item.trust) == (
            "The kettle is broken.", "turn", "user", 1.0,
        )  # fmt: skip
        assert (item.speaker, item.role, item.session, item.key) == (None,) * 4
        assert item.metadata == {}
    assert memory.check() == []


def test_a_list_gives_a_list_of_ids_in_its_order(memory, texts_of):
    texts = ["One.", "Two.", "Three."]
    ids = memory.add(texts)
    assert [memory.get(id_).text for id_ in ids] == texts
    assert isinstance(memory.add("Four."), str)
    assert memory.add([]) == []
    assert memory.add(("Five.",)) == [memory.list()[-1].id]
    assert texts_of(memory.list()) == [*texts, "Four.", "Five."]
    assert memory.check() == []


def test_keywords_hold_for_what_does_not_state_its_own(memory):
    memory.add(
        ["One.", {"text": "Two.", "speaker": "Ben", "at": "2026-03-03", "namespace": "b"}],
        speaker="Ana", at="2026-03-02", session="s", trust=0.5, namespace="a",
        metadata={"x": 1}, kind="note", source="tool", role="user",
    )  # fmt: skip
    (one,), (two,) = memory.list(namespace="a"), memory.list(namespace="b")
    assert (one.speaker, one.said_at.day, one.session) == ("Ana", 2, "s")
    assert (two.speaker, two.said_at.day, two.session) == ("Ben", 3, "s")
    for item in (one, two):
        assert (item.kind, item.source, item.role, item.trust) == ("note", "tool", "user", 0.5)
        assert item.metadata == {"x": 1}
    assert memory.check() == []


def test_one_bad_message_in_a_list_writes_nothing(memory):
    for bad in ("", {"text": "x", "trust": 2}, {"txt": "x"}, 5, {"text": "x", "at": "soon"}):
        with pytest.raises((InputError, ParameterError)):
            memory.add(["Good.", bad, "Good as well."])
    assert memory.list() == memory.namespaces() == []
    assert memory.check() == []


def test_a_list_for_several_namespaces_is_still_one_transaction(memory, sql):
    sql("CREATE TRIGGER no BEFORE INSERT ON item WHEN NEW.text = 'Two.' BEGIN"
        " SELECT RAISE(ABORT, 'refused'); END")  # fmt: skip
    with pytest.raises(StoreError, match="refused"):
        memory.add([{"text": "One.", "namespace": "a"}, {"text": "Two.", "namespace": "b"}])
    assert memory.namespaces() == []
    sql("DROP TRIGGER no")
    assert memory.check() == []


def test_a_key_for_a_whole_list_is_refused(memory):
    with pytest.raises(ParameterError, match="key names one item: give each message of a list"):
        memory.add(["One.", "Two."], key="k")


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-03-02", datetime(2026, 3, 2, tzinfo=UTC)),
        ("2026-03-02T10:00:00+02:00", datetime(2026, 3, 2, 8, tzinfo=UTC)),
        (datetime(2026, 3, 2, 10), datetime(2026, 3, 2, 10, tzinfo=UTC)),
        (
            datetime(2026, 3, 2, 10, tzinfo=timezone(timedelta(hours=-5))),
            datetime(2026, 3, 2, 15, tzinfo=UTC),
        ),
        (datetime(1, 1, 1), datetime(1, 1, 1, tzinfo=UTC)),
        (
            datetime(9999, 12, 31, 23, 59, 59, 999_999),
            datetime(9999, 12, 31, 23, 59, 59, 999_999, UTC),
        ),
    ],
)
def test_times_come_back_in_utc_to_the_microsecond(memory, at, expected):
    item = memory.get(memory.add("Something.", at=at))
    assert item.said_at == expected
    assert item.said_at.tzinfo is UTC
    assert memory.recall("something", now=at)[0].item == item
    assert memory.check() == []


def test_without_a_time_it_was_said_now(memory):
    before = datetime.now(UTC)
    item = memory.get(memory.add("Something."))
    assert before <= item.said_at <= item.stored_at <= datetime.now(UTC)


# Namespaces


@pytest.fixture
def tenants(memory):
    """Two namespaces with the same talk but for one word."""
    for name, colour in (("ana", "red"), ("ben", "blue")):
        memory.add(
            [f"The bicycle is {colour}.", "It stands in the cellar."], namespace=name, session="s"
        )
    return memory


def test_recall_and_list_see_one_namespace_only(tenants, texts_of):
    for name, colour in (("ana", "red"), ("ben", "blue")):
        found = tenants.recall("What colour is the bicycle in the cellar?", namespace=name, k=50)
        assert set(texts_of(found)) == {f"The bicycle is {colour}.", "It stands in the cellar."}
        assert {hit.item.namespace for hit in found} == {name}
        assert {item.namespace for item in tenants.list(namespace=name)} == {name}
    assert len(tenants.recall("bicycle")) == len(tenants.list()) == 0
    assert tenants.check() == []


def test_every_bound_of_a_recall_stays_inside_its_namespace(tenants):
    for options in ({"session": "s"}, {"neighbours": 3}, {"budget_tokens": 10_000}, {"k": 100}):
        found = tenants.recall("red blue bicycle cellar", namespace="ana", **options)
        assert {hit.item.namespace for hit in (*found, *found.left_out)} == {"ana"}


def test_forgetting_in_one_namespace_leaves_the_same_words_in_another(tenants, texts_of):
    ids = [item.id for item in tenants.list(namespace="ana")]
    receipt = tenants.forget(ids)
    assert (set(receipt.ids), receipt.residue) == (set(ids), 0)
    assert tenants.list(namespace="ana") == []
    assert texts_of(tenants.list(namespace="ben")) == [
        "The bicycle is blue.", "It stands in the cellar.",
    ]  # fmt: skip
    assert tenants.check() == []


def test_a_memory_opened_in_a_namespace_works_in_it(tenants, opened, texts_of):
    ana = opened(namespace="ana")
    assert texts_of(ana.recall("bicycle", k=1)) == ["The bicycle is red."]
    assert ana.get(ana.add("It has a bell.")).namespace == "ana"
    assert len(ana.list()) == 3
    assert len(ana.list(namespace="ben")) == 2
    assert ana.namespaces() == ["ana", "ben"]


def test_an_unknown_namespace_is_named_with_those_there_are(tenants, tmp_path):
    for call in (
        lambda: tenants.recall("bicycle", namespace="carla"),
        lambda: tenants.list(namespace="carla"),
        lambda: tenants.export(tmp_path / "x", namespace="carla"),
    ):
        with pytest.raises(NotFoundError, match="no namespace is called 'carla'; there are: ana, "):
            call()
    assert tenants.namespaces() == ["ana", "ben"]


@pytest.mark.parametrize("name", ["", "  ", 5])
def test_a_namespace_needs_a_name(opened, memory, name):
    for call in (
        lambda: opened(namespace=name).add("x"),
        lambda: memory.add("x", namespace=name),
        lambda: memory.recall("x", namespace=name),
        lambda: memory.import_("x", namespace=name),
    ):
        with pytest.raises(ParameterError, match="namespace"):
            call()
    assert memory.namespaces() == []


@pytest.mark.parametrize("name", ["Ünï côde", "a/b", "'; DROP TABLE item; --", "%", "x" * 5_000])
def test_any_text_names_a_namespace(memory, name):
    id_ = memory.add("Here I am.", namespace=name)
    assert memory.recall("here", namespace=name).ids == (id_,)
    assert memory.stats()["namespaces"][name]["items"] == 1
    assert memory.check() == []


# Reading


def test_list_filters_bounds_and_turns_around(memory, texts_of):
    for n in range(6):
        memory.add(f"{n}", at=f"2026-03-0{n + 1}", speaker="AB"[n % 2], key=f"k{n}",
                   metadata={"even": n % 2 == 0})  # fmt: skip
    memory.add("5, mended", key="k5", speaker="B", at="2026-03-06")
    assert texts_of(memory.list(limit=2)) == ["0", "1"]
    assert texts_of(memory.list(limit=2, newest_first=True)) == ["5, mended", "4"]
    assert texts_of(memory.list(speaker="A")) == ["0", "2", "4"]
    assert texts_of(memory.list(metadata={"even": False})) == ["1", "3"]
    assert texts_of(memory.list(since="2026-03-02", until="2026-03-04")) == ["1", "2"]
    assert texts_of(memory.list(with_superseded=True))[-2:] == ["5", "5, mended"]
    assert memory.list(limit=0) == []
    assert memory.check() == []


def test_the_clock_of_a_question_hides_what_was_said_later(memory, texts_of):
    memory.add("The shop opens at nine.", at="2026-03-02T09:00:00")
    memory.add("The shop opens at ten.", at="2026-03-02T10:00:00.5")
    clocks = ("2026-03-02T08:59:59", "2026-03-02T09:00:00", "2026-03-02T10:00:00", None)
    counts = [len(memory.recall("When does the shop open?", now=now)) for now in clocks]
    assert counts == [0, 1, 2, 2]  # a clock counts whole seconds
    assert texts_of(memory.recall("shop", now=clocks[3], until=clocks[2])) == [
        "The shop opens at nine."
    ]


def test_metadata_filters_a_recall(memory, texts_of):
    memory.add("The red house.", metadata={"street": "Elm"})
    memory.add("The red barn.", metadata={"street": "Oak"})
    assert texts_of(memory.recall("red", metadata={"street": "Oak"})) == ["The red barn."]
    assert texts_of(memory.recall("red", metadata={"street": "Ash"})) == []
    with pytest.raises(ParameterError, match="metadata can be filtered by"):
        memory.recall("red", metadata={"street": ["Oak"]})


def test_a_recall_in_an_empty_memory_finds_nothing_and_says_nothing(memory):
    found = memory.recall("Is anybody there?", budget_tokens=100)
    assert (len(found), found.context(), found.tokens, found.sessions) == (0, "", 0, ())
    assert memory.check() == []


def test_history_tells_what_was_done_and_refuses_unknown_ids(memory):
    id_ = memory.add("One.")
    memory.forget(id_)
    assert [event.operation for event in memory.history(id_)] == ["add", "forget"]
    with pytest.raises(NotFoundError, match="the journal knows no item with the id 'unknown'"):
        memory.history("unknown")
    with pytest.raises(NotFoundError, match=f"no item has the id '{id_}'"):
        memory.get(id_)


def test_the_journal_names_the_actor(opened):
    memory = opened(actor="tests")
    assert [event.actor for event in memory.history(memory.add("One."))] == ["tests"]


def test_stats_count_what_there_is(memory, database):
    memory.add(["One.", "Two."], namespace="a", session="s")
    memory.recall("one", namespace="a")
    stats = memory.stats()
    assert stats["path"] == str(database)
    assert stats["embedder"] == memory.embedder.identity
    assert stats["namespaces"]["a"]["items"] == 2
    assert stats["loaded_bytes"]["a"] > 0
    assert stats["file_bytes"] > 4096
    json.dumps(stats)


# Life


def test_a_memory_is_a_context_manager_and_closed_behind_it(database):
    with memsieve.open(database) as memory:
        id_ = memory.add("One.")
    with pytest.raises(StoreError, match="closed"):
        memory.get(id_)
    with memsieve.open(database) as memory:
        assert memory.get(id_).text == "One."
        assert memory.check() == []


def test_a_closed_memory_leaves_one_file(memory, database):
    memory.add("One.")
    memory.close()
    assert [file.name for file in database.parent.iterdir()] == ["agent.db"]


def test_threads_add_recall_and_forget_through_one_memory(memory):
    errors = []

    def live(number):
        try:
            for n in range(6):
                id_ = memory.add(f"Thread {number} says word{number}x{n}.", session=str(number))
                assert id_ in memory.recall(f"word{number}x{n}", k=3).ids
                if n % 3 == 0:
                    memory.forget(id_)
        except BaseException as error:  # noqa: BLE001 - shown by the assertion below
            errors.append(error)

    threads = [threading.Thread(target=live, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(memory.list(limit=None)) == 6 * 4
    assert memory.check() == []


def test_threads_may_add_while_another_moves_to_another_embedder(memory, letters):
    memory.add([f"Early word{n}." for n in range(300)])
    stop, refused = threading.Event(), []

    def write():
        while not stop.is_set():
            try:
                memory.add("Another line in between.")
            except memsieve.EmbedderMismatchError as error:
                refused.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    for dimensions in (8, 16, 24):
        memory.reindex(letters(f"letters-{dimensions}", dimensions))
    stop.set()
    writer.join()
    assert memory.check() == []


def test_postgresql_is_not_taken_for_a_file_name():
    with pytest.raises(ParameterError, match="keeps memories in SQLite files"):
        memsieve.open("postgresql://localhost/memories")
