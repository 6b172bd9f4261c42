"""Figures of several stores side by side, as a table that reads well plain and as Markdown."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Line:
    """One line: a figure, its label, its decimals, and what is aimed at by size (0: any)."""

    figure: str
    label: str
    decimals: int
    aims: Mapping[int, float] = field(default_factory=dict)

    def aim(self, size: int) -> str:
        """The aim at this size, or nothing."""
        aimed = self.aims.get(size, self.aims.get(0))
        return "" if aimed is None else f"{aimed:,g}"

    def cell(self, value: float | None, own: float | None = None) -> str:
        """The value, with its ratio to `own` behind it; a dash where there is none."""
        if value is None or math.isnan(value):
            return "-"
        text = f"{value:,.{self.decimals}f}"
        return f"{text} ({value / own:.2g}x)" if own else text


def markdown(lines: Sequence[Line], peers: Mapping[str, Mapping[str, float]], size: int = 0) -> str:
    """A row for each line, a column for each peer; ratios are to the first of them.

    >>> line = Line("ms", "recall, ms", 1, {0: 2})
    >>> print(markdown([line], {"ours": {"ms": 2.0}, "theirs": {"ms": 5.0}}))
    |            | aim | ours | theirs     |
    |------------|-----|------|------------|
    | recall, ms | 2   | 2.0  | 5.0 (2.5x) |
    """
    first = next(iter(peers))
    has_aims = any(line.aims for line in lines)
    rows = [["", *(["aim"] if has_aims else []), *peers]]
    for line in lines:
        own = peers[first].get(line.figure)
        aim = [line.aim(size)] if has_aims else []
        cells = [
            line.cell(figures.get(line.figure), None if name == first else own)
            for name, figures in peers.items()
        ]
        rows.append([line.label, *aim, *cells])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    text = [
        "| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    return "\n".join([text[0], rule, *text[1:]])
