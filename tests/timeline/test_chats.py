"""Sentences as people write them in chats, notes and mails, against times worked out by hand.

`chats.tsv` holds the clock, the text, and its likeliest readings in the order of the text: an
interval, or the kind of what is no date.
"""

import random
from datetime import UTC, datetime

import pytest
from tests.timeline.conftest import rows_of

from memsieve.timeline import from_spec

ROWS = rows_of("chats.tsv")
READERS = {name: from_spec(name) for name in ("english", "german")}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["text"][:40])
def test_a_sentence_of_a_chat_means_what_was_worked_out_by_hand(read, row):
    assert read(row["text"], row["clock"]) == row["expected"].split()


def test_the_table_holds_many_sentences_and_none_twice():
    assert len(ROWS) >= 400
    assert len({(row["clock"], row["text"]) for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("name", ["chats.tsv", "expressions.tsv"])
def test_a_text_is_never_passed_over_before_it_is_read(english, name):
    for row in rows_of(name):
        clock = datetime.fromisoformat(row["clock"]).replace(tzinfo=UTC)
        read = [one for one in english.expressions(row["text"], clock) if one.readings]
        assert len(english.mentions(row["text"], clock)) == len(read), row["text"]


@pytest.mark.parametrize("language", READERS)
def test_no_few_words_of_time_are_passed_over_before_they_are_read(language):
    reader = READERS[language]
    words = {"NUM": ["3"], "YEAR": ["2021"], "NTH": ["3rd"]}
    for word, (kind, _) in {**reader.table.words, **reader.table.phrases}.items():
        words.setdefault(kind, []).append(word)
    for word, ambiguous in reader.table.ambiguous.items():
        words.setdefault(ambiguous.kind, []).append(word)
    rng = random.Random(language)
    clock = datetime(2023, 5, 10, 13, 56, tzinfo=UTC)
    kinds = sorted(kind for kind in words if not kind.startswith("_"))
    for _ in range(5_000):
        text = " ".join(rng.choice(words[kind]) for kind in rng.choices(kinds, k=rng.randint(1, 4)))
        read = [one for one in reader.expressions(text, clock) if one.readings]
        assert len(reader.mentions(text, clock)) == len(read), text


class TestLookingAhead:
    """What a sentence looks ahead to, said on Wednesday 10 May 2023."""

    AHEAD = (
        "Let's do lunch on Friday.",
        "See you on Friday!",
        "Come over on Friday?",
        "Don't forget the dentist on Friday.",
        "Please be there on Friday.",
        "Can we meet on Friday?",
        "She's home on Friday.",
        "It's on Friday.",
        "That's on Friday.",
        "The course starts on Friday.",
        "I'll pay the $20 on Friday.",
        "I will bring 3kg of flour on Friday.",
        "One day I will tell you, on Friday maybe.",
    )
    BACK = (
        "I didn't see you on Friday.",
        "They let him go on Friday.",
        "She's been here on Friday.",
        "I said I paid $20 on Friday.",
        "Did you see him on Friday?",
        "He came on Friday.",
    )

    @pytest.mark.parametrize("text", AHEAD)
    def test_it_is_the_coming_friday(self, read, text):
        assert read(text) == ["2023-05-12/2023-05-13"]

    @pytest.mark.parametrize("text", BACK)
    def test_it_is_the_past_friday(self, read, text):
        assert read(text) == ["2023-05-05/2023-05-06"]


def test_sums_and_phrases_do_not_end_a_sentence(read):
    assert read("I'll bring $20 and some day old bread on Friday.")[-1] == "2023-05-12/2023-05-13"


def test_days_in_slashes_follow_the_setting_without_a_year_too(read):
    assert read("It was on 4/5.") == ["2023-04-05/2023-04-06"]
    british = from_spec("english:day-first")
    assert read("It was on 4/5.", reader=british) == ["2023-05-04/2023-05-05"]


def test_a_late_hour_of_the_night_is_on_the_next_day(read):
    assert read("at 2am last night") == ["2023-05-10T02:00/2023-05-10T02:01"]
    assert read("last night at 11") == ["2023-05-09T23:00/2023-05-09T23:01"]
    assert read("tonight at 12") == ["2023-05-11/2023-05-11T00:01"]


def test_what_begins_on_a_day_to_come_is_open_from_there(read):
    assert read("From Monday on I'm on a diet.") == ["2023-05-15/.."]
    assert read("I have been on a diet since Monday.") == ["2023-05-08/.."]
