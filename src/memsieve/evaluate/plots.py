"""Recall against token budget for every system of a comparison, as a PNG and as a page.

The PNG needs the extra `plots` (matplotlib), loaded when a picture is asked for; the page of
HTML needs nothing.
"""

from __future__ import annotations

from math import ceil
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from memsieve.errors import MissingExtraError
from memsieve.evaluate.curves import LIGHT, Curve, curves, spread
from memsieve.evaluate.page import page
from memsieve.evaluate.report import Comparison

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MARKERS = {
    "circle": "o",
    "square": "s",
    "triangle": "^",
    "diamond": "D",
    "cross": "x",
    "plus": "+",
    "down": "v",
}
_INK, _SOFT, _LINE = "#1b1f24", "#57606a", "#d8dee4"
_PER_ROW = 3  # small plots side by side
_LARGE_IN, _SMALL_IN = 5.4, 2.6  # heights in inches


def budget_plot_html(comparison: Comparison, path: str | PathLike[str]) -> None:
    """Write a self-contained page: the plot, one small plot a category, and the numbers.

    It loads nothing, follows the light or dark setting of its reader, shows values under the
    pointer, and holds every plotted number in a table too.
    """
    Path(path).write_text(page(comparison), encoding="utf-8")


def budget_plot_png(comparison: Comparison, path: str | PathLike[str], *, dpi: int = 160) -> None:
    """Write a picture: the plot above, one small plot a category below.

    Parameters
    ----------
    dpi
        Dots per inch of a picture 10 inches wide.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine
    except ImportError as error:
        raise MissingExtraError.of("a plot as PNG", "plots") from error
    first = comparison.reports[0]
    categories = first.categories if len(first.categories) > 1 else ()
    n_rows = ceil(len(categories) / _PER_ROW)
    heights = [_LARGE_IN, _SMALL_IN * n_rows] if n_rows else [_LARGE_IN]
    figure = Figure(figsize=(10, sum(heights)), facecolor="white")
    figure.set_layout_engine(ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1))
    # laid out apart, since the names beside the large plot must not narrow the small ones
    parts = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    _main(parts[0].subplots(), comparison)
    for i, category in enumerate(categories):
        _small(parts[1].add_subplot(n_rows, _PER_ROW, i + 1), comparison, category)
    figure.savefig(Path(path), format="png", dpi=dpi)


def _main(axes: Axes, comparison: Comparison) -> None:
    first = comparison.reports[0]
    lines = curves(comparison.reports)
    axes.set_title(
        f"Evidence inside the context, {first.dataset}: mean over {len(first.rows):,} questions",
        loc="left",
        fontsize=13,
        fontweight="bold",
        color=_INK,
        pad=12,
    )
    _draw(axes, lines, first.budgets, width=2.0, marker=6.5)
    axes.set_xlabel("token budget (logarithmic)", color=_SOFT)
    axes.set_ylabel("budget recall", color=_SOFT)
    for line, place in zip(lines, spread([c.end for c in lines], 0.052, 0.0, 1.0), strict=True):
        axes.annotate(
            f"{line.system}  {line.end:.2f}",
            xy=(line.points[-1][0], line.end),
            xytext=(1.035, place),
            textcoords=axes.get_yaxis_transform(),
            va="center",
            color=_colour(line),
            fontweight="bold",
            fontsize=10,
            arrowprops={
                "arrowstyle": "-",
                "color": _colour(line),
                "lw": 0.8,
                "alpha": 0.6,
                "shrinkA": 2,
                "shrinkB": 5,
                "relpos": (0, 0.5),
            },
        )


def _small(axes: Axes, comparison: Comparison, category: str) -> None:
    first = comparison.reports[0]
    n = sum(row.question.category == category for row in first.rows)
    axes.set_title(f"{category} ({n:,})", loc="left", fontsize=10, color=_INK)
    _draw(axes, curves(comparison.reports, category), first.budgets, width=1.4, marker=4.0)
    axes.tick_params(labelsize=8)


def _draw(
    axes: Axes, lines: list[Curve], budgets: tuple[int, ...], *, width: float, marker: float
) -> None:
    for line in lines:
        axes.plot(
            [budget for budget, _ in line.points],
            [recall for _, recall in line.points],
            color=_colour(line),
            marker=_MARKERS[line.marker],
            linestyle=(0, line.dash) if line.dash else "-",
            linewidth=width,
            markersize=marker,
            markeredgewidth=width,
            clip_on=False,
            zorder=3,
        )
    axes.set_xscale("log")
    axes.set_xticks(list(budgets), [f"{budget:,}" for budget in budgets])
    axes.minorticks_off()
    axes.set_ylim(0, 1.004)  # else the line at 1 is cut in half
    axes.grid(axis="y", color=_LINE)
    axes.tick_params(colors=_SOFT, length=0, labelsize=9, pad=7)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(_LINE)


def _colour(line: Curve) -> str:
    return LIGHT[line.colour]
