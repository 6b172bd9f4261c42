"""Stochastic subsets against full enumeration: probabilities, gradients, draws, divergences."""

from itertools import chain, combinations, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memsieve.errors import ParameterError
from memsieve.learn.advantages import advantages
from memsieve.learn.bernoulli import Bernoulli
from memsieve.learn.conditional_bernoulli import ConditionalBernoulli
from memsieve.learn.plackett_luce import PlackettLuce
from memsieve.learn.subsets import Subsets

SCORES = np.array([1.0, 0.5, 0.0, -1.0])
OTHERS = np.array([0.3, -0.4, 0.9, 0.1])
POLICIES = (PlackettLuce(), ConditionalBernoulli(), Bernoulli())
TOKENS, BUDGET = np.array([30, 20, 10, 15]), 45
# Every way to pack the budget, worked by hand: an end is where nothing that is left fits.
PACKED = [
    [0, 2], [0, 3], [2, 0], [3, 0],
    [1, 2, 3], [1, 3, 2], [2, 1, 3], [2, 3, 1], [3, 1, 2], [3, 2, 1],
]  # fmt: skip

per_policy = pytest.mark.parametrize("policy", POLICIES, ids=repr)


def padded(rows):
    """Rows of any length as one array, filled up with -1."""
    width = max(map(len, rows))
    return np.array([[*row, *[-1] * (width - len(row))] for row in rows])


def outcomes(policy, n=4, k=2):
    """Everything that the policy can draw from n items."""
    if isinstance(policy, PlackettLuce):
        return padded(list(permutations(range(n), k)))
    sizes = range(n + 1) if isinstance(policy, Bernoulli) else [k]
    return padded(list(chain.from_iterable(combinations(range(n), size) for size in sizes)))


def slope(function, scores, step=1e-5):
    """The derivative of function(scores), shape (m,), by differences: (m, n)."""
    steps = step * np.eye(scores.size)
    return np.stack([(function(scores + e) - function(scores - e)) / (2 * step) for e in steps], 1)


def test_plackett_luce_gives_the_worked_numbers():
    policy = PlackettLuce()
    chances = np.exp(policy.log_probability(SCORES, [[0], [1], [2], [3]]))
    assert chances == pytest.approx([0.4740, 0.2875, 0.1744, 0.0641], abs=5e-5)
    both = policy.log_probability(SCORES, [[0, 1], [1, 0]])
    assert both == pytest.approx([-1.3507, -1.6542], abs=5e-5)
    assert np.exp(both).sum() == pytest.approx(0.4503, abs=5e-5)
    gradient = policy.gradient(SCORES, [[0, 1]])[0]
    assert gradient == pytest.approx([0.526, 0.166, -0.5059, -0.1861], abs=5e-5)
    assert gradient.sum() == pytest.approx(0, abs=1e-15)


def test_the_twelve_ordered_pairs_are_all_there_is():
    pairs = outcomes(PlackettLuce())
    assert len(pairs) == 12
    assert np.exp(PlackettLuce().log_probability(SCORES, pairs)).sum() == pytest.approx(1)


def test_conditional_bernoulli_gives_the_worked_numbers():
    policy = ConditionalBernoulli()
    log_p = policy.log_probability(SCORES, [[0, 1]])[0]
    assert np.exp(log_p) == pytest.approx(0.4141, abs=5e-5)
    assert np.exp(SCORES[:2].sum() - log_p) == pytest.approx(10.8231, abs=5e-5)  # e_2
    inclusion = policy.inclusion(SCORES, 2)
    assert inclusion == pytest.approx([0.7576, 0.6225, 0.4375, 0.1824], abs=5e-5)
    assert inclusion.sum() == pytest.approx(2)
    assert policy.gradient(SCORES, [[0, 1]])[0] == pytest.approx([1, 1, 0, 0] - inclusion)


