"""Time in a recall: windows, questions with dates, dated contexts."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import memsieve
from memsieve.errors import DateError, ParameterError
from memsieve.score import NAMES, StandardisedSum
from memsieve.types import Interval

CONVERSATIONS = Path(__file__).parents[1] / "examples" / "conversations"
NOW = "2025-06-15T12:00:00Z"
MARCH = Interval(datetime(2025, 3, 1, tzinfo=UTC), datetime(2025, 4, 1, tzinfo=UTC), "month")
OF_TIME = {"said_inside", "said_gap", "event_overlap", "event_gap", "dated"}
NO_TIME = {name: {0} for name in OF_TIME}

KETTLE = [
    ("2025-01-10", "The kettle is red."),
    ("2025-03-05", "The kettle is blue."),
    ("2025-03-31T23:30:00Z", "The kettle leaks."),
    ("2025-05-01", "Our old kettle broke on 20 March."),
    ("2025-06-01", "The kettle is new."),
]
IN_MARCH = {text for _, text in KETTLE[1:4]}


def headings(found):
    """The lines of a context that name a day."""
    return [line for line in found.context().split("\n") if line[-4:].isdigit() and ":" not in line]


# A window that the caller names


@pytest.fixture
def kettle(memory):
    """What was said of a kettle from January to June, three times in or of March."""
    for at, text in KETTLE:
        memory.add(text, at=at)
    return memory


WINDOWS = [
    MARCH,
    Interval(MARCH.start, MARCH.end),
    ("2025-03-01", "2025-04-01"),
    (MARCH.start, "1 April 2025"),
    (datetime(2025, 3, 1), datetime(2025, 4, 1)),
    "March 2025",
    "last March",
    "in March",
    "between 1 and 31 March 2025",
]


@pytest.mark.parametrize("during", WINDOWS, ids=str)
def test_a_hard_window_drops_what_was_said_and_happened_outside(kettle, during, texts_of):
    found = kettle.recall("Where is the kettle?", during=during, window="hard", now=NOW)
    assert set(texts_of(found)) == IN_MARCH
    assert not found.left_out
    assert all("outside" not in hit.why for hit in found)


@pytest.mark.parametrize("during", WINDOWS, ids=str)
def test_a_soft_window_puts_it_behind_and_says_so(kettle, during, texts_of):
    found = kettle.recall("Where is the kettle?", during=during, now=NOW)
    assert set(texts_of(found[:3])) == IN_MARCH
    assert set(texts_of(found)) == {text for _, text in KETTLE}
    assert [hit.why.get("outside", 0) < 0 for hit in found] == [False] * 3 + [True] * 2
    for hit in found:
        assert sum(hit.why.values()) == pytest.approx(hit.score)


@pytest.mark.parametrize(
    ("during", "expected"),
    [
        ((None, "2025-02-01"), {0}),
        (("2025-05-15", None), {4}),
        ((None, None), {0, 1, 2, 3, 4}),
        (("2025-03-20", "2025-03-21"), {3}),
        (("2025-04-01", "2025-05-01"), set()),
        (("2025-03-05T23:00:00", "2025-03-05T23:30:00"), {1}),  # told by the day, not by the hour
    ],
)
def test_bounds_may_be_open_and_days_count_as_wholes(kettle, during, expected, texts_of):
    found = kettle.recall("Where is the kettle?", during=during, window="hard")
    assert set(texts_of(found)) == {KETTLE[n][1] for n in expected}


def test_a_window_is_read_on_the_clock_of_the_question_and_met_on_that_of_the_speaker(memory):
    id_ = memory.add("The kettle sings.", at="2025-03-01T00:30:00+02:00")  # 28 February in UTC
    recall = memory.recall
    options = {"window": "hard", "question": "kettle"}
    assert recall(**options, during="March 2025", now="2025-06-15T12:00:00+02:00").ids == (id_,)
    assert recall(**options, during="28 February 2025", now="2025-06-15T12:00:00+02:00").ids == ()
    assert recall(**options, during="28 February 2025", now=NOW).ids == (id_,)


def test_everything_in_a_soft_window_comes_before_anything_outside(memory, texts_of):
    memory.add(
        [f"The red kettle whistles in the kitchen, time {n}." for n in range(250)],
        at="2025-02-01",
        session="s",
    )
    inside = ["A kettle.", "Some kitchen or other was red."]
    for text in inside:
        memory.add(text, at="2025-03-05")
    question = "Which red kettle whistles in the kitchen?"
    assert not set(inside) & set(texts_of(memory.recall(question, k=10)))
    found = memory.recall(question, k=10, during=MARCH)
    assert set(texts_of(found[:2])) == set(inside)
    assert len(found) == 10


def test_evidence_of_a_length_outside_a_window_does_not_come_before_what_lies_inside(kettle):
    question = "How many days ago did the old kettle break?"
    found = kettle.recall(question, now=NOW, during=("2025-06-01", "2025-06-02"))
    assert [line.days for line in found.computed] == [87]
    assert [hit.text for hit in found][:2] == ["The kettle is new.", KETTLE[3][1]]
    assert found[1].why["worked out"] > 0 > found[1].why["outside"]


@pytest.mark.parametrize("question", ["Which kettle in March?", "The kettle in March 2025?"])
def test_a_hard_window_without_one_named_is_that_of_the_question(kettle, question, texts_of):
    assert set(texts_of(kettle.recall(question, now=NOW, window="hard"))) == IN_MARCH
    assert len(kettle.recall(question, now=NOW)) == len(KETTLE)


def test_a_hard_window_drops_nothing_for_a_question_without_time(kettle):
    assert len(kettle.recall("Where is the kettle?", now=NOW, window="hard")) == len(KETTLE)


def test_a_window_narrows_filters_further(kettle, texts_of):
    kettle.add("The kettle of Ben.", at="2025-03-07", speaker="Ben", metadata={"x": 1})
    for options in ({"speaker": "Ben"}, {"metadata": {"x": 1}}, {"since": "2025-03-06"}):
        found = kettle.recall("kettle", during=MARCH, window="hard", **options)
        assert "The kettle of Ben." in texts_of(found)
        assert KETTLE[1][1] not in texts_of(found)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"during": 5}, ParameterError, "during must be an Interval, a pair of dates or words"),
        ({"during": ("2025-03-01",)}, ParameterError, "during must be an Interval, a pair"),
        ({"during": ["2025-03-01", "2025-04-01"]}, ParameterError, "during must be an Interval"),
        ({"during": (1, 2)}, ParameterError, "must be a datetime or text"),
        ({"during": ("soon", None)}, DateError, "date 'soon' does not parse"),
        ({"during": ("2025-04-01", "2025-03-01")}, ParameterError, "must not end before it start"),
        ({"during": ""}, DateError, "'' names no time: write it like 'May 2023'"),
        ({"during": "the kettle"}, DateError, "'the kettle' names no time"),
        ({"during": "in May 2025 or in July 2025"}, DateError, "names 2 times: write it like"),
        ({"during": "half \ud83d"}, DateError, "names no time"),
        ({"window": "medium"}, ParameterError, "window must be soft or hard, got 'medium'"),
        ({"window": None}, ParameterError, "window must be soft or hard, got None"),
        ({"window": ["soft"]}, ParameterError, "window must be soft or hard"),
        ({"as_of": "then"}, DateError, "date 'then' does not parse"),
        ({"as_of": 5}, ParameterError, "must be a datetime or text"),
        (
            {"as_of": "2025-03-01", "now": "2025-03-02"},
            ParameterError,
            "now must not lie after as_of: name one of the two",
        ),
    ],
)
def test_a_wrong_time_is_refused(kettle, options, error, message):
    with pytest.raises(error, match=message) as raised:
        kettle.recall("Where is the kettle?", **options)
    assert raised.type is error


# Questions that speak of time


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2025-03-13T01:00:00+09:00", "I ate rice."),  # Tokyo: yesterday was the 12th
        ("2025-03-12T16:00:00Z", "I ate soup."),  # the same moment
    ],
)
def test_the_zone_of_now_says_which_day_yesterday_was(memory, now, expected):
    memory.add("I ate soup.", at="2025-03-11T12:00:00Z")
    memory.add("I ate rice.", at="2025-03-12T12:00:00Z")
    assert memory.recall("What did I eat yesterday?", now=now, k=1)[0].text == expected


@pytest.fixture
def runs(memory):
    """The same said of running month after month; what happened in April was told in May."""
    for n, month in enumerate(("January", "February", "March", "June", "July"), 1):
        memory.add(f"I ran {n} kilometres by the river.", at=f"15 {month} 2025", speaker="Tom")
    memory.add("I ran 9 kilometres by the river last month.", at="15 May 2025", speaker="Tom")
    return memory


@pytest.mark.parametrize(
    ("question", "number"),
    [
        ("How far did Tom run by the river in March 2025?", 3),
        ("How far did Tom run by the river in February?", 2),
        ("How far did Tom run by the river two weeks ago?", 5),
        ("How far did Tom run by the river on 15 June 2025?", 4),
        ("How far did Tom run by the river in April 2025?", 9),
        ("How far did Tom run by the river in the spring of 2025?", 9),
    ],
)
def test_a_question_with_a_date_finds_what_was_said_or_happened_then(runs, question, number):
    found = runs.recall(question, now="2025-08-01T12:00:00Z")
    best = {hit.text.split()[2] for hit in found[: 2 if "spring" in question else 1]}
    assert str(number) in best
    assert len(found) == 6


def test_what_happened_then_is_told_by_its_event_though_said_much_later(runs):
    best, *rest = runs.recall("How far did Tom run by the river in April 2025?", now="2025-08-01")

    def of_time(hit):
        return sum(hit.why.get(name, 0) for name in ("event_inside", "event_overlap", "event_gap"))

    assert of_time(best) > 0
    assert all(of_time(hit) < of_time(best) for hit in rest)
    assert best.item.said_local.month == 5


def test_a_question_anchored_on_an_event_is_about_the_time_beside_it(memory, texts_of):
    memory.add("The marathon in Rotterdam was last Sunday.", at="2025-04-16", speaker="Tom")
    memory.add("I bought blue shoes.", at="2025-04-01", speaker="Tom")
    memory.add("I bought black shoes.", at="2025-05-20", speaker="Tom")

    def best(question):
        found = memory.recall(question, now=NOW, k=3)
        return next(text for text in texts_of(found) if "shoes" in text)

    assert best("Which shoes did Tom buy after the marathon?") == "I bought black shoes."
    assert best("Which shoes did Tom buy before the marathon?") == "I bought blue shoes."


def test_a_question_of_the_last_chat_finds_what_was_said_there(memory):
    for month in (1, 2, 3):
        memory.add(
            [f"Let us paint the shed in colour {month}.", "Fine with me."],
            session=f"s{month}",
            at=f"2025-0{month}-05T10:00:00Z",
        )
    asked = {
        "What did we say of the shed in our last chat?": "s3",
        "What did we say of the shed in our first chat?": "s1",
    }
    for question, session in asked.items():
        assert memory.recall(question, now=NOW, k=1)[0].item.session == session
    early = memory.recall("What did we say of the shed in our last chat?", now="2025-02-20", k=1)
    assert early[0].item.session == "s2"


def test_a_question_that_asks_when_prefers_what_tells_a_date(opened):
    memory = opened(embedder="none")
    memory.add(["The wedding of Rui is near the blue sea."] * 3, at="2025-05-01")
    memory.add("The wedding of Rui is on 13 September 2025.", at="2025-05-01")
    found = memory.recall("When is the wedding of Rui?", now=NOW)
    assert found[0].text.endswith("2025.")
    assert found[0].why["dated"] > 0 > found[1].why["dated"]


class Noted:
    """The shipped scorer, and what features it was last given."""

    def score(self, features):
        self.features = features
        return StandardisedSum().score(features)


@pytest.fixture
def columns(opened):
    """What the features of time are for a question about the kettle: name -> set of values."""

    def ask(question, timeline="english"):
        scorer = Noted()
        memory = opened(scorer=scorer, timeline=timeline)
        for at, text in KETTLE:
            memory.add(text, at=at)
        hits = memory.recall(question, now=NOW)
        assert len(hits) == len(KETTLE)
        weighed = {name for hit in hits for name in hit.why}
        found = {name: set(scorer.features.column(name).tolist()) for name in OF_TIME}
        assert all(found[name] != {0} for name in OF_TIME & weighed)
        return found

    return ask


@pytest.mark.parametrize("question", ["Where is the kettle?", "Who broke the kettle?", "kettle"])
def test_the_features_of_time_are_zero_for_a_question_without_time(columns, question):
    assert columns(question) == NO_TIME


def test_the_features_of_time_are_zero_without_a_reader_of_time(columns):
    assert columns("When did the kettle break last March?", "none") == NO_TIME


def test_a_question_of_a_time_has_them(columns):
    found = columns("When did the kettle break last March?")
    assert found["said_inside"] == found["event_overlap"] == found["dated"] == {0, 1}
    assert max(found["said_gap"]) == max(found["event_gap"]) == 0 > min(found["event_gap"])
    assert OF_TIME.issubset(NAMES)


# Order


ORDER = "In what order did Ana buy the lamp, the chair and the table?"


@pytest.fixture
def furniture(opened):
    """A table, a lamp and a chair, told of in another order than they were bought."""
    memory = opened(embedder="none")
    for session, at, text in (
        ("b", "2025-05-20T10:00:00Z", "I bought the lamp in my street yesterday."),
        ("a", "2025-05-30T10:00:00Z", "Two weeks ago I bought the table, did I say so?"),
        ("a", "2025-05-30T10:01:00Z", "I am buying the chair."),
        ("c", "2025-05-31T10:00:00Z", "I bought a table cloth on 19 May 2025."),
    ):
        memory.add(text, session=session, at=at, speaker="Ana")
    return memory


def test_a_question_of_order_gives_a_context_by_the_days_of_events(furniture):
    found = furniture.recall(ORDER, now=NOW)
    assert found.by_event
    assert found.context().split("\n") == [
        "Friday 16 May 2025",
        "Ana: Two weeks ago [16 May] I bought the table, did I say so?",
        "",
        "Monday 19 May 2025",
        "Ana: I bought the lamp in my street yesterday [19 May].",
        "Ana: I bought a table cloth on 19 May 2025.",
        "",
        "Friday 30 May 2025",
        "Ana: I am buying the chair.",
    ]


def test_another_question_gives_it_by_the_days_on_which_things_were_said(furniture):
    found = furniture.recall("What of the lamp, the chair and the table?", now=NOW)
    assert not found.by_event
    assert headings(found) == ["Tuesday 20 May 2025", "Friday 30 May 2025", "Saturday 31 May 2025"]


def test_neighbours_of_an_order_are_those_of_the_conversation(opened, texts_of):
    memory = opened(embedder="none")
    memory.add(["Good.", "A chair, not a lamp."], session="b", at="2025-05-30")
    memory.add(["Ana bought the red lamp first.", "Fine."], session="a", at="2025-05-30")
    found = memory.recall("Who bought the red lamp first?", now=NOW, k=2, neighbours=1)
    assert found.by_event
    assert texts_of(found) == ["Ana bought the red lamp first.", "Fine."]


def test_what_happened_in_the_first_hour_of_all_stands_in_an_order(opened):
    zone = timezone(timedelta(hours=23))  # in UTC that day begins in the year 0
    memory = opened(embedder="none")
    memory.add("Ana bought the lamp first.", at=datetime(1, 1, 1, 23, tzinfo=zone))
    found = memory.recall("What lamp did Ana buy first?", budget_tokens=100)
    assert found.context() == "Monday 1 January 1\nAna bought the lamp first."


# Budgets


def chars(text):
    """A counter that does not add up: joined lines cost a third more."""
    return len(text) if "\n" not in text else len(text) * 4 // 3


@pytest.fixture(scope="module", params=[None, chars], ids=["tokens", "chars"])
def conversations(request, tmp_path_factory):
    """Both example conversations, counted by the shipped counter and by one of the caller's."""
    path = tmp_path_factory.mktemp("budgets") / "agent.db"
    with memsieve.open(path, embedder="none", count_tokens=request.param) as memory:
        memory.import_(CONVERSATIONS)
        yield memory


