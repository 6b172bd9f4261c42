"""Charts of recall and of time as SVG text: no dependency, colours left to the page's CSS.

Every coordinate is in SVG units, y grows downwards. A series is a group of class `s0`, `s1`,
..., which the page gives its colour; every point carries a title that a pointer shows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log, log10

from memsieve.evaluate.curves import Curve, spread
from memsieve.evaluate.report import Report

_SHAPES = {
    "circle": '<circle cx="{x}" cy="{y}" r="{r}"/>',
    "square": '<path d="M{x} {y}m-{r} -{r}h{d}v{d}h-{d}z"/>',
    "triangle": '<path d="M{x} {y}m0 -{r}l{r} {d}h-{d}z"/>',
    "down": '<path d="M{x} {y}m0 {r}l-{r} -{d}h{d}z"/>',
    "diamond": '<path d="M{x} {y}m0 -{q}l{q} {q}l-{q} {q}l-{q} -{q}z"/>',
    "cross": '<path class="o" d="M{x} {y}m-{r} -{r}l{d} {d}m0 -{d}l-{d} {d}"/>',
    "plus": '<path class="o" d="M{x} {y}m-{r} 0h{d}m-{r} -{r}v{d}"/>',
}


@dataclass(frozen=True, slots=True)
class Frame:
    """Size of a chart and of the margins around its axes, in SVG units."""

    width: float
    height: float
    left: float = 46.0
    right: float = 18.0
    top: float = 14.0
    bottom: float = 44.0
    marker: float = 4.0

    def y(self, recall: float) -> float:
        """Height of a recall in [0, 1]."""
        return self.top + (1 - recall) * (self.height - self.top - self.bottom)

    def x(self, budget: int, budgets: Sequence[int]) -> float:
        """Place of a token budget on the logarithmic axis; one budget stands in the middle."""
        least, most = min(budgets), max(budgets)
        share = 0.5 if least == most else log(budget / least) / log(most / least)
        return self.left + share * (self.width - self.left - self.right)


def chart(
    lines: Sequence[Curve],
    budgets: Sequence[int],
    frame: Frame,
    *,
    title: str,
    named: bool = True,
) -> str:
    """Axes, grid and one line for each curve.

    Parameters
    ----------
    title
        What a screen reader says of the chart as a whole.
    named
        Write each system's name and last value at the end of its line; the frame must leave
        room to the right.
    """
    series = "".join(_series(line, budgets, frame) for line in lines)
    names = _names(lines, budgets, frame) if named else ""
    return (
        f'<svg viewBox="0 0 {frame.width:g} {frame.height:g}" role="img" '
        f'aria-label="{escape(title)}">{_axes(budgets, frame)}{series}{names}</svg>'
    )


def times(reports: Sequence[Report], *, width: float, left: float, title: str) -> str:
    """One bar for each system, from the median to the 95th percentile of a question's time.

    The axis is logarithmic, in milliseconds; `left` is the room for the names.
    """
    spans = [(max(r.latency_ms(50), 1e-3), max(r.latency_ms(95), 1e-3)) for r in reports]
    first = floor(log10(min(low for low, _ in spans)))
    last = max(ceil(log10(max(high for _, high in spans))), first + 1)
    row, top, right = 26.0, 8.0, 110.0
    foot = top + row * len(spans)

    def x(ms: float) -> float:
        return left + (log10(ms) - first) / (last - first) * (width - left - right)

    parts = []
    for power in range(first, last + 1):
        at = f"{x(10.0**power):.1f}"
        parts.append(f'<path class="grid" d="M{at} {top:g}V{foot:g}"/>')
        parts.append(f'<text class="tick m" x="{at}" y="{foot + 18:g}">{10.0**power:g} ms</text>')
    for place, (report, (low, high)) in enumerate(zip(reports, spans, strict=True)):
        y, line = top + row * (place + 0.5), Curve(report.system, place, ())
        told = f"{low:.2f} ms, {high:.2f} ms at 95 %"
        parts.append(
            f'<g class="s{line.colour}"><text class="name e" x="{left - 10:g}" y="{y + 4:.1f}">'
            f'{escape(report.system)}</text><path class="bar" d="M{x(low):.1f} {y:.1f}'
            f'H{x(high):.1f}"/>{_marker(line, x(low), y, 4.5)}'
            f'<text class="name" x="{x(high) + 10:.1f}" y="{y + 4:.1f}">{low:.1f}</text>'
            f'<path class="hit" d="M{left:g} {y - row / 2:.1f}H{width:g}v{row:g}H{left:g}z">'
            f"<title>{escape(report.system)}: {told}</title></path></g>"
        )
    return (
        f'<svg viewBox="0 0 {width:g} {foot + 26:g}" role="img" aria-label="{escape(title)}">'
        f"{''.join(parts)}</svg>"
    )


def swatch(line: Curve) -> str:
    """The line and the marker of one system, for a legend."""
    return (
        f'<svg class="swatch" viewBox="0 0 36 14" aria-hidden="true"><g class="s{line.colour}">'
        f'<path class="l"{_dashes(line)} d="M1 7H35"/>{_marker(line, 18, 7, 4.0)}</g></svg>'
    )


def _axes(budgets: Sequence[int], frame: Frame) -> str:
    start, end = frame.left, frame.width - frame.right
    parts = []
    for fifth in range(6):
        y = frame.y(fifth / 5)
        parts.append(f'<path class="grid" d="M{start:g} {y:.1f}H{end:g}"/>')
        parts.append(f'<text class="tick" x="{start - 8:g}" y="{y + 4:.1f}">{fifth / 5:.1f}</text>')
    for budget in budgets:
        x = frame.x(budget, budgets)
        foot = frame.y(0) + 20
        parts.append(f'<text class="tick m" x="{x:.1f}" y="{foot:.1f}">{budget:,}</text>')
    middle = (start + end) / 2
    label = f'x="{middle:.1f}" y="{frame.height - 4:g}"'
    return "".join([*parts, f'<text class="tick m" {label}>token budget</text>'])


def _series(line: Curve, budgets: Sequence[int], frame: Frame) -> str:
    places = [(frame.x(budget, budgets), frame.y(recall)) for budget, recall in line.points]
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    marks = "".join(
        f"<g>{_marker(line, x, y, frame.marker)}"
        f'<circle class="hit" cx="{x:.1f}" cy="{y:.1f}" r="11">'
        f"<title>{escape(line.system)}: {recall:.3f} at {budget:,} tokens</title></circle></g>"
        for (x, y), (budget, recall) in zip(places, line.points, strict=True)
    )
    drawn = f'<path class="l"{_dashes(line)} d="M{path}"/>' if len(places) > 1 else ""
    return f'<g class="s{line.colour}">{drawn}{marks}</g>'


def _names(lines: Sequence[Curve], budgets: Sequence[int], frame: Frame) -> str:
    ended = [line for line in lines if line.points]
    ends = [frame.y(line.end) for line in ended]
    edge = frame.x(max(budgets), budgets)
    written = spread(ends, gap=17.0, low=frame.top, high=frame.y(0))
    return "".join(
        f'<g class="s{line.colour}"><path class="lead" d="M{edge + 8:.1f} {end:.1f}'
        f'L{edge + 22:.1f} {place:.1f}"/><text class="name" x="{edge + 27:.1f}" '
        f'y="{place + 4:.1f}">{escape(line.system)} {line.end:.2f}</text></g>'
        for line, end, place in zip(ended, ends, written, strict=True)
    )


def _marker(line: Curve, x: float, y: float, r: float) -> str:
    shape = _SHAPES[line.marker]
    return shape.format(x=f"{x:.1f}", y=f"{y:.1f}", r=f"{r:g}", d=f"{2 * r:g}", q=f"{1.3 * r:g}")


def _dashes(line: Curve) -> str:
    return f' stroke-dasharray="{" ".join(map(str, line.dash))}"' if line.dash else ""
