"""Questions of time, by hand: what they ask for, which times and events they name.

Asked at 13:56 on Thursday 12 October 2023.
"""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from tests.timeline.conftest import written

from memsieve.timeline import NoTimeline, from_spec
from memsieve.timeline.asking import Anchor, Asked, HowLong, ask
from memsieve.types import Interval, Mention

CLOCK = datetime(2023, 10, 12, 13, 56, tzinfo=UTC)
GERMAN = from_spec("german")


def times(asked):
    """The intervals of a question with their weights, as the tables write them."""
    return [
        (f"{written(interval.start)}/{written(interval.end)}", round(weight, 2))
        for interval, weight in asked.times
    ]


WANTS_DATE = (
    "When did Ana move to Lisbon?",
    "when was the wedding",
    "When is Tom's exam?",
    "And when did she come back?",
    "Since when has Ana been vegetarian?",
    "Until when is the library closed?",
    "What date was the concert?",
    "On what date did they sign?",
    "What day did Tom run?",
    "On which day did Tom run?",
    "What month did she start in?",
    "In which month did she start?",
    "Which year did they meet?",
    "In what year did they meet?",
    "What time does the train leave?",
    "Which weekend did they go camping?",
    "Which week was the flood?",
    "How long ago did Ana sell the car?",
    "How many days ago did Tom call?",
    "Do you know what year the house was built?",
    "Can you tell me which month the course starts?",
)
WANTS_NO_DATE = (
    "What did Ana do on Friday?",
    "Where was Tom when the lights went out?",
    "Who called yesterday?",
    "What is the name of Ana's dog?",
    "How many times did they meet?",
    "Which book did he read?",
    "What daycare does Noor go to?",
    "Is the shop open whenever Tom comes?",
    "Why was he late?",
)


@pytest.mark.parametrize("question", WANTS_DATE)
def test_it_asks_when(english, question):
    assert ask(question, CLOCK, english).wants_date


@pytest.mark.parametrize("question", WANTS_NO_DATE)
def test_it_does_not_ask_when(english, question):
    assert not ask(question, CLOCK, english).wants_date


WANTS_LENGTH = (
    "How long did the trip take?",
    "For how long has Ana lived in Porto?",
    "How many days did they stay?",
    "How many weeks passed between the move and the wedding?",
    "How many months old is Noor?",
    "How many years did he work there?",
    "How many hours did she sleep?",
    "How long ago did Ana sell the car?",
)


@pytest.mark.parametrize("question", WANTS_LENGTH)
def test_it_asks_how_long(english, question):
    assert ask(question, CLOCK, english).wants_length


@pytest.mark.parametrize("question", ["How many books did she read?", "How long-haired is he?"])
def test_it_asks_how_many_or_how_much_else(english, question):
    assert not ask(question, CLOCK, english).lengths


LENGTHS = [
    # question, ways to read it
    ("How many days passed between the move and the wedding?",
     [("the move", "the wedding", "day")]),
    ("How many weeks were there between Tom's fall and Ana's exam?",
     [("Tom's fall", "Ana's exam", "week")]),
    ("How long was it between the flood and the fire?", [("the flood", "the fire", None)]),
    ("How much time passed between the flood and the fire?", [("the flood", "the fire", None)]),
    ("How long was it between the day Tom and Ana met and the wedding?",
     [("the day Tom", "Ana met and the wedding", None),
      ("the day Tom and Ana met", "the wedding", None)]),
    ("How long was it from the interview to the call?", [("the interview", "the call", None)]),
    ("How many months is it from the first run until the race?",
     [("the first run", "the race", "month")]),
    ("How long was it from Ana's move to Porto to her return to Lisbon?",
     [("Ana's move", "Porto to her return to Lisbon", None),
      ("Ana's move to Porto", "her return to Lisbon", None),
      ("Ana's move to Porto to her return", "Lisbon", None)]),
    ("How many days after the operation did Tom run again?",
     [("the operation", "Tom run again", "day")]),
    ("How many days after Ana started at the museum was Noor born?",
     [("Ana started at the museum", "Noor born", "day")]),
    ("How long after the storm, did the power come back?",
     [("the storm", "the power come back", None)]),
    ("How many weeks before the wedding did they buy the rings?",
     [("they buy the rings", "the wedding", "week")]),
    ("How long before the exam was the party?", [("the party", "the exam", None)]),
    ("How long ago did Ana sell the car?", [("Ana sell the car", None, None)]),
    ("How many years ago did they meet?", [("they meet", None, "year")]),
    ("How many weeks ago was the concert?", [("the concert", None, "week")]),
    ("How long has it been since the accident?", [("the accident", None, None)]),
    ("How many days have passed since Tom left?", [("Tom left", None, "day")]),
    ("How many hours is it since the last pill?", [("the last pill", None, "hour")]),
    ("How long is it until the wedding?", [(None, "the wedding", None)]),
    ("How many days are there till Ana's birthday?", [(None, "Ana's birthday", "day")]),
    ("How long did the trip take?", []),
    ("How many days did they stay?", []),
    ("When did Ana move?", []),
]  # fmt: skip


