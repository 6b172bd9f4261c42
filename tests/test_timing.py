"""Events first, then their dates: windows and lengths, worked by hand."""

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest

from memsieve.recollection import Computed
from memsieve.search.blocks import Blocks
from memsieve.store import SQLite
from memsieve.store.base import UNKNOWN
from memsieve.timeline import from_spec
from memsieve.timeline.asking import ask
from memsieve.timing import (
    NO_TIMING,
    Event,
    Found,
    covered,
    event_of,
    mention_of,
    session_interval,
    timing,
)
from memsieve.types import Interval

ENGLISH = from_spec("english")
CLOCK = datetime(2025, 3, 20, 9, tzinfo=UTC)  # a Thursday


@pytest.fixture
def memory(opened):
    """A new memory at `database` without an embedder."""
    return opened(embedder="none")


@pytest.fixture
def said(memory):
    """An item with its times read, said on Thursday 13 March 2025 if no other time is given."""

    def say(text, at="2025-03-13T10:00:00Z", **given):
        return memory.get(memory.add(text, at=at, **given))

    return say


@pytest.fixture
def block_of(database):
    """The block of what the memory at `database` holds."""
    stores = []

    def load():
        stores.append(SQLite(database))
        return Blocks(stores[-1], 0).get("default")

    yield load
    for store in stores:
        store.close()


def nothing(phrase):
    """Finds no event, whatever the phrase."""


def of(**found):
    """Finds the items given for the first word of a phrase: (item, support)."""
    return lambda phrase: Found(*found[phrase.split()[0]]) if phrase.split()[0] in found else None


def day(month, number, year=2025, zone=UTC):
    return Interval.day_of(datetime(year, month, number, tzinfo=zone))


def ask_of(question, block, find=nothing, clock=CLOCK):
    return timing(ask(question, clock, ENGLISH), block, clock, find, ENGLISH)


def dates(window):
    """The stretches of a window as dates, '..' where a bound is unknown."""
    return [
        tuple(
            ".." if bound in UNKNOWN else str(np.datetime64(int(bound), "us"))[:10]
            for bound in stretch
        )
        for stretch in zip(window.begins, window.ends, strict=True)
    ]


# The time that belongs to an event


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Yesterday I slept. I broke my wrist on Monday. Last week it rained.", "Monday"),
        ("Last Saturday was odd. Yesterday was fine. I broke my wrist.", "Yesterday"),
        ("I broke my wrist. It hurts. That was last Saturday.", "last Saturday"),
        ("I broke my wrist! It hurts; last Saturday. It was on Monday.", "last Saturday"),
        ("I broke my wrist. It hurts. It swells. Last Saturday it rained.", None),
        ("I will have broken my wrist by Friday.", None),
        ("The cast is on my broken wrist until Friday.", None),
        ("I broke my wrist by Friday, I mean on Monday.", "Monday"),
        ("I broke my wrist.", None),
    ],
)
def test_the_time_of_an_event_stands_in_its_clause_else_before_it_else_soon_behind(
    said, text, words
):
    item = said(text)
    mention = mention_of(item, "Tom breaks his wrist")
    assert (mention and item.text[mention.first : mention.last].lower()) == (
        words and words.lower()
    )


def test_an_event_is_found_by_any_form_of_its_verb(said):
    item = said("On Monday the piano left. Yesterday Jonas brought it back.")
    mention = mention_of(item, "Jonas bring the upright")
    assert item.text[mention.first : mention.last] == "Yesterday"


def test_an_event_with_a_time_happened_then_and_one_without_on_the_day_it_was_told(said):
    dated, silent = said("I broke my wrist on Saturday."), said("I broke my wrist.")
    assert event_of("Tom's wrist", CLOCK, of(**{"Tom's": (dated, 0.8)}), ENGLISH) == Event(
        day(3, 8), dated, "Saturday", 0.8
    )
    assert event_of("Tom's wrist", CLOCK, of(**{"Tom's": (silent, 0.8)}), ENGLISH) == Event(
        day(3, 13), silent, "", 0.8
    )


def test_the_day_of_an_event_is_that_of_whoever_told_of_it(said):
    early = said("I broke my wrist yesterday.", at="2025-03-13T00:30:00+02:00")
    event = event_of("his wrist", CLOCK, of(his=(early, 1.0)), ENGLISH)
    assert event.day == datetime(2025, 3, 12).date()
    assert event.when == day(3, 12, zone=timezone(timedelta(hours=2)))
    told = said("I broke my wrist.", at="2025-03-13T00:30:00+02:00")
    assert event_of("his wrist", CLOCK, of(his=(told, 1.0)), ENGLISH).day.day == 13


