"""Mixtures of two Gaussians against scikit-learn's, and who is accepted where they say little."""

import numpy as np
import pytest

from memsieve.errors import ParameterError
from memsieve.manage.association import TwoGaussians, accepted, strongest

WORKED = [0.90, 0.88, 0.86, 0.20, 0.18, 0.15, 0.12]
# scikit-learn 1.x, GaussianMixture(2, random_state=0), on the row below.
TWO_MODES = [
    0.6911, 0.687, 0.6792, 0.666, 0.6502, 0.6342, 0.6317, 0.6164, 0.6026, 0.5871, 0.5752, 0.5691,
    0.534, 0.4898, 0.3001, 0.2845, 0.2787, 0.2647, 0.2468, 0.2315, 0.2291, 0.2094, 0.2025, 0.1856,
    0.1811, 0.1683, 0.1669, 0.1623, 0.1454, 0.1361,
]  # fmt: skip
MEANS = [0.21206255170732138, 0.6152571424623805]
N_HIGHER = 14


def rows(*lists):
    """Rows of different lengths, filled up with NaN."""
    found = np.full((len(lists), max(map(len, lists))), np.nan)
    for row, numbers in zip(found, lists, strict=True):
        row[: len(numbers)] = numbers
    return found


def two_modes(seed, n=30):
    """Scores in two groups that do not overlap, falling, and how many are in the higher one."""
    rng = np.random.default_rng(seed)
    n_higher = int(rng.integers(3, 15))
    higher, lower = rng.normal(0.6, 0.05, n_higher), rng.normal(0.2, 0.05, n - n_higher)
    return np.sort(np.concatenate([higher, lower]))[::-1], n_higher


def test_the_first_three_of_the_worked_scores_are_accepted():
    assert accepted(rows(WORKED)).tolist() == [[True] * 3 + [False] * 4]
    assert accepted(rows(WORKED), min_gap=2.0).tolist() == [[True] * 3 + [False] * 4]


def test_means_and_labels_are_those_of_scikit_learn():
    assert TwoGaussians.fitted(rows(TWO_MODES)).mean[0] == pytest.approx(MEANS, abs=1e-9)
    assert np.flatnonzero(accepted(rows(TWO_MODES))[0]).tolist() == list(range(N_HIGHER))


@pytest.mark.parametrize("seed", range(10))
def test_it_agrees_with_scikit_learn_on_two_modes(seed):
    mixture = pytest.importorskip("sklearn.mixture", reason="an optional check of the fit")
    scores, _ = two_modes(seed)
    theirs = mixture.GaussianMixture(2, random_state=0).fit(scores[:, None])
    labels = theirs.predict(scores[:, None]) == int(np.argmax(theirs.means_))
    assert accepted(rows(scores))[0].tolist() == labels.tolist()
    assert TwoGaussians.fitted(rows(scores)).mean[0] == pytest.approx(np.sort(theirs.means_[:, 0]))


def test_rows_are_fitted_together_as_they_are_alone():
    several = [two_modes(seed)[0][: 30 - seed] for seed in range(6)]
    together = TwoGaussians.fitted(rows(*several))
    for i, one in enumerate(several):
        alone = TwoGaussians.fitted(rows(one))
        for name in ("share", "mean", "variance"):
            assert getattr(together, name)[i] == pytest.approx(getattr(alone, name)[0], rel=1e-9)


@pytest.mark.parametrize("seed", range(10))
def test_the_order_of_the_scores_does_not_matter(seed):
    scores, n_higher = two_modes(seed)
    order = np.random.default_rng(seed).permutation(scores.size)
    found = accepted(rows(scores))[0]
    assert found.sum() == n_higher
    assert accepted(rows(scores[order]))[0].tolist() == found[order].tolist()


@pytest.mark.parametrize("seed", range(30))
def test_a_better_score_is_never_refused_where_a_worse_is_accepted(seed):
    rng = np.random.default_rng(seed)
    scores = rng.gamma(2, 0.05, int(rng.integers(2, 40)))
    found = accepted(rows(scores))[0]
    assert 0 < found.sum() < scores.size
    assert scores[found].min() > scores[~found].max()


def test_a_narrow_higher_group_keeps_the_best_of_all():
    scores = [0.95, *[0.60, 0.601, 0.599] * 5, *np.linspace(0.05, 0.5, 12)]
    found = accepted(rows(scores))[0]
    assert found[0]


def test_few_and_equal_scores_are_defined():
    found = accepted(rows([0.3], [], [0.4, 0.4, 0.4], [0.9, 0.1]))
    assert found.tolist() == [
        [True, False, False],
        [False, False, False],
        [True, True, True],
        [True, False, False],
    ]
    assert accepted(np.zeros((0, 5))).shape == (0, 5)


def test_a_least_gap_refuses_one_mode_and_takes_the_best_few_instead():
    equal, apart = [0.4] * 4, [0.9, 0.88, 0.1, 0.12]
    assert accepted(rows(equal, apart), min_gap=2.0).sum(axis=1).tolist() == [0, 2]
    found = accepted(rows(equal, apart), min_gap=2.0, otherwise=1)
    assert found.tolist() == [[True, False, False, False], [True, True, False, False]]
    one_mode = np.random.default_rng(1).normal(0.4, 0.05, 30)
    gap = TwoGaussians.fitted(rows(one_mode)).separation[0]
    assert gap < 4 < TwoGaussians.fitted(rows(apart)).separation[0]
    assert accepted(rows(one_mode)).any()
    assert not accepted(rows(one_mode), min_gap=4.0).any()


@pytest.mark.parametrize("options", [{"min_gap": -1}, {"min_gap": float("nan")}, {"otherwise": -1}])
def test_options_outside_their_rules_are_refused(options):
    with pytest.raises(ParameterError, match="must be >= 0"):
        accepted(rows(WORKED), **options)


def test_no_node_keeps_more_than_its_strongest_links():
    rng = np.random.default_rng(0)
    pairs = np.unique(np.sort(rng.integers(0, 20, (150, 2)), axis=1), axis=0)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    strengths = rng.random(len(pairs))
    for most in (0, 1, 4, 100):
        kept = strongest(pairs, strengths, 20, most)
        degrees = np.bincount(pairs[kept].ravel(), minlength=20)
        assert degrees.max(initial=0) <= most
        assert kept[np.argmax(strengths)] == (most > 0)
    assert strongest(pairs, strengths, 20, 100).all()
    assert strongest(np.zeros((0, 2), int), np.zeros(0), 3, 1).shape == (0,)


def test_of_equal_links_the_first_stays():
    star = np.array([[0, 1], [0, 2], [0, 3]])
    assert strongest(star, np.ones(3), 4, 1).tolist() == [True, False, False]
    with pytest.raises(ParameterError, match="most must be >= 0"):
        strongest(star, np.ones(3), 4, -1)