@pytest.mark.parametrize(("question", "ways"), LENGTHS)
def test_a_length_is_asked_between_these_events(english, question, ways):
    asked = ask(question, CLOCK, english)
    assert asked.lengths == tuple(HowLong(*way) for way in ways)
    if ways:
        assert asked.wants_length
        assert asked.times == ()
        assert asked.anchor is None


def test_at_most_six_ways_to_part_the_words_are_given(english):
    question = "How long was it between " + " and ".join("abcdefghij") + "?"
    assert len(ask(question, CLOCK, english).lengths) == 6


@pytest.mark.parametrize(
    "question",
    [
        "In what order did they visit the cities?",
        "In which order did Ana take the exams?",
        "Put the trips in order.",
        "What is the order of the three moves?",
        "Which came first, the flood or the fire?",
        "Who arrived last?",
        "Which of the two jobs did he take earlier?",
        "What did Tom do next?",
        "What happened after that?",
        "What was the earliest trip? Which trip was the earliest?",
        "Did Ana move before or after the wedding?",
        "List the events chronologically.",
    ],
)
def test_it_asks_for_an_order(english, question):
    assert ask(question, CLOCK, english).wants_order


@pytest.mark.parametrize(
    "question", ["When did Ana move?", "What did Tom buy?", "Who is Lieve?", "What is in the box?"]
)
def test_it_asks_for_no_order(english, question):
    assert not ask(question, CLOCK, english).wants_order


ANCHORS = [
    ("What did Ana do after the wedding?", ("after", "the wedding")),
    ("Where did Tom live after he left the school?", ("after", "he left the school")),
    ("What happened following the storm of the century?", ("after", "the storm of the century")),
    ("What has Tom done since the operation?", ("after", "the operation")),
    ("What did Ana do before the interview?", ("before", "the interview")),
    ("Who did she meet prior to the move?", ("before", "the move")),
    ("What did she do until the baby came?", ("before", "the baby came")),
    ("What did they eat during the boat trip?", ("during", "the boat trip")),
    ("Who called while Ana was in Porto?", ("during", "Ana was in Porto")),
    ("Where did he work at the time of the flood?", ("during", "the flood")),
    ("What does Ana drink after dinner?", None),  # a habit
    ("What did Tom do after that?", None),
    ("What did Tom do before that?", None),
    ("After all, what did she buy?", None),
    ("Did Ana move before or after the wedding?", None),
    ("What did Ana do after 8 May 2023?", None),  # a time of its own
    ("What did Ana do before last Christmas?", None),
    ("What did Ana do?", None),
]


@pytest.mark.parametrize(("question", "anchor"), ANCHORS)
def test_a_question_is_anchored_by_this_event(english, question, anchor):
    assert ask(question, CLOCK, english).anchor == (None if anchor is None else Anchor(*anchor))


TIMES = [
    # question, its times with their weights against the likeliest
    ("What did Ana do on 8 May 2023?", [("2023-05-08/2023-05-09", 1)]),
    ("What did Ana do in December?",
     [("2022-12-01/2023-01-01", 1), ("2023-12-01/2024-01-01", 0.43)]),
    ("Any news in December?", [("2022-12-01/2023-01-01", 1), ("2023-12-01/2024-01-01", 0.43)]),
    ("What will Ana do in December?",
     [("2023-12-01/2024-01-01", 1), ("2022-12-01/2023-01-01", 0.43)]),
    ("Who called on Tuesday?", [("2023-10-10/2023-10-11", 1), ("2023-10-17/2023-10-18", 0.43)]),
    ("Who called yesterday?", [("2023-10-11/2023-10-12", 1)]),
    ("Who called last week?", [("2023-10-02/2023-10-09", 1)]),
    ("Where was Tom last summer?", [("2023-06-01/2023-09-01", 1)]),
    ("What did they buy two weeks ago?", [("2023-09-28/2023-09-29", 1)]),
    ("What happened in 2019 and in 2021?",
     [("2019-01-01/2020-01-01", 1), ("2021-01-01/2022-01-01", 1)]),
    ("What has Tom done since March 2023?", [("2023-03-01/..", 1)]),
    ("What did Tom do before 2020?", [("../2020-01-01", 1)]),
    ("What did they do between 3 and 9 April 2023?", [("2023-04-03/2023-04-10", 1)]),
    ("What did Ana do the day after Christmas 2022?", [("2022-12-26/2022-12-27", 1)]),
    ("Where does Ana live?", []),
    ("Does she swim every Tuesday for two hours?", []),
]  # fmt: skip


