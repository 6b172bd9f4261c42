"""Kin words worked by hand, and against plain Python over random talk."""

import math
from itertools import pairwise

import numpy as np
import pytest

from memsieve.embed import NoEmbedder
from memsieve.search import read
from memsieve.search.kin import CLOSE, kinship
from memsieve.search.stems import stems
from memsieve.search.words import terms

FILLERS = tuple(f"xq{letter}z" for letter in "bcdfghjklm")
"""Words without a vector: they are near to themselves and to nothing else."""


def kin(block, question, docs=None):
    docs = np.arange(len(block)) if docs is None else np.array(docs, dtype=np.int64)
    return kinship(block, read(question, block, NoEmbedder()), docs)


def talk(*texts, session="s"):
    return [(text, None, session) for text in texts]


def vector(word):
    return stems().vectors(stems().rows(terms(word))[:1])[0]


def idf(n, df):
    return math.log1p(max(n - df + 0.5, 0.5) / (df + 0.5))


@pytest.mark.parametrize("word", ["violin", FILLERS[0], "東京"])
def test_a_word_is_wholly_kin_to_itself_with_and_without_a_vector(block_of, word):
    found = kin(block_of(talk(f"a {word} there", "nothing")), word)
    for measure in (found.mean, found.sharp, found.close):
        assert measure[0] == pytest.approx(1)


def test_a_word_without_a_vector_is_kin_to_no_other(block_of):
    found = kin(block_of(talk(FILLERS[1], "violin")), FILLERS[0])
    assert not found.mean.any()


@pytest.mark.parametrize(
    ("asked", "near", "far"),
    [("instrument", "violin", "kitchen"), ("book", "novel", "rain"), ("dog", "puppy", "garage")],
)
def test_kin_words_come_above_others_with_a_clear_lead(block_of, asked, near, far):
    texts = talk(f"it was the {near} of the neighbour", f"it was the {far} of the neighbour")
    found = kin(block_of(texts), asked)
    assert found.mean[0] > found.mean[1] + 0.2
    assert found.mean[0] == pytest.approx(float(vector(asked) @ vector(near)), abs=1e-5)
    assert found.sharp == pytest.approx(found.mean**2)


def test_what_is_opposed_counts_as_unrelated(block_of):
    assert vector("instrument") @ vector("puppy") < 0
    assert kin(block_of(talk("puppy")), "instrument").mean.tolist() == [0.0]


def test_the_words_of_a_question_count_by_their_rarity(block_of):
    a, b, c = FILLERS[:3]
    found = kin(block_of(talk(a, f"{a} {b}", a, c)), f"{a} {b}")
    common, rare = idf(4, 3), idf(4, 1)
    share = common / (common + rare)
    assert found.mean == pytest.approx([share, 1, share, 0], abs=1e-6)
    assert found.sharp == pytest.approx([share, 1, share, 0], abs=1e-6)


def test_a_word_asked_twice_counts_once(block_of):
    block = block_of(talk(f"{FILLERS[0]} violin", FILLERS[1]))
    once, twice = (kin(block, f"{a} {FILLERS[0]} {FILLERS[1]}") for a in ("", FILLERS[0]))
    assert twice.mean == pytest.approx(once.mean)


@pytest.mark.parametrize(
    ("between", "close"), [(0, 1.0), (CLOSE - 2, 1.0), (CLOSE - 1, 0.5), (3 * CLOSE, 0.5)]
)
def test_words_are_close_that_stand_together_within_the_reach(block_of, between, close):
    """Two words of one rarity, so each weighs a half; stop words do not lengthen the way."""
    here, there = FILLERS[:2]
    text = " and the ".join([*"pqrst", here, *["hill"] * between, there, *"uvwxyz"])
    found = kin(block_of(talk(text, "nothing")), f"{here} {there}")
    assert found.sharp[0] == pytest.approx(1)
    assert found.close.tolist() == pytest.approx([close, 0])


