"""Objectives: gradients by differences and by enumeration, and the rewards worked by hand."""

from dataclasses import dataclass, replace
from itertools import permutations

import numpy as np
import pytest

from memsieve.errors import ParameterError
from memsieve.learn.advantages import BASELINES
from memsieve.learn.conditional_bernoulli import ConditionalBernoulli
from memsieve.learn.examples import Example
from memsieve.learn.group_relative import (
    BudgetRecall,
    GradedRanking,
    GroupRelative,
    MemoryT1Parts,
    Ranking,
)
from memsieve.learn.objectives import Listwise, Pairwise, Pointwise
from memsieve.learn.plackett_luce import PlackettLuce
from memsieve.score.policy import Linear

SCORES = np.array([1.0, 0.5, 0.0, -1.0])
RNG = np.random.default_rng(0)  # supervised objectives draw nothing


def example(gold, *, n_gold=None, tokens=None, **columns):
    """An example with some features; without any it has words alone, all the same."""
    n = len(gold)
    columns = columns or {"words": np.zeros(n)}
    return Example(
        scope="s",
        category="fact",
        question="Which one?",
        names=tuple(columns),
        values=np.stack([np.array(column, float) for column in columns.values()], axis=1),
        gold=np.array(gold, float),
        n_gold=int(np.count_nonzero(gold)) if n_gold is None else n_gold,
        tokens=np.full(n, 10) if tokens is None else np.array(tokens),
    )


def listwise(scores, gold, power):
    """Its loss: the mean of -log softmax over the evidence, weighed by n_gold^(power - 1)."""
    log_p = scores - np.log(np.exp(scores).sum())
    return -(gold.sum() ** (power - 1)) * (log_p @ gold) / gold.sum()


def pairwise(scores, gold):
    gaps = (scores[:, None] - scores)[gold[:, None] > gold]
    return np.log1p(np.exp(-gaps)).mean()


def pointwise(scores, gold):
    right = gold > 0
    loss = np.log1p(np.exp(np.where(right, -scores, scores)))
    return 0.5 * loss[right].mean() + 0.5 * loss[~right].mean()


def slope(loss, scores, step=1e-5):
    steps = step * np.eye(scores.size)
    return np.array([(loss(scores + e) - loss(scores - e)) / (2 * step) for e in steps])


SUPERVISED = [
    (Listwise(1.0), lambda s, g: listwise(s, g, 1)),
    (Listwise(1.5), lambda s, g: listwise(s, g, 1.5)),
    (Listwise(), lambda s, g: listwise(s, g, 2)),
    (Pairwise(), pairwise),
    (Pointwise(), pointwise),
]


@pytest.mark.parametrize("gold", [[1, 0, 0, 0, 0], [0, 1, 0, 1, 1], [1, 1, 1, 1, 0]], ids=str)
@pytest.mark.parametrize(
    ("objective", "loss"), SUPERVISED, ids=["list-1", "list-1.5", "list-2", "pair", "point"]
)
def test_a_supervised_gradient_is_the_slope_of_its_loss(objective, loss, gold):
    scores, gold = np.random.default_rng(3).normal(scale=2, size=5), np.array(gold, float)
    found = objective.gradient(scores, example(gold), RNG)
    assert found == pytest.approx(slope(lambda s: loss(s, gold), scores), abs=1e-8)


def test_grades_count_as_shares_and_as_an_order():
    one = example([3, 1, 0])
    scores = np.array([0.2, 0.9, -0.4])
    p = np.exp(scores) / np.exp(scores).sum()
    assert Listwise(1).gradient(scores, one, RNG) == pytest.approx(p - [0.75, 0.25, 0])
    ordered = slope(lambda s: pairwise(s, one.gold), scores)
    assert Pairwise().gradient(scores, one, RNG) == pytest.approx(ordered, abs=1e-8)


@pytest.mark.parametrize("power", [1, 1.5, 2])
def test_power_weighs_questions_by_their_evidence(power):
    # Equal scores, half of the candidates right: each share is off by 1 / n in a question of n.
    small, large = example([1, 0]), example([1, 1, 1, 1, 0, 0, 0, 0])
    pulls = [
        -Listwise(power).gradient(np.zeros(one.gold.size), one, RNG)[one.gold > 0].sum()
        for one in (small, large)
    ]
    assert pulls[1] / pulls[0] == pytest.approx(4 ** (power - 1))


