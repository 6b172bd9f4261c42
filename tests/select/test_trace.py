"""What a selection says about itself: reasons in words, rows to print, masks."""

import pickle

import numpy as np
import pytest

from memsieve.errors import ParameterError
from memsieve.select import MMR, Candidates, Knapsack, Reason, Threshold, TopK, Trace


def words(reason, first=0.0, second=0.0):
    return Trace(np.array([reason], np.uint8), np.array([first]), np.array([second])).reason(0)


@pytest.mark.parametrize(
    ("reason", "first", "second", "expected"),
    [
        (Reason.PICKED, 0, 0.9, "picked 1st, gain 0.90"),
        (Reason.PICKED, 1, 0.0042, "picked 2nd, gain 0.0042"),
        (Reason.PICKED, 2, -1.5, "picked 3rd, gain -1.50"),
        (Reason.PICKED, 10, 0, "picked 11th, gain 0.00"),
        (Reason.PICKED, 111, 1, "picked 112th, gain 1.00"),
        (Reason.PICKED, 121, 1, "picked 122nd, gain 1.00"),
        (Reason.BROUGHT, 3, 7, "picked 4th, beside item 7"),
        (Reason.NEVER, 0, 0, "dropped: relevance is -inf"),
        (Reason.ITEMS, 5, 0, "dropped: the budget of 5 items is full"),
        (Reason.ITEMS, 1, 0, "dropped: the budget of 1 item is full"),
        (Reason.TOKENS, 34, 20, "dropped: 34 tokens do not fit in the 20 left"),
        (Reason.TOKENS, 1, 0, "dropped: 1 token does not fit in the 0 left"),
        (Reason.HEADER, 9, 4, "dropped: 9 tokens with its group's start do not fit in the 4 left"),
        (Reason.BYTES, 70000, 512, "dropped: 70000 bytes do not fit in the 512 left"),
        (Reason.STOPPED, 3, 0, "dropped: packing stopped at item 3, which did not fit"),
        (Reason.BELOW, 0.31, 0.5, "dropped: below the threshold 0.5"),
        (Reason.REPEATS, 0, 0.97, "dropped: repeats item 0 (similarity 0.97)"),
        (Reason.WORTHLESS, -0.2, 0, "dropped: gain -0.20 is not above 0"),
        (Reason.LEFT_OUT, 0, 0, "dropped: left out by the method"),
    ],
)
def test_puts_every_reason_into_words(reason, first, second, expected):
    assert words(reason, first, second) == expected


def test_has_words_for_every_reason():
    assert all(words(reason) for reason in Reason)


def test_the_table_holds_picks_in_their_order_and_then_the_rest():
    items = Candidates(relevance=[0.2, 0.9, 0.8, 0.7], tokens=[10, 10, 30, 10])
    found = TopK().select(items, budget_tokens=25)
    assert found.trace.table() == [
        (1, "picked 1st, gain 0.90"),
        (3, "picked 2nd, gain 0.70"),
        (0, "dropped: 10 tokens do not fit in the 5 left"),
        (2, "dropped: 30 tokens do not fit in the 15 left"),
    ]


def test_names_the_tokens_of_a_group_that_would_have_to_be_opened():
    items = Candidates(relevance=[0.9, 0.8], tokens=[5, 5], group=[0, 1], group_tokens=[2, 4])
    found = TopK().select(items, budget_tokens=14)
    reason = "dropped: 9 tokens with its group's start do not fit in the 7 left"
    assert found.trace.reason(1) == reason


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        (Threshold(0.5), "dropped: below the threshold 0.5"),
        (Knapsack(), "dropped: gain -0.40 is not above 0"),
        (TopK(), "dropped: the budget of 1 item is full"),
    ],
)
def test_methods_give_their_own_reason(selector, expected):
    items = Candidates(relevance=[0.9, -0.4])
    assert selector.select(items, budget_items=1).trace.reason(1) == expected


@pytest.mark.parametrize("i", [-1, 2])
def test_rejects_a_candidate_that_there_is_not(i):
    trace = TopK().select(Candidates(relevance=[0.1, 0.2])).trace
    with pytest.raises(ParameterError, match=rf"candidate must be in \[0, 2\), got {i}"):
        trace.reason(i)


def test_indices_mask_gains_and_cost_agree():
    items = Candidates(relevance=[0.5, 0.9, 0.1], tokens=[3, 4, 5], bytes=[30, 40, 50])
    found = TopK().select(items, budget_items=2)
    assert found.indices.tolist() == list(found.picked) == [1, 0]
    assert found.mask().tolist() == [True, True, False]
    assert found.gains.tolist() == [0.9, 0.5]
    assert (found.spent.items, found.spent.tokens, found.spent.bytes) == (2, 7, 70)
    assert repr(found) == (
        "Selection(picked=(1, 0), n_picked=2, Spent(items=2, tokens=7, bytes=70))"
    )
    assert repr(found.trace) == "Trace(n=3, n_kept=2)"


def test_a_result_stays_as_it_is_when_the_method_runs_again():
    items = Candidates(relevance=[0.5, 0.9, 0.1], similarity=np.eye(3))
    found = MMR().select(items, budget_items=2)
    table = found.trace.table()
    MMR().select(items, budget_items=3)
    assert found.trace.table() == table
    assert pickle.loads(pickle.dumps(found)).picked == found.picked


def test_a_trace_of_a_hundred_thousand_holds_no_object_per_candidate():
    found = TopK().select(Candidates(relevance=np.linspace(0, 1, 100_000)), budget_items=10)
    size = sum(array.nbytes for array in (found.trace.codes, found.trace.first, found.trace.second))
    assert size == 100_000 * (1 + 8 + 8)
    assert found.trace.reason(0) == "dropped: the budget of 10 items is full"
