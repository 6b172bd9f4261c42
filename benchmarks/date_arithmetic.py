"""Date arithmetic over the example conversations: how many questions get the right length.

    python benchmarks/date_arithmetic.py

Two tables of hand-worked questions: one in words that also stand in the turns (`arithmetic.tsv`),
one in words of somebody who remembers the story (`arithmetic_other_words.tsv`, written by another
hand and never used to choose anything but the bar below which no line is given). A line that begins
with "Perhaps" says that less than two thirds of an event's words were found.
"""

import argparse
import csv
import json
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from memsieve.memory import Memory

ROOT = Path(__file__).resolve().parents[1]
TABLES = ("arithmetic.tsv", "arithmetic_other_words.tsv")
KINDS = ("right", "right, perhaps", "no line", "wrong, perhaps", "wrong")


def rows_of(path: Path) -> list[dict[str, str]]:
    """The rows of a table."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def judged(memory: Memory, row: dict[str, str]) -> str:
    """One of `KINDS`."""
    found = memory.recall(row["question"], now=row["asked_at"], namespace=row["scope"], k=10)
    if not found.computed:
        return "no line"
    line = found.computed[0]
    is_right = str(line.count) == row["answer_number"]
    hedge = "" if line.is_sure else ", perhaps"
    return ("right" if is_right else "wrong") + hedge


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--json", type=Path, default=None, help="also write the figures here")
    options = parser.parse_args(arguments)
    figures = {}
    with (
        tempfile.TemporaryDirectory(prefix="memsieve-arithmetic-") as folder,
        Memory(Path(folder) / "examples.db") as memory,
    ):
        memory.import_(ROOT / "examples" / "conversations")
        for name in TABLES:
            rows = rows_of(ROOT / "tests" / "timeline" / name)
            counts = Counter(judged(memory, row) for row in rows)
            figures[name] = {"questions": len(rows), **{kind: counts[kind] for kind in KINDS}}
            print(f"{name}: {len(rows)} questions")
            print("  " + ", ".join(f"{counts[kind]} {kind}" for kind in KINDS))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