QUESTIONS = (
    "What did Tom say about running?",
    "What happened to Pickle last summer?",
    "In which order did Ana sign the lease, find the ring and start at the museum?",
    "What came first, the marathon or the wedding?",
    "How many days passed between Tom handing in his notice at school and his mother's birthday"
    " lunch?",
    "How many days after the surgeon rang was the plate taken out?",
    "What did Ana do after she signed the lease?",
)


@settings(max_examples=120, deadline=None)
@given(
    question=st.sampled_from(QUESTIONS),
    budget=st.integers(0, 60) | st.integers(0, 3_000),
    dates=st.booleans(),
    cite=st.booleans(),
    neighbours=st.integers(0, 3),
    k=st.none() | st.integers(0, 30),
)
def test_a_context_is_never_over_its_budget(
    conversations, question, budget, dates, cite, neighbours, k
):
    found = conversations.recall(
        question,
        budget_tokens=budget,
        dates=dates,
        cite=cite,
        neighbours=neighbours,
        k=k,
        now="2026-02-01T10:00:00+01:00",
        namespace="ana-and-tom",
    )
    assert found.tokens == found.count_tokens(found.context()) <= budget
    assert k is None or len(found) <= k


@pytest.mark.parametrize("conversations", [None], indirect=True, ids=["tokens"])
@pytest.mark.parametrize("dates", [False, True])
def test_the_room_of_a_budget_is_used_up_to_a_short_line(conversations, dates):
    for question in QUESTIONS:
        found = conversations.recall(
            question, budget_tokens=1_000, dates=dates, namespace="ana-and-tom"
        )
        assert 970 <= found.tokens <= 1_000


