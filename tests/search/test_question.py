"""Names in a question."""

import pytest

from memsieve.embed import NoEmbedder, Static
from memsieve.search import read

TALK = [("hello", "Maria Lopez", "s"), ("hi", "Tom", "s")]


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