def test_bernoulli_gives_numbers_worked_by_hand():
    # sigmoid(0) = 1/2 and sigmoid(ln 3) = 3/4: p({1}) = 1/2 * 3/4
    scores = [0.0, np.log(3)]
    assert np.exp(Bernoulli().log_probability(scores, [[1], [-1]])) == pytest.approx([3 / 8, 1 / 8])
    assert Bernoulli().gradient(scores, [[1]])[0] == pytest.approx([-1 / 2, 1 / 4])


@per_policy
def test_all_outcomes_together_are_certain(policy):
    p = np.exp(policy.log_probability(SCORES, outcomes(policy)))
    assert p.sum() == pytest.approx(1)
    assert p @ policy.gradient(SCORES, outcomes(policy)) == pytest.approx(np.zeros(4), abs=1e-12)


@per_policy
def test_the_gradient_is_the_slope_of_the_log_probability(policy):
    chosen = outcomes(policy)
    found = policy.gradient(SCORES, chosen)
    expected = slope(lambda s: policy.log_probability(s, chosen), SCORES)
    assert found == pytest.approx(expected, abs=1e-8)


@per_policy
def test_draws_come_as_often_as_the_probability_says(policy):
    n = 40_000
    drawn = policy.sample(SCORES, 2, n, np.random.default_rng(1))
    for row, p in zip(
        outcomes(policy), np.exp(policy.log_probability(SCORES, outcomes(policy))), strict=True
    ):
        same = np.full((n, max(drawn.shape[1], row.size)), -1)
        same[:, : drawn.shape[1]] = drawn
        wide = np.full(same.shape[1], -1)
        wide[: row.size] = row
        share = (same == wide).all(axis=1).mean()
        assert share == pytest.approx(p, abs=4.5 * np.sqrt(p * (1 - p) / n))


@per_policy
def test_what_it_draws_it_also_scores(policy):
    scores = np.random.default_rng(0).normal(size=30)
    scores[[3, 7]] = -np.inf
    before = scores.copy()
    drawn = policy.sample(scores, 5, 50, np.random.default_rng(2))
    assert drawn.dtype == np.int64
    assert not np.isin(drawn, [3, 7]).any()
    log_p, gradient = policy.log_probability(scores, drawn), policy.gradient(scores, drawn)
    assert (np.isfinite(log_p) & (log_p < 0)).all()
    assert gradient.shape == (50, 30)
    assert np.isfinite(gradient).all()
    assert not gradient[:, [3, 7]].any()
    assert np.array_equal(scores, before)
    assert np.array_equal(drawn, policy.sample(scores, 5, 50, np.random.default_rng(2)))


@pytest.mark.parametrize("policy", POLICIES[:2], ids=repr)
@settings(deadline=None, max_examples=30)
@given(shift=st.floats(-300, 300), seed=st.integers(0, 10**6))
def test_a_shift_of_all_scores_changes_nothing(policy, shift, seed):
    scores = np.random.default_rng(seed).normal(size=12)
    chosen = policy.sample(scores, 4, 6, np.random.default_rng(seed))
    shifted = scores + shift
    log_p = policy.log_probability(scores, chosen)
    assert policy.log_probability(shifted, chosen) == pytest.approx(log_p, abs=1e-9)
    gradient = policy.gradient(scores, chosen)
    assert policy.gradient(shifted, chosen) == pytest.approx(gradient, abs=1e-9)
    assert np.array_equal(chosen, policy.sample(shifted, 4, 6, np.random.default_rng(seed)))


@pytest.mark.parametrize("policy", POLICIES[:2], ids=repr)
def test_at_a_huge_scale_a_draw_is_the_greedy_choice(policy):
    drawn = policy.sample(1e4 * SCORES, 2, 20, np.random.default_rng(0))
    assert (drawn == [0, 1]).all()


