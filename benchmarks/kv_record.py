"""The rows of kv_gpu.py: printed and on disk as they come, and as a table at the end."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from memsieve.kv.bench import table

FULL = "full"


@dataclass(frozen=True, slots=True)
class Row:
    """One contender at one batch; seconds, bytes, and None where there is no figure."""

    policy: str
    cache: str
    kernel: str
    budget_tokens: int | None
    n_prompt: int
    batch: str
    n_rows: int
    fill_s: float
    step_s: float
    step_p10_s: float
    step_p90_s: float
    tokens_per_s: float
    busy_s: float | None
    bytes_device: int
    bytes_formula: int | None
    bytes_state: int
    bytes_host: int
    peak_bytes: int | None


@dataclass
class Record:
    """Everything measured so far, on the screen and on disk at once."""

    setup: dict[str, Any]
    path: Path | None = None
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, row: Row) -> None:
        """A row that is done."""
        self.rows.append(row)
        full = self.full(row.n_prompt, row.batch)  # so far: the table has the last word
        budget = "" if row.budget_tokens is None else f" {row.budget_tokens:,}"
        gain = _cell(ratios(row, full)["x_throughput"], 1, 2)
        print(
            f"{row.n_prompt:,} {row.policy}{budget} ({row.cache}, {row.kernel}) "
            f"{row.batch} {row.n_rows}: {1e3 * row.step_s:.2f} ms, "
            f"{row.tokens_per_s:,.0f} tokens/s, x {gain}",
            flush=True,
        )
        self.save()

    def note(self, line: str) -> None:
        """Something that is not there, and why."""
        self.notes.append(line)
        print(line, flush=True)
        self.save()

    def save(self) -> None:
        """Write what there is; a run that is killed leaves the last whole file."""
        if self.path is None:
            return
        found = {
            "setup": self.setup,
            "rows": [
                asdict(row) | ratios(row, self.full(row.n_prompt, row.batch)) for row in self.rows
            ],
            "notes": self.notes,
        }
        part = self.path.with_name(f"{self.path.name}.part")
        part.write_text(json.dumps(found, indent=1), encoding="utf-8")
        part.replace(self.path)

    def full(self, n_prompt: int, batch: str) -> Row | None:
        """The fastest full cache of a length and batch."""
        same = [r for r in self.rows if (r.policy, r.n_prompt, r.batch) == (FULL, n_prompt, batch)]
        return max(same, key=lambda row: row.tokens_per_s, default=None)


def ratios(row: Row, full: Row | None) -> dict[str, float | None]:
    """How many times faster a step is at the same rows, and how many times more tokens come."""
    if full is None:
        return {"x_latency": None, "x_throughput": None}
    same_rows = full.n_rows == row.n_rows
    return {
        "x_latency": full.step_s / row.step_s if same_rows else None,
        "x_throughput": row.tokens_per_s / full.tokens_per_s,
    }


HEADING = (
    *("policy", "cache", "kernel", "budget", "batch", "rows", "step ms", "p10", "p90", "busy ms"),
    *("x lower latency", "tokens/s", "x higher throughput"),
    *("cache MB", "formula MB", "state MB", "host MB", "peak MB", "fill s"),
)


def cells(row: Row, full: Row | None) -> tuple[str, ...]:
    """A row as text; a dash where there is no figure."""
    gains = ratios(row, full)
    return (
        *(row.policy, row.cache, row.kernel),
        _cell(row.budget_tokens, 1, 0),
        *(row.batch, f"{row.n_rows:,}"),
        *(_cell(s, 1e3, 2) for s in (row.step_s, row.step_p10_s, row.step_p90_s, row.busy_s)),
        _cell(gains["x_latency"], 1, 2),
        f"{row.tokens_per_s:,.0f}",
        _cell(gains["x_throughput"], 1, 2),
        *(
            _cell(n_bytes, 1e-6, 2)
            for n_bytes in (
                *(row.bytes_device, row.bytes_formula, row.bytes_state, row.bytes_host),
                row.peak_bytes,
            )
        ),
        f"{row.fill_s:.1f}",
    )


def _cell(value: float | None, factor: float, decimals: int) -> str:
    return table.UNKNOWN if value is None else f"{value * factor:,.{decimals}f}"


def print_tables(record: Record) -> None:
    """A table for each length, and what is not in it."""
    for n_prompt in dict.fromkeys(row.n_prompt for row in record.rows):
        rows = [row for row in record.rows if row.n_prompt == n_prompt]
        print(f"\n{n_prompt:,} tokens")
        print(table.text(HEADING, [cells(row, record.full(n_prompt, row.batch)) for row in rows]))
    print("", *record.notes, sep="\n")
