"""Every family of features on small conversations, worked by hand through a real memory."""

import math
import re
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from memsieve.score import NAMES, Features, features
from memsieve.score.features import FAMILIES
from memsieve.search import find
from memsieve.search.kin import kinship
from memsieve.search.lexical import K1, B

PAGE = Path(__file__).resolve().parents[2] / "docs" / "recall.md"
MARCH = "What did Ana do in March 2026?"

TALK = [
    ("the dog barks", "Ana", "s1"),
    ("my cat sleeps", "Tom", "s1"),
    ("a dog, a dog!", "Ana", "s1"),
    ("rain again, all week", "Tom", "s2"),
    ("buy cat food", "Ana", "s2"),
]


@pytest.fixture
def told(opened):
    """The features of every turn of a conversation, candidates or not, for a question.

    Turns are (text, speaker, session), said on `at`, or (text, speaker, session, at).
    """

    def weigh(turns, question, at="2026-03-02", embedder="none"):
        memory = opened(embedder=embedder)
        messages = [
            {"text": text, "speaker": speaker, "session": session, "at": "".join(when) or at}
            for text, speaker, session, *when in turns
        ]
        for message in messages:
            memory.add({name: value for name, value in message.items() if value is not None})
        weighed = memory.weigh(question, now="2026-06-01")
        block, asked = weighed.block, weighed.question
        found = weighed.found.with_docs(block, asked, np.arange(len(block)))
        return features(block, asked, found)

    return weigh


def column(found, name):
    return found.column(name).tolist()


def near(*values):
    return pytest.approx(values, abs=1e-5)


def by_hand(tf, length, mean, n, df):
    idf = math.log(1 + (n - df + 0.5) / (df + 0.5))
    return idf * tf * (K1 + 1) / (tf + K1 * (1 - B + B * length / mean))


# The list of them


def test_every_feature_is_documented_once_and_has_a_column():
    listed = [(name, text) for family in FAMILIES.values() for name, text in family.items()]
    assert tuple(name for name, _ in listed) == NAMES
    assert len(set(NAMES)) == len(NAMES)
    assert len({text for _, text in listed}) == len(NAMES)
    assert all(text.strip() == text != "" for _, text in listed)


def test_every_feature_stands_in_the_table_of_the_page_on_recalls():
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line[:1] == "|"]
    named = [name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])]
    assert sorted(set(NAMES) - set(named)) == []
    assert sorted(named) == sorted(set(named))


def test_values_are_finite_and_in_the_order_of_the_names(told):
    found = told(TALK, "Which dogs did Ana see in March 2026?")
    assert found.names == NAMES
    assert found.values.shape == (5, len(NAMES))
    assert found.values.dtype == np.float64
    assert np.isfinite(found.values).all()


@pytest.mark.parametrize("now", [None, "2026-06-01"])
@pytest.mark.parametrize("question", ["dog", MARCH])
def test_no_candidates_have_no_rows_and_every_column(memory, question, now):
    assert memory.weigh(question, now=now).features.values.shape == (0, len(NAMES))


# Words


def test_words_worked_by_hand(told):
    found = told(TALK, "dog")
    # Words without stop words: 2, 2, 2, 2, 3; "dog" stands in two of five turns.
    once, twice = by_hand(1, 2, 11 / 5, 5, 2), by_hand(2, 2, 11 / 5, 5, 2)
    assert column(found, "words") == near(once, 0, twice, 0, 0)
    assert column(found, "words_before") == near(0, once, 0, 0, 0)
    assert column(found, "words_after") == near(0, twice, 0, 0, 0)
    seen = [by_hand(1, 4, 24 / 5, 5, 2), by_hand(3, 6, 24 / 5, 5, 2), by_hand(2, 4, 24 / 5, 5, 2)]
    assert column(found, "words_near") == near(*seen, 0, 0)
    wide = by_hand(3, 6, 28 / 5, 5, 2)
    assert column(found, "words_around") == near(wide, wide, wide, 0, 0)
    whole = by_hand(3, 6, 11 / 2, 5, 2)
    assert column(found, "words_session") == near(whole, whole, whole, 0, 0)


def test_the_words_of_a_turn_beside_stop_at_the_edge_of_a_session(told):
    found = told(TALK, "dog rain")
    assert column(found, "words_before")[3] == column(found, "words_after")[2] == 0
    assert column(found, "words")[2] > 0
    assert column(found, "words")[3] > 0


def test_the_share_of_words_covered_goes_by_their_rarity(told):
    found = told(TALK, "Ana's dog in the rain, zebra")
    dog, rain, zebra = (math.log(1 + (5 - df + 0.5) / (df + 0.5)) for df in (2, 1, 0))
    total = dog + rain + zebra
    assert column(found, "words_covered") == near(dog / total, 0, dog / total, rain / total, 0)


