"""The inverted index gives what was put in, however it was appended."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from memsieve.search.postings import Postings, Segment

DOCUMENTS = st.lists(st.lists(st.integers(0, 12), max_size=8), max_size=40)


def flat(documents):
    terms = np.array([t for document in documents for t in document], dtype=np.uint32)
    return terms, np.array([len(document) for document in documents], dtype=np.int64)


def counted(documents, term):
    counts = [(doc, Counter(words)[term]) for doc, words in enumerate(documents)]
    return [(doc, tf) for doc, tf in counts if tf]


def test_a_segment_worked_by_hand():
    segment = Segment.build(*flat([[7, 3, 7], [3], []]), first_doc=10)
    assert segment.terms.tolist() == [3, 7]
    assert [a.tolist() for a in segment.find(3)] == [[10, 11], [1.0, 1.0]]
    assert [a.tolist() for a in segment.find(7)] == [[10], [2.0]]
    assert segment.find(4)[0].size == 0


@given(DOCUMENTS, st.data())
def test_batches_of_any_size_give_the_index_of_the_whole(documents, data):
    postings, at = Postings(), 0
    while at < len(documents):
        size = data.draw(st.integers(1, len(documents) - at))
        postings.append(*flat(documents[at : at + size]), first_doc=at)
        at += size
    for term in range(13):
        docs, tf = postings.find(term)
        assert list(zip(docs.tolist(), tf.tolist(), strict=True)) == counted(documents, term)


def test_a_thousand_single_appends_leave_a_handful_of_segments():
    postings = Postings()
    for doc in range(1_000):
        postings.append(np.array([doc % 7], np.uint32), np.array([1]), doc)
    assert len(postings.segments) <= 10
    assert postings.find(3)[0].tolist() == list(range(3, 1_000, 7))


def test_an_empty_index_finds_nothing():
    assert Postings().find(1)[0].size == 0
