"""What every registered system promises, whatever its paper says."""

from dataclasses import fields

import numpy as np
import pytest

import memsieve
from memsieve import registry
from memsieve.errors import NotFoundError, ParameterError

ASKED = "2024-08-01"
QUESTIONS = (
    "What is the name of Ana's dog?",
    "Where does Tom live now?",
    "What did Ana do in April 2024?",
    "How many days passed between the move to Lisbon and the vet?",
    "Summarise everything about Rex.",
    "xyzzy",
    "?!",
)


def shown(found):
    """All of a recollection that a reader sees, its id aside."""
    return (
        [(hit.id, hit.rank, hit.score, hit.why) for hit in found],
        found.sessions,
        found.context(),
        dict(found.plan),
    )


def test_its_card_answers_the_six_questions(name):
    card = registry.card(name)
    assert card.name == name
    assert all(getattr(card, field.name).strip() for field in fields(card) if field.type is str)
    assert all(difference.strip() for difference in card.differences)


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("budget", [0, 12, 40, 100, 10_000])
def test_no_context_is_longer_than_its_budget(memory, question, budget):
    found = memory.recall(question, budget_tokens=budget, now=ASKED)
    assert found.tokens <= budget
    assert len(set(found.ids)) == len(found.ids)


@pytest.mark.parametrize("k", [0, 1, 3])
def test_no_more_items_come_than_asked(memory, k):
    assert len(memory.recall(QUESTIONS[0], k=k, now=ASKED)) <= k


def test_what_the_question_says_is_found(memory):
    assert "Rex" in memory.recall(QUESTIONS[0], k=3, now=ASKED).context()
    assert "Lisbon" in memory.recall("Who moved to Lisbon?", k=3, now=ASKED).context()


@pytest.mark.parametrize("question", QUESTIONS)
def test_two_memories_of_the_same_talk_answer_alike(tmp_path, name, talk, question):
    answers = []
    for file in ("a.db", "b.db"):
        with memsieve.open(tmp_path / file, system=name) as memory:
            ids = memory.add(talk)
            found = memory.recall(question, budget_tokens=80, now=ASKED)
            places = {id_: place for place, id_ in enumerate(ids)}
            answers.append(
                ([(places[hit.id], hit.score) for hit in found], found.sessions, found.context())
            )
    assert answers[0] == answers[1]


def test_asking_twice_gives_the_same(memory):
    first, again = (memory.recall(QUESTIONS[0], budget_tokens=60, now=ASKED) for _ in range(2))
    assert shown(first) == shown(again)


def test_namespaces_never_mix(memory):
    memory.add("Ana's dog is called Hector.", namespace="other", at="2024-04-02")
    here = memory.recall(QUESTIONS[0], k=50, now=ASKED)
    there = memory.recall(QUESTIONS[0], k=50, now=ASKED, namespace="other")
    assert "Hector" not in here.context()
    assert [hit.item.text for hit in there] == ["Ana's dog is called Hector."]


def test_what_is_forgotten_is_gone_at_once(memory):
    memory.recall(QUESTIONS[0], k=50, now=ASKED)  # whatever is held in memory is held now
    memory.enrich()
    gone = [item.id for item in memory.list() if "Rex" in item.text]
    receipt = memory.forget(gone)
    assert receipt.residue == 0
    for question in QUESTIONS:
        found = memory.recall(question, k=50, now=ASKED)
        assert not set(gone) & set(found.ids)
        assert "Rex" not in found.context()
        assert "Rex" not in str(dict(found.plan))
    assert "Rex" not in str(memory.notes())


def test_what_is_added_later_is_found(memory):
    memory.recall(QUESTIONS[0], now=ASKED)
    memory.add("Tom bought a grand piano.", at="2024-07-02", session="s4", speaker="Tom")
    assert "piano" in memory.recall("Who bought a piano?", k=2, now=ASKED).context()


def test_it_survives_reopening(opened, talk):
    memory = opened()
    memory.add(talk)
    memory.enrich()
    before = [shown(memory.recall(question, k=5, now=ASKED)) for question in QUESTIONS]
    memory.close()
    again = opened()
    assert [shown(again.recall(question, k=5, now=ASKED)) for question in QUESTIONS] == before


def test_another_process_sees_what_one_adds(opened, talk):
    one, other = opened(), opened()
    one.add(talk)
    other.recall(QUESTIONS[0], now=ASKED)
    one.add("Tom bought a grand piano.", at="2024-07-02", session="s4")
    assert "piano" in other.recall("Who bought a piano?", k=2, now=ASKED).context()


def test_an_empty_memory_gives_nothing(opened):
    memory = opened()
    assert memory.enrich() == 0
    for question in QUESTIONS:
        found = memory.recall(question, budget_tokens=100, now=ASKED)
        assert (len(found), found.sessions) == (0, ())


def test_one_item_is_found_and_cannot_break_it(opened):
    memory = opened()
    id_ = memory.add("Ana's dog is called Rex.", at="2024-04-02")
    for question in QUESTIONS[:5]:
        assert set(memory.recall(question, k=50, now=ASKED).ids) <= {id_}
    assert memory.recall(QUESTIONS[0], now=ASKED).ids == (id_,)


def test_k_may_exceed_the_store(memory, talk):
    found = memory.recall(QUESTIONS[0], k=10_000, now=ASKED)
    assert 0 < len(found) <= len(talk)


def test_scores_fall_with_the_rank_and_say_why(memory):
    found = memory.recall(QUESTIONS[0], k=5, now=ASKED)
    assert [hit.rank for hit in found] == list(range(1, len(found) + 1))
    for hit in found:
        assert np.isfinite(hit.score)
        assert hit.score == pytest.approx(sum(hit.why.values()), abs=1e-6)


def test_nothing_said_after_the_question_is_recalled(memory):
    found = memory.recall(QUESTIONS[0], k=50, now="2024-05-01")
    assert {hit.item.session for hit in found} == {"s1"}
    assert {hit.session for hit in found.sessions} <= {"s1"}


def test_filters_hold(memory):
    found = memory.recall(QUESTIONS[0], k=50, speaker="Tom", now=ASKED)
    assert {hit.item.speaker for hit in found} <= {"Tom"}


def test_one_slot_has_one_truth(opened):
    memory = opened()
    memory.add("Tom lives in Rome.", at="2024-01-01", session="a", slot=("Tom", "home"))
    memory.add("Tom lives in Oslo.", at="2024-06-01", session="b", slot=("Tom", "home"))
    found = memory.recall("Where does Tom live?", k=5, now=ASKED)
    assert [hit.item.text for hit in found] == ["Tom lives in Oslo."]


def test_the_file_is_the_same_for_all(memory, tmp_path, talk):
    with memsieve.open(tmp_path / "memory.db") as plain:
        assert [item.text for item in plain.list()] == [each["text"] for each in talk]
        assert "Rex" in plain.recall(QUESTIONS[0], k=1, now=ASKED).context()


def test_a_blank_question_is_refused(memory):
    with pytest.raises(ParameterError, match="must not be empty"):
        memory.recall("  ")


def test_an_unknown_system_is_named_with_those_there_are(tmp_path):
    with pytest.raises(NotFoundError, match="no system is called 'mem0'; there are: memsieve, "):
        memsieve.open(tmp_path / "memory.db", system="mem0")