def test_a_long_text_that_speaks_of_it_beats_one_that_scatters_the_words(block_of):
    here, there, filler = *FILLERS[:2], " ".join(FILLERS[2:])
    together, scattered = f"{filler} {here} {there} {filler}", f"{here} {filler} {filler} {there}"
    found = kin(block_of(talk(together, scattered)), f"{here} {there}")
    assert found.mean.tolist() == pytest.approx([1, 1])
    assert found.close.tolist() == pytest.approx([1, 0.5])


def test_what_is_close_does_not_reach_into_the_next_text(block_of):
    here, there = FILLERS[:2]
    found = kin(block_of(talk(here, there, here, there)), f"{here} {there}")
    assert found.close == pytest.approx(0.5)


def test_near_sees_the_neighbours_of_the_same_session_only(block_of):
    a, b, c, d = FILLERS[:4]
    block = block_of(
        [*talk(a, c, b), *talk(d, a, session="t"), (b, None, None), (a, None, None), (b, None, "u")]
    )
    found = kin(block, f"{a} {b}")
    half = pytest.approx([0.5, 0, 0.5, 0, 0.5, 0.5, 0.5, 0.5])  # a and b stand in three turns each
    assert found.mean.tolist() == half
    assert found.near.tolist() == pytest.approx([0.5, 1, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5])


def test_each_word_takes_the_best_of_the_neighbours(block_of):
    found = kin(block_of(talk("violin", FILLERS[0], "kitchen")), "instrument")
    best, least = (float(vector("instrument") @ vector(w)) for w in ("violin", "kitchen"))
    assert found.near.tolist() == pytest.approx([best, best, least], abs=1e-5)


def test_a_turn_that_was_forgotten_is_no_neighbour(block_of, kill):
    a, b, c = FILLERS[:3]
    block = block_of(talk(a, b, c))
    kill(block, [2])
    found = kin(block, f"{a} {b}", [0, 2])
    # b now stands nowhere and is the rarer: 2 turns are left.
    share = idf(2, 1) / (idf(2, 1) + idf(2, 0))
    assert found.near.tolist() == pytest.approx([share, share])


def test_the_head_is_the_word_that_names_the_answer(block_of):
    block = block_of(
        talk("Zed plays the violin", "Zed plays in the kitchen", "it is an instrument")
    )
    found = kin(block, "Which instrument does Zed play?")
    assert found.head[0] == pytest.approx(float(vector("instrument") @ vector("violin")), abs=1e-5)
    assert found.head[2] == pytest.approx(1)
    assert found.head[1] < found.head[0] < found.head[2]


def test_the_head_of_who_and_where_is_a_person_and_a_place(block_of):
    block = block_of(talk("a person", "a place"))
    assert kin(block, "Who?").head.tolist() == pytest.approx([1, 0], abs=0.3)
    assert kin(block, "Where?").head.tolist() == pytest.approx([0, 1], abs=0.3)
    who = kin(block, "Who?")  # stop words alone: only the head has something to say
    assert not np.any([who.mean, who.sharp, who.close, who.near])


@pytest.mark.parametrize("question", ["violin", "Why did they play the violin?"])
def test_a_question_that_names_no_kind_has_no_head(block_of, question):
    assert kin(block_of(talk("violin")), question).head.tolist() == [0.0]


def test_the_names_of_speakers_do_not_count(block_of):
    block = block_of([("I saw Tom", "Ana", "s"), ("I saw a violin", "Tom", "s")])
    named, plain = kin(block, "Tom's violin"), kin(block, "violin")
    for measure in ("mean", "sharp", "close", "near"):
        assert getattr(named, measure) == pytest.approx(getattr(plain, measure))
    assert not kin(block, "Tom").mean.any()


@pytest.mark.parametrize("question", ["", "the of and", "?!"])
def test_a_question_without_words_is_kin_to_nothing(block_of, question):
    found = kin(block_of(talk("violin", "dog")), question)
    for measure in (found.mean, found.sharp, found.close, found.near, found.head):
        assert measure.tolist() == [0, 0]


