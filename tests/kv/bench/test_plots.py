"""Tables and pictures of a report; no PyTorch is needed to draw one."""

import re
from html.parser import HTMLParser

import pytest

from memsieve.kv.bench import Figures, Report, plots, table
from memsieve.kv.bench.reporting import served_at

REPORT = Report(
    "<tiny>",
    {"seed": 0},
    (
        Figures(
            "full", None, 512, 1_000_000, 0, 0, 900_000, 0.0, 0.1, 0.01, 0.01, 512, 1.0, 0.0, 1.0
        ),
        Figures(
            "h2o", 64, 512, 125_000, 0, 1_000, 300_000, 0.0, 0.2, 0.02, 0.01, 65, 0.4, 1.5, 0.25
        ),
        Figures(
            "h2o", 128, 512, 250_000, 0, 1_000, 400_000, 0.0, 0.2, 0.02, 0.01, 129, 0.7, 0.5, 0.5
        ),
        Figures("quest", 128, 512, refused="too few tokens"),
    ),
    tuple(served_at(0.5)),
)


def test_the_table_has_ratios_to_the_full_cache_and_dashes_where_there_is_nothing():
    rows = [dict(zip(table.HEADING[:9], row, strict=False)) for row in table.rows(REPORT)]
    assert rows[1]["device MB"] == "0.12"
    assert table.rows(REPORT)[1][8:12] == ("200.0", "2.00", "20.00", "2.00")
    assert table.rows(REPORT)[3][:4] == ("quest", "128", "512", "-")
    assert all(len(row) == len(table.HEADING) for row in table.rows(REPORT))
    served = table.served_rows(REPORT.served)
    assert [row[0] for row in served] == ["reserve", "paged", "evict", "offload"]
    assert all(len(row) == len(table.SERVED_HEADING) for row in served)


def test_panels_hold_the_figures():
    drawn = {panel.title.split(",")[0]: panel for panel in plots.panels(REPORT)}
    assert dict(drawn["Attention mass recalled"].lines)["h2o"] == ((64, 0.4), (128, 0.7))
    assert dict(drawn["ms a token"].lines) == {"full": ((512, 10.0),), "h2o": ((512, 20.0),)}
    assert {name for name, _ in drawn["Serving model: tokens per second"].lines} == {
        *("reserve", "paged", "evict", "offload"),
    }
    assert "Late needles found" not in drawn  # nothing was measured


def test_the_page_stands_alone_and_shows_every_number(tmp_path):
    plots.write_html(REPORT, tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    HTMLParser().feed(text)
    assert "<tiny>" not in text
    assert "&lt;tiny&gt;" in text
    assert not re.findall(r"(?:src|href|url)\s*[=(]", text)
    for row in table.rows(REPORT):
        assert all(f">{cell}<" in text for cell in row)


def test_the_picture_is_a_png(tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    plots.write_png(REPORT, tmp_path / "plot.png", dpi=50)
    assert (tmp_path / "plot.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_a_report_of_one_length_and_no_budget_can_be_drawn():
    assert "<svg" in plots.page(Report("one", {}, REPORT.figures[:1]))
