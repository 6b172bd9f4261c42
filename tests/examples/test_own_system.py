"""The example of a memory system of one's own: it runs as written and keeps to the contract."""

import runpy
from pathlib import Path

import pytest

import memsieve

PATH = Path(__file__).resolve().parents[2] / "examples" / "own_system.py"
Fading = runpy.run_path(str(PATH))["Fading"]
ASKED = "2026-03-02"


@pytest.fixture
def memory(tmp_path):
    with memsieve.open(tmp_path / "memory.db", system=Fading(), embedder="none") as memory:
        yield memory


def test_it_prints_the_newer_home_first(capsys):
    runpy.run_path(str(PATH), run_name="__main__")
    first, second = capsys.readouterr().out.splitlines()
    assert "Lisbon" in first
    assert "Porto" in second


def test_half_is_left_after_a_half_life(memory):
    memory.add("A dog.", at="2026-01-31T00:00Z")
    memory.add("A dog!", at="2026-03-02T00:00Z")
    new, old = memory.recall("dog", now="2026-03-02T00:00Z")
    assert (new.item.text, old.item.text) == ("A dog!", "A dog.")
    assert old.score == pytest.approx(new.score / 2)
    assert old.why == pytest.approx({"words": new.score, "fading": -new.score / 2})


def test_it_keeps_to_a_budget_and_survives_reopening(memory, tmp_path):
    memory.add([f"The dog number {n}." for n in range(20)], at="2026-02-01")
    found = memory.recall("dog", budget_tokens=40, now=ASKED)
    assert 0 < found.tokens <= 40
    memory.close()
    with memsieve.open(tmp_path / "memory.db", system=Fading(), embedder="none") as again:
        assert again.recall("dog", budget_tokens=40, now=ASKED).ids == found.ids


def test_it_is_as_short_as_the_page_says():
    code = PATH.read_text(encoding="utf-8").split("class Fading")[1].split("if __name__")[0]
    assert len(code.strip().splitlines()) <= 40
