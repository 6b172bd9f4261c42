"""What is stated of somebody, which of it holds, and which of it a question asks for."""

from datetime import UTC, datetime

import pytest

import memsieve
from memsieve.errors import EndpointError
from memsieve.llm import Completion, Model
from memsieve.systems.memflow import MemFlow
from memsieve.systems.profile import asked_for, grouped, standing
from memsieve.systems.stated import Fact, facts_of
from memsieve.types import Item


def item(text, *, speaker="Ana", at="2024-01-03", seq=1, **more):
    said = datetime.fromisoformat(at).replace(tzinfo=UTC)
    given = {"kind": "turn", "role": None, "session": "s", "slot": None, **more}
    return Item(
        id=str(seq), seq=seq, namespace="n", text=text, speaker=speaker, ordinal=0, source="user",
        trust=1.0, key=None, metadata={}, said_at=said, happened=None, stored_at=said,
        invalid_at=None, supersedes=None, tokens=9, **given,
    )  # fmt: skip


def stated(text, **more):
    return [(fact.subject, fact.key, fact.value) for fact in facts_of(item(text, **more))]


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("I live in Rome.", [("ana", "home", "Rome")]),
        ("Well, I've just moved to Oslo and it rains!", [("ana", "home", "Oslo")]),
        ("Tom lives in New York now.", [("tom", "home", "New York")]),
        ("I'm working as a nurse these days.", [("ana", "job", "nurse")]),
        ("I got a new job as an editor.", [("ana", "job", "editor")]),
        ("I work for the city archive, by the way.", [("ana", "employer", "the city archive")]),
        ("Hi, my name is Ana Lopez.", [("ana", "name", "Ana Lopez")]),
        ("My birthday is on 5 May.", [("ana", "birthday", "5 May")]),
        ("I'm 31 years old.", [("ana", "age", "31")]),
        ("I'm allergic to nuts.", [("ana", "allergies", "nuts")]),
        ("I really love old maps. I hate noise.", [("ana", "likes", "old maps"),
                                                   ("ana", "dislikes", "noise")]),
        ("My favorite tea is mint.", [("ana", "favourite tea", "mint")]),
        ("Ana's dog is called Rex.", [("ana", "dog name", "Rex")]),
        ("My phone number is 555 0101.", [("ana", "phone number", "555 0101")]),
        ("Ich wohne jetzt in Graz.", [("ana", "home", "Graz")]),
        ("Ich bin nach Linz gezogen.", [("ana", "home", "Linz")]),
        ("Ich heiße Ana.", [("ana", "name", "Ana")]),
        ("I called Tom, I worked as a cook then.", []),
        ("I'd love to see it.", []),
        ("I love it when you sing.", []),
        ("She lives in Rome.", []),
        ("Where do I live?", []),
        ("The bus was late.", []),
    ],
)  # fmt: skip
def test_what_a_text_states(text, facts):
    assert stated(text) == facts


def test_a_slot_states_its_value_whatever_the_words():
    slot = ("Tom", "City")
    assert stated("Tom moved to Oslo.", slot=slot) == [("tom", "home", "Oslo")]
    assert stated("I am a cook, my job is fine. I live in Rome.", slot=slot)[0][2] == "Rome"
    assert stated("city = Rome", slot=slot) == [("tom", "home", "Rome")]
    assert stated("Rome it is", slot=("Tom", "Wifi")) == [("tom", "wifi", "Rome it is")]


def test_an_assistant_states_nothing_of_itself_and_nobody_known_is_a_user():
    assert stated("I live in the cloud.", speaker=None, role="assistant") == []
    (fact,) = facts_of(item("I live in Rome.", speaker=None, role="user"))
    assert (fact.subject, fact.own) == ("", True)


def fact(value, month, *, key="home", subject="ana", own=True):
    said = datetime(2024, month, 3, tzinfo=UTC)
    return Fact(subject, own, key, value, month, said, int(said.timestamp() * 1e6))


def until(month):
    return int(datetime(2024, month, 28, tzinfo=UTC).timestamp() * 1e6)


ROME, OSLO, AGAIN = fact("Rome", 1), fact("Oslo", 6), fact("rome", 2)


