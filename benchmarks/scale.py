"""Speed, memory and size at 10^4, 10^5 and 10^6 turns in one namespace, beside the peers.

    python benchmarks/scale.py --sizes 10000,100000 --peers memsieve,fts5,sqlite-vec+fts5

Each store is filled once, in a process of its own. Then the stores take turns, a fresh process
each time, for `--rounds` rounds; a figure is the median over the rounds. One round opens the
store, asks a first question (load), asks all questions (recall), adds turns one by one (add), and
adds turns with a question after each, as an agent does.
"""

import argparse
import json
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import cycle, islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from corpus import Asked, Corpus
from machine import company, describe, own_memory_mb
from peers import PEERS, Peer, present
from table import Line, markdown

from memsieve.types import Message

K = 10
BATCH = 2_000
DEFAULT_SIZES = "10000,100000"
DEFAULT_PEERS = "memsieve,fts5,sqlite-vec+fts5"
Figures = dict[str, float]

LINES = (
    Line("import_per_s", "bulk import, turns/s", 0, {0: 6_000}),
    Line("add_p50_ms", "single add p50, ms", 2, {0: 1}),
    Line("add_p95_ms", "single add p95, ms", 2),
    Line("load_s", "open and first answer, s", 3),
    Line("recall_p50_ms", "recall p50, ms", 2, {10_000: 2, 100_000: 7, 1_000_000: 70}),
    Line("recall_p95_ms", "recall p95, ms", 2),
    Line("turn_p50_ms", "add, then recall p50, ms", 2),
    Line("turn_add_p50_ms", "the add of it, ms", 2),
    Line("turn_recall_p50_ms", "the recall of it, ms", 2),
    Line("memory_mb", "memory when loaded, MB", 0),
    Line("peak_mb", "memory while loading, MB", 0),
    Line("file_mb", "file, MB", 1),
    Line("recall_at_10", "planted facts, R@10", 3),
)


@dataclass(frozen=True, slots=True)
class Task:
    """What a process of its own does with one store; a later round adds later turns."""

    peer: str
    folder: Path
    corpus: Corpus
    n_queries: int
    n_adds: int
    round: int = 0


def fill(task: Task) -> Figures:
    """Import the corpus in batches of 2,000 turns, one transaction each."""
    peer = PEERS[task.peer](task.folder)
    spent_s = 0.0
    for batch in _batches(task.corpus.turns()):
        start = time.perf_counter()
        peer.add_many(batch)
        spent_s += time.perf_counter() - start
    peer.close()
    files = [path for path in task.folder.rglob("*") if path.is_file()]
    return {
        "import_per_s": task.corpus.n_turns / spent_s,
        "file_mb": sum(path.stat().st_size for path in files) / 1e6,
    }


def measure(task: Task) -> Figures:
    """Open a filled store, then load, ask, add, and add with a question after each."""
    asked = task.corpus.questions(task.n_queries)
    turns = task.corpus.later(2 * task.n_adds, skip=2 * task.n_adds * task.round)
    before_mb, before_peak_mb = own_memory_mb(), _peak_mb()
    start = time.perf_counter()
    peer = PEERS[task.peer](task.folder)
    peer.search(asked[-1].question, K)
    load_s = time.perf_counter() - start
    peak_mb = _peak_mb() - before_peak_mb
    recalls, found = _ask(peer, asked)
    memory_mb = own_memory_mb() - before_mb
    adds = [_timed_ms(peer.add, turn) for turn in turns[: task.n_adds]]
    with_adds = _take_turns(peer, turns[task.n_adds :], asked)
    peer.close()
    return {
        "load_s": load_s,
        **_percentiles("recall", recalls),
        **_percentiles("add", adds),
        **_percentiles("turn", [add + recall for add, recall in with_adds]),
        "turn_add_p50_ms": statistics.median(add for add, _ in with_adds),
        "turn_recall_p50_ms": statistics.median(recall for _, recall in with_adds),
        "memory_mb": memory_mb,
        "peak_mb": peak_mb,
        "recall_at_10": statistics.fmean(found) if found else float("nan"),
    }


def _ask(peer: Peer, asked: Sequence[Asked]) -> tuple[list[float], list[bool]]:
    """Milliseconds of each search, and whether each planted fact was among the ten."""
    times, found = [], []
    for one in asked:
        start = time.perf_counter()
        hits = peer.search(one.question, K)
        times.append(1e3 * (time.perf_counter() - start))
        if one.evidence is not None:
            found.append(one.evidence in {hit.key for hit in hits})
    return times, found


