"""The stand-in for a language model: words and sentences picked from the texts, and it says so."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memsieve.errors import ParameterError
from memsieve.manage.extractive import (
    best_sentence,
    central_sentence,
    keywords,
    sentences,
    tags,
)

TALK = [
    "Ana: I adopted a puppy last spring, the puppy sleeps all day.",
    "Ben: My sister runs a bakery in Porto since 2019.",
    "Ana: On 3 May 2024 we visited the bakery; its sourdough is famous.",
]


def test_the_words_that_tell_a_text_from_the_others_come_first():
    found = keywords(TALK, 3, names=["Ana", "Ben"])
    # Twice in one text only; then once in one text only, in order.
    assert found[0] == ("puppy", "adopted", "sleeps")
    # "bakery" stands in two texts: 1 + ln(3/2) < 1 + ln 3.
    assert found[1] == ("sister", "runs", "porto")
    assert found[2] == ("visited", "sourdough", "famous")


def test_names_of_speakers_numbers_and_times_are_no_keywords():
    every = {word for found in keywords(TALK, 99, names=["Ana", "Ben"]) for word in found}
    assert not every & {"ana", "ben", "spring", "last", "2019", "2024", "3", "may"}
    assert "bakery" in every


def test_repetition_weighs_as_tf_idf_says():
    texts = ["tea tea milk", "milk tea", "milk"]
    # tea: 2 (1 + ln 1.5) = 2.81, milk: 1 (1 + ln 1) = 1
    assert 2 * (1 + math.log(3 / 2)) > 1
    assert keywords(texts, 1) == (("tea",), ("tea",), ("milk",))


def test_forms_of_one_word_are_counted_together_and_shown_as_they_stand_first():
    assert keywords(["Running is fun, I run and she runs."], 1) == (("running",),)


def test_scripts_without_spaces_give_the_pairs_that_are_searched():
    assert keywords(["東京タワー"], 2) == (("東京", "京タ"),)


@pytest.mark.parametrize("texts", [[], [""], ["the of and"], ["2024"]])
def test_texts_without_words_have_no_keywords(texts):
    assert keywords(texts) == ((),) * len(texts)


def test_no_keyword_is_given_where_none_is_wanted():
    assert keywords(TALK, 0) == ((), (), ())
    with pytest.raises(ParameterError, match="n must be >= 0, got -1"):
        keywords(TALK, -1)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ()),
        ("One", ("One",)),
        ("One. Two! Three?", ("One.", "Two!", "Three?")),
        ("I met J. R. Tolkien. He wrote.", ("I met J. R. Tolkien.", "He wrote.")),
        ("Mrs. Lee and St. Ives cost 3.50 euros.", ("Mrs. Lee and St. Ives cost 3.50 euros.",)),
        ("first line\n\nsecond line", ("first line", "second line")),
        ("雨です。寒い！", ("雨です。", "寒い！")),
    ],
)
def test_a_text_is_cut_into_its_sentences(text, found):
    assert sentences(text) == found


def test_the_central_sentence_worked_by_hand():
    # Stems: {a, b}, {b, c}, {c, d}; the middle one shares a half with each of the others.
    text = "Apples beat bread. Bread beats cheese. Cheese tops dates."
    assert central_sentence(text) == "Bread beats cheese."


@pytest.mark.parametrize(
    ("text", "central"),
    [("", ""), ("...", "..."), ("Only this.", "Only this."), ("Cats. Dogs.", "Cats.")],
)
def test_the_first_of_equal_sentences_is_central(text, central):
    assert central_sentence(text) == central


def test_greetings_are_not_central():
    text = "Hi Ben! The race in Porto went well. I ran the race with my sister. See you!"
    assert "race" in central_sentence(text)


def test_tags_are_ordered_by_how_often_they_are_named():
    assert tags("The dog and the cat, and my doctor.") == ("pets", "health")
    assert tags("Photosynthesis.") == ()


@pytest.mark.parametrize(
    ("question", "text", "found"),
    [
        ("Where does Ana live?", "It rains. I live in Lisbon.", "I live in Lisbon."),
        ("Does Ana like the job?", "Ana rests. At last the job began.", "At last the job began."),
        ("Volcanoes?", "It rains. It pours.", "It rains."),
        ("Is it the garden?", "A garden. The garden of my aunt in Porto.", "A garden."),
        ("Anything?", "", ""),
    ],
)
def test_the_best_sentence_shares_most_with_the_question(question, text, found):
    assert best_sentence(question, text, names=["Ana"]) == found


@given(st.lists(st.text(max_size=40), max_size=5), st.integers(0, 4))
def test_nothing_is_said_that_was_not_in_the_texts(texts, n):
    found = keywords(texts, n)
    assert [len(one) <= n for one in found] == [True] * len(texts)
    for text, words in zip(texts, found, strict=True):
        assert central_sentence(text) in text
        assert all(len(word) > 0 for word in words)
        assert best_sentence("what", text) in text
    assert found == keywords(texts, n)