@pytest.mark.parametrize("texts", [["violin"], []], ids=["a block", "an empty block"])
def test_no_documents_give_empty_arrays(block_of, texts):
    found = kin(block_of(talk(*texts)), "Which violin?", [])
    for measure in (found.mean, found.sharp, found.close, found.near, found.head):
        assert measure.shape == (0,)


def test_documents_without_words_are_kin_to_nothing(block_of):
    found = kin(block_of(talk("", "and the", "violin", "…", "")), "Which violin?")
    assert found.mean.tolist() == found.close.tolist() == pytest.approx([0, 0, 1, 0, 0])
    assert found.head.tolist() == pytest.approx([0, 0, 1, 0, 0])
    assert found.near.tolist() == pytest.approx([0, 1, 1, 1, 0])
    assert not kin(block_of(talk("", "…")), "Which violin?").mean.any()


def slowly(turns, question_words, head):
    """`kinship` in loops over words: five lists."""
    texts = [terms(text).tolist() for text, _, _ in turns]
    said = np.unique(np.array([t for text in texts for t in text], np.uint32))
    rows = dict(zip(said.tolist(), stems().vectors(stems().rows(said)), strict=True))
    asked = sorted({int(t) for t in terms(question_words)})
    known = {t: vector(w) for w in (*question_words.split(), head) for t in terms(w).tolist()}
    weight = {t: idf(len(texts), sum(t in text for text in texts)) for t in asked}
    total = sum(weight.values())

    def cosine(a, b):
        return 1.0 if a == b else max(float(known[a] @ rows[b]), 0.0)

    def best(a, text):
        return max((cosine(a, b) for b in text), default=0.0)

    def measure(text, power):
        return sum(weight[a] / total * best(a, text) ** power for a in asked)

    session = [s for _, _, s in turns]
    beside = [
        [t for j in range(len(turns)) if abs(i - j) < 2 and session[j] == s for t in texts[j]]
        for i, s in enumerate(session)
    ]
    return (
        [measure(text, 1) for text in texts],
        [measure(text, 2) for text in texts],
        [max((measure(t[i : i + CLOSE], 2) for i in range(len(t))), default=0) for t in texts],
        [measure(text, 1) for text in beside],
        [best(int(terms(head)[0]), text) for text in texts],
    )