def test_an_event_on_the_last_day_of_all_has_a_date_too(said):
    last = said("The end.", at="9999-12-31T12:00:00Z")
    assert event_of("the end", CLOCK, of(the=(last, 1.0)), ENGLISH).when == Interval(
        datetime(9999, 12, 31, tzinfo=UTC), None
    )


def test_an_event_that_nobody_told_of_has_no_date():
    assert event_of("the coronation", CLOCK, nothing, ENGLISH) is None


def test_a_phrase_that_is_a_date_itself_needs_no_search(said):
    item = said("The party was fine.")

    def find(phrase):
        raise AssertionError(phrase)

    assert event_of("12 May 2023", CLOCK, find, ENGLISH) == Event(
        day(5, 12, 2023), words="12 May 2023", support=1.0
    )
    assert event_of("last Saturday", CLOCK, find, ENGLISH).when == day(3, 15)
    # 11 of 24 letters are less than six tenths: this is an event, with a date beside it.
    assert event_of("the party on 12 May 2023", CLOCK, of(the=(item, 0.9)), ENGLISH).item == item


# How much of an event's words is there


class TestCovered:
    """Four turns; the worth of a word is ln(1 + (4 - df + 0.5) / (df + 0.5))."""

    @pytest.fixture
    def block(self, said, block_of):
        for text in ("The brown dog barked.", "A dog slept.", "The cat slept.", "It rained."):
            said(text)
        return block_of()

    def test_rare_words_count_more(self, block):
        dog, bark = np.log(2), np.log(10 / 3)  # in two turns and in one
        assert covered("dog barking", ["A dog slept."], [], block) == pytest.approx(
            dog / (dog + bark)
        )
        assert covered("dog barking", ["It barks."], [], block) == pytest.approx(
            bark / (dog + bark)
        )
        assert covered("dog barking", ["A dog.", "It barks."], [], block) == 1.0

    def test_a_word_that_nobody_said_counts_most(self, block):
        dog, zebra = np.log(2), np.log(10)
        assert covered("dog zebra", ["dog"], [], block) == pytest.approx(dog / (dog + zebra))

    def test_names_of_speakers_and_small_words_do_not_count(self, block):
        assert covered("the dog of Ana's", ["dog"], ["Ana Lopez"], block) == 1.0
        assert covered("Ana was there", ["dog"], ["Ana"], block) == 0.0
        assert covered("", ["dog"], [], block) == 0.0

    def test_a_verb_counts_in_any_form(self, block):
        assert covered("bring", ["I brought it."], [], block) == 1.0
        assert covered("bringing", ["It was brought."], [], block) == 1.0

    def test_what_was_forgotten_does_not_make_a_word_common(self, memory, block_of):
        ids = memory.add(["A dog.", "A dog again.", "A dog still.", "A cat.", "Some rain."])
        recaller = Blocks(memory._store, 0)
        recaller.get("default")
        memory.forget(ids[:2])
        block = recaller.get("default")
        dog, cat = np.log(1 + 2.5 / 1.5), np.log(1 + 2.5 / 1.5)  # each in one of three turns
        assert covered("dog cat", ["dog"], [], block) == pytest.approx(dog / (dog + cat))
        memory.forget(ids[3:])
        block = recaller.get("default")
        dog, cat = np.log(4 / 3), np.log(4)  # in the one turn that is left, and in none
        assert covered("dog cat", ["dog"], [], block) == pytest.approx(dog / (dog + cat))


# Conversations