@pytest.mark.parametrize(
    "objective", [Listwise(), Pairwise(), GroupRelative(n_kept=2)], ids=["list", "pair", "group"]
)
def test_adding_the_same_to_all_scores_changes_nothing(objective):
    one = example([0, 1, 0, 1])
    here, there = (
        objective.gradient(SCORES + shift, one, np.random.default_rng(5)) for shift in (0, 40)
    )
    assert np.abs(here).max() > 0.01
    assert there == pytest.approx(here, abs=1e-12)
    assert here.sum() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("objective", [Listwise(), Pairwise(), Pointwise()], ids=repr)
def test_scores_far_apart_overflow_nowhere(objective):
    scores = np.array([-2000.0, 2000.0, 0.0])
    found = objective.gradient(scores, example([1, 0, 0]), RNG)
    assert np.isfinite(found).all()
    assert found[0] < 0 < found[1]


@dataclass(frozen=True)
class Worth:
    """A reward by the set that was drawn: 1 for {0, 2}, 0.3 for others with item 0, else 0."""

    def of(self, example, chosen):
        has = (chosen[:, :, None] == np.arange(4)).any(axis=1)
        return np.where(has[:, 0] & has[:, 2], 1.0, 0.3 * has[:, 0])


@dataclass(frozen=True)
class Same:
    """Whatever is drawn is worth the same."""

    def of(self, example, chosen):
        return np.full(len(chosen), 0.7)


def uphill(reward):
    """The exact gradient of the expected reward of two of four items, over all twelve orders."""
    policy, pairs = PlackettLuce(), np.array(list(permutations(range(4), 2)))
    p = np.exp(policy.log_probability(SCORES, pairs))
    worth = reward.of(None, pairs)
    return p @ worth, (p * worth) @ policy.gradient(SCORES, pairs)


def mean_step(objective, n_groups=1500):
    rng, one = np.random.default_rng(11), example([1, 0, 1, 0])
    return -np.mean([objective.gradient(SCORES, one, rng) for _ in range(n_groups)], axis=0)


def test_the_expected_reward_and_its_gradient_have_the_worked_numbers():
    value, gradient = uphill(Worth())
    assert value == pytest.approx(0.4194, abs=5e-5)
    assert gradient == pytest.approx([0.1200, -0.1612, 0.0846, -0.0435], abs=5e-5)


def test_the_leave_one_out_step_is_that_gradient_on_average():
    step = mean_step(GroupRelative(Worth(), n_kept=2))
    assert step == pytest.approx(uphill(Worth())[1], abs=0.008)  # four deviations of the mean


def test_every_baseline_points_uphill_and_the_mean_falls_short_by_an_eighth():
    exact = uphill(Worth())[1]
    steps = {by: mean_step(GroupRelative(Worth(), n_kept=2, baseline=by)) for by in BASELINES}
    for step in steps.values():
        assert step @ exact > 0.98 * np.linalg.norm(step) * np.linalg.norm(exact)
    # The same draws in both, so the factor is exact: G - 1 of G.
    assert steps["mean"] == pytest.approx(7 / 8 * steps["leave-one-out"])
    assert np.linalg.norm(steps["group"]) > 2 * np.linalg.norm(steps["mean"])


def test_sets_without_an_order_point_uphill_as_well():
    step = mean_step(GroupRelative(Worth(), ConditionalBernoulli(), n_kept=2))
    assert step @ uphill(Worth())[1] > 0


@pytest.mark.parametrize("baseline", BASELINES)
def test_equal_rewards_move_nothing(baseline):
    objective = GroupRelative(Same(), n_kept=2, baseline=baseline)
    assert not objective.gradient(SCORES, example([1, 0, 0, 0]), np.random.default_rng(0)).any()


def test_more_to_keep_than_there_is_draws_all_and_the_same_seed_the_same_step():
    one = example([0, 0, 1, 0])
    first, again = (
        GroupRelative(n_kept=50).gradient(SCORES, one, np.random.default_rng(1)) for _ in range(2)
    )
    assert first.any()
    assert first.tolist() == again.tolist()


