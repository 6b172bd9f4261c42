"""Runs of a scripted system: what it is asked, what it is not told, what it may not return."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from memsieve.errors import ParameterError
from memsieve.evaluate.datasets import Dataset, Question, Scope
from memsieve.evaluate.runner import Packed, Ranking, compare, evaluate
from memsieve.types import Message

BUDGETS = (250, 1000)
LISBON = "Where does Ana live?"


def test_a_system_is_handed_messages_and_never_questions(scripted, dataset):
    system = scripted({})
    evaluate(system, dataset, budgets=BUDGETS)
    assert [scope.messages for scope in system.loaded] == [s.messages for s in dataset.scopes]
    assert [scope.questions for scope in system.loaded] == [(), ()]


def test_now_is_when_it_was_asked_or_the_time_of_the_last_turn(scripted, dataset):
    system = scripted({})
    evaluate(system, dataset, budgets=BUDGETS)
    last_turn = datetime(2026, 3, 2, 10, 9, tzinfo=UTC)
    assert [now for _, now, _ in system.asked] == [
        last_turn,
        last_turn,
        datetime(2026, 5, 1, tzinfo=UTC),
    ]


def test_now_is_the_clock_where_no_turn_says_when(scripted):
    turn = Message("undated", key="t0")
    undated = Dataset("conversations", (Scope("u", (turn,), (Question("?", ("t0",), "fact"),)),))
    system = scripted({})
    before = datetime.now(UTC)
    evaluate(system, undated)
    assert before <= system.asked[0][1] <= datetime.now(UTC)


def test_every_question_is_ranked_once_and_packed_once_a_budget(scripted, dataset):
    report = evaluate(scripted({}), dataset, budgets=(1000, 250, 1000))
    assert [row.question.question for row in report.rows] == [
        LISBON,
        "What did Ana paint?",
        "When did Ben move?",
    ]
    assert [tuple(row.packed) for row in report.rows] == [(250, 1000)] * 3
    assert report.budgets == (250, 1000)


def test_the_run_is_reported_as_it_goes(scripted, dataset):
    seen = []
    evaluate(scripted({}), dataset, progress=lambda *step: seen.append(step))
    assert seen == [("scripted", 1, 3), ("scripted", 2, 3), ("scripted", 3, 3)]


def test_scopes_without_a_question_of_the_category_are_not_indexed(scripted, dataset):
    system = scripted({})
    report = evaluate(system, dataset, categories=["list"])
    assert [scope.id for scope in system.loaded] == ["ana"]
    assert [row.question.category for row in report.rows] == ["list"]


def test_sizes_on_disk_are_summed_over_scopes(sized, scripted, dataset):
    assert evaluate(sized({}), dataset).db_bytes == 20_000
    assert evaluate(scripted({}), dataset).db_bytes is None


def test_messages_are_counted_against_the_time_of_load_alone(scripted, dataset):
    class Slow(scripted):
        def load(self, scope):
            deadline = datetime.now(UTC).timestamp() + 0.02
            while datetime.now(UTC).timestamp() < deadline:
                pass

    speed = evaluate(Slow({}), dataset).add_per_s
    assert 0 < speed <= 20 / 0.04  # twenty messages in two loads of 20 ms or more


@pytest.mark.parametrize(
    ("packed", "rule"),
    [
        (Packed(("t3",), 1001), "stay within budget_tokens=1000, got 1001 tokens"),
        (Packed(("t3",), -1), "stay within budget_tokens=1000, got -1 tokens"),
        (Packed(("t3", "t1", "t3"), 10), "return a turn once, got 't3' twice"),
        (Packed(("t77",), 10), "return turns of the loaded scope only, got 't77'"),
    ],
)
def test_a_context_that_breaks_the_contract_ends_the_run(scripted, dataset, packed, rule):
    system = scripted({}, {(LISBON, 1000): packed})
    with pytest.raises(ParameterError, match=f"scripted.pack must {rule}"):
        evaluate(system, dataset, budgets=(1000,))


def test_a_context_that_fills_its_budget_exactly_is_within_it(scripted, dataset):
    system = scripted({}, {(LISBON, 1000): Packed(("t3",), 1000)})
    assert evaluate(system, dataset, budgets=(1000,)).rows[0].packed[1000].tokens == 1000


@pytest.mark.parametrize(
    ("ranking", "rule"),
    [
        (Ranking(("t3", "t3"), ()), "return a turn once, got 't3' twice"),
        (Ranking(("x",), ()), "return turns of the loaded scope only, got 'x'"),
        (Ranking((), ("s0", "s0")), r"return a session once, got \('s0', 's0'\)"),
    ],
)
def test_a_ranking_that_breaks_the_contract_ends_the_run(scripted, dataset, ranking, rule):
    with pytest.raises(ParameterError, match=f"scripted.rank must {rule}"):
        evaluate(scripted({LISBON: ranking}), dataset)


def test_more_turns_than_asked_for_end_the_run(scripted):
    turns = tuple(Message(str(i), key=str(i)) for i in range(60))
    long = Dataset("conversations", (Scope("long", turns, (Question("?", ("0",), "fact"),)),))
    ranking = Ranking(tuple(map(str, range(51))), ())
    with pytest.raises(ParameterError, match="return at most k=50 turns, got 51"):
        evaluate(scripted({"?": ranking}), long)


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"categories": ["facts"]}, "categories must be among fact, list, got facts"),
        ({"categories": []}, r"at least one question with evidence, got none \(1 skipped\)"),
        ({"budgets": ()}, "budgets must be one or more numbers >= 1"),
        ({"budgets": (0, 250)}, r">= 1, got \(0, 250\)"),
        ({"k": 20}, "k must be >= 50"),
    ],
)
def test_options_outside_their_range_are_refused(scripted, dataset, options, rule):
    with pytest.raises(ParameterError, match=rule):
        evaluate(scripted({}), dataset, **options)


def test_compare_asks_every_system_the_same_and_leaves_them_open(scripted, dataset, rankings):
    one, two = scripted(rankings, name="one"), scripted({}, name="two")
    comparison = compare([one, two], dataset, budgets=BUDGETS)
    assert one.asked == two.asked
    assert [report.system for report in comparison.reports] == ["one", "two"]
    assert comparison.baseline == "one"
    assert not one.closed
    assert not two.closed


def test_compare_takes_another_baseline_by_name(scripted, dataset):
    systems = [scripted({}, name="one"), scripted({}, name="two")]
    assert compare(systems, dataset, baseline="two").baseline == "two"


@pytest.mark.parametrize(
    ("names", "baseline", "rule"),
    [
        ([], None, "systems with names of their own"),
        (["one", "one"], None, "systems with names of their own"),
        (["one", "two"], "three", "baseline must be one of one, two, got 'three'"),
    ],
)
def test_compare_refuses_before_it_asks_anything(scripted, dataset, names, baseline, rule):
    systems = [scripted({}, name=name) for name in names]
    with pytest.raises(ParameterError, match=rule):
        compare(systems, dataset, baseline=baseline)
    assert all(not system.asked for system in systems)


def test_a_data_set_is_left_as_it_was(scripted, dataset):
    before = replace(dataset)
    evaluate(scripted({}), dataset, categories=["fact"])
    assert dataset == before
