"""The table of a comparison, cell by cell."""

from dataclasses import replace

import pytest

from memsieve.evaluate import table
from memsieve.evaluate.runner import evaluate


@pytest.fixture
def report(scripted, dataset, rankings, packs):
    return evaluate(scripted(rankings, packs), dataset, budgets=(250, 1000))


def test_every_cell_of_a_row_worked_by_hand(report):
    (row,) = table.rows([report])
    cells = dict(zip(table.heading([report]), row, strict=True))
    times = [cells.pop(name) for name in ("p50 ms", "p95 ms", "write ms")]
    assert cells == {
        "system": "scripted",
        "R@1": "0.333",
        "R@5": "0.833",
        "R@10": "0.833",
        "R@20": "0.833",
        "NDCG@10": "0.629",  # (1 + 0.38685 + 0.5) / 3
        "session@3": "0.667",
        "250 tok": "0.500",
        "1,000 tok": "0.667",
        "tokens of 1,000": "600",
        "model: R@10": "-",
        "calls": "-",
    }
    assert times == [*(f"{report.latency_ms(p):.2f}" for p in (50, 95)), f"{report.write_ms:.2f}"]


def test_what_a_chat_model_adds_stands_beside_it(report, scripted, dataset):
    twin = replace(evaluate(scripted({}), dataset, budgets=(250, 1000)), model_calls=1234)
    (row,) = table.rows([replace(report, with_model=twin)])
    assert dict(zip(table.heading([report]), row, strict=True))["R@10"] == "0.833"
    assert row[-2:] == ("0.000", "1,234")
    untold = replace(twin, model_calls=None)
    assert table.rows([replace(report, with_model=untold)])[0][-2:] == ("0.000", "-")


def test_categories_follow_one_another_and_close_with_their_mean(report):
    rows = table.category_rows(report)
    assert [row[0] for row in rows] == ["fact", "list", "macro"]
    assert [row[2] for row in rows] == ["1.000", "0.500", "0.750"]
    assert {row[-1] for row in rows} == {"-"}
    assert {len(row) for row in rows} == {len(table.heading([report]))}


def test_a_category_called_like_the_system_is_no_problem(scripted, dataset, rankings):
    report = evaluate(scripted(rankings, name="fact"), dataset, budgets=(250,))
    assert table.category_rows(report)[0][-2:] == ("-", "-")


def test_text_lines_the_columns_up(report, scripted, dataset):
    other = evaluate(scripted({}, name="a system of a longer name"), dataset, budgets=(250, 1000))
    lines = table.text([report, other]).splitlines()
    assert len(lines) == 3
    assert len({len(line) for line in lines}) == 1
    assert lines[0].startswith("system                     ")
    assert lines[1].startswith("scripted                   ")
    ends = [line.index("R@1") + 3 if "R@1" in line else line.index("0.") + 5 for line in lines]
    assert len(set(ends)) == 1
