"""BM25 worked by hand, and its wider views against texts really joined together."""

import math

import numpy as np
import pytest

from memsieve.search import lexical
from memsieve.search.lexical import K1, B, bm25
from memsieve.search.words import term, terms

TALK = [
    ("the dog barks", "Ana", "s1"),
    ("my cat sleeps", "Tom", "s1"),
    ("a dog, a dog!", "Ana", "s1"),
    ("rain again, all week", "Tom", "s2"),
    ("buy cat food", "Ana", "s2"),
]


def by_turn(block, slot_scores):
    """Scores of slots as scores of the turns in the order they were said; 0 for the dead."""
    return np.where(block.alive, slot_scores[block.lanes.slot], 0)


def by_hand(tf, length, mean, n, df):
    idf = math.log(1 + (n - df + 0.5) / (df + 0.5))
    return idf * tf * (K1 + 1) / (tf + K1 * (1 - B + B * length / mean))


def test_turn_scores_worked_by_hand(block_of):
    block = block_of(TALK)
    scores = by_turn(block, bm25(block, terms("dog")).windows[0])
    # Lengths in words without stop words: 2, 2, 2, 2, 3; "dog" stands in two of five turns.
    mean = 11 / 5
    expected = [by_hand(1, 2, mean, 5, 2), 0, by_hand(2, 2, mean, 5, 2), 0, 0]
    assert scores == pytest.approx(expected, rel=1e-5)


def test_window_scores_count_the_neighbours_of_the_same_session_only(block_of):
    block = block_of(TALK)
    scores = by_turn(block, bm25(block, terms("dog")).windows[1])
    # +-1: turn 0 sees turns 0-1, turn 1 sees 0-2, turn 2 sees 1-2, turns 3 and 4 see each other.
    mean = (4 + 6 + 4 + 5 + 5) / 5
    expected = [by_hand(1, 4, mean, 5, 2), by_hand(3, 6, mean, 5, 2), by_hand(2, 4, mean, 5, 2)]
    assert scores == pytest.approx([*expected, 0, 0], rel=1e-5)


def test_session_scores_worked_by_hand(block_of):
    scores = bm25(block_of(TALK), terms("dog")).session
    assert scores == pytest.approx([by_hand(3, 6, 5.5, 5, 2), 0], rel=1e-5)


def test_terms_add_up_and_a_repeated_term_counts_twice(block_of):
    block = block_of(TALK)
    dog, cat = (bm25(block, terms(word)).windows[3] for word in ("dog", "cat"))
    assert bm25(block, terms("dog cat")).windows[3] == pytest.approx(dog + cat)
    assert bm25(block, terms("dog dog")).windows[3] == pytest.approx(2 * dog)


def test_the_nameless_view_leaves_the_names_out(block_of):
    block = block_of(
        [("Tom has a dog", "Ana", "s1"), ("ask Tom", "Ana", "s1"), ("ok", "Tom", "s1")]
    )
    scores = bm25(block, terms("Tom dog"), frozenset({term("tom")}))
    nameless = by_turn(block, scores.nameless)
    assert by_turn(block, scores.windows[0])[1] > 0
    assert nameless[1] == 0
    assert nameless[0] == by_turn(block, bm25(block, terms("dog")).windows[0])[0]


def test_a_dead_turn_scores_nothing_and_its_neighbours_close_ranks(block_of, kill):
    block = block_of(TALK)
    kill(block, [2])
    scores = by_turn(block, bm25(block, terms("dog")).windows[1])
    assert (scores[:3] > 0).tolist() == [True, False, True]
    # Turn 2 now sees turn 0 past the gap, and the other way round.
    assert scores[2] == scores[0]


def test_a_dead_turn_no_longer_counts_for_rarity(block_of, kill):
    block = block_of(TALK)
    before = bm25(block, terms("dog")).windows[0].max()
    kill(block, [3])
    assert bm25(block, terms("dog")).windows[0].max() > before


@pytest.mark.parametrize("share", [0.0, 1.0], ids=["whole arrays", "slot by slot"])
def test_random_talk_agrees_with_joined_texts(block_of, monkeypatch, share):
    monkeypatch.setattr(lexical, "_DENSE_SHARE", share)
    monkeypatch.setattr(lexical, "_STRETCH", 7)
    rng = np.random.default_rng(0)
    vocabulary = ["dog", "cat", "rain", "food", "week", "sleep"]
    turns = [
        (" ".join(rng.choice(vocabulary, rng.integers(1, 6))), "Ana", f"s{session}")
        for session in range(6)
        for _ in range(rng.integers(1, 9))
    ]
    block = block_of(turns)
    df = sum("dog" in text.split() for text, _, _ in turns)
    for reach in (0, 1, 3):
        joined = [
            " ".join(t for t, _, s in turns[max(0, i - reach) : i + reach + 1] if s == session)
            for i, (_, _, session) in enumerate(turns)
        ]
        lengths = [len(text.split()) for text in joined]
        expected = [
            by_hand(text.split().count("dog"), length, np.mean(lengths), len(turns), df)
            for text, length in zip(joined, lengths, strict=True)
        ]
        found = by_turn(block, bm25(block, terms("dog")).windows[reach])
        assert found == pytest.approx(expected, rel=1e-4)


def test_unknown_words_and_an_empty_block_score_nothing(block_of):
    assert not bm25(block_of(TALK), terms("zebra")).windows[0].any()
    assert not bm25(block_of([]), terms("dog")).windows[0].any()
