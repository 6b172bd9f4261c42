"""Budget recall as curves, and how their names are kept apart: what both plots draw from.

Each system has one colour, one marker and one dash everywhere, chosen by its place in the
comparison, so that no reader depends on colour alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from memsieve.evaluate.report import Report

# After Okabe and Ito's colour-blind-safe set, darkened until each can be read as text on a
# white page (contrast of 4.5 to 1; their orange, pink and sky blue have less than 3), and
# lightened likewise for a page of #16181d. A test works the contrasts out.
LIGHT = ("#0072b2", "#b84700", "#007a5a", "#a3467f", "#806000", "#4d4d4d", "#6b3fc4")
DARK = ("#56b4e9", "#ff8d4d", "#2fc79a", "#e59bc7", "#e6b04a", "#c9c9c9", "#b9a3f5")
MARKERS = ("circle", "square", "triangle", "diamond", "cross", "plus", "down")
DASHES = ((), (6, 3), (2, 2), (8, 3, 2, 3))


@dataclass(frozen=True, slots=True)
class Curve:
    """Mean budget recall of one system: a point (budget_tokens, recall) for each budget.

    `place` is the system's place in the comparison; it picks colour, marker and dash.
    """

    system: str
    place: int
    points: tuple[tuple[int, float], ...]

    @property
    def end(self) -> float:
        """Recall at the largest budget, where the name is written."""
        return self.points[-1][1]

    @property
    def colour(self) -> int:
        """Index into `LIGHT` and `DARK`."""
        return self.place % len(LIGHT)

    @property
    def marker(self) -> str:
        """One of `MARKERS`."""
        return MARKERS[self.place % len(MARKERS)]

    @property
    def dash(self) -> tuple[int, ...]:
        """Lengths of strokes and gaps; every fourth system has the same."""
        return DASHES[self.place % len(DASHES)]


def curves(reports: Sequence[Report], category: str | None = None) -> list[Curve]:
    """One curve for each report, over all questions or those of one category."""
    return [
        Curve(report.system, place, _points(report, category))
        for place, report in enumerate(reports)
    ]


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Places at least `gap` apart inside [low, high], as near as can be to those wanted.

    Minimises the sum of squared shifts and keeps the order: with z[i] = wanted[i] - i * gap in
    rising order it is the isotonic regression of z, cut to the bounds. Where the names do not
    fit at that gap, the gap shrinks until they do. O(n log n) but for the merging of groups.

    Examples
    --------
    >>> spread([0.8, 0.81, 0.2], gap=0.1, low=0.0, high=1.0)
    [0.755, 0.855, 0.2]
    """
    n = len(wanted)
    if n == 0:
        return []
    step = min(gap, (high - low) / (n - 1)) if n > 1 else 0.0
    order = np.argsort(wanted, kind="stable")
    groups: list[list[float]] = []
    for shifted in np.asarray(wanted, dtype=float)[order] - step * np.arange(n):
        groups.append([float(shifted)])
        while len(groups) > 1 and np.mean(groups[-2]) > np.mean(groups[-1]):
            groups[-2:] = [groups[-2] + groups[-1]]
    level = np.concatenate([np.full(len(group), np.mean(group)) for group in groups])
    placed = np.empty(n)
    placed[order] = level.clip(low, high - step * (n - 1)) + step * np.arange(n)
    return [round(float(place), 9) for place in placed]


def _points(report: Report, category: str | None) -> tuple[tuple[int, float], ...]:
    means = ((budget, report.mean("budget_recall", budget, category)) for budget in report.budgets)
    return tuple((budget, mean) for budget, mean in means if mean is not None)