def test_all_items_are_one_set_for_certain_and_teach_nothing():
    everything = [[0, 1, 2, 3]]
    assert ConditionalBernoulli().log_probability(SCORES, everything) == pytest.approx(0)
    assert ConditionalBernoulli().gradient(SCORES, everything) == pytest.approx(0)
    orders = outcomes(PlackettLuce(), k=4)
    p = np.exp(PlackettLuce().log_probability(SCORES, orders))
    assert p.sum() == pytest.approx(1)
    assert p @ PlackettLuce().gradient(SCORES, orders) == pytest.approx(np.zeros(4), abs=1e-12)


@pytest.mark.parametrize("policy", POLICIES[:2], ids=repr)
def test_more_than_there_is_means_all_that_is_possible(policy):
    scores = [0.5, -np.inf, 2.0]
    drawn = policy.sample(scores, 9, 5, np.random.default_rng(0))
    assert np.sort(drawn, axis=1).tolist() == [[0, 2]] * 5
    assert policy.sample([-np.inf] * 2, 1, 3, np.random.default_rng(0)).shape == (3, 0)


@per_policy
def test_no_candidate_and_nothing_to_keep_are_certain_and_flat(policy):
    rng = np.random.default_rng(0)
    empty = policy.sample([], 3, 2, rng)
    assert empty.shape == (2, 0)
    assert policy.log_probability([], empty).tolist() == [0, 0]
    assert policy.gradient([], empty).shape == (2, 0)
    if not isinstance(policy, Bernoulli):
        none = policy.sample(SCORES, 0, 2, rng)
        assert none.shape == (2, 0)
        assert policy.log_probability(SCORES, none).tolist() == [0, 0]
        assert not policy.gradient(SCORES, none).any()
        assert not policy.divergence(SCORES, OTHERS, none).any()


@per_policy
@pytest.mark.parametrize("scale", [50.0, 700.0])
def test_extreme_scores_stay_finite(policy, scale):
    rng = np.random.default_rng(4)
    scores = rng.choice([-scale, 0, scale], size=500) + rng.normal(size=500)
    chosen = np.concatenate([policy.sample(scores, 10, 3, rng)[:, :10], [np.arange(10)]])
    assert np.isfinite(policy.log_probability(scores, chosen)).all()
    gradient = policy.gradient(scores, chosen)
    assert np.isfinite(gradient).all()
    if not isinstance(policy, Bernoulli):
        assert gradient.sum(axis=1) == pytest.approx(np.zeros(4), abs=1e-9)


def test_the_last_steps_keep_their_digits_after_the_heavy_items_are_gone():
    # What is left after item 0 are two equal items: 1/2, however little their mass is.
    assert PlackettLuce().log_probability([700.0, -30.0, -30.0], [[0, 1]]) == pytest.approx(
        np.log(0.5)
    )
    assert PlackettLuce().gradient([700.0, -30.0, -30.0], [[0, 1]])[0] == pytest.approx(
        [0, 0.5, -0.5]
    )
    inclusion = ConditionalBernoulli().inclusion([700.0, -30.0, -30.0, -700.0], 2)
    assert inclusion == pytest.approx([1, 0.5, 0.5, 0])


def test_inclusion_is_how_often_an_item_is_drawn_among_many():
    rng = np.random.default_rng(5)
    scores = rng.uniform(-50, 50, size=500)
    inclusion = ConditionalBernoulli().inclusion(scores, 10)
    assert inclusion.sum() == pytest.approx(10)
    assert ((inclusion >= 0) & (inclusion <= 1)).all()
    drawn = ConditionalBernoulli().sample(scores, 10, 20_000, rng)
    assert (np.diff(drawn, axis=1) > 0).all()
    share = np.bincount(drawn.ravel(), minlength=500) / 20_000
    assert share == pytest.approx(inclusion, abs=0.02)