def test_the_nameless_words_leave_out_who_is_named(told):
    turns = [("Tom has a dog", "Ana", "s"), ("ask Tom", "Ana", "s"), ("ok", "Tom", "s")]
    found = told(turns, "Tom's dog")
    plain, nameless = column(found, "words"), column(found, "words_nameless")
    assert plain[1] > nameless[1] == 0
    assert plain[0] > nameless[0] > 0
    # The turns beside go by the nameless words.
    assert column(found, "words_before") == near(0, nameless[0], 0)
    assert column(found, "words_after") == near(0, 0, 0)


# Kin and meaning


def test_kin_features_are_the_measures_of_kinship(memory):
    memory.add([{"text": text, "speaker": speaker, "session": s} for text, speaker, s in TALK])
    weighed = memory.weigh("Which puppy?")
    kin = kinship(weighed.block, weighed.question, weighed.found.docs)
    measures = {"kin": "mean", "kin_sharp": "sharp", "kin_close": "close", "kin_near": "near"}
    for name, measure in {**measures, "kin_head": "head"}.items():
        assert column(weighed.features, name) == near(*getattr(kin, measure))
    assert kin.mean[0] > kin.mean[1] > 0


def test_meaning_is_the_cosine_and_its_mean_over_neighbours_by_tokens(told, letters):
    turns = [("dog", "Ana", "s1"), ("the cat is here", "Tom", "s1"), ("rain", "Ana", "s2")]
    found = told(turns, "god", embedder=letters())
    asked, *vectors = letters().embed(["god", *(text for text, _, _ in turns)])
    cosines = [float(asked @ vector) for vector in vectors]
    assert cosines[0] == pytest.approx(1)
    assert column(found, "meaning") == pytest.approx(cosines, abs=0.02)
    both = (1 * cosines[0] + 4 * cosines[1]) / 5
    assert column(found, "meaning_near") == pytest.approx([both, both, cosines[2]], abs=0.02)


# Session


def test_a_session_gives_the_best_and_the_mean_of_its_candidates(told, letters):
    found = told(TALK, "dog food", embedder=letters())
    words, kin, cosine = (column(found, n) for n in ("words_nameless", "kin", "meaning"))
    for name, values in (("best_words", words), ("best_kin", kin), ("best_meaning", cosine)):
        assert column(found, name) == near(*[max(values[:3])] * 3, *[max(values[3:])] * 2)
    first, second = sum(cosine[:3]) / 3, sum(cosine[3:]) / 2
    assert column(found, "mean_meaning") == near(first, first, first, second, second)


def test_turns_without_a_session_are_sessions_of_their_own(told, letters):
    turns = [
        ("dog food", None, None),
        ("cat food", None, None),
        ("dog", None, "s"),
        ("x", "A", "s"),
    ]
    found = told(turns, "dog food", embedder=letters())
    for best, own in (("best_words", "words"), ("best_kin", "kin"), ("best_meaning", "meaning")):
        assert column(found, best)[:2] == near(*column(found, own)[:2])
    assert column(found, "mean_meaning")[:2] == near(*column(found, "meaning")[:2])
    assert column(found, "meaning_near")[:2] == near(*column(found, "meaning")[:2])
    session = column(found, "words_session")
    assert session[:2] == [0, 0]
    assert session[2] == session[3] > 0
    assert column(found, "ordinal") == [0, 0, 0, 1]
    assert column(found, "opening") == [0, 0, 1, 1]
    assert column(found, "kin_near")[:2] == near(*column(found, "kin")[:2])


# Speaker


STORY = [("I told you", "Ana", "s"), ("you told me of your dog", "Tom", "s"), ("a dog", None, "s")]


@pytest.mark.parametrize(
    ("question", "speaks"),
    [
        ("What did Ana tell?", [1, 0, 0]),
        ("What did TOM tell?", [0, 1, 0]),
        ("What did Ana tell Tom?", [0.5, 0.5, 0.5]),
        ("What was told?", [0.5, 0.5, 0.5]),
        ("What did Zoe tell?", [0.5, 0.5, 0.5]),
    ],
)
def test_who_speaks_and_whose_story_it_is(told, question, speaks):
    found = told(STORY, question)
    assert column(found, "speaker") == speaks
    first, second = np.log1p([1, 1, 0]), np.log1p([1, 2, 0])
    assert column(found, "first_person") == near(*first)
    assert column(found, "second_person") == near(*second)
    side = 2 * np.array(speaks) - 1
    assert column(found, "own_story") == near(*(side * first))
    assert column(found, "spoken_to") == near(*(side * second))


