"""A report as a table of plain text cells, for a terminal, a page or a README."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from memsieve.kv.bench.measuring import Figures, Report
from memsieve.kv.bench.serving import Served

UNKNOWN = "-"

HEADING = (
    *("policy", "budget", "prompt", "device MB", "host MB", "state MB", "peak MB", "fetched kB"),
    *("first ms", "x full", "token ms", "x full", "attended", "recall", "KL", "top-1"),
    *("needle late", "early"),
)
SERVED_HEADING = (
    *("strategy", "per s", "tokens/s", "first s p50", "p95", "token ms p50", "p95", "whole s p50"),
    *("p95", "device GB", "host GB", "moved GB", "pre-empted"),
)


def rows(report: Report) -> list[tuple[str, ...]]:
    """One row for each figure, in the order of the report; a dash where there is none.

    Megabytes are 10^6 bytes; "x full" is the time over that of the full cache at that length,
    measured in the same run.
    """
    return [_row(one, report.full(one.n_prompt)) for one in report.figures]


def served_rows(served: Sequence[Served]) -> list[tuple[str, ...]]:
    """One row for each strategy and rate."""
    return [
        (
            one.strategy,
            f"{one.rate_per_s:g}",
            f"{one.tokens_per_s:,.0f}",
            *(f"{seconds:.2f}" for seconds in one.first_s),
            *(f"{1e3 * seconds:.1f}" for seconds in one.token_s),
            *(f"{seconds:.1f}" for seconds in one.whole_s),
            *(
                f"{n_bytes / 1e9:.1f}"
                for n_bytes in (one.peak_device_bytes, one.peak_host_bytes, one.moved_bytes)
            ),
            f"{one.n_preempted:,}",
        )
        for one in served
    ]


def text(heading: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Lined up with spaces, the first column to the left and figures to the right.

    >>> print(text(("policy", "KL"), [("full", "0.000"), ("h2o", "1.250")]))
    policy     KL
    full    0.000
    h2o     1.250
    """
    everything = [tuple(heading), *map(tuple, lines)]
    widths = [max(map(len, column)) for column in zip(*everything, strict=True)]
    return "\n".join("  ".join(_aligned(cells, widths)).rstrip() for cells in everything)


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    for at, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        yield cell.rjust(width) if at else cell.ljust(width)


def _row(one: Figures, full: Figures) -> tuple[str, ...]:
    return (
        one.policy,
        UNKNOWN if one.budget_tokens is None else f"{one.budget_tokens:,}",
        f"{one.n_prompt:,}",
        *(
            _cell(n_bytes, 1e-6, 2)
            for n_bytes in (
                *(one.bytes_device, one.bytes_host, one.bytes_state, one.peak_prefill_bytes),
            )
        ),
        _cell(one.fetched_bytes, 1e-3, 1),
        *_time(one.first_s, full.first_s, 1),
        *_time(one.token_s, one.full_token_s, 2),
        _cell(one.attended_tokens, 1, 0),
        *(_cell(value, 1, 3) for value in (one.recall, one.kl, one.top1)),
        *(_cell(value, 1, 2) for value in (one.needle_late, one.needle_early)),
    )


def _time(seconds: float | None, full: float | None, decimals: int) -> tuple[str, str]:
    share = seconds / full if seconds is not None and full else None
    return _cell(seconds, 1e3, decimals), _cell(share, 1, 2)


def _cell(value: float | None, factor: float, decimals: int) -> str:
    return UNKNOWN if value is None else f"{value * factor:,.{decimals}f}"
