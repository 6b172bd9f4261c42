"""Policies measured on conversations that they never saw."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from memsieve.evaluate import load
from memsieve.evaluate.runner import evaluate
from memsieve.learn.examples import examples
from memsieve.learn.objectives import Listwise
from memsieve.learn.training import Recipe, train
from memsieve.score.policy import Linear, Policy

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "conversations"
QUICK = Recipe(n_steps=20, every=20)


@pytest.fixture(scope="module")
def data():
    return load(EXAMPLES)


@pytest.fixture(scope="module")
def known(data):
    return examples(data)


def test_each_conversation_is_recalled_from_by_the_policy_trained_without_it(bench, data, known):
    trained = train(known, Listwise(), QUICK)
    system = bench("policies").folded("mine", trained)
    assert set(system.policies) == {scope.id for scope in data.scopes}
    asked = [question.question for question in data.scopes[0].questions[:5]]
    now = datetime(2027, 1, 1, tzinfo=UTC)
    for scope in data.scopes:
        system.load(scope)
        policy: Policy = trained.by_scope[f"{data.name}/{scope.id}"]
        assert policy.name.endswith(f"without {data.name}/{scope.id}")
        ranked = [system.rank(question, now, 3).turns for question in asked]
        with_it = bench("policies").Folded("same", {scope.id: policy})
        with_it.load(scope)
        assert ranked == [with_it.rank(question, now, 3).turns for question in asked]
        with_it.close()
    system.close()


def test_a_gap_is_the_paired_difference_of_recall(bench, data):
    policies = bench("policies")
    alike = {scope.id: Linear("words", {"words": 1.0}) for scope in data.scopes}
    against = {scope.id: Linear("less", {"words": -1.0}) for scope in data.scopes}
    reports = []
    for name, given in (("good", alike), ("bad", against)):
        system = policies.Folded(name, given)
        reports.append(evaluate(system, data, budgets=(100,)))
        system.close()
    good, bad = reports
    difference, low, high = policies.gap(good, bad, 10)
    expected = good.to_json()["turn"]["recall"]["10"] - bad.to_json()["turn"]["recall"]["10"]
    assert difference == pytest.approx(expected, abs=1e-6)
    assert 0 < low <= difference <= high
    assert policies.gap(good, good, 10) == (0.0, 0.0, 0.0)


def test_the_figures_of_what_was_put_aside_are_shown_with_three_decimals(bench, known):
    shown = bench("policies").aside(known, Listwise(), QUICK)
    assert len(shown) == 5
    assert all(0 < float(value) <= 1 and len(value) == 5 for value in shown[:4])


def test_every_variant_has_its_steps_fixed_beforehand(bench):
    for name, _, recipe, _ in bench("policies").VARIANTS:
        assert recipe.n_steps == recipe.every, name


def test_a_table_is_one_of_markdown(bench, capsys):
    bench("policies").table([("", "R@1"), ("a", ".5")])
    assert capsys.readouterr().out.splitlines() == ["|  | R@1 |", "|---|---|", "| a | .5 |"]