def test_a_computed_line_fits_or_is_left_out(conversations):
    question = QUESTIONS[4]
    options = {"now": "2026-02-01T10:00:00+01:00", "namespace": "ana-and-tom"}
    (line,) = conversations.recall(question, **options).computed
    cost = conversations.recall(question, **options).count_tokens(line.line)
    without = conversations.recall(question, budget_tokens=cost - 1, **options)
    assert (without.computed, without.tokens < cost) == ((), True)
    alone = conversations.recall(question, budget_tokens=cost, **options)
    assert (alone.context(), len(alone), alone.tokens) == (line.line, 0, cost)
    more = conversations.recall(question, budget_tokens=cost + 1_000, **options)
    assert more.context().endswith(f"\n\n{line.line}")
    assert len(more) > 0


# Dates beside relative words


def test_dates_stand_beside_relative_words_on_the_clock_of_the_speaker(memory):
    memory.add("I ran yesterday.", at="2025-03-13T00:30:00+02:00")  # the 12th in UTC
    found = memory.recall("Who ran?")
    assert found.context() == "Thursday 13 March 2025\nI ran yesterday [12 March]."
    assert found.tokens == memory.recall("Who ran?", budget_tokens=found.tokens).tokens
    assert memory.recall("Who ran?", budget_tokens=found.tokens - 1).context() == ""