@pytest.mark.parametrize("seed", range(4))
def test_random_talk_agrees_with_plain_loops(block_of, seed):
    rng = np.random.default_rng(seed)
    vocabulary = ["violin", "piano", "dog", "puppy", "rain", "the", "kitchen", *FILLERS[:4]]
    turns = [
        (" ".join(rng.choice(vocabulary, rng.integers(0, 30))), None, f"s{session}")
        for session in range(4)
        for _ in range(rng.integers(1, 5))
    ]
    words = " ".join(rng.choice([*vocabulary, "weather"], 4, replace=False))
    found = kin(block_of(turns), f"Which instrument: {words}?")
    expected = slowly(turns, f"instrument {words}", "instrument")
    given = (found.mean, found.sharp, found.close, found.near, found.head)
    for values, slow in zip(given, expected, strict=True):
        assert values.tolist() == pytest.approx(slow, abs=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_measures_lie_in_order_whatever_is_said(block_of, seed):
    rng = np.random.default_rng(seed)
    vocabulary = ["violin", "dog", "rain", "garden", "novel", FILLERS[0]]
    block = block_of(talk(*(" ".join(rng.choice(vocabulary, 12)) for _ in range(20))))
    found = kin(block, "Which instrument, dog or book did they see in the rain?")
    slack = 1e-6
    assert (found.close >= -slack).all()
    assert (found.close <= found.sharp + slack).all()
    assert (found.sharp <= found.mean + slack).all()
    assert (found.mean <= found.near + slack).all()
    assert (found.near <= 1 + slack).all()


def test_some_documents_measure_the_same_as_all_of_them(block_of):
    block = block_of(talk("violin", "the dog", "", "a puppy in the rain", "piano"))
    every, some = (kin(block, "Which instrument?", docs) for docs in (None, [1, 3, 4]))
    for measure in ("mean", "sharp", "close", "near", "head"):
        assert getattr(some, measure) == pytest.approx(getattr(every, measure)[[1, 3, 4]])


@pytest.mark.parametrize("seed", range(4))
def test_who_else_is_a_candidate_changes_nothing(block_of, grow, kill, seed):
    """Sessions interleaved, grown and thinned; what is dead has words and no neighbours."""
    rng = np.random.default_rng(seed)
    vocabulary = ["violin", "piano", "dog", "rain", "the", *FILLERS[:4]]
    said = [
        (
            " ".join(rng.choice(vocabulary, rng.integers(0, 12))),
            None,
            f"s{n % 3}" if n % 7 else None,
        )
        for n in range(40)
    ]
    block = block_of(said[:25])
    for turn in range(25, 40):
        grow(block, said[turn : turn + 1], [turn])
    kill(block, [4, 11, 12, 30])
    question = f"Which instrument: dog, {FILLERS[0]} {FILLERS[1]}?"
    every = kin(block, question)
    for size in (1, 2, 9, 30):
        chosen = np.sort(rng.choice(len(block), size, replace=False))
        some = kin(block, question, chosen)
        for measure in ("mean", "sharp", "close", "near", "head", "phrase"):
            assert getattr(some, measure) == pytest.approx(getattr(every, measure)[chosen])
    assert every.near[~block.alive] == pytest.approx(every.mean[~block.alive])


# Phrases


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("{a} {b}", 1), ("{b} {a}", 1), ("{a} {c} {b}", 1), ("{a} {c} {c} {b}", 0),
        ("{a} and the {c} of {b}", 1), ("{a} {b} {a} {b}", 1), ("{a}", 0), ("", 0),
    ],
)  # fmt: skip
def test_two_words_of_a_question_are_a_phrase_within_two_words(block_of, text, share):
    a, b, c = FILLERS[:3]
    block = block_of(talk(text.format(a=a, b=b, c=c), f"{a} {b}", c))
    assert kin(block, f"{a} {b}").phrase.tolist() == pytest.approx([share, 1, 0])


def test_a_phrase_does_not_reach_into_the_next_text(block_of):
    a, b = FILLERS[:2]
    assert not kin(block_of(talk(a, b, a, "", b)), f"{a} {b}").phrase.any()


def test_pairs_count_by_the_more_frequent_of_their_words(block_of):
    a, b, c = FILLERS[:3]
    found = kin(block_of(talk(f"{a} {b}", f"{b} {c}", f"{a} x {b} y {c}", b)), f"{a} {b} {b} {c}")
    assert idf(4, 4) < idf(4, 2)  # so that both pairs weigh what b does
    assert found.phrase.tolist() == pytest.approx([0.5, 0.5, 1, 0])


@pytest.mark.parametrize("seed", range(4))
def test_phrases_of_random_talk_agree_with_plain_loops(block_of, seed):
    rng = np.random.default_rng(seed)
    texts = [" ".join(rng.choice(FILLERS[:6], rng.integers(0, 9))) for _ in range(30)]
    question = rng.choice(FILLERS[:6], 5).tolist()
    held = {word: sum(word in text.split() for text in texts) for word in question}
    pairs = [(a, b) for a, b in pairwise(question) if a != b]
    worth = [min(idf(30, held[a]), idf(30, held[b])) for a, b in pairs]

    def meet(text, pair):
        said = text.split()
        return any(
            {said[i], said[j]} == {*pair} for j in range(len(said)) for i in range(max(j - 2, 0), j)
        )

    expected = [
        sum(w for pair, w in zip(pairs, worth, strict=True) if meet(text, pair)) for text in texts
    ]
    found = kin(block_of(talk(*texts)), " ".join(question)).phrase
    assert found == pytest.approx(np.array(expected) / sum(worth))
