"""The rewards as TRL calls them: keywords with a list for each column, one number for each text."""

import json
from datetime import UTC, date, datetime

import pytest

from memsieve.errors import ParameterError
from memsieve.learn.rewards import Drawn, Known, MemoryT1Reward
from memsieve.learn.time_rewards import Event, Session
from memsieve.learn.trl import COLUMNS, SCORES, GRPOReward, columns, known_of, words_f1
from memsieve.types import Interval

HIKE = Event("went hiking and sketching in the park", date(2020, 4, 1), date(2020, 4, 1))
OFFICE = Event("the office moved", date(2020, 5, 20), None)
KNOWN = Known(
    question="Who went hiking and sketching in the park?",
    asked=Interval(datetime(2020, 4, 1, tzinfo=UTC), datetime(2020, 4, 10, tzinfo=UTC)),
    sessions=(
        Session("session_1", date(2020, 4, 2), ((HIKE,), ())),
        Session("session_2", date(2020, 5, 21), ((OFFICE,),)),
    ),
    gold=frozenset({"session_1"}),
)
ROW = columns(KNOWN, answer="B", task="options")


def wrote(*selected, answer="B"):
    """A completion as a policy writes it."""
    return json.dumps({"selected_memory": selected, "answer": answer})


def called(reward, completions, row=ROW, **more):
    """What TRL's trainer does: every column repeated for each completion, and its own keywords."""
    n = len(completions)
    return reward(
        prompts=["a prompt"] * n,
        completions=completions,
        completion_ids=[[1, 2]] * n,
        trainer_state=object(),
        log_extra=lambda *_: None,
        another_column=[None] * n,
        **{name: [value] * n for name, value in row.items()},
        **more,
    )


def test_a_completion_is_rewarded_by_what_it_selected_and_answered():
    """The paper's variant, by hand: 0.6 R_a + 0.2 R_g + 0.1 R_s + 0.1 R_f.

    R_s: 0.998634 inside, -0.5 forty-two days after; R_f: only the hike is relevant, and inside.
    """
    rewards = called(
        GRPOReward(),
        [
            wrote("session_1"),
            wrote("<session_1>", "session_2"),
            wrote("session_2"),
            wrote("session_1", answer="A"),
            wrote(),
            "no JSON",
        ],
    )
    assert rewards == pytest.approx(
        [
            0.6 + 0.2 + 0.1 * 0.998634 + 0.1,
            0.6 + 0.0 + 0.1 * (0.998634 - 0.5) / 2 + 0.1,
            0.6 - 0.2 + 0.1 * -0.5,
            -0.6 + 0.2 + 0.1 * 0.998634 + 0.1,
            0.6 - 0.2,
            -0.5,
        ],
        abs=1e-5,
    )


def test_the_public_codes_variant_gives_its_own_numbers():
    """From the public reward function: 1.0, 0.780066, 0.360132, 0.4, 0.4, -1.0 for these six."""
    rewards = called(
        GRPOReward(MemoryT1Reward(variant="code")),
        [
            wrote("session_1"),
            wrote("session_1", "session_2"),
            wrote("session_2"),
            wrote("session_1", answer="A"),
            wrote(),
            "{",
        ],
    )
    assert rewards == pytest.approx([1.0, 0.780066, 0.360132, 0.4, 0.4, -1.0], abs=1e-6)


def test_texts_and_messages_are_rewarded_alike():
    text = wrote("session_1")
    chats = [
        [{"role": "assistant", "content": text}],
        [{"role": "tool", "content": "{}"}, {"role": "assistant", "content": text}],
    ]
    assert called(GRPOReward(), chats) == called(GRPOReward(), [text, text])
    without_text = [[], [{"role": "assistant", "content": None}]]
    assert called(GRPOReward(), without_text) == [-0.5, -0.5]


def test_an_invented_session_is_worse_than_none():
    right, invented = called(
        GRPOReward(part="grounding"), [wrote("session_1"), wrote("session_1", "session_9")]
    )
    assert (right, invented) == (1.0, 0.0)


def test_prose_is_no_session_and_is_not_punished():
    text = f"Let me think. {wrote('session_1', 'We went hiking.')} That is all."
    assert called(GRPOReward(part="grounding"), [text]) == [1.0]


@pytest.mark.parametrize("part", ["answer", "grounding", "proximity", "fidelity", "temporal"])
def test_a_part_is_that_of_the_reward(part):
    rewards = called(GRPOReward(part=part), [wrote("session_1", "session_2"), "no JSON"])
    parts = MemoryT1Reward().parts(Drawn(("session_1", "session_2"), answer_score=1.0), KNOWN)
    assert rewards == [pytest.approx(getattr(parts, part)), 0.0]


