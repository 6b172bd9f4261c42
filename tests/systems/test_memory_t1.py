"""Memory-T1 on small dated conversations; its chat model is a scripted server on loopback."""

import logging
from collections import Counter
from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import pytest

from memsieve.embed import Transport, WordPiece
from memsieve.errors import EndpointError, ParameterError
from memsieve.evaluate import Dataset, Question, Scope, evaluate
from memsieve.llm import OpenAI
from memsieve.systems import Card, MemoryT1
from memsieve.systems.date_range import DateRange, ModelRange, RuleRange
from memsieve.systems.memory_t1 import (
    CARD,
    ModelPolicy,
    ScorePolicy,
    prompt,
    sessions_of,
)
from memsieve.systems.memory_t1 import _bm25 as bm25
from memsieve.types import Message

ASKED = datetime(2024, 6, 1, 12, tzinfo=UTC)
APRIL = "Who went hiking between 1 and 9 April?"
ANY_TIME = "Who went hiking in the hills?"
# Three look-alikes that only their dates tell apart, and sessions about other things.
STORY = {
    "session_1": (datetime(2024, 3, 30, 9, tzinfo=UTC), "We went hiking in the hills."),
    "session_2": (datetime(2024, 4, 5, 9, tzinfo=UTC), "We went hiking in the wet hills again."),
    "session_3": (datetime(2024, 5, 21, 9, tzinfo=UTC), "We went hiking in the hills, then swam."),
    "session_4": (datetime(2024, 4, 7, 9, tzinfo=UTC), "The office moved to another floor."),
    "session_5": (datetime(2024, 1, 8, 9, tzinfo=UTC), "My bicycle needs a chain."),
    "session_6": (datetime(2024, 1, 15, 9, tzinfo=UTC), "Lena plays chess now."),
    "session_7": (datetime(2024, 2, 1, 9, tzinfo=UTC), "Soup with leeks tonight."),
    "session_8": (datetime(2024, 2, 9, 9, tzinfo=UTC), "Rent goes up by ten."),
}


def scope(story=STORY):
    """A scope of two turns for each session: the story and a reply."""
    turns = []
    for session, (at, text) in story.items():
        turns.append(Message(text, at=at, speaker="Ana", session=session, key=f"{session}:1"))
        turns.append(Message("I see.", at=at, speaker="Ben", session=session, key=f"{session}:2"))
    return Scope("ana", tuple(turns))


def loaded(*policy, story=STORY, **options):
    memory = MemoryT1(*policy, **options)
    memory.load(scope(story))
    return memory


class Fixed:
    """A range for every question."""

    def __init__(self, *days):
        self.days = DateRange(*days)

    def range_of(self, question, now):
        return self.days


@pytest.fixture
def endpoint(scripted):
    """A chat model that writes the texts of its script in turn; a number is a status instead."""

    def as_step(step):
        choice = {"message": {"role": "assistant", "content": step}}
        return (step, "") if isinstance(step, int) else (200, {"choices": [choice]})

    scripted.as_step = as_step
    return scripted


@pytest.fixture
def chat(endpoint):
    hasty = Transport(timeout_s=0.3, max_retries=1, backoff_s=0.01)
    url = f"http://127.0.0.1:{endpoint.server_port}/v1"
    with OpenAI("m", url, transport=hasty) as opened:
        yield opened


@pytest.fixture
def asked(endpoint, chat):
    """The result of a question where the model writes `text`."""

    def ask(text, question=ANY_TIME):
        endpoint.script = [text] if isinstance(text, str | int) else list(text)
        return loaded(ModelPolicy(chat)).answer(question, ASKED)

    return ask


# The range of a question


