"""One page of HTML about a comparison: plot, small plots by category, tables, intervals.

The page stands alone: no script, no font, no picture, no address to load from. It follows
the reader's light or dark setting and prints.
"""

from collections.abc import Iterable, Sequence
from html import escape

from memsieve.evaluate import svg, table
from memsieve.evaluate.curves import DARK, LIGHT, Curve, curves
from memsieve.evaluate.report import HEADLINES, Comparison, Difference, Report

_CSS = """
:root{color-scheme:light dark;--page:#fff;--ink:#1b1f24;--soft:#57606a;--line:#d8dee4;
--tint:#f6f8fa}
*{box-sizing:border-box}
body{margin:0 auto;padding:2rem 1.25rem 4rem;max-width:1080px;background:var(--page);
color:var(--ink);font:16px/1.5 system-ui,sans-serif}
h1{font-size:1.6rem;line-height:1.25;margin:0 0 .35rem}h2{font-size:1.15rem;margin:2.5rem 0 .5rem}
h3{font-size:.95rem;margin:0}p{margin:.35rem 0;max-width:72ch}.soft{color:var(--soft)}
figure{margin:1.25rem 0 0;overflow-x:auto}figure svg{min-width:680px}
svg{display:block;width:100%;height:auto}
.legend{display:flex;flex-wrap:wrap;gap:.3rem 1.25rem;padding:0;margin:.75rem 0;list-style:none}
.legend li{display:flex;align-items:center;gap:.5rem}.swatch{width:36px;flex:none}
.multiples{display:grid;grid-template-columns:repeat(auto-fill,minmax(290px,1fr));gap:1.25rem}
.scroll{overflow-x:auto;margin:0 0 1.75rem}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.9rem;min-width:100%}
caption{text-align:left;color:var(--soft);padding:.25rem 0}
th,td{padding:.35rem .6rem;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}
th:first-child{text-align:left}thead th{background:var(--tint);font-weight:600}
tbody th{font-weight:500}
.grid{stroke:var(--line);fill:none}.tick{fill:var(--soft);font-size:12px;text-anchor:end}
.m{text-anchor:middle}.e{text-anchor:end}.bar{fill:none;stroke-width:5;stroke-linecap:round;
opacity:.45}.l{fill:none;stroke-width:2}.o{fill:none;stroke-width:2}
.lead{fill:none;stroke-width:1;opacity:.6}.name{font-size:13px;font-weight:600;stroke:none}
.hit{fill:transparent;stroke:none}.hit:hover{fill:currentColor;fill-opacity:.18}
"""


def page(comparison: Comparison) -> str:
    """The whole page as HTML text.

    Names of systems, categories and data sets are escaped: none can bring markup along.
    """
    first = comparison.reports[0]
    title = f"Recall against token budget: {first.dataset}"
    body = "".join(
        (
            f"<h1>{escape(title)}</h1>{_lead(first)}",
            _figure(comparison),
            _multiples(comparison),
            _times(comparison.reports),
            "<h2>Numbers</h2>",
            _budgets(comparison, None),
            _ranking(comparison.reports),
            _intervals(comparison),
            "".join(_budgets(comparison, category) for category in first.categories),
        )
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_CSS}{_colours()}</style></head>"
        f"<body><main>{body}</main></body></html>\n"
    )


def _lead(report: Report) -> str:
    return (
        f'<p class="soft">Share of the turns that answer a question found inside a context of '
        f"bounded tokens, mean over {len(report.rows):,} questions. Higher is better; the token "
        "axis is logarithmic.</p>"
    )


def _figure(comparison: Comparison) -> str:
    lines = curves(comparison.reports)
    longest = max(len(line.system) for line in lines)
    frame = svg.Frame(width=960, height=440, right=min(420.0, 75 + 9.0 * longest), marker=4.5)
    drawn = svg.chart(
        lines, comparison.reports[0].budgets, frame, title=_spoken(comparison.reports)
    )
    return f"<figure>{drawn}</figure>"


def _multiples(comparison: Comparison) -> str:
    first = comparison.reports[0]
    if len(first.categories) < 2:
        return ""
    parts = [_multiple(comparison, category) for category in first.categories]
    legend = _legend(curves(comparison.reports))
    return f'<h2>By category</h2>{legend}<div class="multiples">{"".join(parts)}</div>'


