"""Threshold: what is not relevant enough is not kept, however much room there is."""

import numpy as np
import pytest

from memsieve.errors import ParameterError
from memsieve.select import Candidates, Threshold, TopK


def test_picks_of_the_example_worked_by_hand():
    items = Candidates(relevance=[0.5, 0.49, 0.9, 0.7], tokens=[10, 10, 10, 30])
    found = Threshold(0.5).select(items, budget_tokens=25)
    assert found.picked == (2, 0)
    assert found.trace.reason(1) == "dropped: below the threshold 0.5"
    assert found.trace.reason(3) == "dropped: 30 tokens do not fit in the 15 left"


def test_at_minus_infinity_it_is_top_k_and_at_infinity_it_keeps_nothing():
    items = Candidates(relevance=[-3.0, 0.4, 0.2], tokens=[5, 5, 5])
    assert Threshold(-np.inf).select(items, budget_tokens=10).picked == (1, 2)
    assert Threshold(np.inf).select(items).picked == ()
    assert Threshold(0).select(items, budget_tokens=0).picked == ()


def test_a_float32_score_meets_the_threshold_it_was_rounded_from():
    items = Candidates(relevance=np.array([0.7, 0.6999], np.float32))
    assert Threshold(0.7).select(items).picked == (0,)


def test_stops_at_the_first_misfit_if_told_to():
    items = Candidates(relevance=[0.9, 0.8, 0.7, 0.1], tokens=[10, 30, 10, 10])
    found = Threshold(0.5, stop_at_first_misfit=True).select(items, budget_tokens=25)
    assert found.picked == (0,)
    assert found.trace.reason(3) == "dropped: below the threshold 0.5"


def test_keeps_nothing_for_a_question_without_an_answer_where_top_k_keeps_ten_turns():
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.1, 200)
    answered = noise.copy()
    answered[:3] += 1.0
    kept = {
        name: [len(m.select(Candidates(relevance=r), budget_items=10)) for r in (noise, answered)]
        for name, m in (("top", TopK()), ("threshold", Threshold(0.5)))
    }
    assert kept == {"top": [10, 10], "threshold": [0, 3]}


def test_rejects_a_threshold_that_is_no_number():
    with pytest.raises(ParameterError, match=r"Threshold\.threshold must be a number, got nan"):
        Threshold(float("nan"))
