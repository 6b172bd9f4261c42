"""The page stands alone, holds every number, and cannot be broken by a name; the PNG draws."""

import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from memsieve.errors import MissingExtraError
from memsieve.evaluate.curves import Curve
from memsieve.evaluate.page import page
from memsieve.evaluate.plots import budget_plot_html, budget_plot_png
from memsieve.evaluate.runner import compare
from memsieve.evaluate.svg import Frame, chart, times

VOID = {"meta"}
BAR = r'class="bar" d="M(\S+) \S+?H(\S+?)"'


class Reader(HTMLParser):
    """Collects tags, attributes and text, and checks that every tag is closed in turn."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.attributes, self.text = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes.extend(attributes)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes.extend(attributes)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture
def comparison(scripted, dataset, rankings, packs):
    systems = [scripted({}, name="<b>no & thing</b>"), scripted(rankings, packs)]
    return compare(systems, dataset, budgets=(250, 1000))


def test_the_page_is_well_formed_and_loads_nothing(comparison, tmp_path):
    budget_plot_html(comparison, tmp_path / "plot.html")
    text = (tmp_path / "plot.html").read_text(encoding="utf-8")
    reader = Reader(text)
    assert reader.open == []
    assert not {"script", "link", "img", "iframe", "object", "base"} & set(reader.tags)
    assert not {"href", "src", "xlink:href", "style"} & {name for name, _ in reader.attributes}
    assert not re.search(r"https?:|url\(|@import", text)


def test_names_cannot_bring_markup_along(comparison):
    reader = Reader(page(comparison))
    assert "b" not in reader.tags
    assert "<b>no & thing</b>" in reader.text


def test_every_plotted_number_stands_in_a_table_and_under_the_pointer(comparison):
    text = page(comparison)
    assert "<title>scripted: 0.667 at 1,000 tokens</title>" in text
    assert text.count("<td>0.667</td>") >= 1
    fact = text[text.index("<caption>Budget recall, fact") :]
    row = fact[fact.index('<th scope="row">scripted') :].split("</tr>")[0]
    assert re.findall(r"<td>(.*?)</td>", row) == ["0.500", "0.500"]


def test_the_page_tells_the_curves_in_words_and_the_interval_of_each_difference(comparison):
    reader = Reader(page(comparison))
    labels = [value for name, value in reader.attributes if name == "aria-label"]
    assert "scripted from 0.50 at 250 tokens to 0.67 at 1,000" in labels[0]
    assert "+.833 [+.500, +1.000]" in reader.text


def test_the_page_has_one_small_plot_a_category_and_colours_for_dark(comparison):
    text = page(comparison)
    assert text.count("<section>") == 2
    assert "fact</h3>" not in text
    assert re.search(r"fact <span[^>]*>2 questions</span>", text)
    assert re.search(r"list <span[^>]*>1 question</span>", text)
    assert "prefers-color-scheme:dark" in text


def test_one_category_and_one_system_need_no_small_plots_and_no_differences(
    scripted, dataset, rankings
):
    alone = compare([scripted(rankings)], dataset, budgets=(250,), categories=["fact"])
    text = page(alone)
    assert "By category" not in text
    assert "Difference from" not in text


def test_the_axis_is_logarithmic_and_recall_points_up():
    frame = Frame(width=450, height=300, left=50, right=0, top=0, bottom=100)
    budgets = (250, 500, 1000, 2000, 4000)
    assert [frame.x(b, budgets) for b in budgets] == pytest.approx([50, 150, 250, 350, 450])
    assert (frame.y(0), frame.y(0.5), frame.y(1)) == (200, 100, 0)
    assert frame.x(250, (250,)) == 250


def test_a_system_without_points_is_left_out_of_the_names():
    drawn = chart([Curve("empty", 0, ())], (250, 500), Frame(300, 200), title="t")
    assert "empty" not in drawn


def test_the_png_is_a_picture_with_room_for_the_categories(comparison, tmp_path):
    pytest.importorskip("matplotlib", reason="the extra 'plots' is not installed")
    budget_plot_png(comparison, tmp_path / "plot.png", dpi=50)
    picture = (tmp_path / "plot.png").read_bytes()
    assert picture.startswith(b"\x89PNG\r\n")
    size = [int.from_bytes(picture[i : i + 4]) for i in (16, 20)]
    assert size == [500, 400]  # 10 by 5.4 + 2.6 inches: one row of small plots


def test_a_missing_matplotlib_names_its_extra(comparison, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'memsieve\[plots\]'"):
        budget_plot_png(comparison, tmp_path / "plot.png")
    assert not (tmp_path / "plot.png").exists()


def test_measuring_does_not_load_what_only_drawing_needs():
    code = "import sys, memsieve.evaluate; print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def timed(report, *ms):
    """The report with times of its questions."""
    return replace(
        report, rows=tuple(replace(r, latency_ms=t) for r, t in zip(report.rows, ms, strict=True))
    )


def test_bars_of_time_run_from_the_median_to_the_95th_percentile(comparison):
    slow, fast = (
        timed(r, *ms) for r, ms in zip(comparison.reports, [(10,) * 3, (1,) * 3], strict=True)
    )
    drawn = times([slow, fast], width=960, left=200, title="Times")
    reader = Reader(drawn)
    assert reader.open == []
    assert {"1 ms", "10 ms"} <= set(reader.text)
    bars = [tuple(map(float, ends)) for ends in re.findall(BAR, drawn)]
    # One decade from the left edge to 110 units before the right one.
    assert bars == [(850, 850), (200, 200)]
    assert "<title>scripted: 1.00 ms, 1.00 ms at 95 %</title>" in drawn


def test_a_wide_spread_is_a_long_bar_and_the_axis_holds_it(comparison):
    one = timed(comparison.reports[1], 0.5, 20, 400)
    drawn = times([one], width=960, left=200, title="Times")
    # From the decade of the median, 20 ms, to that above the 95th percentile, 362 ms.
    assert re.findall(r">([\d.]+ ms)<", drawn) == ["10 ms", "100 ms", "1000 ms"]
    ((start, end),) = re.findall(BAR, drawn)
    assert 200 <= float(start) < float(end) <= 850


def test_the_page_tells_times_and_what_a_model_adds(comparison):
    text = page(comparison)
    assert "<h2>Time of a question</h2>" in text
    assert "Milliseconds of a question, median and 95th percentile." in text
    assert "model: R@10" in text