@pytest.mark.parametrize(
    ("question", "days"),
    [
        (APRIL, DateRange(date(2024, 4, 1), date(2024, 4, 9))),
        ("What did Ana do on 5 April 2024?", DateRange(date(2024, 4, 5), date(2024, 4, 5))),
        ("What happened since May 2024?", DateRange(date(2024, 5, 1), None)),
        ("What happened before May 2024?", DateRange(date(1900, 1, 1), date(2024, 4, 30))),
        (
            "Did it rain more on 3 March 2024 or on 9 April 2024?",
            DateRange(date(2024, 3, 3), date(2024, 4, 9)),
        ),
        ("What happened before 1850?", DateRange(date(1849, 12, 31), date(1849, 12, 31))),
        ("What happened until 1 June 2024 at noon?", DateRange(end=date(2024, 6, 1))),
        ("What did Ana do yesterday?", DateRange(date(2024, 5, 31), date(2024, 5, 31))),
        (ANY_TIME, DateRange()),
    ],
)
def test_rules_read_the_days_of_a_question(question, days):
    assert RuleRange().range_of(question, ASKED) == days


def test_a_range_is_read_on_the_clock_of_who_asks():
    night = datetime(2024, 6, 1, 1, tzinfo=timezone(timedelta(hours=9)))
    assert RuleRange().range_of("What did Ana do today?", night).start == date(2024, 6, 1)


@pytest.mark.parametrize(
    ("written", "days"),
    [
        (
            '{"start": "2024-04-01", "end": "2024-04-09"}',
            DateRange(date(2024, 4, 1), date(2024, 4, 9)),
        ),
        ('{"start": "2024-04-01T00:00:00", "end": "unknown"}', DateRange(date(2024, 4, 1))),
        ('{"start": null, "end": "2024-04-09"}', DateRange(end=date(2024, 4, 9))),
        ('So: {"start": "unknown", "end": "unknown"}', DateRange()),
    ],
)
def test_a_model_may_tell_the_days(endpoint, chat, written, days):
    endpoint.script = [written]
    assert ModelRange(chat).range_of(APRIL, ASKED) == days
    (body,) = endpoint.bodies
    content = body["messages"][0]["content"]
    assert content.endswith(f"Asked on Saturday, 2024-06-01 12:00:00: {APRIL}")
    assert (body["temperature"], "JSON" in content) == (0, True)


@pytest.mark.parametrize(
    "written",
    [
        "in April",
        "",
        '{"start": "2024-04-01"}',
        '{"start": "April", "end": "unknown"}',
        '{"start": 2024, "end": 2025}',
        '{"start": "2024-04-09", "end": "2024-04-01"}',
    ],
)
def test_days_that_a_model_does_not_tell_are_unknown_and_said_so(endpoint, chat, written, caplog):
    endpoint.script = [written]
    with caplog.at_level(logging.WARNING, logger="memsieve.systems.memory_t1"):
        result = loaded(time_range=ModelRange(chat)).answer(APRIL, ASKED)
    assert (result.time_range, result.range_failed) == (DateRange(), True)
    assert result.candidates == tuple(STORY)
    assert [record.getMessage() for record in caplog.records] == [
        "the days of a question could not be told: all sessions are looked at"
    ]


def test_a_range_must_not_end_before_it_starts():
    with pytest.raises(ParameterError, match="must not end before it starts"):
        DateRange(date(2024, 4, 9), date(2024, 4, 1))


# The filter


def test_of_sessions_that_say_the_same_the_dated_question_finds_its_own():
    by_words = loaded(time_range=Fixed(), k=1)
    dated = loaded(k=1)
    assert by_words.answer(APRIL, ASKED).selected == ("session_1",)
    assert dated.answer(APRIL, ASKED).selected == ("session_2",)


@pytest.mark.parametrize("window", ["hard", "soft"])
def test_both_ends_of_a_range_belong_to_it(window):
    ends = Fixed(date(2024, 4, 5), date(2024, 4, 7))
    result = loaded(time_range=ends, window=window).answer("the office, hiking?", ASKED)
    assert set(result.candidates[:2]) == {"session_2", "session_4"}


def test_the_hard_window_drops_what_lies_outside():
    inside = loaded(time_range=Fixed(date(2024, 4, 5), date(2024, 5, 20)))
    assert set(inside.answer(ANY_TIME, ASKED).candidates) == {"session_2", "session_4"}


