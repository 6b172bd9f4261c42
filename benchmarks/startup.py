"""How long a start takes: `import memsieve`, `memsieve --help`, and the interpreter alone.

    python benchmarks/startup.py

The commands take turns; each figure is the median wall time of `--runs` fresh processes.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from machine import company
from table import Line, markdown

COMMANDS: Mapping[str, tuple[tuple[str, ...], float | None]] = {
    "python -c pass": (("-c", "pass"), None),
    "import memsieve": (("-c", "import memsieve"), 150),
    "memsieve --help": (("-m", "memsieve", "--help"), 300),
    "open, add, recall": (
        ("-c", "import memsieve, tempfile; m = memsieve.open(tempfile.mkdtemp() + '/a.db');"
         " m.add('I moved to Lisbon.'); m.recall('Where do I live?')"),
        None,
    ),
}  # fmt: skip
"""What is started, and the wall time in milliseconds that is aimed at."""


def started_ms(arguments: Sequence[str]) -> float:
    """Wall time of one fresh interpreter; RuntimeError if it fails."""
    start = time.perf_counter()
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
    took_ms = 1e3 * (time.perf_counter() - start)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise RuntimeError(f"python {' '.join(arguments)} failed: {last}")
    return took_ms


def measure(runs: int) -> tuple[dict[str, float], list[str]]:
    """Median of each command, after one start that is not counted, and what could not run."""
    working, skipped = dict(COMMANDS), []
    for name, (arguments, _) in COMMANDS.items():
        try:
            started_ms(arguments)
        except RuntimeError as error:
            skipped.append(f"skipped {name}: {error}")
            del working[name]
    times: dict[str, list[float]] = {name: [] for name in working}
    for _ in range(runs):
        for name, (arguments, _) in working.items():
            times[name].append(started_ms(arguments))
    return {name: statistics.median(found) for name, found in times.items()}, skipped


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--runs", type=int, default=20, help="processes for each command")
    parser.add_argument("--json", type=Path, default=None, help="also write the figures here")
    options = parser.parse_args(arguments)
    with company() as others:
        figures, skipped = measure(options.runs)
    print(f"Starts, median of {options.runs}; other programs took {others.share:.0%} meanwhile")
    print("\n".join([*skipped, ""]))
    lines = [
        Line(name, name, 0, {} if aim is None else {0: aim})
        for name, (_, aim) in COMMANDS.items()
        if name in figures
    ]
    print(markdown(lines, {"ms": figures}))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
