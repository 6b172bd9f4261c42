"""Answers held against their evidence; the evidence is that of a real recall."""

import pytest

from memsieve.errors import EndpointError, ParameterError
from memsieve.grounding import Verdict, grounded
from memsieve.llm import Model
from memsieve.search.words import words

QUESTION = "Which harbour did Ana's boat leave?"
# Of these eight content words the evidence holds boat, harbour and Ana; the answer has 12 words.
THREE_OF_EIGHT = "Ana with her boat, harbour, castle, violin, desert and the pyramid money"


@pytest.fixture
def found(memory):
    memory.add("My boat left the harbour of Split.", at="2024-05-01", speaker="Ana")
    return memory.recall(QUESTION, budget_tokens=100, now="2024-06-01")


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ("", Verdict(False, 0.0, "empty")),
        (" ?! ", Verdict(False, 0.0, "empty")),
        ("Oslo", Verdict(True, 0.0, "short")),
        ("From the harbour of Oslo", Verdict(True, 0.5, "short")),
        (THREE_OF_EIGHT, Verdict(False, 0.375, "unsupported")),
        ("It was the harbour of Split that she left.", Verdict(True, 1.0, "supported")),
        ("I don't know.", Verdict(False, 0.0, "refusal")),
        ("The memory has no information on that harbour.", Verdict(False, 1 / 3, "refusal")),
        ("Das weiß ich nicht.", Verdict(False, 0.0, "refusal")),
    ],
)
def test_the_checks_in_rising_cost(found, answer, verdict):
    got = grounded(answer, found)
    assert (got.ok, got.why) == (verdict.ok, verdict.why)
    assert got.overlap == pytest.approx(verdict.overlap)


@pytest.mark.parametrize(
    ("answer", "refuses"),
    [
        ("Unknown", True),
        ("unknown.", True),
        ("It is not mentioned.", True),
        ("Sorry, I cannot tell from this.", True),
        ("The evidence does not say it.", True),
        ("As an AI I have no opinion.", True),
        ("Nicht bekannt.", True),
        ("Ich weiß es nicht.", True),
        ("An unknown harbour of Split", False),
        ("Ana was unable to leave the harbour of Split.", False),
        ("It left for Split, and Ana said that I do not know boats.", False),
        ("There was no evidence of a boat in Split.", False),
    ],
)
def test_what_refuses_and_what_only_sounds_so(found, answer, refuses):
    assert (grounded(answer, found).why == "refusal") is refuses


def test_the_worked_answer_has_the_counts_that_it_is_said_to_have(found):
    assert len(THREE_OF_EIGHT.split()) == 12
    assert len(set(words(THREE_OF_EIGHT))) == 8
    assert len(set(words(THREE_OF_EIGHT)) & set(words(found.context()))) == 3


def test_a_refusal_is_right_where_the_evidence_does_not_speak_of_it(memory, found):
    other = memory.recall("What does the violin teacher earn?", budget_tokens=100, now="2024-06-01")
    assert len(other) == 1
    assert grounded("I do not know.", other).ok
    assert not grounded("I do not know.", other, known=0.0).ok
    nothing = memory.recall(QUESTION, budget_tokens=0, now="2024-06-01")
    assert grounded("I do not know.", nothing, known=0.0).ok


@pytest.mark.parametrize(("said", "ok"), [("true", True), ("false", False)])
def test_a_model_decides_between_and_is_told_the_evidence(found, said, ok, spoken):
    judge = spoken(f'{{"supported": {said}}}')
    model = Model(judge)
    verdict = grounded(THREE_OF_EIGHT, found, model)
    assert (verdict.ok, verdict.overlap) == (ok, 0.375)
    assert verdict.why.endswith("by the model")
    (prompt,) = judge.prompts
    assert found.context() in prompt
    assert f"Question: {QUESTION}\nAnswer: {THREE_OF_EIGHT}" in prompt


@pytest.mark.parametrize("answer", ["Oslo", "", "It was the harbour of Split that she left."])
def test_no_model_is_asked_where_words_tell(found, answer, spoken):
    judge = spoken('{"supported": false}')
    assert grounded(answer, found, Model(judge)) == grounded(answer, found)
    assert judge.prompts == []


def test_a_judgement_that_cannot_be_read_leaves_it_to_the_words(found, spoken):
    assert grounded(THREE_OF_EIGHT, found, Model(spoken("well"))) == grounded(THREE_OF_EIGHT, found)
    with pytest.raises(EndpointError):
        grounded(THREE_OF_EIGHT, found, Model(spoken(EndpointError("gone"))))


@pytest.mark.parametrize("known", [-0.1, 1.1, float("nan")])
def test_a_share_outside_its_range_is_refused(found, known):
    with pytest.raises(ParameterError, match=r"known must be in \[0, 1\], got"):
        grounded("Split", found, known=known)
