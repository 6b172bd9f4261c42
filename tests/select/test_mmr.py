"""MMR: relevant and new, by the formula of Carbonell and Goldstein."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memsieve.errors import ParameterError
from memsieve.select import MMR, Candidates


def topics(n_topics, n_copies):
    """Items of 10 tokens: copies are identical, topics unrelated, later topics less relevant."""
    topic = np.repeat(np.arange(n_topics), n_copies)
    same = (topic[:, None] == topic).astype(float)
    items = Candidates(relevance=1 - 0.02 * topic, similarity=same, tokens=np.full(topic.size, 10))
    return items, topic


def test_gain_of_the_example_worked_by_hand():
    items, _ = topics(n_topics=2, n_copies=2)
    assert MMR(balance=0.5).gain(items, picked=[0]) == pytest.approx([0, 0, 0.49, 0.49])


def test_gains_of_four_items_worked_by_hand():
    # 0.6 * 1.0 = 0.60; then 0.6 * 0.5 - 0.4 * 0.1 = 0.26 beats 0.6 * 0.9 - 0.4 * 0.8 = 0.22;
    # then 0.6 * 0.9 - 0.4 * max(0.8, 0.3) = 0.22; then 0.6 * 0.4 - 0.4 * max(0.2, 0.9, 0.7).
    items = Candidates(
        relevance=[1.0, 0.9, 0.5, 0.4],
        similarity=[[1, 0.8, 0.1, 0.2], [0.8, 1, 0.3, 0.7], [0.1, 0.3, 1, 0.9], [0.2, 0.7, 0.9, 1]],
    )
    found = MMR(balance=0.6).select(items)
    assert found.picked == (0, 2, 1, 3)
    assert found.gains == pytest.approx([0.60, 0.26, 0.22, -0.12])


def test_covers_ten_topics_where_relevance_alone_covers_two():
    items, topic = topics(n_topics=10, n_copies=5)
    covered = {
        b: len(set(topic[list(MMR(b).select(items, budget_tokens=100).picked)])) for b in (0.5, 1.0)
    }
    assert covered == {0.5: 10, 1.0: 2}


def test_says_what_a_candidate_repeats_and_when_it_merely_did_not_fit():
    items = Candidates(
        relevance=[0.9, 0.88, 0.5, 0.95, 0.3],
        tokens=[10, 10, 10, 90, 10],
        similarity=[
            [1, 0.97, 0, 0, 0],
            [0.97, 1, 0, 0, 0],
            [0, 0, 1, 0, 0],
            [0, 0, 0, 1, 0],
            [0, 0, 0, 0, 1],
        ],
    )
    found = MMR(balance=0.5).select(items, budget_tokens=20)
    assert found.trace.table() == [
        (0, "picked 1st, gain 0.45"),
        (2, "picked 2nd, gain 0.25"),
        (1, "dropped: repeats item 0 (similarity 0.97)"),
        (3, "dropped: 90 tokens do not fit in the 20 left"),
        (4, "dropped: 10 tokens do not fit in the 0 left"),
    ]


def test_goes_on_to_fill_the_budget_and_takes_repeats_last():
    items, topic = topics(n_topics=3, n_copies=2)
    found = MMR(balance=0.5).select(items, budget_tokens=1000)
    assert topic[list(found.picked)].tolist() == [0, 1, 2, 0, 1, 2]


def test_minus_infinity_stays_out_even_at_a_balance_of_zero():
    items = Candidates(relevance=[-np.inf, 0.1, 0.9], similarity=np.eye(3))
    assert MMR(balance=0).select(items).picked == (1, 2)


@settings(deadline=None)
@given(seed=st.integers(0, 10**6), balance=st.floats(0, 1))
def test_the_running_gain_equals_the_formula(seed, balance):
    rng = np.random.default_rng(seed)
    half = rng.uniform(-1, 1, (9, 9))
    items = Candidates(relevance=rng.normal(size=9), similarity=(half + half.T) / 2)
    method, picked = MMR(balance), []
    gain = method.gain(items, picked)
    for i in rng.permutation(9).tolist():
        picked.append(i)
        gain = method.next_gain(items, picked, gain)
        assert np.array_equal(gain, method.gain(items, picked))


@pytest.mark.parametrize("balance", [-0.1, 1.1, float("nan")])
def test_rejects_a_balance_outside_its_range(balance):
    with pytest.raises(ParameterError, match=r"MMR\.balance must be in \[0, 1\], got"):
        MMR(balance)


def test_says_that_it_needs_similarity():
    with pytest.raises(ParameterError, match=r"MMR needs Candidates\.similarity, got None: pass"):
        MMR().select(Candidates(relevance=[0.5]))
