"""The script that weighs the links of A-MEM against one another at equal budget."""

import json
from pathlib import Path

import pytest

FILE = str(Path(__file__).parents[1] / "formats" / "files" / "locomo.json")
WORDS = {"a": 100, "b": 200, "c": 150, "d": 1}


def test_figures_of_a_ranking_worked_by_hand(bench):
    script = bench("a_mem")
    found = script.recalls(["a", "b", "c", "d"], frozenset("cd"), WORDS)
    # 250 words hold a, then neither b nor c beside it (150 of 150 fits), then d no more.
    assert found == [1.0, 1.0, 0.5, 1.0, 1.0, 1.0, 1.0]


def test_every_system_is_measured_over_the_same_questions(bench, tmp_path, capsys):
    script, out = bench("a_mem"), tmp_path / "figures.json"
    script.main([FILE, "--json", str(out), "--systems", "content: BM25,default"])
    figures = json.loads(out.read_text())
    assert list(figures) == ["content: BM25", "default"]
    for groups in figures.values():
        assert len(groups["all"]) == len(script.DEPTHS) + len(script.WORDS)
        assert groups["all"][0] > 0
        assert groups["all"][:2] == sorted(groups["all"][:2])
    assert f"{100 * figures['default']['all'][0]:.1f}" in capsys.readouterr().out


def test_an_unknown_system_is_refused(bench, capsys):
    with pytest.raises(SystemExit):
        bench("a_mem").main([FILE, "--systems", "nothing"])
    assert "no system is called 'nothing'" in capsys.readouterr().err
