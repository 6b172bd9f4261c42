"""A report as pictures: a page of HTML that needs nothing, and a PNG by matplotlib.

Both draw the same panels: what of the answers is left against the budget, bytes and times against
the length of the prompt, and the serving model against the request rate.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from memsieve.errors import MissingExtraError
from memsieve.kv.bench import table
from memsieve.kv.bench.measuring import Figures, Report
from memsieve.kv.bench.serving import Served

# After Okabe and Ito's colour-blind-safe set, darkened until each can be read on white.
COLOURS = ("#0072b2", "#b84700", "#007a5a", "#a3467f", "#806000", "#4d4d4d", "#6b3fc4", "#9c2f2f")
DASHES = ((), (6, 3), (2, 2))
_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 430, 250, 52, 12, 40

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Panel:
    """One small plot; the x axis is logarithmic.

    Attributes
    ----------
    title, x_label
        In words, with units.
    lines
        Name and points of each line; a name keeps its colour in all panels.
    top
        Upper end of the y axis; None for the largest value. The axis begins at 0.
    """

    title: str
    x_label: str
    lines: tuple[tuple[str, tuple[Point, ...]], ...]
    top: float | None = None

    @property
    def xs(self) -> list[float]:
        """All places on the x axis."""
        return sorted({x for _, points in self.lines for x, _ in points})

    @property
    def height(self) -> float:
        """What the y axis reaches to."""
        values = [y for _, points in self.lines for _, y in points]
        return self.top or max(values, default=1.0) * 1.05 or 1.0


def panels(report: Report) -> list[Panel]:
    """Everything of the report that can be drawn as a line or a point."""
    lengths = sorted({one.n_prompt for one in report.figures})
    longest = lengths[-1]
    budgets = sorted({one.budget_tokens for one in report.figures if one.budget_tokens})
    drawn = []
    at = f"prompt of {longest:,} tokens"
    for title, value, top in (
        ("Attention mass recalled", lambda one: one.recall, 1.0),
        ("KL from the full cache, nats", lambda one: one.kl, None),
        ("Top-1 agreement", lambda one: one.top1, 1.0),
        ("Late needles found", lambda one: one.needle_late, 1.0),
    ):
        lines = _lines(
            report, value, lambda one: one.budget_tokens, lambda one: one.n_prompt == longest
        )
        drawn.append(Panel(f"{title}, {at}", "budget, tokens", lines, top))
    most = budgets[-1] if budgets else None
    kept = f"budget {most:,}" if most else "full cache"
    for title, value in (
        ("MB on the device after decoding", lambda one: _scaled(one.bytes_device, 1e-6)),
        ("ms to the first token", lambda one: _scaled(one.first_s, 1e3)),
        ("ms a token", lambda one: _scaled(one.token_s, 1e3)),
    ):
        lines = _lines(
            report, value, lambda one: one.n_prompt, lambda one: one.budget_tokens in (None, most)
        )
        drawn.append(Panel(f"{title}, {kept}", "prompt, tokens", lines))
    return [panel for panel in [*drawn, *_served_panels(report)] if panel.lines]


def _served_panels(report: Report) -> list[Panel]:
    made = []
    drawn: dict[str, Callable[[Served], float]] = {
        "Serving model: tokens per second": lambda one: one.tokens_per_s,
        "Serving model: seconds to the first token, p95": lambda one: one.first_s[1],
    }
    for title, value in drawn.items():
        lines: dict[str, list[Point]] = {}
        for one in report.served:
            lines.setdefault(one.strategy, []).append((one.rate_per_s, value(one)))
        made.append(Panel(title, "requests per second", _frozen(lines)))
    return made


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _lines(
    report: Report,
    value: Callable[[Figures], float | None],
    place: Callable[[Figures], float | None],
    wanted: Callable[[Figures], bool],
) -> tuple[tuple[str, tuple[Point, ...]], ...]:
    lines: dict[str, list[Point]] = {}
    for one in report.figures:
        x, y = place(one), value(one)
        if wanted(one) and x is not None and y is not None:
            lines.setdefault(one.policy, []).append((float(x), float(y)))
    return _frozen(lines)


def _frozen(lines: dict[str, list[Point]]) -> tuple[tuple[str, tuple[Point, ...]], ...]:
    return tuple((name, tuple(sorted(points))) for name, points in lines.items())


def _names(drawn: Iterable[Panel]) -> dict[str, int]:
    """Each name with its place, which picks colour and dash."""
    seen = dict.fromkeys(name for panel in drawn for name, _ in panel.lines)
    return {name: place for place, name in enumerate(seen)}


def write_html(report: Report, path: Path) -> None:
    """Write a page that loads nothing: panels as SVG, and every number in tables."""
    path.write_text(page(report), encoding="utf-8")


def write_png(report: Report, path: Path, *, dpi: int = 130) -> None:
    """Write all panels as one picture.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError.of("a plot as PNG", "plots") from error
    drawn = panels(report)
    names, n_rows = _names(drawn), math.ceil(len(drawn) / 2)
    figure = Figure(figsize=(11, 3.4 * n_rows), layout="constrained")
    for at, panel in enumerate(drawn):
        axes = figure.add_subplot(n_rows, 2, at + 1)
        for name, points in panel.lines:
            place = names[name]
            dash = DASHES[place // len(COLOURS) % len(DASHES)]
            axes.plot(
                [x for x, _ in points],
                [y for _, y in points],
                color=COLOURS[place % len(COLOURS)],
                linestyle=(0, dash) if dash else "-",
                marker="o",
                markersize=4,
                clip_on=False,  # else points at 0 and 1 are cut in half
                zorder=3,
                label=name,
            )
        axes.set_title(panel.title, loc="left", fontsize=10)
        axes.set_xlabel(panel.x_label)
        axes.set_xscale("log")
        axes.set_xticks(panel.xs, [f"{x:,g}" for x in panel.xs])
        axes.minorticks_off()
        axes.set_ylim(0, panel.height)
        axes.grid(axis="y", alpha=0.4)
        axes.legend(fontsize=7)
    figure.savefig(path, format="png", dpi=dpi)


_CSS = """
:root{color-scheme:light}body{margin:0 auto;padding:1.5rem;max-width:1080px;color:#1b1f24;
background:#fff;font:15px/1.5 system-ui,sans-serif}h1{font-size:1.4rem}h2{font-size:1.1rem}
.panels{display:grid;grid-template-columns:repeat(auto-fill,minmax(400px,1fr));gap:1rem}
h3{font-size:.9rem;margin:0}svg{width:100%;height:auto}text{font-size:11px;fill:#57606a}
.grid{stroke:#d8dee4}ul{display:flex;flex-wrap:wrap;gap:.2rem 1.2rem;padding:0;list-style:none}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-size:.8rem;
font-variant-numeric:tabular-nums}th,td{padding:.25rem .5rem;text-align:right;
border-bottom:1px solid #d8dee4;white-space:nowrap}th:first-child{text-align:left}
"""


def page(report: Report) -> str:
    """The page as HTML text; all names are escaped."""
    drawn = panels(report)
    names = _names(drawn)
    title = f"Key-value caches of {report.model}"
    legend = "".join(
        f'<li style="color:{COLOURS[place % len(COLOURS)]}">{escape(name)}</li>'
        for name, place in names.items()
    )
    plots = "".join(
        f"<section><h3>{escape(panel.title)}</h3>{_svg(panel, names)}</section>" for panel in drawn
    )
    tables = _table(table.HEADING, table.rows(report))
    if report.served:
        tables += _table(table.SERVED_HEADING, table.served_rows(report.served))
    told = ", ".join(f"{name} {value}" for name, value in report.setup.items())
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(title)}</title><style>{_CSS}</style></head><body>"
        f"<h1>{escape(title)}</h1><p>{escape(told)}</p><ul>{legend}</ul>"
        f'<div class="panels">{plots}</div><h2>Numbers</h2>{tables}</body></html>\n'
    )