TRIP = [
    ("we saw the Louvre", "Ana", "s1"),
    ("in Paris?", "Tom", "s1"),
    ("yes", "Ana", "s1"),
    ("Paris is nice, and so is Rome", "Tom", "s2"),
]


def test_names_of_others_and_of_places_count_by_how_rare_they_are(told):
    found = told(TRIP, "Did Ana see the Louvre in Paris?")
    paris, louvre = math.log1p(5 / 2.5), math.log1p(5 / 1.5)
    share = louvre / (paris + louvre)
    assert column(found, "entity") == near(share, 1 - share, 0, 1 - share)
    assert column(found, "entity_near") == near(1, 1, 1 - share, 1 - share)


@pytest.mark.parametrize("question", ["Did Ana see it?", "did ana see the louvre?", "Which one?"])
def test_without_names_in_the_question_they_tell_nothing(told, question):
    found = told(TRIP, question)
    assert column(found, "entity") == column(found, "entity_near") == [0, 0, 0, 0]


def test_a_name_that_nobody_said_leaves_the_others_their_share(told):
    found = told(TRIP, "Was it in Paris or Reykjavik?")
    paris, unsaid = math.log1p(5 / 2.5), math.log1p(5 / 0.5)
    assert column(found, "entity") == near(0, share := paris / (paris + unsaid), 0, share)


@pytest.mark.parametrize("name", ["Ana", None], ids=["one speaker", "no speaker"])
def test_where_one_speaks_or_nobody_is_known_a_name_tells_nothing(told, name):
    found = told([("I have a dog", name, "s"), ("my cat", name, "s")], "What does Ana have?")
    assert column(found, "speaker") == [0.5, 0.5]
    assert column(found, "own_story") == column(found, "spoken_to") == [0, 0]


# Time


DATED = [
    ("a walk", "Ana", "a", "2026-03-31"),
    ("a swim on 5 March 2026", "Ana", "b", "2026-04-10"),
    ("busy in 2026", "Ana", "c", "2026-04-10"),
    ("skating in December 2025", "Ana", "d", "2026-02-27"),
    ("nothing at all", "Ana", "e", "2026-04-01"),
]


def test_times_against_a_month_worked_by_hand(told):
    found = told(DATED, MARCH)
    # To March from 10 April: nine days lie between, from 27 February one, from 1 April none.
    said = [0, math.log(10), math.log(10), math.log(2), 0]
    assert column(found, "said_inside") == [1, 0, 0, 0, 0]
    assert column(found, "said_gap") == near(*(-gap for gap in said))
    # What mentions no time counts by the day it was said.
    assert column(found, "event_inside") == [1, 1, 1, 0, 0]
    assert column(found, "event_overlap") == near(1, 1, 31 / 365, 0, 0)
    # December 2025 ends 31 + 28 days before March.
    assert column(found, "event_gap") == near(0, 0, 0, -math.log(60), 0)


def test_a_question_without_time_leaves_its_features_at_zero(told):
    found = told(DATED, "What did Ana do?")
    assert not any(any(column(found, name)) for name in FAMILIES["time"])


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("When was the swim?", [0, 1, 1, 0]),
        ("How long was the swim?", [0, 1, 1, 0]),
        ("Where was the swim?", [0, 0, 0, 0]),
        ("When was the concert?", [0, 0, 0, 0]),
    ],
)
def test_a_turn_can_say_when_that_has_a_date_beside_a_word_of_the_question(
    told, question, expected
):
    turns = [
        ("a swim", "Ana", "s"),
        ("on 5 March 2026", "Tom", "s"),
        ("a swim on 6 March 2026", "Tom", "t"),
        ("a walk on 7 March 2026", "Tom", "u"),
    ]
    assert column(told(turns, question), "dated") == expected


# Form


FORM = [
    ("have you seen the dog?", "Ana", "s"),
    ("I saw it, was it two days ago? no", "Tom", "s"),
    ("from Zoe, by Tom, in Paris", "Ana", "s"),
    ('read "dune" to me?', "Tom", "s"),
    ("yes", "Ana", "t"),
]


def test_the_form_of_turns_worked_by_hand(told):
    found = told(FORM, "dog")
    assert column(found, "asks") == [1, 0, 0, 1, 0]
    assert column(found, "has_question") == [1, 1, 0, 1, 0]
    assert column(found, "has_number") == [0, 1, 0, 0, 0]
    assert column(found, "has_quote") == [0, 0, 0, 1, 0]
    # Tom speaks here, so his name names nothing new.
    assert column(found, "proper") == near(0, 0, math.log(3), 0, 0)
    assert column(found, "first_person") == near(0, math.log(2), 0, math.log(2), 0)
    assert column(found, "second_person") == near(math.log(2), 0, 0, 0, 0)
    # Tokens with their marks: "have you seen the dog ?" has six.
    assert column(found, "length") == near(*np.log1p([6, 11, 8, 7, 1]))


