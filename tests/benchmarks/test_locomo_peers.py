"""Peers as systems of `memsieve.evaluate`, and the script on a small file."""

import json
from pathlib import Path

import pytest

from memsieve.evaluate import Ranking, Scope, evaluate, load
from memsieve.types import Message

FILE = Path(__file__).parents[1] / "formats" / "files" / "locomo.json"


@pytest.fixture
def system(bench):
    system = bench("locomo_peers").system("fts5")
    yield system
    system.close()


def test_a_peer_ranks_and_packs_the_loaded_scope_only(system):
    for name, text in (("one", "A boat on the river."), ("two", "A boat in the harbour.")):
        system.load(Scope(name, (Message(text, key=name, session="s", speaker="Ana"),)))
        assert system.rank("Where is the boat?", None, 50) == Ranking((name,), ("s",))


def test_a_context_leaves_out_the_line_that_does_not_fit(system):
    long = Message("boat " * 50, key="long", session="s", speaker="Ana")
    short = Message("a boat and some other words", key="short", session="s", speaker="Ana")
    system.load(Scope("one", (long, short)))
    assert system.rank("boat", None, 50).turns == ("long", "short")
    packed = system.pack("boat", None, 20)
    assert packed.turns == ("short",)
    assert packed.tokens <= 20


def test_the_runner_accepts_a_peer(system):
    report = evaluate(system, load(FILE, dataset="locomo"), budgets=(1_000,))
    assert report.system == "fts5"
    assert report.mean("turn_recall", 10) > 0


def test_the_script_prints_a_line_for_every_peer(bench, capsys, tmp_path):
    target = tmp_path / "figures.json"
    script = bench("locomo_peers")
    script.main([str(FILE), "--peers", "memsieve,fts5", "--json", str(target)])
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed[-2:]] == ["memsieve", "fts5"]
    assert len(json.loads(target.read_text())["systems"]) == 2
