"""The table of MemGAS: its NDCG by hand, BM25 over sessions and pairs, a line for every row."""

from pathlib import Path

import pytest

from memsieve.evaluate import Question, Scope
from memsieve.types import Message

FILE = Path(__file__).parents[1] / "formats" / "files" / "locomo.json"


@pytest.fixture
def script(bench):
    return bench("memgas")


def test_the_second_place_counts_as_much_as_the_first(script):
    assert script.ndcg(["a", "x"], ["a"], 2) == script.ndcg(["x", "a"], ["a"], 2) == 1.0
    assert script.ndcg(["x", "y", "a"], ["a"], 3) == pytest.approx(1 / 1.584963)
    assert script.ndcg(["a", "x", "y"], ["a", "b"], 1) == 1.0


def test_a_session_is_worth_its_words_or_its_best_pair(script):
    long = [Message(t, key=t, session="long") for t in ("boat", *"abcdefghi", "sail")]
    short = [Message("boat and sail", key="0", session="short"), Message("x", key="1", session="z")]
    scope = Scope("one", (*long, *short), (Question("?", ("0",), "any"),))
    for pairs in (True, False):
        ranked = script.by_words(scope, script.plain, pairs=pairs)("boat, SAIL")
        assert list(ranked) == ["short", "long", "z"]


def test_every_row_of_the_table_is_printed(script, capsys):
    script.main([str(FILE)])
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("1 questions")
    rows = [line for line in printed[3:] if line.strip()]
    assert len(rows) == 15
    for line in rows:
        figures = [float(figure) for figure in line.split()[-7:]]
        recalls = figures[:4]
        assert recalls == sorted(recalls)
        assert recalls[1] == 100  # there are three sessions
        assert all(0 <= figure <= 100 for figure in figures)
