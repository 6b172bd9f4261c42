"""One slot, one truth: of several statements of one attribute the one that holds is recalled."""

import sqlite3

import pytest

from memsieve import Message
from memsieve.errors import FormatError, ParameterError
from memsieve.store import slots

HOME = ("Ana", "home")
OLD, NEW = "Ana lives in Porto now.", "Moved house, it is Faro these days."
QUESTION = "Where in Porto does Ana live?"


@pytest.fixture
def moved(opened):
    """A memory in which Ana lived in Porto from 2020 on and in Faro from 2024 on."""
    memory = opened(embedder="none", policy="equal")
    memory.add(OLD, at="2020-01-01", slot=HOME)
    memory.add(NEW, at="2024-01-01", slot=HOME)
    memory.add([f"The tram was late on day {n}." for n in range(30)], at="2022-01-01", session="t")
    return memory


def test_what_holds_comes_in_the_place_of_what_does_not_though_only_that_has_the_words(
    moved, texts_of
):
    assert texts_of(moved.recall("Porto", k=1, stale=True)) == [OLD]
    assert texts_of(moved.recall("Porto", k=1)) == [NEW]
    found = moved.recall(QUESTION)
    assert texts_of(found)[0] == NEW
    assert OLD not in texts_of(found)
    assert found[0].score == pytest.approx(sum(found[0].why.values()))
    left = dict(zip(texts_of(found.left_out), found.reasons, strict=True))
    assert left[OLD] == "dropped: no longer holds, [Ana, home] is said by hit 1"
    assert moved.check() == []


def test_with_no_room_for_what_holds_the_old_value_does_not_come_either(moved, texts_of):
    found = moved.recall("Porto", k=0)
    left = dict(zip(texts_of(found.left_out), found.reasons, strict=True))
    assert left[OLD].endswith("[Ana, home] is said by another that was left out")
    assert not found


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ({"as_of": "2023-06-01"}, OLD),
        ({"now": "2023-06-01"}, OLD),
        ({"until": "2023-06-01"}, OLD),
        ({"now": "2026-01-01", "until": "2024-01-01"}, OLD),
        ({"now": "2024-01-01"}, NEW),
        ({"as_of": "2025-01-01"}, NEW),
        ({}, NEW),
    ],
)
def test_the_clock_of_the_question_says_what_holds(moved, texts_of, when, expected):
    found = texts_of(moved.recall(QUESTION, **when))
    assert [text for text in found if text in (OLD, NEW)] == [expected]


def test_with_stale_both_come(moved, texts_of):
    assert {OLD, NEW} <= set(texts_of(moved.recall("Ana Porto Faro", stale=True)))


def test_what_was_said_before_anything_held_is_left_alone(opened, texts_of):
    memory = opened(embedder="none")
    memory.add("Ana will live in Oslo.", at="2090-01-01", slot=HOME)
    assert texts_of(memory.recall("Ana")) == ["Ana will live in Oslo."]
    memory.add("Ana lives in Rome.", at="2020-01-01", slot=HOME)
    found = memory.recall("Ana")
    assert texts_of(found) == ["Ana lives in Rome."]
    assert found.reasons == ("dropped: does not hold yet, [Ana, home] is said by hit 1",)


def test_a_filter_that_keeps_out_what_holds_does_not_bring_back_what_does_not(opened, texts_of):
    memory = opened(embedder="none")
    memory.add("Ana lives in Rome.", at="2020-01-01", speaker="Ben", slot=HOME)
    memory.add("Ana lives in Bonn.", at="2021-01-01", speaker="Ana", slot=HOME)
    assert texts_of(memory.recall("Ana", speaker="Ben")) == []
    assert texts_of(memory.recall("Ana", speaker="Ben", stale=True)) == ["Ana lives in Rome."]
    assert texts_of(memory.recall("Ana", since="2020-06-01")) == ["Ana lives in Bonn."]


def test_other_subjects_attributes_and_namespaces_are_untouched(opened, texts_of):
    memory = opened(embedder="none")
    said = ["Lives in Rome.", "Lives in Bonn.", "Lives by the sea.", "Lives alone."]
    memory.add(said[0], at="2020-01-01", slot=HOME)
    memory.add(said[1], at="2021-01-01", slot=("Ben", "home"))
    memory.add(said[2], at="2022-01-01", slot=("Ana", "house"))
    memory.add(said[3], at="2023-01-01")
    memory.add("Lives in Oslo.", at="2024-01-01", slot=HOME, namespace="other")
    assert sorted(texts_of(memory.recall("lives"))) == sorted(said)


