"""Every figure of the JSON, worked out by hand from three scripted answers.

    question   category  gold     ranked            1,000-token context
    Lisbon     fact      t3       t3 t1             t3 t1    900 tokens
    paintings  list      t0 t9    t4 t9             t9 t0    600 tokens
    Ben        fact      t5       t0 t1 t5          t1       300 tokens

Sessions: t0-t4 are s0, t5-t9 are s1.
"""

import json
from math import log2

import pytest

from memsieve.errors import NotFoundError, ParameterError
from memsieve.evaluate.datasets import Dataset, Question, Scope
from memsieve.evaluate.report import Comparison
from memsieve.evaluate.runner import Packed, Ranking, compare, evaluate
from memsieve.types import Message

BUDGETS = (250, 1000)


@pytest.fixture
def report(scripted, dataset, rankings, packs):
    return evaluate(scripted(rankings, packs), dataset, budgets=BUDGETS)


def rounded(**figures):
    return {name: pytest.approx(value, abs=1e-6) for name, value in figures.items()}


def test_the_json_has_exactly_the_promised_shape(report):
    assert set(report.to_json()) == {
        "dataset",
        "system",
        "policy",
        "embedder",
        "n_questions",
        "turn",
        "session",
        "by_category",
        "budget_recall",
        "tokens_returned_mean",
        "latency_ms",
        "add_per_s",
        "db_bytes",
        "model_calls",
        "with_model",
        "macro",
    }
    assert set(report.to_json()["turn"]) == {"recall", "recall_all", "ndcg10", "mrr"}
    assert list(report.to_json()["turn"]["recall"]) == ["1", "3", "5", "10", "20", "50"]
    assert list(report.to_json()["turn"]["recall_all"]) == ["1", "3", "5", "10", "20", "50"]
    assert list(report.to_json()["session"]) == ["recall_all"]
    assert list(report.to_json()["session"]["recall_all"]) == ["3", "5", "10"]
    assert list(report.to_json()["latency_ms"]) == ["p50", "p95"]
    assert json.loads(json.dumps(report.to_json())) == report.to_json()


def test_the_json_says_what_was_run(report):
    found = report.to_json()
    assert {name: found[name] for name in ("dataset", "system", "policy", "embedder")} == {
        "dataset": "conversations",
        "system": "scripted",
        "policy": "script",
        "embedder": "none",
    }
    assert found["n_questions"] == 3
    assert found["db_bytes"] is None
    assert found["add_per_s"] > 0
    assert 0 < found["latency_ms"]["p50"] <= found["latency_ms"]["p95"]


def test_budgets_are_the_five_of_the_contract_unless_others_are_asked(scripted, dataset):
    found = evaluate(scripted({}), dataset).to_json()
    assert list(found["budget_recall"]) == ["250", "500", "1000", "2000", "4000"]


def test_turn_figures_worked_by_hand(report):
    turn = report.to_json()["turn"]
    one = 1 / 3  # Lisbon at once; nothing else at place 1
    deep = (1 + 1 / 2 + 1) / 3  # one of the two paintings is never returned
    assert turn["recall"] == rounded(
        **{"1": one, "3": deep, "5": deep, "10": deep, "20": deep, "50": deep}
    )
    both = 2 / 3
    assert turn["recall_all"] == rounded(
        **{"1": one, "3": both, "5": both, "10": both, "20": both, "50": both}
    )
    paintings = (1 / log2(3)) / (1 + 1 / log2(3))
    assert turn["ndcg10"] == pytest.approx((1 + paintings + 1 / log2(4)) / 3, abs=1e-6)
    assert turn["mrr"] == pytest.approx((1 + 1 / 2 + 1 / 3) / 3, abs=1e-6)


def test_session_figures_use_the_sessions_of_the_gold_turns(report):
    # Lisbon needs s0, the paintings s0 and s1, Ben s1, which was not returned for him
    assert report.to_json()["session"]["recall_all"] == rounded(
        **{"3": 2 / 3, "5": 2 / 3, "10": 2 / 3}
    )


def test_budget_figures_worked_by_hand(report):
    found = report.to_json()
    assert found["budget_recall"] == rounded(**{"250": (1 + 1 / 2 + 0) / 3, "1000": 2 / 3})
    assert found["tokens_returned_mean"] == pytest.approx((900 + 600 + 300) / 3)


def test_tokens_are_those_of_the_largest_context_where_1000_was_not_asked(scripted, dataset, packs):
    found = evaluate(scripted({}, packs), dataset, budgets=(100, 250)).to_json()
    assert found["tokens_returned_mean"] == pytest.approx((200 + 250 + 0) / 3)


def test_categories_hold_means_over_their_own_questions(report):
    fact, both = (report.to_json()["by_category"][name] for name in ("fact", "list"))
    assert (fact["n"], both["n"]) == (2, 1)
    assert fact["turn"]["recall"]["1"] == pytest.approx(1 / 2)
    assert fact["turn"]["recall"]["3"] == 1
    assert both["turn"]["recall"]["3"] == pytest.approx(1 / 2)
    assert both["turn"]["recall_all"]["50"] == 0
    assert fact["turn"]["mrr"] == pytest.approx((1 + 1 / 3) / 2, abs=1e-6)
    assert (fact["session"]["recall_all"]["3"], both["session"]["recall_all"]["3"]) == (0.5, 1)
    assert (fact["budget_recall"]["1000"], both["budget_recall"]["1000"]) == (0.5, 1)
    assert (fact["tokens_returned_mean"], both["tokens_returned_mean"]) == (600, 600)