@pytest.mark.parametrize(
    ("reward", "expected"),
    [
        (GRPOReward(), None),
        (GRPOReward(part="answer"), None),
        (GRPOReward(part="grounding"), 1.0),
        (GRPOReward(MemoryT1Reward(weights=(0, 1, 0))), 1.0),
    ],
)
def test_without_a_known_answer_only_what_grades_one_does_not_apply(reward, expected):
    row = columns(KNOWN, answer=None, task="options")
    assert called(reward, [wrote("session_1"), wrote("session_1", answer=None)], row) == [
        expected,
        expected,
    ]


@pytest.mark.parametrize(
    ("task", "gold", "answer", "score"),
    [
        ("options", "A C", "C A", 1.0),
        ("Explicit_Reasoning", "A", "A", 1.0),
        ("Localization", "02:30:00 pm, March 22, 2024", "March 22, 2024", 1.0),
        ("Computation", "1 year 3 months", "1 year 2 months", 0.5),
        ("Timeline", "(1)(2)(3)(4)", "(1)(2)(4)(3)", 0.5),
        ("words", "7 May 2023", "the 7th of May", 2 / 6),
        ("words", "blue", "red", -1.0),
    ],
)
def test_the_task_chooses_how_an_answer_is_graded(task, gold, answer, score):
    row = columns(KNOWN, answer=gold, task=task)
    assert called(GRPOReward(part="answer"), [wrote(answer=answer)], row) == [pytest.approx(score)]


def test_scores_of_ones_own_take_the_place_of_the_shipped():
    mine = GRPOReward(part="answer", scores={**SCORES, "length": lambda a, g: len(a) / len(g)})
    row = columns(KNOWN, answer="four", task="length")
    assert called(mine, [wrote(answer="xx")], row) == [0.5]


@pytest.mark.parametrize(
    ("answer", "gold", "score"),
    [("The dog!", "a dog", 1.0), ("dog dog", "dog", 2 / 3), ("", "dog", 0.0), ("the", "a", 0.0)],
)
def test_words_are_compared_without_case_marks_and_articles(answer, gold, score):
    assert words_f1(answer, gold) == pytest.approx(score)


def test_what_the_reward_is_made_of_goes_to_trls_log():
    seen = {}
    called(GRPOReward(), [wrote("session_1"), "no JSON"], log_metric=seen.__setitem__)
    assert seen["memory_t1/parsed"] == 0.5
    assert seen["memory_t1/grounding"] == pytest.approx((1.0 + 0.0) / 2)
    assert seen["memory_t1/total"] == pytest.approx((0.999863 - 0.5) / 2, abs=1e-5)
    quiet = {}
    called(GRPOReward(part="answer"), [wrote()], log_metric=quiet.__setitem__)
    assert quiet == {}


@pytest.mark.parametrize(
    "known",
    [
        KNOWN,
        Known("When?", Interval(None, None), (), frozenset({"session_1"})),
        Known("When?", Interval(None, KNOWN.asked.end), KNOWN.sessions, frozenset()),
        Known("When?", Interval(KNOWN.asked.start, None), KNOWN.sessions[:1], KNOWN.gold),
    ],
)
def test_a_row_is_plain_and_tells_again_what_was_known(known):
    row = columns(known, "B", "options")
    assert tuple(row) == COLUMNS
    assert known_of(json.loads(json.dumps(row))) == known


def test_an_empty_interval_is_its_day():
    noon = datetime(2020, 4, 1, 12, tzinfo=UTC)
    row = columns(Known("When?", Interval(noon, noon), (), frozenset()), "B", "options")
    assert (row["asked_from"], row["asked_to"]) == ("2020-04-01", "2020-04-01")


def test_a_data_set_without_events_has_no_fidelity():
    row = ROW | {"session_events": None}
    assert called(GRPOReward(part="fidelity"), [wrote("session_1")], row) == [0.0]


def test_a_missing_column_is_named():
    row = {name: value for name, value in ROW.items() if name not in ("task", "asked_to")}
    with pytest.raises(ParameterError, match="the data set lacks asked_to, task"):
        called(GRPOReward(), [wrote()], row)


def test_a_part_that_there_is_not_is_refused():
    with pytest.raises(ParameterError, match=r"GRPOReward\.part must be one of answer, .*'all'"):
        GRPOReward(part="all")


def test_its_name_in_the_logs_says_the_part():
    assert GRPOReward().__name__ == "memory_t1_total"
    assert GRPOReward(part="answer").__name__ == "memory_t1_answer"
    assert GRPOReward.__name__ == "GRPOReward"


def test_nothing_is_rewarded_where_nothing_was_written():
    seen = {}
    assert called(GRPOReward(), [], log_metric=seen.__setitem__) == []
    assert seen == {}


def test_neither_trl_nor_pytorch_is_loaded(elsewhere):
    code = "import sys, memsieve.learn.trl; print({'torch', 'trl', 'datasets'} & set(sys.modules))"
    assert elsewhere(code) == "set()"