def _multiple(comparison: Comparison, category: str) -> str:
    first = comparison.reports[0]
    n = sum(row.question.category == category for row in first.rows)
    frame = svg.Frame(width=330, height=230, left=34, right=22, marker=3.5)
    drawn = svg.chart(
        curves(comparison.reports, category),
        first.budgets,
        frame,
        title=f"Budget recall, {category}; the numbers are in the tables below",
        named=False,
    )
    noun = "question" if n == 1 else "questions"
    heading = f'<h3>{escape(category)} <span class="soft">{n:,} {noun}</span></h3>'
    return f"<section>{heading}{drawn}</section>"


def _times(reports: Sequence[Report]) -> str:
    longest = max(len(report.system) for report in reports)
    told = (f"{r.system} {r.latency_ms(50):.1f} and {r.latency_ms(95):.1f}" for r in reports)
    title = f"Milliseconds of a question, median and 95th percentile. {'; '.join(told)}"
    drawn = svg.times(reports, width=960, left=min(420.0, 30 + 8.0 * longest), title=title)
    return (
        "<h2>Time of a question</h2>"
        '<p class="soft">From the median, which is marked and written, to the 95th percentile; the '
        f"axis is logarithmic.</p><figure>{drawn}</figure>"
    )


def _legend(lines: Iterable[Curve]) -> str:
    entries = (f"<li>{svg.swatch(line)}{escape(line.system)}</li>" for line in lines)
    return f'<ul class="legend">{"".join(entries)}</ul>'


def _table(caption: str, heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in heading)
    body = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="scroll"><table><caption>{escape(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _ranking(reports: Sequence[Report]) -> str:
    """The table of a terminal less the budgets, which have a table of their own here."""
    heading = table.heading(reports)
    kept = [i for i, name in enumerate(heading) if not name.endswith(table.TOKENS)]
    rows = [[row[i] for i in kept] for row in table.rows(reports)]
    return _table(
        "Ranking, size of the context, time, and what a chat model adds",
        [heading[i] for i in kept],
        rows,
    )


def _budgets(comparison: Comparison, category: str | None) -> str:
    budgets = comparison.reports[0].budgets
    heading = ("system", *(f"{budget:,}{table.TOKENS}" for budget in budgets))
    rows = [
        (line.system, *(f"{recall:.3f}" for _, recall in line.points))
        for line in curves(comparison.reports, category)
    ]
    return _table(f"Budget recall, {category or 'all questions'}", heading, rows)


def _intervals(comparison: Comparison) -> str:
    others = [r.system for r in comparison.reports if r.system != comparison.baseline]
    headlines = [
        (measure, at)
        for measure, at in HEADLINES
        if measure != "budget_recall" or at in comparison.reports[0].budgets
    ]
    if not others:
        return ""
    rows = [
        (system, *(_gap(comparison.difference(system, measure, at)) for measure, at in headlines))
        for system in others
    ]
    caption = (
        f"Difference from {comparison.baseline} with 95 % interval, paired bootstrap over "
        "questions; an interval that holds 0 shows nothing"
    )
    names = [f"{measure.replace('_', ' ')}@{at}" for measure, at in headlines]
    return _table(caption, ("system", *names), rows)


def _gap(found: Difference | None) -> str:
    if found is None:
        return table.UNKNOWN
    numbers = (found.difference, found.low, found.high)
    return "{} [{}, {}]".format(*(f"{number:+.3f}".replace("0.", ".", 1) for number in numbers))


def _spoken(reports: Sequence[Report]) -> str:
    """The curves in words, for a reader who does not see them."""
    told = (
        f"{line.system} from {line.points[0][1]:.2f} at {line.points[0][0]:,} tokens "
        f"to {line.end:.2f} at {line.points[-1][0]:,}"
        for line in curves(reports)
    )
    return "Budget recall by token budget. " + "; ".join(told)


def _colours() -> str:
    def rules(colours: Sequence[str]) -> str:
        return "".join(
            f".s{i}{{color:{colour};stroke:{colour};fill:{colour}}}"
            for i, colour in enumerate(colours)
        )

    dark = ":root{--page:#16181d;--ink:#e6e8eb;--soft:#a0a7b0;--line:#343a43;--tint:#1e2127}"
    return f"{rules(LIGHT)}@media (prefers-color-scheme:dark){{{dark}{rules(DARK)}}}"
