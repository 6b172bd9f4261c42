"""Group-relative advantages against numbers worked by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memsieve.errors import ParameterError
from memsieve.learn.advantages import BASELINES, advantages, wasted

rewards = st.lists(st.floats(-1, 1, width=16), min_size=2, max_size=12)


@pytest.mark.parametrize(
    ("group", "baseline", "expected"),
    [
        ([1, 0, 0, 1], "group", [0.8659, -0.8659, -0.8659, 0.8659]),
        ([1, 0, 0, 1], "leave-one-out", [0.6667, -0.6667, -0.6667, 0.6667]),
        ([1, 0, 0, 1], "mean", [0.5, -0.5, -0.5, 0.5]),
        ([1, 0, 0, 0], "group", [1.4997, -0.4999, -0.4999, -0.4999]),
        ([1, 0, 0, 0], "leave-one-out", [1, -0.3333, -0.3333, -0.3333]),
        ([1, 0, 0, 0], "mean", [0.75, -0.25, -0.25, -0.25]),
        ([0.2, 0.4, 0.6, 0.8], "group", [-1.1614, -0.3871, 0.3871, 1.1614]),
    ],
)
def test_gives_the_worked_numbers(group, baseline, expected):
    assert advantages(group, baseline) == pytest.approx(expected, abs=5e-5)


@given(group=rewards)
def test_leave_one_out_takes_the_mean_of_the_others(group):
    others = [np.mean([*group[:i], *group[i + 1 :]]) for i in range(len(group))]
    expected = np.array(group) - others
    assert advantages(group, "leave-one-out") == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("baseline", BASELINES)
@given(group=rewards)
def test_the_advantages_of_a_group_sum_to_nothing(baseline, group):
    assert advantages(group, baseline).sum() == pytest.approx(0, abs=1e-8)


@pytest.mark.parametrize("baseline", ["mean", "leave-one-out"])
@given(group=rewards, factor=st.floats(0.1, 10))
def test_scaled_rewards_scale_the_advantages(baseline, group, factor):
    expected = factor * advantages(group, baseline)
    assert advantages(factor * np.array(group), baseline) == pytest.approx(expected, abs=1e-12)


def test_the_standard_deviation_takes_the_scale_out():
    small, large = (advantages(scale * np.arange(4), "group") for scale in (1, 1000))
    assert small == pytest.approx(large, abs=2e-4)


@pytest.mark.parametrize("baseline", BASELINES)
@pytest.mark.parametrize("reward", [0.1, -0.7, 1e9])
def test_equal_rewards_give_exactly_nothing(baseline, reward):
    assert not advantages(np.full((3, 7), reward), baseline).any()


@pytest.mark.parametrize("baseline", BASELINES)
def test_every_group_is_judged_for_itself_whatever_the_shape(baseline):
    batch = np.random.default_rng(0).random((2, 3, 5))
    found = advantages(batch, baseline)
    assert found.shape == batch.shape
    assert found[1, 2] == pytest.approx(advantages(batch[1, 2], baseline))


def test_wasted_counts_the_groups_without_spread():
    assert wasted([[0, 0], [1, 0], [0.3, 0.3], [0.3, 0.30001]]) == 0.5
    assert wasted([1, 1, 1]) == 1
    assert wasted([[[1, 0]], [[0, 1]]]) == 0


@pytest.mark.parametrize("judge", [advantages, wasted])
@pytest.mark.parametrize("group", [[], [1.0], [[1.0], [0.0]], 1.0])
def test_rejects_a_group_of_less_than_two(judge, group):
    with pytest.raises(ParameterError, match="G >= 2, got"):
        judge(group)


@pytest.mark.parametrize("judge", [advantages, wasted])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_rejects_rewards_that_are_no_numbers(judge, bad):
    with pytest.raises(ParameterError, match="rewards must be finite"):
        judge([0.1, bad])


def test_rejects_an_unknown_baseline_and_no_group_at_all():
    with pytest.raises(ParameterError, match="baseline must be one of group, mean, leave-one-out"):
        advantages([1, 0], "median")
    with pytest.raises(ParameterError, match="wasted needs at least one group"):
        wasted(np.empty((0, 4)))
    assert advantages(np.empty((0, 4))).shape == (0, 4)