class TestSessions:
    """a goes on from 10:00 to 12:00 on 1 March, b begins at 11:00 and goes on to the 2nd."""

    @pytest.fixture
    def block(self, memory, block_of):
        for session, at in (
            ("a", "2025-03-01T10:00:00Z"), ("b", "2025-03-01T11:00:00Z"),
            ("a", "2025-03-01T12:00:00Z"), ("b", "2025-03-02T09:00:00Z"),
            (None, "2025-03-03T09:00:00Z"), ("c", "2025-03-05T09:00:00Z"),
            ("a", "2025-03-30T09:00:00Z"), ("d", "2025-03-25T09:00:00Z"),
        ):  # fmt: skip
            memory.add("Something.", session=session, at=at)
        return block_of()

    @pytest.mark.parametrize(
        ("which", "begin", "end"),
        [
            (-1, "2025-03-05T09:00", "2025-03-05T09:00"),
            (0, "2025-03-05T09:00", "2025-03-05T09:00"),
            (-2, "2025-03-01T11:00", "2025-03-02T09:00"),
            (-3, "2025-03-01T10:00", "2025-03-01T12:00"),
            ("first", "2025-03-01T10:00", "2025-03-01T12:00"),
        ],
    )
    def test_conversations_count_by_their_beginning_up_to_the_clock(self, block, which, begin, end):
        start, stop = (datetime.fromisoformat(f"{bound}:00+00:00") for bound in (begin, end))
        found = session_interval(block, which, CLOCK)
        assert found == Interval(start, stop + timedelta(microseconds=1), "minute")

    def test_there_is_none_before_the_first(self, block):
        assert session_interval(block, -4, CLOCK) is None
        assert session_interval(block, -1, datetime(2025, 3, 1, 9, tzinfo=UTC)) is None
        assert session_interval(block, "first", datetime(2025, 3, 1, 9, tzinfo=UTC)) is None

    def test_the_clock_may_stand_anywhere(self, block):
        began = session_interval(block, -1, datetime(2025, 3, 1, 11, 30, tzinfo=UTC))
        assert (began.start.hour, began.end.hour) == (11, 11)
        assert session_interval(block, -1, datetime(2025, 4, 1, tzinfo=UTC)).start.day == 25

    def test_what_was_forgotten_was_not_said(self, memory, block, block_of):
        memory.forget([item.id for item in memory.list(session="c")])
        assert session_interval(block_of(), -1, CLOCK).start.day == 1

    def test_a_question_of_the_last_chat_is_about_its_time(self, block):
        assert dates(ask_of("What did we say in our last chat?", block).window) == [
            ("2025-03-05", "2025-03-05")
        ]

    def test_a_memory_without_conversations_has_no_last_one(self, memory, block_of):
        assert ask_of("What did we say in our last chat?", block_of()) == NO_TIMING

    def test_a_conversation_in_the_last_moment_of_all_is_one(self, memory, block_of):
        last = datetime.max.replace(tzinfo=UTC)
        memory.add("The end.", session="z", at=last)
        assert session_interval(block_of(), -1, last).end == last


# Windows


@pytest.fixture
def block(said, block_of):
    said("The marathon in Rotterdam was last Saturday.")
    return block_of()


def test_the_times_of_a_question_are_its_window(block):
    found = ask_of("What did Tom do in May 2023?", block)
    assert dates(found.window) == [("2023-05-01", "2023-06-01")]
    assert (found.computed, found.evidence) == ((), ())


@pytest.mark.parametrize(
    ("question", "bounds"),
    [
        ("What did Tom do after the marathon?", ("2025-03-08", "..")),
        ("What did Tom do before the marathon?", ("..", "2025-03-09")),
        ("What did Tom eat during the marathon?", ("2025-03-08", "2025-03-09")),
    ],
)
def test_a_question_beside_an_event_is_about_the_time_beside_it(said, block, question, bounds):
    item = said("The marathon in Rotterdam was last Saturday.")
    found = ask_of(question, block, of(the=(item, 0.9)))
    assert dates(found.window) == [bounds]
    assert found.window.weights.tolist() == [1.0]


@pytest.mark.parametrize(
    "question",
    [
        "What did Tom do after the marathon?",
        "How many days ago was the marathon?",
        "How many days passed between the marathon and the wedding?",
        "Where does Tom live?",
    ],
)
def test_without_a_time_or_an_event_that_is_found_there_is_no_timing(block, question):
    assert ask_of(question, block) == NO_TIMING


def test_one_event_of_two_is_not_enough_for_a_length(said, block):
    item = said("The marathon was last Saturday.")
    question = "How many days passed between the marathon and her wedding?"
    assert ask_of(question, block, of(the=(item, 1.0))) == NO_TIMING


# Lengths


def test_a_length_between_two_events_with_its_working(said, block):
    wrist = said("I broke my wrist last Saturday.")
    plate = said("They took the plate out.", at="2025-08-12T10:00:00Z")
    found = ask_of(
        "How many weeks passed between his broken wrist and the day they took the plate out?",
        block,
        of(his=(wrist, 0.9), the=(plate, 0.7)),
    )
    # 8 March to 12 August: 23 + 30 + 31 + 30 + 31 + 12 = 157 days, 22 weeks and 3 days.
    assert found.computed == (
        Computed(
            "22 weeks and 3 days (157 days)",
            'from 8 March 2025 ("last Saturday", said on 13 March 2025)'
            " to 12 August 2025 (said that day)",
            157,
            22,
            0.7,
        ),
    )
    assert found.evidence == (wrist.seq, plate.seq)
    assert found.window is None


