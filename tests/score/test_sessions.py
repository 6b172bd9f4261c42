"""Sessions ranked by words, by their best stretch and by the mass of their turns."""

from dataclasses import replace
from math import log

import numpy as np
import pytest

from memsieve.score import score_sessions
from memsieve.search.lexical import K1, B

TALK = [
    ("s1", "Ana", "the dog barks"),
    ("s1", "Tom", "Ana, what a dog"),
    ("s2", "Ana", "the cat sleeps"),
    ("s3", "Tom", "rain"),
    (None, "Tom", "a dog that is in no session"),
]


@pytest.fixture
def weighed(opened):
    memory = opened(embedder="none")
    for session, speaker, text in TALK:
        memory.add(text, session=session, speaker=speaker, at="2026-03-02")
    return lambda question: memory.weigh(question, now="2026-06-01")


def ranked(one, scores):
    found = one.found
    return score_sessions(one.block, found, np.array([scores[doc] for doc in found.docs]))


def test_several_good_turns_count_for_more_than_one(weighed):
    one = weighed("dog cat")
    even = dict.fromkeys(range(5), 0.0)
    first = ranked(one, even)
    assert np.isneginf(first[2])  # no candidate
    assert first[0] > first[1]
    raised = ranked(one, even | {2: 5.0})
    assert raised[1] > raised[0]
    assert ranked(one, dict.fromkeys(range(5), 3.0)) == pytest.approx(first + 3.0)


def test_a_session_is_scored_by_hand(weighed):
    one = weighed("dog cat")
    given = ranked(one, {0: 1.0, 1: 2.0, 2: 0.5, 4: 9.0})
    words = one.found.lexical.session_nameless[:2]
    around = one.found.lexical.windows[3][one.block.lanes.slot]
    stretch = [max(around[0], around[1]), around[2]]
    sign = [np.sign(pair[0] - pair[1]) for pair in (words, stretch)]  # two values: deviations of 1
    part = 0.5 * sign[0] + 0.25 * sign[1]
    assert given[:2] == pytest.approx([log(np.e + np.e**2) + part, 0.5 - part])


def test_the_words_of_a_session_are_weighed_by_how_many_sessions_hold_them(weighed):
    found = weighed("What does Ana say of the dog?").found.lexical
    # dog bark ana dog | cat sleep | rain; the name of the speaker does not count.
    length, mean = 4, (4 + 2 + 1) / 3
    idf = log(1 + (3 - 1 + 0.5) / (1 + 0.5))
    gain = 2 * (K1 + 1) / (2 + K1 * (1 - B + B * length / mean))
    assert found.session_nameless[:3] == pytest.approx([idf * gain, 0, 0], abs=1e-5)
    assert found.session[0] > 0


def test_without_a_candidate_in_a_session_there_is_no_score(weighed):
    one = weighed("dog")
    alone = replace(one.found, docs=np.array([4]))
    assert np.isneginf(score_sessions(one.block, alone, np.array([1.0]))).all()
    assert np.isneginf(
        score_sessions(one.block, replace(one.found, docs=np.zeros(0, int)), np.zeros(0))
    ).all()


def test_one_session_needs_no_deviation(weighed):
    one = weighed("cat")
    found = replace(one.found, docs=np.array([2]))
    scores = score_sessions(one.block, found, np.array([-800.0]))
    assert scores[1] == pytest.approx(-800.0)