@pytest.mark.parametrize(("question", "expected"), TIMES)
def test_a_question_names_these_times(english, question, expected):
    assert times(ask(question, CLOCK, english)) == expected


SESSIONS = [
    ("What did I say in our last conversation?", -1),
    ("What did we discuss last time we talked?", -1),
    ("What did you recommend two conversations ago?", -2),
    ("What did I tell you in our first chat?", "first"),
    ("Where was I when we first talked?", "first"),
    ("What have we covered in this conversation?", 0),
    ("What did Ana say?", None),
]


@pytest.mark.parametrize(("question", "session"), SESSIONS)
def test_a_question_speaks_of_this_conversation(english, question, session):
    assert ask(question, CLOCK, english).session == session


def test_a_question_without_time_asks_nothing_of_it(english):
    asked = ask("What is the name of Ana's dog?", CLOCK, english)
    assert asked == Asked()
    assert not asked
    assert ask("When did she move?", CLOCK, english)


GERMAN_QUESTIONS = [
    # question, what it says of time
    ("Wann ist Ana umgezogen?", {"wants_date": True}),
    ("Seit wann isst Ana kein Fleisch?", {"wants_date": True}),
    ("In welchem Jahr haben sie geheiratet?", {"wants_date": True}),
    ("An welchem Tag war die Prüfung?", {"wants_date": True}),
    ("Welches Datum hatte der Brief?", {"wants_date": True}),
    ("Wie lange dauerte die Reise?", {"wants_length": True}),
    ("Wie viele Tage blieb sie?", {"wants_length": True}),
    ("Wie viele Wochen lagen zwischen dem Umzug und der Hochzeit?",
     {"wants_length": True, "lengths": (HowLong("dem Umzug", "der Hochzeit", "week"),)}),
    ("Wie lange ist es seit dem Unfall?",
     {"wants_length": True, "lengths": (HowLong("dem Unfall", None, None),)}),
    ("In welcher Reihenfolge besuchten sie die Städte?", {"wants_order": True}),
    ("Was kam zuerst, der Brand oder die Flut?", {"wants_order": True}),
    ("Was tat Ana nach der Hochzeit?", {"anchor": Anchor("after", "der Hochzeit")}),
    ("Was tat Ana vor dem Umzug?", {"anchor": Anchor("before", "dem Umzug")}),
    ("Was aßen sie während der Reise?", {"anchor": Anchor("during", "der Reise")}),
    ("Wie heißt Anas Hund?", {}),
]  # fmt: skip


@pytest.mark.parametrize(("question", "expected"), GERMAN_QUESTIONS)
def test_a_german_question_says_this_of_time(question, expected):
    assert ask(question, CLOCK, GERMAN) == Asked(**expected)


def test_a_german_question_names_its_times():
    assert times(ask("Was tat Ana im Dezember?", CLOCK, GERMAN))[0] == (
        "2022-12-01/2023-01-01", 1,
    )  # fmt: skip
    assert times(ask("Wer rief gestern an?", CLOCK, GERMAN)) == [("2023-10-11/2023-10-12", 1)]


class EveryTextIsMay:
    """A reader of another kind, without words of a language for questions."""

    identity = "may"

    def mentions(self, text, clock, *, looks_back=False):
        assert looks_back
        may = Interval(datetime(2023, 5, 1, tzinfo=UTC), datetime(2023, 6, 1, tzinfo=UTC), "month")
        return (Mention(0, len(text), may, 0.7),)


def test_a_reader_without_words_for_questions_gives_the_times_alone():
    asked = ask("When did she move, and how long ago?", CLOCK, EveryTextIsMay())
    assert times(asked) == [("2023-05-01/2023-06-01", 0.7)]
    assert asked == Asked(times=asked.times)


def test_a_table_without_words_for_questions_gives_the_times_alone(english):
    dialect = replace(english, table=replace(english.table, name="dialect"))
    asked = ask("When did she move, yesterday?", CLOCK, dialect)
    assert times(asked) == [("2023-10-11/2023-10-12", 1)]
    assert asked == Asked(times=asked.times)


def test_a_reader_that_reads_nothing_asks_nothing():
    assert ask("When did she move?", CLOCK, NoTimeline()) == Asked()
