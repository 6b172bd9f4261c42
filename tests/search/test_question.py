"""Names and calendar words of a question."""

import pytest

from memsieve.embed import NoEmbedder, Static
from memsieve.search import read
from memsieve.search.question import calendar

TALK = [("hello", "Maria Lopez", "s"), ("hi", "Tom", "s")]


@pytest.mark.parametrize(
    ("text", "months", "years", "days"),
    [
        ("What happened on 8 May 2023?", {5}, {2023}, {8}),
        ("in June, or early July", {6, 7}, set(), set()),
        ("the 21st of March", {3}, set(), {21}),
        ("What did she do in May?", {5}, set(), set()),
        ("may I ask, and march on", set(), set(), set()),
        ("the marching band of 2022", set(), {2022}, set()),
        ("5-6 people on route 66", set(), set(), set()),
        ("at 5 pm in December", {12}, set(), set()),
    ],
)
def test_calendar_words(text, months, years, days):
    assert calendar(text) == type(calendar(""))(
        frozenset(months), frozenset(years), frozenset(days)
    )


def test_a_speaker_is_named_by_any_part_of_the_name(block_of):
    block = block_of(TALK)
    question = read("What did Maria say?", block, NoEmbedder())
    assert {block.speakers.names[n] for n in question.speakers} == {"Maria Lopez"}
    assert len(question.name_terms) == 1
    assert question.vector is None


def test_the_vector_does_not_see_the_names(block_of):
    block, embedder = block_of(TALK), Static()
    asked = read("What is Tom's favourite book?", block, embedder)
    plain = embedder.embed(["What is   favourite book?"])[0]
    assert asked.vector is not None
    assert asked.vector @ plain == pytest.approx(1, abs=1e-6)


def test_a_question_of_names_alone_keeps_them(block_of):
    question = read("Tom?", block_of(TALK), Static())
    assert question.vector is not None
    assert question.vector.any()
