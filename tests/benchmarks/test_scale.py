"""The scale run from end to end on a few hundred turns, and its table."""

import doctest
import json

import pytest


@pytest.fixture(scope="module")
def report(bench, tmp_path_factory):
    scale = bench("scale")
    options = scale.options_of(
        ["--sizes", "400", "--peers", "memsieve,fts5", "--queries", "20", "--adds", "3",
         "--rounds", "2", "--folder", str(tmp_path_factory.mktemp("scale"))]
    )  # fmt: skip
    said = []
    return scale.run(options, said.append)


def test_every_line_of_the_table_has_a_figure_for_every_peer(bench, report):
    figures = report["sizes"]["400"]
    assert list(figures) == ["memsieve", "fts5"]
    wanted = {line.figure for line in bench("scale").LINES}
    assert all(wanted <= set(found) for found in figures.values())
    positive = wanted - {"memory_mb", "peak_mb"}
    assert all(found[name] > 0 for found in figures.values() for name in positive)


def test_an_add_and_its_recall_take_no_longer_than_both_together(report):
    for found in report["sizes"]["400"].values():
        assert found["turn_p50_ms"] >= max(found["turn_add_p50_ms"], found["turn_recall_p50_ms"])


def test_planted_facts_are_found_at_this_size(report):
    assert report["sizes"]["400"]["memsieve"]["recall_at_10"] == 1.0


def test_the_report_is_plain_json_and_its_page_a_markdown_table(bench, report):
    page = bench("scale").page(json.loads(json.dumps(report)))
    assert "400 turns" in page
    rows = [line for line in page.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in rows}) == 1
    assert len(rows) == len(bench("scale").LINES) + 2


@pytest.mark.parametrize("given", [["--peers", "mem"], ["--sizes", "0"], ["--sizes", "many"]])
def test_refuses_peers_and_sizes_that_do_not_exist(bench, given, capsys):
    with pytest.raises(SystemExit, match="2"):
        bench("scale").options_of(given)
    assert given[0] in capsys.readouterr().err


def test_the_first_peer_is_what_the_others_are_held_against(bench):
    table = bench("table")
    line = table.Line("ms", "recall, ms", 1, {100: 2, 0: 7})
    text = table.markdown([line], {"ours": {"ms": 4.0}, "theirs": {"ms": 1.0}, "none": {}}, 100)
    assert text.splitlines()[-1] == "| recall, ms | 2   | 4.0  | 1.0 (0.25x) | -    |"
    assert line.aim(5) == "7"


def test_memory_and_disk_are_measured(bench, tmp_path):
    machine = bench("machine")
    assert machine.own_memory_mb() > 1
    assert machine.fsync_ms(tmp_path) > 0
    assert list(tmp_path.iterdir()) == []
    with machine.company() as others:
        assert others.share == 0
    assert 0 <= others.share <= 1


@pytest.mark.parametrize("name", ["corpus", "peers", "table"])
def test_the_examples_in_the_scripts_run(bench, name):
    failed, attempted = doctest.testmod(bench(name))
    assert failed == 0
    assert attempted > 0