def test_answers_and_questions_stop_at_the_edge_of_a_session(told):
    found = told(FORM, "dog")
    assert column(found, "answers") == [0, 1, 0, 0, 0]
    assert column(found, "is_asked") == [0, 0, 1, 0, 0]


def test_turns_without_a_session_answer_nobody(told):
    found = told([("a dog?", "Ana", None), ("yes", "Tom", None), ("a cat?", "Ana", None)], "dog")
    assert column(found, "answers") == column(found, "is_asked") == [0, 0, 0]


def test_the_last_turn_of_all_is_not_beside_the_first(told):
    found = told([("yes", "Ana", "s"), ("a dog", "Tom", "s"), ("a cat?", "Ana", "s")], "dog")
    assert column(found, "answers") == [0, 0, 0]
    assert column(found, "is_asked") == [0, 1, 0]


# Answer and place

ANSWERS = {
    "who_proper": "proper", "where_proper": "proper", "which_proper": "proper",
    "which_quote": "has_quote", "many_number": "has_number", "reaction_length": "length",
    "several_kin": "kin", "several_head": "kin_head", "several_speaker": "speaker",
}  # fmt: skip


@pytest.mark.parametrize(
    ("question", "kinds"),
    [
        ("Who saw the dog?", {"who"}),
        ("Where is the dog?", {"where"}),
        ("Which book is it?", {"which"}),
        ("Which books are it?", {"which", "several"}),
        ("How many dogs are there?", {"which", "many", "several"}),
        ("How old is the dog?", {"many"}),
        ("What did Ana say of the dog?", {"reaction"}),
        ("the dog", set()),
    ],
)
def test_what_fits_the_answer_counts_only_where_it_is_asked_for(told, question, kinds):
    found = told(FORM, question)
    assert set(ANSWERS) == set(FAMILIES["answer"])
    for name, own in ANSWERS.items():
        expected = column(found, own) if name.split("_")[0] in kinds else [0] * len(FORM)
        assert column(found, name) == expected


def test_place_in_the_session(told):
    found = told(TALK, "dog")
    assert column(found, "ordinal") == [0, 1, 2, 0, 1]
    assert column(found, "opening") == [1, 1, 0, 1, 1]


# Standardising


def test_standardised_features_worked_by_hand():
    z = Features(NAMES, np.array([[1.0, 5.0], [2.0, 5.0], [3.0, 5.0]])).standardised()
    high = math.sqrt(1.5)  # 1 over the deviation of 1, 2, 3
    assert z == pytest.approx(np.array([[-high, 0], [0, 0], [high, 0]]))


def test_an_odd_candidate_is_cut_on_both_sides():
    values = np.zeros((101, 2))
    values[0] = 1, -1  # ten deviations from the mean
    free = Features(("a", "b"), values).standardised()
    cut = Features(("a", "b"), values).standardised(clip=6.0)
    assert free[0].tolist() == pytest.approx([10, -10])
    assert cut[0].tolist() == [6, -6]
    assert np.array_equal(cut[1:], free[1:])
    assert values[0].tolist() == [1, -1]


@pytest.mark.parametrize("value", [0.0, 0.1, 1e6, -3.3])
def test_a_constant_feature_says_nothing_however_it_is_rounded(value):
    assert not Features(("a",), np.full((7, 1), value)).standardised().any()


def test_nothing_to_standardise():
    assert Features(("a",), np.zeros((0, 1))).standardised(clip=6.0).shape == (0, 1)
    assert not Features(("a",), np.array([[3.0]])).standardised().any()


# Cost


def test_five_hundred_candidates_take_a_few_milliseconds(memory):
    rng = np.random.default_rng(0)
    vocabulary = ["dog", "violin", "rain", "Paris", "I", "you", "seven", "book", "the", "on 5 May"]
    memory.add(
        [
            {"text": " ".join(rng.choice(vocabulary, 20)), "session": f"s{n // 20}",
             "speaker": ("Ana", "Tom")[n % 2], "at": "2026-04-10"}
            for n in range(600)
        ]
    )  # fmt: skip
    weighed = memory.weigh("Which instruments did Ana play in the rain in May?", now="2026-06-01")
    block, question = weighed.block, weighed.question
    found = find(block, question, pool=500)
    assert found.docs.size >= 500
    clock = [time.perf_counter()]
    for _ in range(11):
        features(block, question, found)
        clock.append(time.perf_counter())
    assert np.median([end - begin for begin, end in pairwise(clock)]) < 0.025
