"""Entropies and weights of views: the numbers of the paper's formula, and what must always hold."""

import numpy as np
import pytest

from memsieve.errors import ParameterError
from memsieve.score.routing import FORMS, entropies, view_weights

THREE = np.array([[0.8, 0.2, 0.2], [0.5, 0.4, 0.3]])
TEN = np.array([[0.8] + [0.5] * 9, [0.55] + [0.5] * 9])


@pytest.mark.parametrize(
    ("similarities", "entropy", "paper", "normalised"),
    [
        (THREE, [0.36659, 1.02019], [0.73565, 0.26435], [0.90324, 0.09676]),
        (TEN, [2.10269, 2.29938], [0.5223, 0.4777], [0.9842, 0.0158]),
    ],
)
def test_the_numbers_worked_by_hand(similarities, entropy, paper, normalised):
    found = entropies(similarities, 0.2)
    n = similarities.shape[1]
    assert found == pytest.approx(entropy, abs=5e-6)
    assert view_weights(found, n, "paper") == pytest.approx(paper, abs=5e-5)
    assert view_weights(found, n, "normalised") == pytest.approx(normalised, abs=5e-5)
    assert view_weights(found, n, "equal").tolist() == [0.5, 0.5]


def test_the_form_of_the_script_would_prefer_the_vaguer_view_and_is_not_offered():
    script = (1 - entropies(TEN, 0.2)) / (1 - entropies(TEN, 0.2)).sum()
    assert script == pytest.approx([0.4591, 0.5409], abs=5e-5)
    script = (1 - entropies(THREE, 0.2)) / (1 - entropies(THREE, 0.2)).sum()
    assert script == pytest.approx([1.03293, -0.03293], abs=5e-5)
    with pytest.raises(ParameterError, match="form must be one of paper, normalised, equal"):
        view_weights(entropies(TEN, 0.2), 10, "script")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("seed", range(20))
def test_weights_are_shares_and_a_more_peaked_view_never_gets_less(form, seed):
    rng = np.random.default_rng(seed)
    near = rng.random((4, int(rng.integers(2, 60)))) * rng.choice([0.01, 1, 100])
    temperature = float(rng.choice([0.01, 0.2, 5]))
    mean = near[0].mean()
    near[1] = mean + 2 * (near[0] - mean)  # the same view, twice as peaked
    weights = view_weights(entropies(near, temperature), near.shape[1], form)
    assert (weights >= 0).all()
    assert weights.sum() == pytest.approx(1)
    assert weights[1] >= weights[0] - 1e-12


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "near",
    [np.full((4, 9), 0.3), np.zeros((4, 9)), np.full((4, 1), 0.7), np.zeros((4, 0))],
    ids=["uniform", "zero", "one memory", "no memory"],
)
def test_views_that_know_the_same_weigh_the_same(form, near):
    found = view_weights(entropies(near, 0.2), near.shape[1], form)
    assert found == pytest.approx([0.25] * 4)


def test_views_without_any_doubt_share_the_weight():
    near = np.array([[900.0, 0, 0], [0, 900.0, 0], [0.5, 0.4, 0.3]])
    found = entropies(near, 0.2)
    assert found[:2].tolist() == [0, 0]
    assert view_weights(found, 3, "paper").tolist() == [0.5, 0.5, 0]
    assert view_weights(found, 3, "normalised")[:2] == pytest.approx([0.4823, 0.4823], abs=1e-3)


def test_entropies_do_not_overflow_and_stay_in_their_range():
    near = np.array([[1e300, -1e300], [1.0, 1.0]])
    assert entropies(near, 1e-3) == pytest.approx([0, np.log(2)])


@pytest.mark.parametrize("temperature", [0, -1, float("nan")])
def test_a_temperature_must_be_above_zero(temperature):
    with pytest.raises(ParameterError, match="temperature must be > 0"):
        entropies(THREE, temperature)


def test_similarities_must_be_finite():
    with pytest.raises(ParameterError, match="similarities must be finite"):
        entropies(np.array([[1.0, np.nan]]), 0.2)
