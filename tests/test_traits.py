"""The form of a text: each flag and each count, alone and beside all others."""

import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memsieve.traits import COUNTS, FLAGS, MOST, count, flag, traits


def of(text):
    """The traits of a text that are not zero, by name."""
    bits = np.array([traits(text)])
    found = {name: flag(bits, name)[0] for name in FLAGS}
    found |= {name: count(bits, name)[0] for name in COUNTS}
    return {name: int(value) for name, value in found.items() if value}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("is it far?", {"asks": 1, "has_question": 1}),
        ("is it far? ", {"asks": 1, "has_question": 1}),
        ("is it far?\n", {"asks": 1, "has_question": 1}),
        ("遠いですか？", {"asks": 1, "has_question": 1}),
        ("is it far? then rest", {"has_question": 1}),
        ("遠い？はい", {"has_question": 1}),
        ("it is far", {}),
        ("it is ; far", {}),
    ],
)
def test_a_question_ends_with_its_mark_or_holds_one(text, expected):
    assert of(text) == expected


@pytest.mark.parametrize(
    "text",
    ["7", "room 12b", "at 3.50", "٣", "two dogs", "Twice a day", "fünf Hunde", "HUNDERT"],
)
def test_numbers_are_digits_or_words(text):
    assert of(text).get("has_number") == 1


@pytest.mark.parametrize("text", ["someone", "weight", "freight train", "gone", "often", "achtsam"])
def test_a_word_that_only_holds_a_number_is_none(text):
    assert of(text) == {}


@pytest.mark.parametrize(
    "text", ['read "dune" again', "read “dune” again", "lies „dune“ noch mal", "lis «dune» encore"]
)
def test_quotes_of_several_typographies(text):
    assert of(text) == {"has_quote": 1}


@pytest.mark.parametrize(
    "text", ['a 5" pipe', 'an empty "" pair', 'one letter "x"', f'too long "{"x" * 81}"', "it's"]
)
def test_a_mark_without_two_to_eighty_characters_inside_is_no_quote(text):
    assert "has_quote" not in of(text)


def test_a_quote_may_have_eighty_characters():
    assert of(f'"{"x" * 80}"') == {"has_quote": 1}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("we met Zoe in Paris", 2),
        ("over there, Tom saw it", 1),
        ("Tom saw it", 0),
        ("far off. Then it rained! Then it stopped? Then it was dry", 0),
        ('"no way." Then it rained', 0),
        ("the NASA car", 0),
        ("a McDonald burger", 1),
        ("mit Élodie und Jörg", 2),
        ("der Hund von Ana schläft im Garten", 3),  # German writes every noun so
    ],
)
def test_capitals_count_inside_a_sentence_and_not_at_its_start(text, names):
    assert of(text).get("proper", 0) == names


@pytest.mark.parametrize("space", ["\n", "\n\n", "  ", "\r\n"])
def test_a_sentence_may_begin_behind_any_space(space):
    assert of(f"{space}Then it rained.{space}Then it stopped{space}") == {}


@pytest.mark.parametrize(
    ("text", "first", "second"),
    [
        ("I told myself that it's ours", 3, 0),
        ("i'm late, I've run, i'll stop, I'd say", 4, 0),
        ("I’m late, I’ve run, I’ll stop, I’d say", 4, 0),
        ("you said you'd go, you’re here, yours truly", 0, 4),
        ("Ich gebe dir meinen Hut, und ihr gebt uns euren", 3, 3),
        ("wir sehen euch", 1, 1),
        ("mid youth, item, dual, museum", 0, 0),
        ("he and she and they", 0, 0),
    ],
)
def test_persons_in_english_and_german(text, first, second):
    found = of(text)
    assert (found.get("first_person", 0), found.get("second_person", 0)) == (first, second)


@pytest.mark.parametrize("text", ["", " ", "\n\t", ".", "…", "\u200b", "🙂", "\ud83d", "_"])
def test_a_text_without_words_has_no_traits(text):
    assert traits(text) == 0


def test_composed_and_decomposed_letters_have_the_same_traits():
    text = "même für dünne Fünfer: fünf Äpfel von Élodie?"
    assert of(unicodedata.normalize("NFD", text)) == of(text)


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("n", [0, 1, MOST - 1, MOST, MOST + 1, 400])
def test_counts_are_exact_up_to_fifteen_and_stop_there(name, n):
    word = {"proper": "Zoe", "first_person": "me", "second_person": "you"}[name]
    bits = np.array([traits("so" + f" {word}" * n)])
    assert count(bits, name).tolist() == [min(n, 15)]
    assert bits[0] == traits("so") if n == 0 else bits[0] > 0


@given(
    st.lists(st.integers(0, 2), min_size=len(FLAGS), max_size=len(FLAGS)),
    st.lists(st.integers(0, MOST), min_size=len(COUNTS), max_size=len(COUNTS)),
    st.randoms(use_true_random=False),
)
def test_no_trait_changes_another(flags, counts, random):
    """A text made of pieces, each for one trait, in any order, tells of exactly these."""
    asks, questions, numbers, quotes = flags
    proper, first, second = counts
    pieces = (
        ["is it, eh? well"] * questions + ["bus 7"] * numbers + ['read "dune" again'] * quotes
        + ["at Zoe"] * proper + ["for me"] * first + ["of you"] * second
    )  # fmt: skip
    random.shuffle(pieces)
    bits = np.array([traits(" and ".join(["so", *pieces]) + "?" * asks)])
    assert [count(bits, name)[0] for name in COUNTS] == counts
    expected = [asks > 0, questions + asks > 0, numbers > 0, quotes > 0]
    assert [flag(bits, name)[0] for name in FLAGS] == expected


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_an_array_is_read_entry_by_entry(dtype):
    texts = ["is it far?", "I saw two of yours", "", "from Zoe " + "me " * 20]
    bits = np.array([traits(text) for text in texts], dtype=dtype)
    assert flag(bits, "asks").tolist() == [1.0, 0.0, 0.0, 0.0]
    assert flag(bits, "has_number").tolist() == [0.0, 1.0, 0.0, 0.0]
    assert count(bits, "first_person").tolist() == [0.0, 1.0, 0.0, 15.0]
    assert count(bits, "second_person").tolist() == [0.0, 1.0, 0.0, 0.0]
    assert count(bits, "proper").tolist() == [0.0, 0.0, 0.0, 1.0]
    assert flag(bits[:0], "asks").size == count(bits[:0], "proper").size == 0


@given(st.text())
def test_any_text_fits_sixteen_bits_and_what_asks_holds_a_question(text):
    bits = traits(text)
    assert 0 <= bits < 1 << (len(FLAGS) + 4 * len(COUNTS))
    found = of(text)
    assert found.get("asks", 0) <= found.get("has_question", 0)