def test_kl_pulls_the_scores_to_those_of_the_reference():
    one = example([1, 0, 0, 0], kin=[3, 1, 2, 0], words=[0, 9, 1, 4])
    reference = Linear("words", {"words": 0.8})
    home = 0.8 * one.z[:, 1]
    pulled = GroupRelative(Same(), n_kept=2, kl=0.5, reference=reference)
    rng, scores = np.random.default_rng(0), SCORES.copy()
    assert pulled.gradient(home, one, rng) == pytest.approx(np.zeros(4), abs=1e-7)
    for _ in range(300):
        scores -= pulled.gradient(scores, one, rng)
    assert scores - scores.mean() == pytest.approx(home - home.mean(), abs=0.02)
    heavy, light = (
        replace(pulled, kl=kl).gradient(SCORES, one, np.random.default_rng(2)) for kl in (1, 0.1)
    )
    assert heavy == pytest.approx(10 * light)


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"kl": -0.1}, r"GroupRelative\.kl must be >= 0, got -0\.1"),
        ({"kl": float("nan")}, r"GroupRelative\.kl must be >= 0, got nan"),
        ({"kl": 0.1}, r"GroupRelative\.kl needs the policy to stay near"),
        ({"baseline": "median"}, "baseline must be one of group"),
        ({"n_samples": 1}, "G >= 2"),
        ({"n_kept": -1}, "n_kept must be >= 0"),
    ],
)
def test_options_outside_their_rules_are_refused(options, rule):
    with pytest.raises(ParameterError, match=rule):
        GroupRelative(**options).gradient(SCORES, example([1, 0, 0, 0]), RNG)


def test_ranking_counts_evidence_that_is_no_candidate():
    drawn = np.array([[0, 1, -1], [1, 3, 2]])
    # NDCG@3 of the first place, of two pieces in all; both recalls are a half.
    found = Ranking().of(example([1, 0, 0, 0], n_gold=2), drawn)
    assert found == pytest.approx([(1 / (1 + 1 / np.log2(3)) + 0.5 + 0.5) / 3, 0])


def test_graded_ranking_is_ndcg_with_exponential_gain():
    one = example([0, 3, 1, 0])
    ideal = 7 + 1 / np.log2(3)
    found = GradedRanking().of(one, np.array([[1, 2], [2, 1], [0, 3], [0, 1]]))
    assert found == pytest.approx([1, (1 + 7 / np.log2(3)) / ideal, 0, 7 / np.log2(3) / ideal])
    assert GradedRanking().of(example([0, 0]), np.array([[0, 1]])).tolist() == [0]
    assert GradedRanking().of(example([2]), np.array([[0]])) == pytest.approx([1])


def test_budget_recall_packs_what_was_drawn_in_its_order():
    one = example([1, 0, 1, 1], tokens=[30, 20, 10, 60], n_gold=4)
    found = BudgetRecall(budget_tokens=50).of(one, np.array([[0, 1, 2], [2, 1, 0], [3, 2, -1]]))
    assert found.tolist() == [0.25, 0.25, 0.25]  # 30 + 20; 10 + 20; 60 is too long, 10 fits


def dated(**more):
    """Four candidates: two inside the time of the question, one overlapping, one months away."""
    return example(
        [1, 0, 1, 0],
        said_inside=[1, 1, 0, 0],
        said_gap=-np.log1p([0, 0, 7, 60]),
        event_inside=[1, 1, 0.5, 0],
        event_overlap=[1, 1, 0.4, 0],
        **more,
    )


def test_the_parts_of_memory_t1_worked_by_hand():
    drawn = np.array([[0, 2, -1], [0, -1, -1], [0, 1, 2], [3, -1, -1], [-1, -1, -1]])
    answer = MemoryT1Parts(1, 0, 0).of(dated(), drawn)
    assert answer.tolist() == [1, -1, 1, -1, -1]  # only all of the evidence lets a reader answer
    grounding = MemoryT1Parts(0, 1, 0).of(dated(), drawn)
    assert grounding == pytest.approx([1, 0, 1 / 3, -1, -1])  # 2 Jaccard - 1
    near, week, far = 0.99863, 0.25, -0.5
    time = MemoryT1Parts(0, 0, 1).of(dated(), drawn)
    expected = [
        ((near + week) / 2 + (1 + 0.5) / 2) / 2,
        (near + 1) / 2,
        ((2 * near + week) / 3 + 2.5 / 3) / 2,
        (far - 1) / 2,
        0,
    ]
    assert time == pytest.approx(expected, abs=1e-5)
    assert MemoryT1Parts().of(dated(), drawn) == pytest.approx(
        0.6 * answer + 0.2 * grounding + 0.2 * time
    )


def test_memory_t1_asks_for_evidence_that_is_no_candidate_and_leaves_time_out_where_none_is_asked():
    all_there = np.array([[0, 2]])
    assert MemoryT1Parts(1, 0, 0).of(dated(n_gold=3), all_there).tolist() == [-1]
    assert MemoryT1Parts(0, 1, 0).of(dated(n_gold=3), all_there) == pytest.approx([1 / 3])
    names = ("said_inside", "said_gap", "event_inside", "event_overlap")
    timeless = example([1, 0, 1, 0], **dict.fromkeys(names, np.zeros(4)))
    assert MemoryT1Parts(0, 0, 1).of(timeless, all_there).tolist() == [0]
