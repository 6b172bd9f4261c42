"""Nets under training: gradients by differences, the policies they become, and Adam by hand."""

import numpy as np
import pytest

from memsieve.learn.nets import Adam, LinearNet, MLPNet, joined
from memsieve.score.features import CLIP, NAMES, Features
from memsieve.score.policy import load

D, N = len(NAMES), 40


def linear(seed=0, d=D):
    return LinearNet(np.random.default_rng(seed).normal(size=d))


def mlp(seed=0, d=D, n_hidden=5):
    """A network whose every parameter has moved away from where it starts."""
    rng = np.random.default_rng(seed)
    net = MLPNet(rng.normal(size=d), n_hidden, rng)
    for parameter in net.parameters:
        parameter += rng.normal(scale=0.3, size=parameter.shape)
    return net


per_net = pytest.mark.parametrize("make", [linear, mlp])


def candidates(n=N):
    return Features(NAMES, np.random.default_rng(7).normal(size=(n, D)) * np.arange(1, D + 1))


@per_net
def test_gradients_are_the_slopes_of_a_loss_over_the_scores(make):
    net, rng = make(d=4), np.random.default_rng(1)
    z, wanted = rng.normal(size=(6, 4)), rng.normal(size=6)
    found = net.gradients(z, 2 * (net.scores(z) - wanted))
    assert [gradient.shape for gradient in found] == [p.shape for p in net.parameters]
    for gradient, parameter in zip(found, net.parameters, strict=True):
        for at in np.ndindex(parameter.shape):
            ends, kept = [], parameter[at]
            for step in (1e-5, -1e-5):
                parameter[at] = kept + step
                ends.append(((net.scores(z) - wanted) ** 2).sum())
            parameter[at] = kept
            assert gradient[at] == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-6, abs=1e-7)


def test_a_linear_net_worked_by_hand():
    net = LinearNet(np.array([2.0, -1.0]))
    z = np.array([[1.0, 1.0], [0.5, 3.0]])
    assert net.scores(z).tolist() == [1.0, -2.0]
    assert net.gradients(z, np.array([1.0, 10.0]))[0].tolist() == [6.0, 31.0]


def test_an_mlp_worked_by_hand():
    net = MLPNet(np.array([1.0]), 1, np.random.default_rng(0))
    net.parameters[1:] = [np.array([[2.0]]), np.array([0.5]), np.array([3.0])]
    expected = 1 * 0.25 + 3 * (np.tanh(2 * 0.25 + 0.5) - np.tanh(0.5))
    assert net.scores(np.array([[0.25]])) == pytest.approx([expected])
    assert net.scores(np.zeros((1, 1))).tolist() == [0]  # the mean candidate scores nothing


def test_an_mlp_starts_at_the_weights_that_it_is_given_and_can_move_away():
    start = np.random.default_rng(0).normal(size=D)
    z = candidates().standardised(CLIP)
    net = MLPNet(start, 16, np.random.default_rng(0))
    assert net.scores(z) == pytest.approx(z @ start)
    assert np.abs(net.gradients(z, np.eye(len(z))[0])[3]).max() > 0


def test_a_net_takes_a_copy_of_its_start():
    start = np.ones(3)
    for net in (LinearNet(start), MLPNet(start, 2, np.random.default_rng(0))):
        net.parameters[0] += 1
    assert start.tolist() == [1, 1, 1]


@per_net
def test_the_served_policy_scores_as_the_net_and_its_file_does_to_the_digits_it_keeps(
    make, tmp_path
):
    net, features = make(), candidates()
    expected = net.scores(features.standardised(CLIP))
    policy = net.policy("mine", NAMES)
    assert policy.score(features).values == pytest.approx(expected, rel=1e-10, abs=1e-10)
    policy.save(tmp_path / "mine.json")
    kept = load(tmp_path / "mine.json")
    assert (kept.name, kept.kind, kept.features) == ("mine", policy.kind, NAMES)
    assert kept.score(features).values == pytest.approx(expected, abs=1e-4)


@per_net
def test_a_policy_stays_as_it_is_while_the_net_trains_on(make):
    net, features = make(), candidates()
    policy = net.policy("mine", NAMES)
    before = policy.score(features).values
    for parameter in net.parameters:
        parameter += 1.0
    assert policy.score(features).values.tolist() == before.tolist()


@pytest.mark.parametrize("sizes", [(5, 5, 5), (2, 7)])
def test_joined_nets_give_the_mean_of_their_scores(sizes):
    nets = [mlp(seed, n_hidden=n) for seed, n in enumerate(sizes)]
    z = candidates().standardised(CLIP)
    mean = np.mean([net.scores(z) for net in nets], axis=0)
    whole = joined(nets)
    assert whole.scores(z) == pytest.approx(mean)
    assert whole.policy("all", NAMES).score(candidates()).values == pytest.approx(mean)


@per_net
def test_one_net_joined_is_itself(make):
    net = make()
    assert joined([net]) is net


def test_the_first_steps_of_adam_worked_by_hand():
    parameter = np.array([1.0, 1.0, 1.0])
    adam = Adam([parameter], learning_rate=0.1)
    # Step 1: mean and root of the mean square are g and |g| after correction, whatever their size.
    adam.step([parameter], [np.array([4.0, -1e-3, 0.0])])
    assert parameter == pytest.approx([0.9, 1.1, 1.0], abs=2e-6)
    # Step 2, g = 4 then -2: mean (.9 * .4 - .1 * 2) / (1 - .81) = .16 / .19,
    # square (.999 * .016 + .001 * 4) / (1 - .998001) = .019984 / .001999.
    adam.step([parameter], [np.array([-2.0, 0.0, 0.0])])
    expected = 0.9 - 0.1 * (0.16 / 0.19) / np.sqrt(0.019984 / 0.001999)
    assert parameter[0] == pytest.approx(expected, abs=1e-9)
    assert parameter[2] == 1.0


def test_adam_changes_every_parameter_in_place_and_finds_the_minimum():
    first, second = np.array([5.0]), np.array([[-3.0, 2.0]])
    adam = Adam([first, second], learning_rate=0.1)
    for _ in range(500):
        adam.step([first, second], [2 * (first - 1), 2 * second])
    assert first == pytest.approx([1], abs=1e-3)
    assert second == pytest.approx(np.zeros((1, 2)), abs=1e-3)