def test_the_soft_window_ranks_it_behind_and_counts_two_days_outside_as_inside():
    two_days = loaded(time_range=Fixed(date(2024, 4, 1), date(2024, 4, 9)), window="soft")
    # 30 March lies 2 days before; 5 and 7 April inside; 21 May far behind in spite of its words.
    assert two_days.answer(ANY_TIME, ASKED).candidates == (
        *("session_1", "session_2", "session_4"),
        *("session_3", "session_5", "session_6", "session_7", "session_8"),
    )
    three_days = loaded(time_range=Fixed(date(2024, 4, 2), date(2024, 4, 9)), window="soft")
    assert three_days.answer(ANY_TIME, ASKED).candidates == (
        *("session_2", "session_4"),
        *("session_1", "session_3", "session_5", "session_6", "session_7", "session_8"),
    )


@pytest.mark.parametrize("window", ["hard", "soft"])
@pytest.mark.parametrize("days", [(), (date(2019, 1, 1), date(2019, 12, 31))])
def test_an_unknown_range_or_one_without_survivors_leaves_bm25_alone(window, days):
    result = loaded(time_range=Fixed(*days), window=window).answer(ANY_TIME, ASKED)
    sessions = sessions_of(scope().messages)
    scores = bm25(ANY_TIME.split(), [Counter(session.text.split()) for session in sessions])
    by_words = [sessions[i].id for i in np.argsort(-scores, kind="stable")]
    assert list(result.candidates) == by_words == list(STORY)


@pytest.mark.parametrize("k", [8, 9])
def test_as_many_candidates_as_sessions_and_no_cap_give_all(k):
    result = loaded(k=k, budget_tokens=10**6).answer(ANY_TIME, ASKED)
    assert set(result.candidates) == set(result.packed) == set(result.selected) == set(STORY)


def test_an_undated_session_passes_every_filter():
    story = STORY | {"session_9": (None, "Hiking, some day.")}
    result = loaded(story=story).answer(APRIL, ASKED)
    assert set(result.candidates) == {"session_2", "session_4", "session_9"}


def test_without_a_time_even_the_oldest_sessions_are_candidates():
    story = STORY | {"session_9": (datetime(1850, 1, 1, tzinfo=UTC), "Letters.")}
    assert "session_9" in loaded(story=story).answer(ANY_TIME, ASKED).candidates
    assert "session_9" not in loaded(story=story).answer("Since May 2024?", ASKED).candidates


def test_a_session_is_dated_on_the_clock_of_who_spoke():
    at = datetime(2024, 4, 10, 1, tzinfo=timezone(timedelta(hours=9)))  # 9 April in UTC
    story = STORY | {"session_9": (at, "Hiking!")}
    candidates = loaded(story=story).answer(APRIL, ASKED).candidates
    assert set(candidates) == {"session_2", "session_4"}


# The ranking


def test_scores_are_those_of_rank_bm25():
    """Numbers of the package rank_bm25 0.2.2, BM25Okapi, for the same texts and question."""
    texts = [
        "Ana went hiking on Sunday",
        "Ben went to the office",
        "Ana saw the sea on Monday",
        "the the cat",
    ]
    question = ["When", "was", "Ana", "hiking", "on", "Sunday", "the"]
    scores = bm25(question, [Counter(text.split()) for text in texts])
    assert scores == pytest.approx([1.655389, 0.127338, 0.116551, 0.211234], abs=1e-6)


def test_words_are_split_at_white_space_with_their_case_and_marks():
    counts = [Counter(["Hiking"]), Counter(["hiking."]), Counter(["hiking"]), Counter(["sea"])]
    assert np.flatnonzero(bm25(["hiking"], counts)).tolist() == [2]


def test_the_case_of_a_question_counts_too():
    story = STORY | {"session_9": (ASKED, "Chess Club"), "session_10": (ASKED, "chess club")}
    memory = loaded(story=story, k=1)
    assert memory.answer("Chess Club", ASKED).selected == ("session_9",)
    assert memory.answer("chess club", ASKED).selected == ("session_10",)


def test_equal_scores_keep_the_order_of_the_sessions():
    story = {f"session_{n}": (ASKED - timedelta(days=n), "The same.") for n in (3, 1, 2)}
    assert loaded(story=story).answer("same", ASKED).candidates == tuple(story)