def test_the_earlier_event_comes_first_whatever_the_question_says(said, block):
    late = said("It happened.", at="2025-03-15T10:00:00Z")
    early = said("It happened.", at="2025-03-13T10:00:00Z")
    found = ask_of(
        "How many days passed between his wedding and her birthday?",
        block,
        of(his=(late, 1.0), her=(early, 1.0)),
    )
    assert found.computed[0].days == 2
    assert found.evidence == (early.seq, late.seq)


@pytest.mark.parametrize(
    ("question", "text", "answer", "count", "working"),
    [
        (
            "How long ago did Tom break his wrist?",
            "I broke my wrist last Saturday.",
            "12 days (1 week and 5 days)",
            12,
            'from 8 March 2025 ("last Saturday", said on 13 March 2025) to 20 March 2025',
        ),
        (
            "How many weeks ago did Tom break his wrist?",
            "I broke my wrist just now.",
            "1 week (7 days)",
            1,
            "from 13 March 2025 (said that day) to 20 March 2025",
        ),
        (
            "How long is it since Tom broke his wrist?",
            "I broke my wrist on 20 March 2024.",
            "365 days (12 months)",
            365,
            'from 20 March 2024 ("20 March 2024", said on 13 March 2025) to 20 March 2025',
        ),
        (
            "How many days is it until Tom runs?",
            "Tom runs on 30 March.",
            "10 days (1 week and 3 days)",
            10,
            'from 20 March 2025 to 30 March 2025 ("30 March", said on 13 March 2025)',
        ),
        (
            "How many hours ago did Tom break his wrist?",
            "I broke my wrist just now.",
            "168 hours (7 days)",
            168,
            "from 13 March 2025 (said that day) to 20 March 2025",
        ),
    ],
)
def test_lengths_up_to_the_clock(said, block, question, text, answer, count, working):
    item = said(text)
    (line,) = ask_of(question, block, lambda phrase: Found(item, 0.8)).computed
    assert (line.answer, line.count, line.working, line.support) == (answer, count, working, 0.8)


@pytest.mark.parametrize(
    ("question", "text", "answer", "count", "working"),
    [
        (  # From 28 February: 20 days, from the first: 27 more.
            "How many days ago did Tom break his wrist?",
            "I broke my wrist in February.",
            "20 to 47 days",
            47,
            'some day of February 2025 ("February", said on 13 March 2025)',
        ),
        (  # 31 December 2023 to 20 March 2025: 366 + 79 days; a year more: 365.
            "How long ago did Tom break his wrist?",
            "I broke my wrist in 2023.",
            "1 year and 2 months to 2 years and 2 months (445 to 809 days)",
            809,
            'some day of 2023 ("2023", said on 13 March 2025)',
        ),
        (
            "How many weeks ago did Tom break his wrist?",
            "I broke my wrist last week.",
            "1 week and 4 days to 2 weeks and 3 days (11 to 17 days)",
            2,
            'some day of 3 to 9 March 2025 ("last week", said on 13 March 2025)',
        ),
        (
            "How many days ago did Tom break his wrist?",
            "I broke my wrist last weekend.",
            "11 to 12 days",
            12,
            'some day of 8 to 9 March 2025 ("last weekend", said on 13 March 2025)',
        ),
        (  # The day is stated, what follows lasts.
            "How many days ago did Tom wear a cast?",
            "I wore a cast from 1 to 5 March.",
            "19 days (2 weeks and 5 days)",
            19,
            '1 March 2025 ("from 1 to 5 March", said on 13 March 2025)',
        ),
        (  # Of a stretch of months the first is when it began.
            "How many days ago did Tom wear a cast?",
            "I wore a cast from January to March 2024.",
            "414 to 444 days",
            444,
            'some day of January 2024 ("from January to March 2024", said on 13 March 2025)',
        ),
    ],
)
def test_a_length_from_an_event_of_some_week_or_month_has_two_bounds(
    said, block, question, text, answer, count, working
):
    item = said(text)
    (line,) = ask_of(question, block, lambda phrase: Found(item, 0.8)).computed
    assert (line.answer, line.count) == (answer, count)
    assert line.working == f"from {working} to 20 March 2025"


def test_two_events_of_one_month_may_have_been_on_one_day_or_a_month_apart(said, block):
    month, day_in_it = said("In May 2024 I ran."), said("I rowed on 10 May 2024.")
    found = ask_of(
        "How many days passed between his run and the rowing?",
        block,
        of(his=(month, 1.0), the=(day_in_it, 1.0)),
    )
    # From 10 to 31 May are 21 days, from 1 to 10 May nine.
    assert found.computed[0].answer == "0 to 21 days"


