"""Features in their units, and their fusion, worked by hand."""

import numpy as np
import pytest

from memsieve.errors import ParameterError
from memsieve.score import NAMES, Features, RankFusion, StandardisedSum


def of(**columns):
    """Features of which only some columns are not zero."""
    n = len(next(iter(columns.values())))
    values = np.zeros((n, len(NAMES)))
    for name, column in columns.items():
        values[:, NAMES.index(name)] = column
    return Features(NAMES, values)


def test_a_standardised_sum_worked_by_hand():
    # meaning: mean 2, deviation sqrt(2/3); speaker: mean 1/3, deviation sqrt(2)/3.
    scores = StandardisedSum({"meaning": 1.0, "speaker": 2.0}).score(
        of(meaning=[1, 2, 3], speaker=[0, 0, 1])
    )
    z = 1 / np.sqrt(2 / 3)
    low, high = (-1 / 3) / (np.sqrt(2) / 3), (2 / 3) / (np.sqrt(2) / 3)
    assert scores.values == pytest.approx([-z + 2 * low, 2 * low, z + 2 * high])


def test_the_reasons_add_up_to_the_score_and_the_largest_comes_first():
    scores = StandardisedSum().score(of(meaning=[1, 2, 3], speaker=[0, 0, 1], dated=[1, 0, 1]))
    for i in range(3):
        why = scores.why(i)
        assert sum(why.values()) == pytest.approx(scores.values[i])
        shares = [abs(share) for share in why.values()]
        assert shares == sorted(shares, reverse=True)


def test_a_feature_that_is_the_same_everywhere_says_nothing():
    assert not StandardisedSum().score(of(dated=[1, 1, 1])).values.any()


def test_no_candidates_no_scores():
    assert StandardisedSum().score(of(meaning=[])).values.size == 0
    assert RankFusion().score(of(meaning=[])).values.size == 0


def test_rank_fusion_worked_by_hand():
    scores = RankFusion(("words", "meaning")).score(of(words=[3, 2, 2], meaning=[0.1, 0.9, 0.5]))
    # Ranks by words 1, 2, 2 (a tie shares the better one), by meaning 3, 1, 2.
    assert scores.values == pytest.approx([1 / 61 + 1 / 63, 1 / 62 + 1 / 61, 1 / 62 + 1 / 62])


def test_rank_fusion_does_not_see_the_size_of_a_lead():
    near = RankFusion().score(of(words=[2, 1], meaning=[1, 2])).values
    far = RankFusion().score(of(words=[9, 1], meaning=[1, 2])).values
    assert near == pytest.approx(far)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: StandardisedSum({"smell": 1.0}), "no feature is called 'smell'"),
        (lambda: StandardisedSum({"meaning": float("nan")}), "must be finite"),
        (lambda: RankFusion(("smell",)), "no feature is called 'smell'"),
        (lambda: RankFusion(depth=0), "depth must be > 0"),
    ],
)
def test_options_outside_their_rules_are_refused(make, message):
    with pytest.raises(ParameterError, match=message):
        make()