def test_sets_of_several_sizes_are_each_judged_among_their_own():
    policy = ConditionalBernoulli()
    mixed = [[0, 1, -1], [0, 1, 2], [3, -1, -1], [-1, -1, -1]]
    alone = [policy.log_probability(SCORES, [one])[0] for one in ([0, 1], [0, 1, 2], [3], [])]
    assert policy.log_probability(SCORES, mixed) == pytest.approx(alone)
    assert policy.gradient(SCORES, mixed)[2] == pytest.approx(policy.gradient(SCORES, [[3]])[0])
    assert not policy.gradient(SCORES, mixed)[3].any()


def test_a_prefix_in_plackett_luce_may_end_early():
    log_p = PlackettLuce().log_probability(SCORES, [[0, 1], [0, -1]])
    assert log_p[1] == pytest.approx(PlackettLuce().log_probability(SCORES, [[0]])[0])
    gradient = PlackettLuce().gradient(SCORES, [[0, 1], [0, -1]])
    assert gradient[1] == pytest.approx(PlackettLuce().gradient(SCORES, [[0]])[0])


def test_a_budget_leaves_the_packings_worked_by_hand_and_no_other():
    policy, budget = PlackettLuce(), {"tokens": TOKENS, "budget_tokens": BUDGET}
    log_p = policy.log_probability(SCORES, padded(PACKED), **budget)
    assert np.exp(log_p).sum() == pytest.approx(1)
    # after item 1, 25 tokens are left: item 0 no longer fits, so 2 and 3 share what is left
    w = np.exp(SCORES)
    assert np.exp(log_p[4]) == pytest.approx(w[1] / w.sum() * w[2] / (w[2] + w[3]))
    drawn = policy.sample(SCORES, None, 40_000, np.random.default_rng(0), **budget)
    for row, p in zip(padded(PACKED), np.exp(log_p), strict=True):
        share = (drawn == row).all(axis=1).mean()
        assert share == pytest.approx(p, abs=4.5 * np.sqrt(p * (1 - p) / 40_000))


def test_the_gradients_under_a_budget_are_slopes():
    policy, budget = PlackettLuce(), {"tokens": TOKENS, "budget_tokens": BUDGET}
    rows = padded(PACKED)
    expected = slope(lambda s: policy.log_probability(s, rows, **budget), SCORES)
    assert policy.gradient(SCORES, rows, **budget) == pytest.approx(expected, abs=1e-8)
    expected = slope(lambda s: policy.divergence(s, OTHERS, rows, **budget), SCORES)
    found = policy.divergence_gradient(SCORES, OTHERS, rows, **budget)
    assert found == pytest.approx(expected, abs=1e-8)


def test_a_budget_that_holds_everything_changes_nothing():
    policy, rng = PlackettLuce(), np.random.default_rng
    scores = rng(0).normal(size=40)
    ample = {"tokens": np.full(40, 7), "budget_tokens": 280}
    chosen = policy.sample(scores, 6, 5, rng(1))
    assert np.array_equal(chosen, policy.sample(scores, 6, 5, rng(1), **ample))
    log_p, gradient = policy.log_probability(scores, chosen), policy.gradient(scores, chosen)
    assert policy.log_probability(scores, chosen, **ample) == pytest.approx(log_p)
    assert policy.gradient(scores, chosen, **ample) == pytest.approx(gradient, abs=1e-12)


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 10**6), budget=st.integers(0, 120))
def test_a_packed_subset_fits_and_leaves_no_room_for_another_item(seed, budget):
    rng = np.random.default_rng(seed)
    scores, tokens = rng.normal(size=8), rng.integers(0, 40, size=8)
    scores[seed % 8] = -np.inf
    drawn = PlackettLuce().sample(scores, None, 6, rng, tokens=tokens, budget_tokens=budget)
    for row in drawn:
        kept = row[row >= 0]
        spent = tokens[kept].sum()
        others = np.setdiff1d(np.flatnonzero(np.isfinite(scores)), kept)
        assert spent <= budget
        assert seed % 8 not in kept
        assert (tokens[others] > budget - spent).all()