def test_the_text_of_a_session_is_date_id_and_turns():
    first, *_ = sessions_of(scope().messages)
    assert first.text == (
        "2024-03-30 09:00:00: <session_1>, Ana : 2024-03-30 09:00:00 : We went hiking in the hills."
        "\nBen : 2024-03-30 09:00:00 : I see."
    )


def test_sessions_with_other_names_are_numbered_and_turns_without_one_go_by_day():
    day = timedelta(days=1)
    messages = [
        Message("a", session="chat", at=ASKED, key="a"),
        Message("b", at=ASKED, key="b"),
        Message("c", session="chat", at=ASKED + day, key="c"),
        Message("d", at=ASKED + day, key="d"),
        Message("e", at=ASKED, key="e"),
    ]
    assert [(s.id, s.name, [t.text for t in s.turns]) for s in sessions_of(messages)] == [
        ("session_1", "chat", ["a", "c"]),
        ("session_2", None, ["b", "e"]),
        ("session_3", None, ["d"]),
    ]


# The packing

COSTS = {"session_1": 40, "session_2": 50, "session_3": 5, "session_4": 5}


def cost(text):
    """The stated cost of a session's text; 1 for the others."""
    return next((tokens for name, tokens in COSTS.items() if f"<{name}>" in text), 1)


@pytest.mark.parametrize(
    ("budget", "packed"),
    [
        (0, ()),
        (39, ()),
        (40, ("session_1",)),
        (89, ("session_1",)),
        (90, ("session_1", "session_2")),
        (94, ("session_1", "session_2")),
        (99, ("session_1", "session_2", "session_3")),
        (100, ("session_1", "session_2", "session_3", "session_4")),
    ],
)
def test_packing_ends_with_the_first_session_that_does_not_fit(budget, packed):
    result = loaded(k=4, budget_tokens=budget, count_tokens=cost).answer(ANY_TIME, ASKED)
    assert result.candidates == tuple(COSTS)
    assert result.packed == result.selected == packed
    assert result.tokens == sum(COSTS[name] for name in packed)


def test_nothing_small_follows_what_does_not_fit():
    memory = loaded(k=4, budget_tokens=60, count_tokens=cost)
    assert memory.answer(ANY_TIME, ASKED).packed == ("session_1",)


# The policy that scores


def test_a_score_keeps_what_is_above_zero_best_first():
    seen = []

    def score(question, sessions):
        seen.append((question, [session.id for session in sessions]))
        return [1.0, -1.0, 3.0, 0.0]

    result = loaded(ScorePolicy(score), k=4).answer(ANY_TIME, ASKED)
    assert seen == [(ANY_TIME, list(result.packed))]
    assert result.selected == (result.packed[2], result.packed[0])
    assert (result.answer, result.parse_failed) == (None, False)


def test_a_score_that_likes_nothing_keeps_the_best():
    result = loaded(ScorePolicy(lambda *_: [-2, -1, -1, -3]), k=4).answer(ANY_TIME, ASKED)
    assert result.selected == (result.packed[1],)


def test_a_score_is_not_asked_where_there_is_nothing_to_choose():
    memory = loaded(ScorePolicy(lambda *_: pytest.fail("it was asked")), budget_tokens=0)
    assert memory.answer(ANY_TIME, ASKED).selected == ()


@pytest.mark.parametrize("scores", [[1.0], [[1.0] * 4], [1, 2, float("nan"), 4], 1.0])
def test_scores_of_another_shape_are_refused(scores):
    with pytest.raises(ParameterError, match=r"one finite score for each of 4 sessions"):
        loaded(ScorePolicy(lambda *_: scores), k=4).answer(ANY_TIME, ASKED)


# The policy that is a model


def test_a_well_formed_answer_names_sessions_and_answers(asked, endpoint):
    result = asked('{"selected_memory": ["<session_3>", "session_1"], "answer": "A C"}')
    assert (result.selected, result.answer) == (("session_3", "session_1"), "A C")
    assert (result.parse_failed, result.unknown) == (False, ())
    (body,) = endpoint.bodies
    assert [body[name] for name in ("max_tokens", "temperature", "top_p")] == [128, 0.1, 0.95]
    assert body["response_format"] == {"type": "json_object"}
    shown = [s for name in result.packed for s in sessions_of(scope().messages) if s.id == name]
    assert body["messages"] == [{"role": "user", "content": prompt(ANY_TIME, ASKED, shown)}]


