"""Hits and what they lead to: the order, what is left out, and the bounds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memsieve.search.links import Step, beside, expand, nearest

LINKS = {7: [3, 8], 3: [7, 1], 9: [8, 2, 4], 4: []}
GRAPHS = st.dictionaries(st.integers(0, 8), st.lists(st.integers(0, 8), max_size=5))


def docs(steps):
    return [step.doc for step in steps]


def test_each_hit_is_followed_by_its_links():
    assert expand([7, 9], LINKS.__getitem__, 10) == [
        Step(7, 0, 0),
        Step(3, 0, 1),
        Step(8, 0, 2),
        Step(9, 1, 0),
        Step(2, 1, 1),
        Step(4, 1, 2),
    ]


def test_a_hit_that_came_as_a_link_stays_there_and_still_brings_its_own():
    assert docs(expand([7, 3], LINKS.__getitem__, 10)) == [7, 3, 8, 1]


@pytest.mark.parametrize(
    ("each", "found"), [(0, [7, 9]), (1, [7, 3, 9, 8]), (None, [7, 3, 8, 9, 2, 4])]
)
def test_a_hit_brings_no_more_than_allowed(each, found):
    assert docs(expand([7, 9], LINKS.__getitem__, 10, each=each)) == found


def test_what_is_there_already_does_not_use_up_the_links_of_a_hit():
    assert docs(expand([8, 9], {8: [], 9: [8, 2, 4]}.__getitem__, 10, each=1)) == [8, 9, 2]


@given(GRAPHS, st.lists(st.integers(0, 8), unique=True), st.integers(0, 9), st.integers(0, 3))
def test_nothing_comes_twice_and_more_room_only_appends(graph, hits, at_most, each):
    def linked(doc):
        return graph.get(doc, [])

    steps = expand(hits, linked, at_most, each=each)
    assert len(steps) <= at_most
    assert len(set(docs(steps))) == len(steps)
    assert expand(hits, linked, 99, each=each)[:at_most] == steps
    for step in steps:
        assert step.doc == hits[step.hit] if step.place == 0 else step.doc in linked(hits[step.hit])
        assert step.place <= each
    if each == 0:
        assert docs(steps) == hits[:at_most]


def test_the_nearest_are_those_of_the_mask_and_of_equals_the_later():
    scores = np.array([0.5, 0.9, 0.5, 0.5, 0.1])
    among = np.array([True, False, True, True, True])
    assert nearest(scores, among, 2) == [3, 2]
    assert nearest(scores, among, 9) == [3, 2, 0, 4]
    assert nearest(scores, among, 9, above=0.1) == [3, 2, 0]
    assert nearest(scores, ~among & False, 9) == []


def test_turns_beside_another_end_with_the_session(block_of, kill):
    block = block_of(
        [("a", "Ana", "s1"), ("b", "Tom", "s1"), ("c", "Ana", "s1"), ("d", "Tom", "s2")]
    )
    assert [beside(block, doc) for doc in range(4)] == [[1], [0, 2], [1], []]
    assert beside(block, 0, reach=2) == [1, 2]
    kill(block, [2])
    assert beside(block, 0) == [2]
