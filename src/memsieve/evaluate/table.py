"""A comparison as a table of plain text cells, for a terminal, a page or a README.

Nothing here knows of colours or widths: `heading` and `rows` are tuples of text that any
door can print, `text` lines them up with spaces.
"""

from collections.abc import Callable, Sequence

from memsieve.evaluate.report import SESSION_KS, Report

_TURN_KS = (1, 5, 10, 20)
UNKNOWN = "-"
TOKENS = " tok"  # closes the heading of a budget's column

Mean = Callable[[str, int], float | None]


def heading(reports: Sequence[Report]) -> tuple[str, ...]:
    """The names of the columns: figures by depth, one column for each token budget.

    Examples
    --------
    >>> heading([])
    ('system', 'R@1', 'R@5', 'R@10', 'R@20', 'NDCG@10', 'session@3', 'p50 ms', 'p95 ms', \
'write ms', 'model: R@10', 'calls')
    """
    budgets = [f"{budget:,}{TOKENS}" for budget in _budgets(reports)]
    returned = [f"tokens of {report.stated_budget:,}" for report in reports[:1]]
    turns = [f"R@{k}" for k in _TURN_KS]
    session = f"session@{SESSION_KS[0]}"
    spent = ("p50 ms", "p95 ms", "write ms", "model: R@10", "calls")
    return ("system", *turns, "NDCG@10", session, *budgets, *returned, *spent)


def rows(reports: Sequence[Report]) -> list[tuple[str, ...]]:
    """One row of text for each report, in the order given; a dash where there is no figure.

    Figures are means over questions with three decimals, tokens are whole, times in milliseconds
    with two decimals: of a question, and of a message to be written. "model: R@10" and "calls" are
    those of the same system with a chat model.
    """
    return [_row(report.system, report, report.mean, _spent(report)) for report in reports]


def category_rows(report: Report) -> list[tuple[str, ...]]:
    """The rows of one report by category, then the mean over categories ("macro")."""

    def of(category: str) -> Mean:
        return lambda measure, at: report.mean(measure, at, category)

    untimed = [UNKNOWN] * 5
    named = [_row(category, report, of(category), untimed) for category in report.categories]
    return [*named, _row("macro", report, report.macro, untimed)]


def text(reports: Sequence[Report]) -> str:
    """Heading and rows lined up with spaces, names to the left and figures to the right."""
    lines = [heading(reports), *rows(reports)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(_line(cells, widths) for cells in lines)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    name, *figures = (cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
    return "  ".join([name.strip().ljust(widths[0]), *figures])


def _row(name: str, report: Report, mean: Mean, times: Sequence[str]) -> tuple[str, ...]:
    turns = [_share(mean("turn_recall", k)) for k in _TURN_KS]
    tokens = mean("tokens_returned", report.stated_budget)
    return (
        name,
        *turns,
        _share(mean("ndcg", 10)),
        _share(mean("session_recall_all", SESSION_KS[0])),
        *(_share(mean("budget_recall", budget)) for budget in report.budgets),
        UNKNOWN if tokens is None else f"{tokens:.0f}",
        *times,
    )


def _spent(report: Report) -> list[str]:
    """Times of questions, of writing, and what a chat model adds."""
    times = [f"{report.latency_ms(p):.2f}" for p in (50, 95)]
    written = UNKNOWN if report.write_ms is None else f"{report.write_ms:.2f}"
    twin = report.with_model
    if twin is None:
        return [*times, written, UNKNOWN, UNKNOWN]
    calls = UNKNOWN if twin.model_calls is None else f"{twin.model_calls:,}"
    return [*times, written, _share(twin.mean("turn_recall", 10)), calls]


def _share(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.3f}"


def _budgets(reports: Sequence[Report]) -> tuple[int, ...]:
    return reports[0].budgets if reports else ()