def test_the_prompt_holds_sessions_in_rank_order_then_time_and_question():
    sessions = sessions_of(scope().messages)
    written = prompt(ANY_TIME, ASKED, [sessions[2], sessions[0]])
    assert written.endswith(
        f"Sessions:\n{sessions[2].text}\n\n{sessions[0].text}\n\n2024-06-01 12:00:00: {ANY_TIME}"
    )
    for form in ("JSON", '"selected_memory"', '"A C E"', '"(1)(3)(2)"', "02:30:00 pm"):
        assert form in written


def test_prose_around_the_answer_is_passed_over(asked):
    result = asked(
        'I think {so}.\n```json\n{"selected_memory": ["session_2"], "answer": "B"}\n```\nDone.'
    )
    assert (result.selected, result.answer, result.parse_failed) == (("session_2",), "B", False)


@pytest.mark.parametrize(
    "written",
    [
        '{"selected_memory": ["session_2"], "answer": "B"',
        "session_2, B",
        "",
        "{}",
        '{"answer": "B"}',
        '{"selected_memory": "session_2", "answer": "B"}',
        '["session_2"]',
    ],
)
def test_what_cannot_be_read_says_so_and_leaves_the_packed_sessions(asked, written):
    result = asked(written)
    assert (result.parse_failed, result.answer) == (True, None)
    assert result.selected == result.packed != ()


def test_ids_that_were_not_shown_are_told_apart(asked):
    result = asked('{"selected_memory": ["session_99", "session_2", "session_99"], "answer": "A"}')
    assert (result.selected, result.unknown) == (("session_2",), ("session_99",))
    nothing_known = asked('{"selected_memory": ["session_99"], "answer": "A"}')
    assert (nothing_known.selected, nothing_known.parse_failed) == ((), False)


def test_a_session_beyond_the_window_was_not_shown(asked):
    result = asked('{"selected_memory": ["session_1", "session_2"], "answer": "A"}', APRIL)
    assert (result.selected, result.unknown) == (("session_2",), ("session_1",))


def test_an_entry_is_named_by_its_first_id_and_once(asked):
    result = asked(
        '{"selected_memory": ["in session_2 and session_3", {"id": "session_1"}, "session_2", 4,'
        ' "We went hiking."], "answer": "A"}'
    )
    assert (result.selected, result.unknown) == (("session_2", "session_1"), ())


@pytest.mark.parametrize(
    ("value", "answer"),
    [('""', None), ('" "', None), ("null", None), ("[]", None), ('["A", "C"]', "A C"), ("0", "0")],
)
def test_an_empty_answer_is_none_and_others_become_text(asked, value, answer):
    result = asked(f'{{"selected_memory": ["session_2"], "answer": {value}}}')
    assert (result.answer, result.parse_failed) == (answer, False)


def test_an_endpoint_that_is_busy_for_a_moment_is_asked_again(asked):
    good = '{"selected_memory": ["session_2"], "answer": "A"}'
    assert asked([429, good]).selected == asked([500, good]).selected == ("session_2",)
    assert asked(["silence", good]).selected == ("session_2",)


@pytest.mark.parametrize(
    ("step", "reason"),
    [(429, "answered 429"), (500, "answered 500"), ("silence", r"did not answer within 0\.3 s")],
)
def test_an_endpoint_that_fails_is_one_clear_error(asked, step, reason):
    with pytest.raises(EndpointError, match=rf"{reason}.*\(try 2\): "):
        asked([step, step])


# Under measurement


def dataset(*questions):
    asked = tuple(
        Question(text, (f"{gold}:1",), "time", asked_at=ASKED) for text, gold in questions
    )
    return Dataset("conversations", (Scope("ana", scope().messages, asked),))


