"""Candidates come from every view and pass every filter."""

from dataclasses import replace

import numpy as np
import pytest

from memsieve.embed import NoEmbedder
from memsieve.search import find, mask, read
from memsieve.search.question import Question
from memsieve.search.windows import DAY, Window

TALK = [
    ("the dog barks", "Ana", "s1"),
    ("my cat sleeps", "Tom", "s1"),
    ("rain again", "Tom", "s2"),
    ("buy cat food", "Ana", "s2"),
]


def asked(block, text):
    return read(text, block, NoEmbedder())


def test_lexical_candidates_and_their_neighbours(block_of):
    block = block_of(TALK)
    assert find(block, asked(block, "dog")).docs.tolist() == [0, 1]


def test_a_vector_brings_what_no_word_does(block_of):
    vectors = np.eye(4, dtype=np.float32)
    block = block_of(TALK, vectors)
    question = Question("?", np.empty(0, np.uint32), frozenset(), frozenset(), vectors[2])
    found = find(block, question, pool=1)
    assert found.docs.tolist() == [2]
    assert found.cosine == pytest.approx([1.0], abs=0.01)
    # Turn 2 has two words, its only neighbour three; their cosines are 1 and 0.
    assert found.cosine_window == pytest.approx([2 / 5], abs=0.01)


def test_without_any_match_there_are_no_candidates(block_of):
    block = block_of(TALK)
    assert find(block, asked(block, "zebra")).docs.size == 0


def test_filters_and_the_dead_are_left_out(block_of, kill):
    block = block_of(TALK)
    question = asked(block, "cat dog rain food")
    assert find(block, question, mask(block, equal={"speaker": "Tom"})).docs.tolist() == [1, 2]
    assert find(block, question, mask(block, equal={"session": "s2"})).docs.tolist() == [2, 3]
    kill(block, [3])
    assert find(block, question, mask(block, equal={"speaker": "Tom"})).docs.tolist() == [1]
    assert 2 not in find(block, question).docs


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"equal": {}}, None),
        ({"equal": {"speaker": "Ana", "session": "s2"}}, [3]),
        ({"equal": {"speaker": "nobody"}}, []),
        ({"equal": {"role": "user"}}, []),
        ({"equal": {"kind": "turn"}, "since": 1, "until": 3}, [1, 2]),
        ({"equal": {}, "seqs": [1, 4]}, [0, 3]),
    ],
)
def test_masks(block_of, filters, expected):
    allowed = mask(block_of(TALK), **filters)
    assert (None if allowed is None else np.flatnonzero(allowed).tolist()) == expected


def test_the_turns_beside_candidates_can_be_asked_for_within_the_filters(block_of):
    block = block_of([(f"turn {word}", "Ana", "s") for word in ("dog", "a b", "c d", "e f", "g h")])
    question = asked(block, "dog")
    assert find(block, question, pool=1).docs.tolist() == [0]
    assert find(block, question, pool=1, beside=2).docs.tolist() == [0, 1, 2]
    only = mask(block, equal={}, seqs=[1, 4])
    assert find(block, question, only, pool=1, beside=3).docs.tolist() == [0, 3]


def test_a_stretch_of_time_brings_its_own_candidates(block_of):
    """Fifty turns speak of dogs; the one inside the window is the least of them by its words."""
    turns = [("dog dog dog", "Ana", f"s{n}") for n in range(50)]
    block = block_of(
        [*turns, ("a dog and a great many other things", "Ana", "t")], days=[*range(50), 90]
    )
    window = Window(np.array([90 * DAY]), np.array([91 * DAY]), np.ones(1))
    question = asked(block, "dog")
    assert 50 not in find(block, question, pool=5).docs
    assert 50 in find(block, replace(question, window=window), pool=5).docs


def test_documents_can_be_put_among_the_candidates(block_of):
    block = block_of(TALK)
    question = asked(block, "dog")
    found = find(block, question)
    assert found.with_docs(block, question, np.array([3])).docs.tolist() == [0, 1, 3]
    assert found.with_docs(block, question, np.array([0])) is found
