"""Whom a question means."""

import pytest

import memsieve
from memsieve.search.names import entities, loosely_named
from memsieve.search.words import term, words

NAMES = ["Melanie", "Caroline Ortiz", "José", "Sam", "Samir"]


def meant(question, names=NAMES, said=()):
    known = {term(word) for text in said for word in words(text)}
    return {
        word: names[n] for word, n in loosely_named(question, names, known.__contains__).items()
    }


@pytest.mark.parametrize(
    ("question", "found"),
    [
        ("What did Mel paint?", {"Mel": "Melanie"}),
        ("What did mel paint?", {}),
        ("Mel's kids?", {"Mel": "Melanie"}),
        ("Where is Caro, and where Orti?", {"Caro": "Caroline Ortiz", "Orti": "Caroline Ortiz"}),
        ("Did Carolien call?", {"Carolien": "Caroline Ortiz"}),
        ("Did Melaney call?", {"Melaney": "Melanie"}),
        ("Did Melanie call?", {}),
        ("Did Jos call?", {"Jos": "José"}),
        ("Did JOSE call?", {}),
        ("Is Sam here?", {}),
        ("Is Sami here?", {"Sami": "Samir"}),
        ("Is Sa here?", {}),
        ("When was the Marathon in Caracas?", {}),
        ("Me, Myself and the Mellow?", {}),
        ("", {}),
    ],
)
def test_short_and_misspelt_names(question, found):
    assert meant(question) == found


def test_a_word_that_could_mean_two_means_none():
    assert meant("Is Mar here?", ["Maria", "Mark"]) == {}
    assert meant("Is Mari here?", ["Maria", "Mark"]) == {"Mari": "Maria"}


def test_a_word_that_is_said_is_no_misspelling():
    assert meant("Did Carolina call?") == {"Carolina": "Caroline Ortiz"}
    assert meant("Did Carolina call?", said=["I was in Carolina."]) == {}


def test_a_memory_recalls_by_a_short_name(tmp_path):
    with memsieve.open(tmp_path / "memory.db") as memory:
        memory.add("I painted a lake.", speaker="Melanie", at="2024-01-01", session="a")
        memory.add("I painted a lake.", speaker="Caroline", at="2024-01-01", session="a")
        for asked in ("Mel", "Melaney", "Melanie"):
            assert memory.recall(f"What did {asked} paint?")[0].item.speaker == "Melanie"
        question = memory.weigh("What did Mel paint?").question
    assert len(question.speakers) == len(question.name_terms) == 1


@pytest.mark.parametrize(
    ("question", "found"),
    [
        ("Did Ana see the Louvre in Paris?", {"louvr", "pari"}),
        ("Did ANA see it?", set()),
        ("Which city is it?", set()),
        ("Rome or Paris?", {"rome", "pari"}),
        ("did she like rome?", set()),
        ("", set()),
    ],
)
def test_entities_are_the_names_that_are_no_speakers(question, found):
    assert entities(question, ["Ana Lopez"]) == {term(word) for word in found}