def test_it_is_measured_beside_others_and_dates_raise_its_recall():
    data = dataset((APRIL, "session_2"), ("Who went hiking in May 2024?", "session_3"))
    reports = {
        name: evaluate(memory, data)
        for name, memory in {"dated": MemoryT1(), "words": MemoryT1(time_range=Fixed())}.items()
    }
    first = {
        name: [row.ranking.sessions[0] for row in report.rows] for name, report in reports.items()
    }
    assert first == {"dated": ["session_2", "session_3"], "words": ["session_1", "session_1"]}
    report = reports["dated"]
    assert (report.system, report.policy, report.embedder) == ("memory-t1", "none", "none")


def test_turns_follow_their_sessions_and_the_selected_come_first():
    memory = loaded(ScorePolicy(lambda _, seen: [s.id == "session_4" for s in seen]), k=4)
    ranking = memory.rank(ANY_TIME, ASKED, 3)
    assert ranking.sessions == ("session_4", "session_1", "session_2", "session_3")
    assert ranking.turns == ("session_4:1", "session_4:2", "session_1:1")


def test_a_context_costs_its_lines_and_a_heading_for_each_session_and_day():
    memory = loaded(k=2)
    text = (
        "Saturday 30 March 2024\nAna: We went hiking in the hills.\nBen: I see.\n\n"
        "Friday 5 April 2024\nAna: We went hiking in the wet hills again.\nBen: I see."
    )
    packed = memory.pack(ANY_TIME, ASKED, 1000)
    assert packed.turns == ("session_1:1", "session_1:2", "session_2:1", "session_2:2")
    assert packed.tokens == WordPiece.shipped().count(text)
    less = memory.pack(ANY_TIME, ASKED, packed.tokens - 1)
    assert less.turns == packed.turns[:3]


def test_a_question_is_asked_once_however_often_it_is_packed(endpoint, chat):
    endpoint.script = ['{"selected_memory": ["session_2"], "answer": "A"}'] * 2
    report = evaluate(MemoryT1(ModelPolicy(chat)), dataset((APRIL, "session_2")))
    assert len(endpoint.bodies) == 1
    assert report.policy == "model"
    memory = loaded(ModelPolicy(chat))
    memory.rank(APRIL, ASKED, 10)
    assert len(endpoint.bodies) == 2


def test_loading_and_closing_forget_what_was_there():
    memory = loaded()
    memory.rank(ANY_TIME, ASKED, 10)
    memory.load(scope({"session_7": (ASKED, "Another hike.")}))
    assert memory.rank(ANY_TIME, ASKED, 10).sessions == ("session_7",)
    memory.close()
    memory.close()
    assert memory.rank(ANY_TIME, ASKED, 10).sessions == ()


@pytest.mark.parametrize("memory", [MemoryT1(), MemoryT1(window="soft")], ids=["hard", "soft"])
def test_a_memory_of_nothing_selects_nothing(memory):
    memory.load(Scope("empty", ()))
    result = memory.answer(APRIL, ASKED)
    assert (result.selected, result.candidates, result.tokens) == ((), (), 0)
    assert memory.pack(APRIL, ASKED, 100).turns == ()


# Options


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"window": "wide"}, "window must be hard or soft, got 'wide'"),
        ({"k": 0}, "k must be >= 1, got 0"),
        ({"budget_tokens": -1}, "budget_tokens must be >= 0, got -1"),
    ],
)
def test_options_outside_their_rule_are_refused(options, rule):
    with pytest.raises(ParameterError, match=rf"MemoryT1\.{rule}"):
        MemoryT1(**options)


@pytest.mark.parametrize(
    ("question", "now", "rule"),
    [
        (" \n", ASKED, "the question must not be empty"),
        (APRIL, datetime(2024, 6, 1), "now must be an aware datetime"),
    ],
)
def test_a_question_outside_its_rule_is_refused(question, now, rule):
    with pytest.raises(ParameterError, match=rule):
        loaded().answer(question, now)


def test_the_card_answers_the_six_questions():
    assert isinstance(CARD, Card)
    assert (CARD.name, MemoryT1.name) == ("memory-t1", "memory-t1")
    six = (CARD.unit, CARD.written, CARD.scored, CARD.selected, CARD.managed, CARD.learns)
    assert all(six)
    assert "2512.20092" in CARD.paper