def _table(heading: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in heading)
    body = "".join(
        "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for tag, cell in _tagged(line)) + "</tr>"
        for line in lines
    )
    return f'<div class="scroll"><table><tr>{head}</tr>{body}</table></div>'


def _tagged(line: Sequence[str]) -> list[tuple[str, str]]:
    return [("th" if at == 0 else "td", cell) for at, cell in enumerate(line)]


def _svg(panel: Panel, names: dict[str, int]) -> str:
    xs, foot = panel.xs, _HEIGHT - _BOTTOM
    span = math.log(xs[-1] / xs[0]) if xs[-1] > xs[0] else 0.0

    def at(x: float, y: float) -> tuple[float, float]:
        share = math.log(x / xs[0]) / span if span else 0.5
        return (
            _LEFT + 8 + share * (_WIDTH - _LEFT - 28),
            foot - y / panel.height * (foot - _TOP),
        )

    parts = []
    for quarter in range(5):
        value = panel.height * quarter / 4
        y = at(xs[0], value)[1]
        parts.append(f'<path class="grid" d="M{_LEFT} {y:.1f}H{_WIDTH}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.3g}</text>')
    parts += [
        f'<text x="{at(x, 0)[0]:.1f}" y="{foot + 16}" text-anchor="middle">{x:,g}</text>'
        for x in xs
    ]
    middle = (_LEFT + _WIDTH) / 2
    label = escape(panel.x_label)
    parts.append(f'<text x="{middle}" y="{_HEIGHT - 6}" text-anchor="middle">{label}</text>')
    for name, points in panel.lines:
        place = names[name]
        colour = COLOURS[place % len(COLOURS)]
        dash = " ".join(map(str, DASHES[place // len(COLOURS) % len(DASHES)]))
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in (at(*point) for point in points))
        parts.append(
            f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="1.6" '
            f'stroke-dasharray="{dash}"/>'
        )
        for point in points:
            x, y = at(*point)
            told = escape(f"{name}: {point[1]:.4g} at {point[0]:,g}")
            parts.append(
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.2" fill="{colour}">'
                f"<title>{told}</title></circle>"
            )
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{escape(panel.title)}">{"".join(parts)}</svg>'
    )
