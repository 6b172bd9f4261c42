"""The timing of starts."""

import pytest


def test_every_command_is_timed_and_one_that_fails_is_left_out_with_its_reason(bench, monkeypatch):
    script = bench("startup")
    commands = {"pass": (("-c", "pass"), None), "fail": (("-c", "raise ValueError('no')"), 1)}
    monkeypatch.setattr(script, "COMMANDS", commands)
    figures, skipped = script.measure(runs=1)
    assert list(figures) == ["pass"]
    assert figures["pass"] > 1
    assert skipped == [
        "skipped fail: python -c raise ValueError('no') failed: ValueError: no",
    ]


def test_a_failing_program_is_an_error_and_not_a_time(bench):
    with pytest.raises(RuntimeError, match="failed: no message"):
        bench("startup").started_ms(["-c", "raise SystemExit(3)"])