def _take_turns(
    peer: Peer, turns: Sequence[Message], asked: Sequence[Asked]
) -> list[tuple[float, float]]:
    """Milliseconds of each add and of the question after it."""
    return [
        (_timed_ms(peer.add, turn), _timed_ms(peer.search, one.question, K))
        for turn, one in zip(turns, cycle(asked), strict=False)
    ]


def _timed_ms(call: Callable[..., object], *arguments: object) -> float:
    start = time.perf_counter()
    call(*arguments)
    return 1e3 * (time.perf_counter() - start)


def _percentiles(name: str, times_ms: Sequence[float]) -> Figures:
    p50, p95 = np.percentile(times_ms, (50, 95)).tolist()
    return {f"{name}_p50_ms": p50, f"{name}_p95_ms": p95}


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3  # Linux counts in kB


def _batches(turns: Iterator[Message]) -> Iterator[list[Message]]:
    while batch := list(islice(turns, BATCH)):
        yield batch


def compare(
    names: Sequence[str], task: Task, rounds: int, say: Callable[[str], None]
) -> dict[str, Figures]:
    """The figures of each peer at one size: medians over rounds in which the peers take turns."""
    tasks, figures = {}, {}
    for name in names:
        tasks[name] = replace(task, peer=name, folder=task.folder / name)
        tasks[name].folder.mkdir()
        say(f"{task.corpus.n_turns:,} turns: filling {name}")
        figures[name] = _apart(fill, tasks[name])
    found: dict[str, list[Figures]] = {name: [] for name in names}
    for number in range(rounds):
        for name in names:
            say(f"{task.corpus.n_turns:,} turns: {name}, round {number + 1} of {rounds}")
            found[name].append(_apart(measure, replace(tasks[name], round=number)))
    return {name: {**figures[name], **_medians(found[name])} for name in names}


def _apart(call: Callable[[Task], Figures], task: Task) -> Figures:
    """`call(task)` in a fresh process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(call, task).result()


def _medians(rounds: Sequence[Mapping[str, float]]) -> Figures:
    return {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}


def run(options: argparse.Namespace, say: Callable[[str], None]) -> dict[str, Any]:
    """All sizes; the report as plain values."""
    names, skipped = present(options.peers)
    report: dict[str, Any] = {"k": K, "rounds": options.rounds, "skipped": skipped, "sizes": {}}
    with tempfile.TemporaryDirectory(prefix="memsieve-scale-", dir=options.folder) as root:
        report["machine"] = describe(Path(root))
        with company() as others:
            for size in options.sizes:
                folder = Path(root) / str(size)
                folder.mkdir()
                task = Task("", folder, Corpus(size), options.queries, options.adds)
                report["sizes"][str(size)] = compare(names, task, options.rounds, say)
        report["machine"]["others_share"] = round(others.share, 3)
    return report


def page(report: Mapping[str, Any]) -> str:
    """The report for a terminal, which is Markdown as well."""
    machine = report["machine"]
    lines = [
        f"{machine['cpu']}, {machine['cores']} cores, {machine['ram_gb']:g} GB;"
        f" Python {machine['python']}, SQLite {machine['sqlite']}, NumPy {machine['numpy']};"
        f" 4 KiB with fsync {machine['fsync_p50_ms']:.2f} ms;"
        f" other programs took {machine['others_share']:.0%} of the processor meanwhile",
        *report["skipped"],
    ]
    for size, peers in report["sizes"].items():
        lines += ["", f"{int(size):,} turns", "", markdown(LINES, peers, int(size))]
    return "\n".join(lines)


def options_of(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").split("\n", 1)[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--sizes", type=_whole_numbers, default=DEFAULT_SIZES, help="turns, with commas between")
    add("--peers", type=_names, default=DEFAULT_PEERS, help=f"of {', '.join(PEERS)}")
    add("--queries", type=int, default=200, help="questions a round; half have a known answer")
    add("--adds", type=int, default=100, help="single adds a round, and as many with a recall")
    add("--rounds", type=int, default=3, help="rounds in which the peers take turns")
    add("--folder", type=Path, default=None, help="where the files go; a disk, not memory")
    add("--json", type=Path, default=None, help="also write the figures to this file")
    return parser.parse_args(arguments)


def _whole_numbers(text: str) -> list[int]:
    numbers = [int(part.replace("_", "")) for part in text.split(",")]
    if min(numbers) < 1:
        raise argparse.ArgumentTypeError(f"sizes must be >= 1, got {text}")
    return numbers


def _names(text: str) -> list[str]:
    names = text.split(",")
    if unknown := sorted(set(names) - set(PEERS)):
        raise argparse.ArgumentTypeError(f"no peer is called {unknown[0]!r}: {', '.join(PEERS)}")
    return names


def main() -> None:
    options = options_of()
    report = run(options, lambda line: print(line, flush=True))
    print(page(report))
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