def test_spelling_makes_no_other_slot_and_is_kept_as_given(opened, texts_of):
    memory = opened(embedder="none")
    spellings = [HOME, (" ANA ", "Home"), ("ana", "HOME\n"), ("Ana  Ruiz", "home"), ("an", "home")]
    for year, slot in enumerate(spellings, 2020):
        memory.add(f"Lives at number {year}.", at=f"{year}-01-01", slot=slot)
    assert sorted(texts_of(memory.recall("lives"))) == [
        "Lives at number 2022.", "Lives at number 2023.", "Lives at number 2024.",
    ]  # fmt: skip
    assert [item.slot for item in memory.list()] == spellings
    assert memory.check() == []


def test_an_older_statement_that_comes_in_late_does_not_win(moved, texts_of):
    moved.add("Ana lives in Porto, in Braga before that.", at="2019-01-01", slot=HOME)
    assert texts_of(moved.recall("Porto Braga", k=1)) == [NEW]
    found = texts_of(moved.recall("Porto Braga", as_of="2019-06-01"))
    assert found == ["Ana lives in Porto, in Braga before that."]


def test_of_two_said_at_the_same_time_the_one_written_later_holds(opened, texts_of):
    memory = opened(embedder="none")
    memory.add(["Ana lives here.", "Ana lives there."], at="2020-01-01", slot=HOME)
    assert texts_of(memory.recall("Ana")) == ["Ana lives there."]


def test_forgetting_what_holds_brings_the_older_back_and_leaves_no_byte(
    moved, texts_of, files_hold
):
    slot = ("Ana", "home of quixotic zymurgists")
    moved.add("Ana rents a mill.", at="2020-01-01", slot=("Ana", "mill"))
    gone = moved.add("Ana owns the mill.", at="2021-01-01", slot=slot)
    newest = next(item.id for item in moved.list() if item.text == NEW)
    assert moved.forget([gone, newest]).residue == 0
    assert texts_of(moved.recall("Porto", k=1)) == [OLD]
    assert moved.check() == []
    moved.close()
    assert not files_hold("quixotic")
    assert not files_hold(NEW)


def test_a_text_that_a_living_slot_holds_too_is_no_residue(memory):
    words = "the house in the harbour street"
    memory.add("It is red.", slot=("Ana", words))
    assert memory.forget(memory.add(words)).residue == 0


def test_a_version_that_was_replaced_does_not_hold(opened, texts_of):
    memory = opened(embedder="none")
    memory.add("Ana lives in Rome.", at="2020-01-01", slot=HOME)
    memory.add("Ana lives in Bonn.", at="2021-01-01", key="k", slot=HOME)
    memory.add("Ana likes Bonn.", at="2023-01-01", key="k")
    assert sorted(texts_of(memory.recall("Ana"))) == ["Ana likes Bonn.", "Ana lives in Rome."]
    # As the memory stood then the replaced version was in force, and it holds.
    assert texts_of(memory.recall("Ana", as_of="2022-01-01")) == ["Ana lives in Bonn."]
    assert memory.check() == []


def test_within_a_budget_and_beside_a_hit_nothing_stale_comes(opened, texts_of):
    memory = opened(embedder="none", policy="equal")
    memory.add("We talked about trams.", at="2020-01-01", session="s")
    memory.add("Ana lives in Porto.", at="2020-01-01", session="s", slot=HOME)
    memory.add("The trams of the hill are yellow.", at="2020-01-01", session="s")
    memory.add("Ana lives in Faro.", at="2024-01-01", session="u", slot=HOME)
    for bounds in ({"k": 3}, {"budget_tokens": 200}, {"budget_tokens": 200, "k": 2}):
        found = memory.recall("Which trams are yellow?", neighbours=2, **bounds)
        assert "Ana lives in Porto." not in texts_of(found)
        assert "The trams of the hill are yellow." in texts_of(found)
    both = memory.recall("Which trams are yellow?", neighbours=2, budget_tokens=200, stale=True)
    assert "Ana lives in Porto." in texts_of(both)
    tight = memory.recall("Porto", budget_tokens=15)
    assert texts_of(tight) == ["Ana lives in Faro."]
    assert tight.tokens <= 15