def test_without_dates_every_text_is_verbatim(conversations):
    for question in QUESTIONS:
        found = conversations.recall(question, dates=False, namespace="ana-and-tom")
        lines = set(found.context().split("\n"))
        assert {f"{hit.item.speaker}: {hit.text}" for hit in found} <= lines
        assert not found.dates


# Without a reader of time


def test_a_memory_that_reads_no_time_works_all_the_same(opened, texts_of):
    memory = opened(timeline="none")
    for at, text in KETTLE:
        memory.add(text, at=at, key=text[:12])
    memory.add("I saw a kettle yesterday.", at="2025-06-02")
    found = memory.recall("When did the kettle break last month, first of all?", now=NOW)
    assert len(found) == len(memory.list())
    assert (found.computed, found.by_event) == ((), False)
    assert "[" not in found.context()
    assert not any(OF_TIME & hit.why.keys() for hit in found)
    assert not any(hit.item.mentions for hit in found)
    assert memory.recall("How many days ago did our old kettle break?", now=NOW).computed == ()
    inside = memory.recall("kettle", during=("2025-06-02", "2025-06-03"), window="hard")
    assert texts_of(inside) == ["I saw a kettle yesterday."]
    with pytest.raises(DateError, match="'last month' names no time"):
        memory.recall("kettle", during="last month", now=NOW)
    assert "I saw a kettle yesterday." not in texts_of(memory.recall("kettle", as_of="2025-06-01"))
    assert memory.recall("kettle", budget_tokens=30).tokens <= 30
    assert memory.check() == []