def test_a_budget_of_zero_takes_only_what_is_free():
    draw = PlackettLuce().sample
    rng = np.random.default_rng(0)
    assert draw(SCORES, None, 2, rng, tokens=TOKENS, budget_tokens=0).shape == (2, 0)
    free = draw(SCORES, None, 2, rng, tokens=[5, 0, 5, 5], budget_tokens=0)
    assert free.tolist() == [[1], [1]]


@per_policy
def test_the_mean_divergence_is_that_of_the_distributions(policy):
    chosen = outcomes(policy)
    log_p, log_q = (policy.log_probability(s, chosen) for s in (SCORES, OTHERS))
    exact = (np.exp(log_p) * (log_p - log_q)).sum()
    found = policy.divergence(SCORES, OTHERS, chosen)
    assert np.exp(log_p) @ found == pytest.approx(exact)
    assert (found >= 0).all()
    assert policy.divergence(SCORES, SCORES, chosen) == pytest.approx(0, abs=1e-12)


@per_policy
def test_the_gradient_of_the_divergence_is_its_slope(policy):
    chosen = outcomes(policy)
    expected = slope(lambda s: policy.divergence(s, OTHERS, chosen), SCORES)
    found = policy.divergence_gradient(SCORES, OTHERS, chosen)
    assert found == pytest.approx(expected, abs=1e-8)
    assert policy.divergence_gradient(SCORES, SCORES, chosen) == pytest.approx(0, abs=1e-12)


def test_the_estimate_that_every_policy_has_is_k3():
    apart = PlackettLuce().log_probability(OTHERS, [[0, 1]]) - PlackettLuce().log_probability(
        SCORES, [[0, 1]]
    )
    found = Subsets.divergence(PlackettLuce(), SCORES, OTHERS, [[0, 1]])
    assert found == pytest.approx(np.exp(apart) - apart - 1)


@per_policy
def test_what_the_policy_never_chooses_takes_no_part_in_the_divergence(policy):
    scores, reference = np.array([1.0, -np.inf, 0.2]), np.array([0.5, -np.inf, 0.4])
    found = policy.divergence(scores, reference, [[0], [2]])
    alone = policy.divergence(scores[[0, 2]], reference[[0, 2]], [[0], [1]])
    assert found == pytest.approx(alone)
    assert not policy.divergence_gradient(scores, reference, [[0], [2]])[:, 1].any()
    with pytest.raises(ParameterError, match="got -inf for item 0, where the divergence is inf"):
        policy.divergence(scores, [-np.inf, 0, 0], [[2]])


def set_rewards(chosen):
    """1 for the items 0 and 2, 0.3 for another set with item 0, 0 for the rest."""
    has_first = (chosen == 0).any(axis=-1)
    return np.where(has_first & (chosen == 2).any(axis=-1), 1.0, 0.3 * has_first)


def test_leave_one_out_estimates_the_exact_gradient_without_bias_and_with_less_noise():
    policy = PlackettLuce()
    pairs = outcomes(policy)
    p = np.exp(policy.log_probability(SCORES, pairs))
    exact = (p * set_rewards(pairs)) @ policy.gradient(SCORES, pairs)
    assert p @ set_rewards(pairs) == pytest.approx(0.4194, abs=5e-5)
    assert exact == pytest.approx([0.1200, -0.1612, 0.0846, -0.0435], abs=5e-5)

    groups, size = 20_000, 8
    drawn = policy.sample(SCORES, 2, groups * size, np.random.default_rng(0))
    slopes = policy.gradient(SCORES, drawn).reshape(groups, size, 4)
    rewards = set_rewards(drawn).reshape(groups, size)

    def estimate(weights):
        each = (weights[:, :, None] * slopes).mean(axis=1)
        return each.mean(axis=0), each.var(axis=0).sum()

    plain, noise = estimate(rewards)
    unbiased, noise_unbiased = estimate(advantages(rewards, "leave-one-out"))
    shrunk, noise_shrunk = estimate(advantages(rewards, "mean"))
    scaled, _ = estimate(advantages(rewards, "group"))
    # four standard errors of a mean over 20,000 groups whose total variance is .021 and .037
    assert np.linalg.norm(unbiased - exact) < 4 * np.sqrt(0.021 / groups)
    assert np.linalg.norm(plain - exact) < 4 * np.sqrt(0.037 / groups)
    assert shrunk == pytest.approx(7 / 8 * unbiased)
    assert noise == pytest.approx(0.037, abs=0.001)
    assert noise_unbiased == pytest.approx(0.021, abs=0.001)
    assert noise_shrunk == pytest.approx(0.016, abs=0.001)
    assert scaled == pytest.approx([0.300, -0.376, 0.179, -0.104], abs=0.006)
    cosine = scaled @ exact / np.linalg.norm(scaled) / np.linalg.norm(exact)
    assert cosine == pytest.approx(0.9987, abs=0.0005)