def test_macro_is_the_mean_of_the_categories(report):
    macro = report.to_json()["macro"]
    assert macro["turn"]["recall"]["1"] == pytest.approx((1 / 2 + 0) / 2)
    assert macro["turn"]["recall"]["10"] == pytest.approx((1 + 1 / 2) / 2)
    assert macro["session"]["recall_all"]["10"] == pytest.approx((1 / 2 + 1) / 2)
    assert macro["budget_recall"] == rounded(**{"250": (0.5 + 0.5) / 2, "1000": (0.5 + 1) / 2})


def test_turns_without_a_session_have_no_session_figure(scripted):
    turn = Message("alone", key="t0")
    alone = Dataset("conversations", (Scope("a", (turn,), (Question("?", ("t0",), "fact"),)),))
    found = evaluate(scripted({"?": Ranking(("t0",), ())}), alone).to_json()
    assert found["turn"]["recall"]["1"] == 1
    assert found["session"]["recall_all"] == {"3": None, "5": None, "10": None}
    assert found["macro"]["session"]["recall_all"]["3"] is None


def test_values_are_per_question_in_the_order_asked(report):
    assert report.values("turn_recall", 3) == [1, 0.5, 1]
    assert report.values("turn_recall", 3, "fact") == [1, 1]


@pytest.mark.parametrize(("measure", "at"), [("precision", 3), ("budget_recall", 500)])
def test_a_figure_that_was_not_measured_is_not_found(report, measure, at):
    with pytest.raises(NotFoundError, match=r"no measure|no context of 500 tokens"):
        report.values(measure, at)


def test_rows_are_written_one_line_of_json_a_question(report, tmp_path):
    report.write_rows(tmp_path / "rows.jsonl")
    lines = (tmp_path / "rows.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    assert [row["scope"] for row in rows] == ["ana", "ana", "ben"]
    assert rows[1]["evidence"] == {"t0": None, "t9": 2}
    assert rows[1]["evidence_sessions"] == ["s0", "s1"]
    assert rows[1]["packed"]["250"] == {"recall": 0.5, "tokens": 250, "turns": ["t9"]}
    assert rows[2]["now"] == "2026-05-01T00:00:00+00:00"


def test_differences_are_paired_by_question(scripted, dataset, rankings, packs):
    systems = [scripted({}, name="nothing"), scripted(rankings, packs)]
    comparison = compare(systems, dataset, budgets=BUDGETS)
    gap = comparison.difference("scripted", "turn_recall", 10)
    assert (gap.system, gap.baseline) == ("scripted", "nothing")
    assert gap.difference == pytest.approx(2.5 / 3)
    assert (gap.low, gap.high) == (0.5, 1.0)  # three questions: the worst and the best of them
    found = comparison.to_json()
    assert found["baseline"] == "nothing"
    assert [one["system"] for one in found["systems"]] == ["nothing", "scripted"]
    assert set(found["differences"]) == {"scripted"}
    assert set(found["differences"]["scripted"]) == {
        "turn_recall@10",
        "ndcg@10",
        "mrr@50",
        "session_recall_all@3",
        "budget_recall@1000",
    }
    assert found["differences"]["scripted"]["turn_recall@10"]["difference"] == 0.833333


def test_a_difference_needs_questions_that_have_the_figure(scripted):
    turn = Message("alone", key="t0")
    alone = Dataset("conversations", (Scope("a", (turn,), (Question("?", ("t0",), "fact"),)),))
    systems = [scripted({}, name="one"), scripted({}, name="two")]
    comparison = compare(systems, alone, budgets=(250,))
    assert comparison.difference("two", "session_recall_all", 3) is None
    assert set(comparison.to_json()["differences"]["two"]) == {
        "turn_recall@10",
        "ndcg@10",
        "mrr@50",
    }


def test_reports_of_other_questions_do_not_compare(scripted, dataset):
    one = evaluate(scripted({}, name="one"), dataset, budgets=(250,))
    fewer = evaluate(scripted({}, name="two"), dataset, budgets=(250,), categories=["fact"])
    with pytest.raises(ParameterError, match="the same questions and budgets"):
        Comparison((one, fewer), baseline="one")
    with pytest.raises(ParameterError, match="baseline must be one of one, got 'two'"):
        Comparison((one,), baseline="two")
    with pytest.raises(NotFoundError, match="no report of 'two'"):
        Comparison((one,), baseline="one").report("two")


def test_an_empty_context_is_a_context(scripted, dataset):
    found = evaluate(scripted({}, {("Where does Ana live?", 250): Packed((), 0)}), dataset)
    assert found.mean("budget_recall", 250) == 0
    assert found.mean("tokens_returned", 250) == 0