# While times are being read


def test_dates_that_a_loaded_memory_does_not_count_never_break_its_budget(opened, sql):
    memory = opened(embedder="none")
    memory.add([f"I ran by the river yesterday, and in the {n}th lane two weeks ago."
                for n in range(20)], at="2025-03-13", session="s")  # fmt: skip
    mentions = sql("SELECT * FROM item_time")
    assert len(mentions) == 40
    sql("DELETE FROM item_time")
    sql("UPDATE item_index SET dated_tokens = NULL")
    assert "[" not in memory.recall("Who ran by the river?", budget_tokens=200).context()
    for row in mentions:
        sql(f"INSERT INTO item_time VALUES ({','.join('?' * len(row))})", *row)
    for question in ("Who ran by the river?", "Who ran by the river first?"):
        for budget in range(0, 400, 7):
            found = memory.recall(question, budget_tokens=budget)
            assert found.tokens <= budget
            assert len(found.left_out) == len(found.reasons)
        assert "[12 March]" in found.context()
        assert any("dropped: the whole text" in reason for reason in found.reasons)
        plain = memory.recall(question, budget_tokens=200, dates=False)
        assert 180 < plain.tokens <= 200


def test_a_recall_while_times_are_read_is_within_its_budget(opened):
    writer = opened(embedder="none", timeline="none")
    writer.add([f"Turn {n} of the day." for n in range(1_000)], at="2025-03-13", session="s")
    writer.add([f"I ran by the river yesterday, lap {n}." for n in range(60)], at="2025-03-13")
    reader = opened(embedder="none")
    seen = []

    def meanwhile(done, total):
        found = [reader.recall("Who ran by the river?", budget_tokens=b) for b in (0, 50, 150, 300)]
        assert all(one.tokens <= one.budget_tokens for one in found)
        seen.append((done, "[12 March]" in found[-1].context(), found[-1].tokens))

    assert writer.reindex(time=True, timeline="english", progress=meanwhile) == 1_060
    assert [(done, dated) for done, dated, _ in seen] == [(1_000, False), (1_060, True)]
    meanwhile(None, None)
    assert seen[-1][1]
    assert seen[-1][2] > 280
    assert writer.check() == []
