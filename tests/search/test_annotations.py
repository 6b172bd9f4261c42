"""Words about documents: BM25 and cosines over both, worked by hand and as one text."""

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memsieve.search.annotations import Annotations, bm25_of_all, found_in
from memsieve.search.lexical import K1, B, bm25
from memsieve.search.tf_idf import TfIdf
from memsieve.search.words import terms

TALK = [
    ("the dog barks", "Ana", "s1"),
    ("my cat sleeps", "Tom", "s1"),
    ("a dog, a dog!", "Ana", "s1"),
    ("rain again, all week", "Tom", "s2"),
    ("buy cat food", "Ana", "s2"),
]
WORDS = st.lists(
    st.sampled_from(["dog", "cat", "rain", "food", "pets", "garden", "sea"]), max_size=5
)


def annotated(block, **texts):
    """Annotations of documents named d0, d1, ..."""
    notes = Annotations()
    notes.put(block, {int(doc[1:]): terms(text) for doc, text in texts.items()})
    return notes


def found(block, notes, word):
    docs, counts = found_in(block, notes, int(terms(word)[0]))
    return dict(zip(docs.tolist(), counts.tolist(), strict=True))


@pytest.mark.parametrize("query", ["dog", "dog cat", "cat cat sleeps", "nothing", ""])
def test_without_annotations_the_scores_are_those_of_the_turn_view(block_of, query):
    block = block_of(TALK)
    view = bm25(block, terms(query)).windows[0][block.lanes.slot]
    assert bm25_of_all(block, Annotations(), terms(query)) == pytest.approx(view, rel=1e-5)


def test_a_word_about_a_document_counts_like_its_own(block_of):
    block = block_of(TALK)
    scores = bm25_of_all(block, annotated(block, d1="pets", d2="pets pets"), terms("pets"))
    # Lengths 2, 2 + 1, 2 + 2, 2, 3; "pets" is about two of five documents.
    mean, idf = 14 / 5, math.log(1 + 3.5 / 2.5)
    expected = [
        idf * tf * (K1 + 1) / (tf + K1 * (1 - B + B * length / mean))
        for tf, length in ((1, 3), (2, 4))
    ]
    assert scores == pytest.approx([0, *expected, 0, 0])


def test_a_word_that_the_document_has_is_not_counted_again(block_of):
    block = block_of(TALK)
    notes = annotated(block, d0="dogs barking loudly")
    assert found(block, notes, "dog") == {0: 1, 2: 2}
    assert found(block, notes, "loudly") == {0: 1}
    assert notes.lengths(5).tolist() == [1, 0, 0, 0, 0]


def test_what_is_written_anew_replaces_what_was_there(block_of):
    block = block_of(TALK)
    notes = annotated(block, d1="pets", d3="weather")
    notes.put(block, {1: terms("kitten"), 3: terms("")})
    assert [found(block, notes, word) for word in ("pets", "weather", "kitten")] == [{}, {}, {1: 1}]
    assert notes.lengths(5).tolist() == [0, 1, 0, 0, 0]


def test_the_dead_are_neither_found_nor_counted(block_of, kill):
    block = block_of(TALK)
    notes = annotated(block, d0="pets", d1="pets")
    kill(block, [1])
    assert found(block, notes, "pets") == {1: 1}
    assert bm25_of_all(block, notes, terms("pets dog"))[0] == 0
    assert TfIdf().cosines(block, notes, terms("pets dog"))[0] == 0


# The fixture gives a function without state, so that examples do not meet in it.
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(texts=st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=6), query=WORDS)
def test_annotated_documents_score_as_one_text_without_repeats(texts, query, block_of):
    asked, none = terms(" ".join(query)), Annotations()
    whole = [" ".join([*own, *(w for w in more if w not in own)]) for own, more in texts]
    apart = block_of([(" ".join(own), None, "s") for own, _ in texts])
    joined = block_of([(text, None, "s") for text in whole])
    notes = Annotations()
    notes.put(apart, {doc: terms(" ".join(more)) for doc, (_, more) in enumerate(texts)})
    assert bm25_of_all(apart, notes, asked) == pytest.approx(bm25_of_all(joined, none, asked))
    cosines = TfIdf().cosines(apart, notes, asked)
    assert cosines == pytest.approx(TfIdf().cosines(joined, none, asked))


def test_cosines_worked_by_hand(block_of):
    block = block_of(TALK[:3])  # dog bark | cat sleep | dog dog
    cosines = TfIdf().cosines(block, Annotations(), terms("dog sleeps"))
    # The idf of scikit-learn's TfidfVectorizer; of three documents two hold the dog.
    dog, rare = math.log(4 / 3) + 1, math.log(4 / 2) + 1
    query = math.hypot(dog, rare)
    expected = [dog**2 / query**2, rare**2 / (query * rare * math.sqrt(2)), dog / query]
    assert cosines == pytest.approx(expected)


def test_lengths_follow_the_block_and_the_notes(block_of):
    block = block_of(TALK)
    notes, measure = annotated(block), TfIdf()
    alone = measure.cosines(block, notes, terms("cat"))[1]
    notes.put(block, {1: terms("pets")})
    assert measure.cosines(block, notes, terms("cat"))[1] < alone
    assert measure.cosines(block, notes, terms("cat sleeps pets"))[1] == pytest.approx(1)
    assert not np.any(measure.cosines(block, notes, terms("")))