@pytest.mark.parametrize(
    ("facts", "month", "holds", "superseded"),
    [
        ([ROME, OSLO], 7, (OSLO,), (ROME,)),
        ([OSLO, ROME], 3, (ROME,), ()),
        ([ROME, AGAIN], 7, (AGAIN, ROME), ()),
        ([ROME, OSLO, fact("Graz", 6, subject="tom")], 7, (fact("Graz", 6, subject="tom"), OSLO),
         (ROME,)),
        ([fact("tea", 1, key="likes"), fact("maps", 6, key="likes")], 7,
         (fact("maps", 6, key="likes"), fact("tea", 1, key="likes")), ()),
        ([], 7, (), ()),
    ],
)  # fmt: skip
def test_what_was_stated_last_holds(facts, month, holds, superseded):
    stood = standing(facts, until(month))
    assert (set(stood.holds), stood.superseded) == (set(holds), superseded)
    assert [f.at for f in stood.holds] == sorted((f.at for f in holds), reverse=True)


FACTS = [
    ROME,
    fact("Ana Lopez", 1, key="name"),
    fact("Rex", 1, key="dog name"),
    fact("old maps", 1, key="likes"),
    fact("mint tea", 2, key="likes"),
    fact("Graz", 2, subject="tom", own=False),
]


@pytest.mark.parametrize(
    ("question", "values"),
    [
        ("Where do I live now?", {"Rome"}),
        ("Is Rome still my home?", {"Rome"}),
        ("Where does Tom live?", {"Graz"}),
        ("Where does Ana live?", {"Rome"}),
        ("What is my dog's name?", {"Rex"}),
        ("What is the name of Ana's dog?", {"Rex"}),
        ("What is the name of Ana's cat?", set()),
        ("What is Ana's name?", {"Ana Lopez"}),
        ("What do I like?", {"old maps", "mint tea"}),
        ("Do I like tea?", {"mint tea"}),
        ("Which painters do I like?", set()),
        ("Where does the postman live?", set()),
    ],
)
def test_what_a_question_asks_for(question, values):
    assert {f.value for f in asked_for(question, grouped(FACTS), ["Ana", "Tom"])} == values


# Notes of a model


class Extractor:
    """Extracts one fact from texts with a flat, none from others; fails when told to."""

    identity = "scripted"

    def __init__(self):
        self.n_calls, self.fails_at = 0, None

    def complete(self, messages, *, max_tokens, temperature, top_p):
        self.n_calls += 1
        if self.n_calls == self.fails_at:
            raise EndpointError("gone")
        prompt = str(messages)
        fact = '{"subject": "I", "attribute": "residence", "value": "the old mill"}'
        return Completion('{"facts": [%s]}' % (fact if "flat" in prompt else ""))


@pytest.fixture
def chat():
    return Extractor()


@pytest.fixture
def noted(tmp_path, chat):
    with memsieve.open(tmp_path / "a.db", system=MemFlow(), model=Model(chat)) as memory:
        memory.add("I gave up the flat for a place by the river.", at="2024-02-01", speaker="Ana")
        memory.add("We had soup again.", at="2024-02-02", speaker="Ana")
        memory.add("The bus was late.", at="2024-02-03", speaker="Ana")
        yield memory


def test_a_model_notes_what_no_pattern_finds(noted, chat):
    question = "Where does Ana live now?"
    assert noted.recall(question, now="2024-03-01").plan["intent"] == "state-tracking"
    assert (noted.enrich(), chat.n_calls) == (2, 2)  # the bus says nothing in the first person
    assert noted.enrich() == 0
    first = noted.recall(question, now="2024-03-01")[0]
    assert (first.item.text[:20], first.why["states it"]) == ("I gave up the flat f", 1.0)


def test_notes_go_with_what_they_were_made_from(noted):
    noted.enrich()
    gone = noted.recall("Where does Ana live now?", now="2024-03-01")[0].id
    noted.forget(gone)
    assert "mill" not in str(noted.notes())
    assert "states it" not in str([hit.why for hit in noted.recall("Where does Ana live now?")])


def test_writing_notes_goes_on_where_it_was_interrupted(noted, chat):
    chat.fails_at = 2
    with pytest.raises(EndpointError):
        noted.enrich()
    assert len(noted.notes()) == 1
    assert noted.enrich() == 1


def test_without_a_model_nothing_is_noted(tmp_path):
    with memsieve.open(tmp_path / "a.db", system="memflow") as memory:
        memory.add("I live in Rome.")
        assert (memory.enrich(), memory.notes()) == (0, [])
