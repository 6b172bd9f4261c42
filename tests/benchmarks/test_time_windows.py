"""Windows of time over the sessions of a conversation: oracles, and those that questions name."""

import json
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = str(Path(__file__).resolve().parents[2] / "examples" / "conversations")


@pytest.fixture
def asked(bench):
    """Four sessions on days 0, 10, 20 and 30; the evidence is the third, BM25 likes the first."""

    def make(begins=None, ends=None):
        return bench("time_windows").Asked(
            scores=np.array([3.0, 2.0, 1.0, 0.0]),
            days=np.array([0, 10, 20, 30]),
            gold=(2,),
            begins=None if begins is None else np.array([begins]),
            ends=None if ends is None else np.array([ends]),
        )

    return make


def test_without_a_window_the_evidence_comes_third(asked):
    one = asked()
    assert [one.found(depth, None, hard=False) for depth in (1, 2, 3)] == [False, False, True]
    assert one.parsed() is None
    assert not one.states_a_time


def test_an_oracle_holds_the_days_around_the_evidence(asked):
    one = asked()
    assert one.oracle(3).tolist() == [False, False, True, False]
    assert one.oracle(10).tolist() == [False, True, True, True]
    assert one.found(1, one.oracle(3), hard=True)
    assert not one.found(1, one.oracle(10), hard=True)


def test_a_window_of_words_is_widened_by_two_days(asked):
    assert asked(22, 25).parsed().tolist() == [False, False, True, False]
    assert asked(23, 25).parsed().tolist() == [False, False, False, False]


def test_a_wrong_window_loses_the_evidence_if_hard_and_not_if_soft(asked):
    one = asked(0, 1)
    assert one.found(4, one.parsed(), hard=False)
    assert not one.found(4, one.parsed(), hard=True)


def test_an_empty_hard_window_falls_back_to_everything(asked):
    one = asked(90, 91)
    assert one.found(3, one.parsed(), hard=True)


def test_the_script_prints_and_writes_what_it_measured(bench, tmp_path, capsys):
    script, out = bench("time_windows"), tmp_path / "figures.json"
    script.main([EXAMPLES, "--json", str(out)])
    figures = json.loads(out.read_text())
    whole = figures["all questions"]["rows"]
    assert figures["all questions"]["n"] == 90
    assert whole["gold dates +-3 days"]["1"] > whole["no window"]["1"]
    assert "gold dates +-3 days" in capsys.readouterr().out