def test_an_event_of_the_last_month_of_all_has_bounds_too(said, block):
    item = said("It ends in December 9999.", at="9999-12-01T12:00:00Z")
    (line,) = ask_of(
        "How many days is it until it ends?", block, lambda _: Found(item, 1.0)
    ).computed
    assert line.count > 2_900_000


def test_the_clock_of_a_length_is_that_of_whoever_asks(said, block):
    item = said("I broke my wrist.")
    clock = datetime(2025, 3, 14, 1, tzinfo=timezone(timedelta(hours=2)))  # the 13th in UTC
    found = ask_of("How many days ago did he fall?", block, lambda _: Found(item, 1.0), clock)
    assert found.computed[0].days == 1


def test_a_length_from_a_date_of_the_question_to_an_event(said, block):
    item = said("I broke my wrist last Saturday.")
    found = ask_of(
        "How many days passed between 1 March 2025 and his broken wrist?",
        block,
        of(his=(item, 0.9)),
    )
    assert found.computed[0].working.startswith("from 1 March 2025 to 8 March 2025 (")
    assert (found.computed[0].days, found.computed[0].support) == (7, 0.9)
    assert found.evidence == (item.seq,)


def test_of_several_ways_to_part_the_words_the_best_supported_counts(said, block):
    tea = said("Add tea to the order.", at="2025-04-01T10:00:00Z")
    coffee = said("Put coffee on it.", at="2025-04-15T10:00:00Z")
    asked = []

    def find(phrase):
        asked.append(phrase)
        share = {
            "adding tea": (tea, 0.6), "the order to putting coffee on it": (coffee, 0.5),
            "adding tea to the order": (tea, 0.9), "putting coffee on it": (coffee, 0.9),
        }  # fmt: skip
        return Found(*share[phrase])

    question = "How many days was it from adding tea to the order to putting coffee on it?"
    (line,) = ask_of(question, block, find).computed
    assert (line.days, line.support) == (14, 0.9)
    assert len(asked) == len(set(asked)) == 4


def test_two_events_are_not_the_same_turn_where_there_is_another(said, block):
    told = said("Please erase the passphrase that I gave you in the spring.", at="2025-06-30")
    given = said("This stays between us: the passphrase is velvet heron.", at="2025-04-01")

    def find(phrase, besides=None):
        if besides == told:
            return Found(given, 0.4)
        return Found(told, 0.9 if "erase" in phrase else 0.6)

    question = "How many days passed between giving the passphrase and asking to erase it?"
    found = ask_of(question, block, find)
    assert found.evidence == (given.seq, told.seq)
    only = ask_of(
        question, block, lambda phrase, besides=None: None if besides else Found(told, 1.0)
    )
    assert only.evidence == (told.seq, told.seq)


def test_an_event_asked_for_in_two_ways_is_looked_for_once(said, block):
    asked = []

    def find(phrase):
        asked.append(phrase)
        return Found(said(phrase), 0.5)

    ask_of("How long was it from a to b to c to d?", block, find)
    assert sorted(asked) == sorted({"a", "b to c to d", "a to b", "c to d", "a to b to c", "d"})


# Support


@pytest.mark.parametrize(
    ("support", "begins"), [(0.67, "Worked out: "), (0.66, "Perhaps: "), (0.3, "Perhaps: ")]
)
def test_a_line_says_perhaps_below_two_thirds(support, begins):
    line = Computed("2 days", "from 1 May 2025 to 3 May 2025", 2, 2, support).line
    assert line == f"{begins}2 days, from 1 May 2025 to 3 May 2025."


def test_evidence_below_the_bar_gives_no_line(memory):
    memory.add("I bought a kettle last Saturday.", at="2025-03-13", speaker="Tom")
    memory.add(["It rains.", "The dog sleeps.", "Dinner is at six."], at="2025-03-14")

    def line(question):
        found = memory.recall(question, now=CLOCK).computed
        return found[0].line.partition(":")[0] if found else None

    assert line("How many days ago did Tom buy a kettle?") == "Worked out"
    # df of kettle is 1, of the others 0: ln(1 + 3.5 / 1.5) = 1.2, ln(1 + 4.5 / 0.5) = 2.3.
    assert line("How many days ago did Tom bring a copper kettle?") is None  # 1.2 of 5.8
    assert line("How many days ago did Tom have a copper kettle?") == "Perhaps"  # 1.2 of 3.5