def test_a_counter_of_the_callers_and_a_soft_window_keep_it_out_as_well(opened, texts_of):
    memory = opened(embedder="none", count_tokens=len)
    memory.add("Ana lives in Porto.", at="2020-01-01", slot=HOME)
    memory.add("Ana lives in Faro.", at="2024-01-01", slot=HOME)
    found = memory.recall("Ana", budget_tokens=500, during="2020", now="2026-01-01")
    assert texts_of(found) == ["Ana lives in Faro."]
    assert texts_of(memory.recall("Ana", during="2020", window="hard", now="2026-01-01")) == []


def test_a_session_of_stale_items_alone_is_no_hit(moved):
    moved.add("Ana lives in Braga.", at="2019-01-01", session="braga", slot=HOME)
    sessions = [hit.session for hit in moved.recall("Braga").sessions]
    assert "braga" not in sessions
    assert "braga" in [hit.session for hit in moved.recall("Braga", stale=True).sessions]


def test_a_tracked_recall_can_be_judged(moved):
    found = moved.recall(QUESTION, track=True)
    moved.feedback(found.id, found[0].id)
    assert len(moved.judged()) == 1


def test_slots_are_carried_out_and_in_once(moved, opened, tmp_path, texts_of):
    file = tmp_path / "out.jsonl"
    moved.export(file)
    other = opened(tmp_path / "other.db", embedder="none", policy="equal")
    assert other.import_(file)["added"] == 32
    again = tmp_path / "again.jsonl"
    other.export(again)
    assert again.read_text() == file.read_text()
    assert other.import_(again)["added"] == 0
    assert [item.slot for item in other.list()][:3] == [HOME, HOME, None]
    assert texts_of(other.recall("Porto", k=1)) == [NEW]
    assert other.check() == []


def test_messages_and_mappings_state_slots(memory):
    ids = memory.add([Message("One.", slot=HOME), {"text": "Two.", "slot": ["Ben", "home"]}])
    assert [memory.get(id_).slot for id_ in ids] == [HOME, ("Ben", "home")]


@pytest.mark.parametrize(
    ("slot", "message"),
    [
        ("Ana/home", "slot must be a pair, subject and attribute, or None, got 'Ana/home'"),
        ((), "slot must be a pair"),
        (("Ana",), "slot must be a pair"),
        (["Ana", "home", "now"], "slot must be a pair"),
        ({"Ana": 1, "home": 2}, "slot must be a pair"),
        (("Ana", ""), "the attribute of a slot must be text that is not blank, got ''"),
        ((" ", "home"), "the subject of a slot must be text that is not blank, got ' '"),
        (("Ana", 5), "the attribute of a slot must be text that is not blank, got 5"),
        (("Ana", "\ud800"), "slot: half of a surrogate pair"),
    ],
)
def test_what_is_no_slot_is_refused_and_nothing_is_written(memory, slot, message):
    for what in ({"text": "Hi.", "slot": slot}, Message("Hi.", slot=slot)):
        with pytest.raises(ParameterError, match=message):
            memory.add(["Good.", what])
    with pytest.raises(ParameterError, match=message):
        memory.add("Hi.", slot=slot)
    assert memory.list() == []


def test_a_line_with_no_slot_in_its_place_is_refused_with_its_place(memory, write_file):
    file = write_file("in.jsonl", '{"text": "Hi.", "slot": ["Ana"]}\n')
    with pytest.raises(FormatError, match="line 1: slot must be a pair"):
        memory.import_(file)


def test_without_slots_one_look_up_is_all_and_with_many_no_row_of_others_is_read(memory, database):
    memory.add([f"Turn {n}." for n in range(5)])
    statements = []
    with sqlite3.connect(database) as connection:
        connection.set_trace_callback(statements.append)
        assert slots.holding(connection.execute, "default", [1, 2, 3], 1 << 60) == {}
        assert len(statements) == 1
        plan = " ".join(
            row[3]
            for row in connection.execute(
                f"EXPLAIN QUERY PLAN {slots._STATED}",
                {"namespace": 1, "until": 0, **slots._bounds("ana", "home")},
            )
        )
    connection.close()
    assert "SCAN slot" not in plan
    assert "SCAN s " not in plan
    assert "(namespace=? AND subject=? AND attribute>? AND attribute<?)" in plan