def test_equal_rewards_move_nothing():
    drawn = PlackettLuce().sample(SCORES, 2, 8, np.random.default_rng(0))
    update = advantages(np.full(8, 0.3)) @ PlackettLuce().gradient(SCORES, drawn)
    assert not update.any()


@per_policy
@pytest.mark.parametrize("scores", [[0.1, np.nan], [0.1, np.inf], [[0.1, 0.2]]])
def test_rejects_scores_that_are_none(policy, scores):
    with pytest.raises(ParameterError, match="scores must"):
        policy.sample(scores, 1, 1, np.random.default_rng(0))


@per_policy
@pytest.mark.parametrize(
    ("chosen", "rule"),
    [
        ([0, 1], "of the shape"),
        ([[0.0, 1.0]], "whole numbers"),
        ([[0, 4]], "indices below 4"),
        ([[-2, 0]], "indices below 4"),
        ([[0, 0]], "once, got one twice"),
        ([[-1, 0]], "only behind the last"),
        ([[3, 2]], "whose score is -inf"),
    ],
)
def test_rejects_what_cannot_have_been_drawn(policy, chosen, rule):
    scores = [1.0, 0.5, -np.inf, 0.0]
    for method in (policy.log_probability, policy.gradient):
        with pytest.raises(ParameterError, match=rf"chosen must.*{rule}"):
            method(scores, chosen)


@per_policy
def test_rejects_numbers_of_samples_and_items_out_of_range(policy):
    rng = np.random.default_rng(0)
    for n_kept in (-1, 2.0):
        with pytest.raises(ParameterError, match="n_kept must be"):
            policy.sample(SCORES, n_kept, 1, rng)
    with pytest.raises(ParameterError, match="n_samples must be >= 1, got 0"):
        policy.sample(SCORES, 1, 0, rng)
    with pytest.raises(ParameterError, match="reference must have a score per candidate, got 2"):
        policy.divergence(SCORES, [0.1, 0.2], [[0]])


@pytest.mark.parametrize(
    ("budget", "rule"),
    [
        ({"tokens": TOKENS}, "budget_tokens is missing"),
        ({"budget_tokens": 5}, "tokens is missing"),
        ({"tokens": [1, 2], "budget_tokens": 5}, "tokens must have the shape"),
        ({"tokens": [1, 2, 3, -4], "budget_tokens": 50}, "tokens must be whole numbers >= 0"),
        ({"tokens": [1, 2, 3, 0.5], "budget_tokens": 50}, "tokens must be whole numbers >= 0"),
        ({"tokens": TOKENS, "budget_tokens": -1}, "budget_tokens must be >= 0, got -1"),
        ({"tokens": TOKENS, "budget_tokens": 49}, "chosen must fit budget_tokens, which is 49"),
    ],
)
def test_rejects_a_budget_that_is_half_given_or_exceeded(budget, rule):
    with pytest.raises(ParameterError, match=rule):
        PlackettLuce().log_probability(SCORES, [[0, 1]], **budget)
