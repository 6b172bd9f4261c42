"""What kind of answer questions ask for, in English and in German."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memsieve.search.wanted import Wanted, wanted


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Which book did Ana read?", Wanted("book", which=True)),
        ("What time does it start?", Wanted("time", which=True)),
        ("What's the dog's name?", Wanted("name", which=True)),
        ("What’s Tom’s new job?", Wanted("job", which=True)),
        ("what is Ana's sister's job", Wanted("job", which=True)),
        ("In which street does Tom live?", Wanted("street", which=True)),
        ("WHICH BOOK?", Wanted("book", which=True)),
        ("Which\nbook?", Wanted("book", which=True)),
        ("Which books has Ana read?", Wanted("books", which=True, several=True)),
        ("What were the two other books?", Wanted("books", which=True, several=True)),
        ("What kinds of music do they like?", Wanted("music", which=True, several=True)),
        ("Which city did Tom see?", Wanted("city", where=True, which=True)),
        ("Which countries?", Wanted("countries", where=True, which=True, several=True)),
        ("How many dogs has Tom?", Wanted("dogs", which=True, many=True, several=True)),
        ("How many sheep has Tom?", Wanted("sheep", which=True, many=True)),
        ("What was Ana's reaction?", Wanted("reaction", which=True, reaction=True)),
    ],
)
def test_a_word_that_names_the_answer(question, expected):
    assert wanted(question) == expected


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Who found the dog?", Wanted("person", who=True)),
        ("With whom did Tom go?", Wanted("person", who=True)),
        ("Whose dog is it?", Wanted("person", who=True)),
        ("Where does Tom live?", Wanted("place", where=True)),
        ("Who lives there, and where?", Wanted("person", who=True, where=True)),
        ("How much was the car?", Wanted(many=True)),
        ("How old is Tom?", Wanted(many=True)),
        ("How often do they meet?", Wanted(many=True)),
        ("How many of them came?", Wanted(many=True)),
        ("What did Ana do?", Wanted()),
        ("What does Tom's sister do?", Wanted()),
        ("Why did Ana leave?", Wanted()),
        ("When did it rain?", Wanted()),
        ("What did Ana say?", Wanted(reaction=True)),
        ("How did Tom feel about it?", Wanted(reaction=True)),
        ("Did both of them leave?", Wanted(several=True)),
        ("What has Ana painted, list it all", Wanted(several=True)),
    ],
)
def test_question_words_without_such_a_word(question, expected):
    assert wanted(question) == expected


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Welches Buch las Ana?", Wanted("buch", which=True)),
        ("In welchem Land lebt Tom?", Wanted("land", which=True)),
        ("Welche Bücher hat Ana?", Wanted("bücher", which=True)),
        ("Welche Autos hat Ana?", Wanted("autos", which=True, several=True)),
        ("Wie viele Hunde hat Tom?", Wanted("hunde", which=True, many=True)),
        ("Wie viel kostet es?", Wanted(many=True)),
        ("Wie alt ist Tom?", Wanted(many=True)),
        ("Wer fand den Hund?", Wanted("person", who=True)),
        ("Wessen Hund ist das?", Wanted("person", who=True)),
        ("Wo wohnt Ana?", Wanted("place", where=True)),
        ("Woher kommt Tom?", Wanted("place", where=True)),
        ("Warum ging Ana?", Wanted()),
    ],
)
def test_german_questions(question, expected):
    assert wanted(question) == expected


@pytest.mark.parametrize(
    "phrase",
    [
        "", " ", "?", "the green bicycle", "Tom", "somewhat odd", "whichever", "whatever it takes",
        "nowhere near", "whoever", "statement", "callous", "wok recipe", "¿Qué libro leyó Ana?",
    ],
)  # fmt: skip
def test_a_phrase_that_is_no_question_wants_nothing(phrase):
    assert wanted(phrase) == Wanted()


@pytest.mark.parametrize(
    ("noun", "several"),
    [("dogs", True), ("houses", True), ("dog", False), ("glass", False), ("bus", False)],
)
def test_a_plural_asks_for_several(noun, several):
    assert wanted(f"Which {noun} did Tom see?").several is several


def test_a_word_that_names_the_answer_is_read_whole():
    assert wanted("Which jalapeño dish did Ana cook?").head == "jalapeño"


@pytest.mark.parametrize(
    "rest", ["is it", "are you doing", "was she like", "are they for", "a day"]
)
def test_a_pronoun_names_no_kind_of_answer(rest):
    assert wanted(f"What {rest}?") == Wanted()


@given(st.text() | st.text("whatic'’ so hemny\nß1", max_size=40))
def test_any_text_is_read(text):
    found = wanted(text)
    assert found.head is None or found.head == found.head.lower() != ""
    assert found.which <= (found.head is not None)
    assert not (found.who or found.where) or found.head is not None


def test_a_long_text_is_read_in_no_time():
    """A pattern that backtracks would take hours for these."""
    for text in ("what " * 20_000, "what" + " " * 20_000, "what " + "x's " * 20_000 + "1"):
        assert isinstance(wanted(text), Wanted)
