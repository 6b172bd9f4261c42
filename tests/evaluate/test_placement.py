"""Quotations found again in the messages they were taken from."""

import pytest

from memsieve.evaluate.placement import place, runs

TEXTS = {
    "retriever": "I'm twenty-two, and my sister just turned sixteen. Our golden retriever, Archie.",
    "monday": "Monday: Team meeting ran over. Need to finalize Q1 budget report before Friday.",
    "coffee": "My counter is only 38 square feet. I like a “strawberry matcha” latte.",
}


@pytest.mark.parametrize(
    ("quotation", "key"),
    [
        ("...our golden retriever, Archie...", "retriever"),
        ("I’m twenty-two... my sister... just turned sixteen.", "retriever"),
        ("Monday: Need to finalize Q1 budget report before Friday.", "monday"),
        ('"My counter is only 38 SQUARE feet"', "coffee"),
        ("…a strawberry matcha latte…", "coffee"),
    ],
)
def test_a_quotation_is_found_cut_short_marked_or_with_its_label_moved(quotation, key):
    assert place(quotation, TEXTS) == key


def test_fragments_do_not_run_into_one_another():
    assert runs("one two... three four") == {("one", "two"), ("three", "four")}


def test_a_quotation_that_stands_nowhere_is_not_placed():
    assert place("I joined a book club last year.", TEXTS) is None
    assert place("...", TEXTS) is None
    assert place("My counter is only 38 square feet", {}) is None


def test_less_than_half_of_the_words_is_not_enough():
    # one of five runs: "need to finalize"
    assert place("You need to finalize the other thing", TEXTS) is None


def test_a_sentence_said_twice_is_left_unplaced():
    twice = {**TEXTS, "again": TEXTS["monday"]}
    assert place("Need to finalize Q1 budget report", twice) is None
