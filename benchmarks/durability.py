"""What is left after kill -9, and what eight processes on one file see of one another.

    python benchmarks/durability.py --kills 50 --seconds 30

`--kills`: a writer adds turns, batches and new versions, forgets some, and prints each id after
the call returned; it is killed with SIGKILL at a random moment, also while it opens the file.
Then every printed id must be there, every batch whole, and `check` must find nothing. The same
file goes through all kills. `--seconds`: four processes write and four recall on one file; a
reader must find each marker that a writer announced after its add returned.
"""

import argparse
import json
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import memsieve

N_WRITERS = 4
N_READERS = 4
LONGEST_BATCH = 20
LATEST_KILL_S = 0.5
_LEAST_START_S = 0.15  # before that an interpreter has not come to our code
ERASURE = re.compile("^forgotten text may be left")
_LETTERS = "bcdfghjklmnpqrstvwxyz"
_PATIENCE_S = 60.0


@dataclass(slots=True)
class Kills:
    """What many kills left: ids printed and missing, batches torn, findings of `check`.

    `erasures` counts forgettings that were cut short, noted in the file and completed after.
    """

    kills: int = 0
    killed_before_adding: int = 0
    printed: int = 0
    missing: list[str] = field(default_factory=list)
    back_again: list[str] = field(default_factory=list)
    torn_batches: int = 0
    findings: list[str] = field(default_factory=list)
    erasures: int = 0

    @property
    def is_clean(self) -> bool:
        """Whether nothing was lost, torn or found."""
        return not (self.missing or self.back_again or self.torn_batches or self.findings)


@dataclass(slots=True)
class Shared:
    """What processes on one file did and saw; times in milliseconds."""

    writers: int
    readers: int
    seconds: float
    adds: int = 0
    recalls: int = 0
    errors: list[str] = field(default_factory=list)
    lost: int = 0
    unseen: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    add_ms: dict[str, float] = field(default_factory=dict)
    recall_ms: dict[str, float] = field(default_factory=dict)

    @property
    def is_clean(self) -> bool:
        """Whether nothing failed, was lost or stayed unseen."""
        return not (self.errors or self.lost or self.unseen or self.findings)


# Kills


def write_until_killed(database: Path, seed: int) -> None:
    """The victim: says what it is about to forget and what it has done, a line each."""
    chance = random.Random(seed)
    with memsieve.open(database) as memory:
        mine: list[str] = []
        for number in range(1_000_000):
            name = f"{seed}-{number}"
            action = chance.random()
            if action < 0.5:
                ids = [memory.add(_turn(chance, name), session=f"s{seed}")]
            elif action < 0.8:
                size = chance.randint(2, LONGEST_BATCH)
                mark = {"batch": name, "size": size}
                ids = memory.add([_turn(chance, name) for _ in range(size)], metadata=mark)
            elif action < 0.95 or not mine:
                ids = [memory.add(_turn(chance, name), key=f"k{chance.randrange(50)}")]
            else:
                gone = mine.pop(chance.randrange(len(mine)))
                print("?", gone, flush=True)
                memory.forget(gone)
                print("-", gone, flush=True)
                continue
            if action < 0.5:
                mine += ids
            print("+", *ids, flush=True)


def _turn(chance: random.Random, name: str) -> str:
    words = ("the boat", "a letter", "my sister", "that winter", "the long road", "an old song")
    return f"Turn {name}: " + ", ".join(chance.choices(words, k=chance.randint(3, 40))) + "."


def kill_rounds(folder: Path, n_kills: int, seed: int) -> Kills:
    """Kill a writer `n_kills` times on one file and look after each kill."""
    report, chance = Kills(), random.Random(seed)
    database = folder / "killed.db"
    living: set[str] = set()
    gone: set[str] = set()
    for number in range(n_kills):
        said, opening = _killed(database, seed + number, chance)
        report.kills += 1
        report.killed_before_adding += opening
        report.printed += len(said["+"])
        doubtful = set(said["?"])
        gone |= set(said["-"])
        living |= set(said["+"])
        living -= doubtful
        _look(database, living, gone, report)
    return report


def _killed(database: Path, seed: int, chance: random.Random) -> tuple[dict[str, list[str]], bool]:
    """Lines of a writer that was killed, and whether it came to writing before."""
    from_start = chance.random() < 0.3
    with _running("victim", database, seed) as victim:
        assert victim.stdout is not None
        first = "" if from_start else victim.stdout.readline()
        time.sleep(chance.uniform(_LEAST_START_S if from_start else 0, LATEST_KILL_S))
        victim.kill()
        lines = (first + victim.communicate()[0]).splitlines()
    said: dict[str, list[str]] = {"+": [], "-": [], "?": []}
    for line in lines:
        mark, *ids = line.split()
        # The kill may cut a line short; a cut id was still printed after its add returned.
        said[mark] += [id_ for id_ in ids if len(id_) == 36]
    return said, not lines


def _look(database: Path, living: set[str], gone: set[str], report: Kills) -> None:
    with memsieve.open(database) as memory:
        found = memory.check(fix=True)
        report.erasures += sum(bool(ERASURE.match(one.what)) for one in found)
        report.findings += [str(one) for one in found if not ERASURE.match(one.what)]
        report.findings += [str(one) for one in memory.check()]
        items = memory.list(limit=None, with_superseded=True)
    there = {item.id for item in items}
    report.missing += sorted(living - there)
    report.back_again += sorted(gone & there)
    batches = Counter(item.metadata.get("batch") for item in items)
    report.torn_batches += sum(
        batches[item.metadata["batch"]] != item.metadata["size"]
        for item in items
        if "batch" in item.metadata
    )


# Sharing


def write_markers(database: Path, log: Path, seconds: float, name: str) -> None:
    """A writer: adds turns with a marker word each, and announces a marker after its add."""
    chance, times_ms, n_adds = random.Random(name), list[float](), 0
    with memsieve.open(database) as memory, log.open("w", encoding="utf-8") as announced:
        _wait_for_start()
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            marker = "".join(chance.choices(_LETTERS, k=12))
            start = time.perf_counter()
            id_ = memory.add(f"The word {marker} came up again.", session=name, speaker=name)
            times_ms.append(1e3 * (time.perf_counter() - start))
            n_adds += 1
            announced.write(f"{marker} {id_}\n")
            announced.flush()
    print(json.dumps({"adds": n_adds, "add_ms": times_ms}))


def recall_markers(database: Path, logs: Sequence[Path], seconds: float, name: str) -> None:
    """A reader: asks for the newest marker that any writer has announced."""
    chance, times_ms = random.Random(name), list[float]()
    unseen: list[str] = []
    with memsieve.open(database) as memory:
        _wait_for_start()
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            announced = _newest(chance.choice(logs))
            if announced is None:
                continue
            marker, id_ = announced
            start = time.perf_counter()
            found = memory.recall(f"When did {marker} come up?", k=10)
            times_ms.append(1e3 * (time.perf_counter() - start))
            if id_ not in found.ids:
                unseen.append(marker)
    print(json.dumps({"recalls": len(times_ms), "recall_ms": times_ms, "unseen": unseen}))


def _newest(log: Path) -> tuple[str, str] | None:
    """The last whole line of a log."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 500))
            lines = file.read().decode().split("\n")[:-1]
    except FileNotFoundError:
        return None
    parts = lines[-1].split() if lines else []
    return (parts[0], parts[1]) if len(parts) == 2 else None


def _wait_for_start() -> None:
    print("ready", flush=True)
    sys.stdin.readline()


def share(folder: Path, seconds: float) -> Shared:
    """Let writers and readers work on one file at once and look at what they saw."""
    report = Shared(N_WRITERS, N_READERS, seconds)
    database = folder / "shared.db"
    memsieve.open(database).close()
    logs = [folder / f"writer{n}.log" for n in range(N_WRITERS)]
    roles: list[tuple[object, ...]] = [("writer", database, log, seconds, log.stem) for log in logs]
    roles += [("reader", database, *logs, seconds, f"reader{n}") for n in range(N_READERS)]
    answers = _together(roles, seconds + _PATIENCE_S)
    times: dict[str, list[float]] = {"add_ms": [], "recall_ms": []}
    for answer, error in answers:
        if error:
            report.errors.append(error)
            continue
        report.adds += answer.get("adds", 0)
        report.recalls += answer.get("recalls", 0)
        report.unseen += answer.get("unseen", [])
        for name, found in times.items():
            found += answer.get(name, [])
    report.add_ms, report.recall_ms = (_percentiles(found) for found in times.values())
    with memsieve.open(database) as memory:
        there = {item.id for item in memory.list(limit=None)}
        report.findings = [str(one) for one in memory.check()]
    announced = {line.split()[1] for log in logs for line in log.read_text().splitlines()}
    report.lost = len(announced - there) + abs(len(there) - report.adds)
    return report


def _together(
    roles: Sequence[tuple[object, ...]], timeout_s: float
) -> list[tuple[dict[str, Any], str]]:
    """Start processes, let them begin at one moment, and collect what they print at the end."""
    processes = [_start(*role) for role in roles]
    for process in processes:
        assert process.stdout is not None
        process.stdout.readline()
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = []
    for process in processes:
        out, error = process.communicate(timeout=timeout_s)
        last = (error.strip().splitlines() or [f"exit {process.returncode}"])[-1]
        answers.append((json.loads(out), "") if process.returncode == 0 else ({}, last))
    return answers


def _percentiles(times_ms: Sequence[float]) -> dict[str, float]:
    if not times_ms:
        return {}
    return {f"p{p}": round(float(np.percentile(times_ms, p)), 3) for p in (50, 95, 99)}


# Processes


def _start(*role: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, __file__, "--role", *map(str, role)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@contextmanager
def _running(*role: object) -> Iterator[subprocess.Popen[str]]:
    process = _start(*role)
    # Whatever goes wrong here, the victim does not outlive us.
    guard = threading.Timer(_PATIENCE_S, process.kill)
    guard.start()
    try:
        yield process
    finally:
        guard.cancel()
        process.kill()
        process.wait()


def play(role: Sequence[str]) -> None:
    """What a child process does, from its command line."""
    name, database, *rest = role
    if name == "victim":
        write_until_killed(Path(database), int(rest[0]))
    elif name == "writer":
        write_markers(Path(database), Path(rest[0]), float(rest[1]), rest[2])
    else:
        recall_markers(Path(database), list(map(Path, rest[:-2])), float(rest[-2]), rest[-1])


def lines_of(kills: Kills | None, shared: Shared | None) -> Iterator[str]:
    """One line of summary each."""
    if kills is not None:
        yield (
            f"{kills.kills} kills ({kills.killed_before_adding} before the first add): "
            f"{kills.printed:,} ids printed, {len(kills.missing)} missing, "
            f"{len(kills.back_again)} forgotten ones back, {kills.torn_batches} torn batches, "
            f"{len(kills.findings)} findings; {kills.erasures} erasures completed afterwards"
        )
    if shared is not None:
        yield (
            f"{shared.writers} writers and {shared.readers} readers for {shared.seconds:g} s: "
            f"{shared.adds:,} adds ({_shown(shared.add_ms)}), {shared.recalls:,} recalls "
            f"({_shown(shared.recall_ms)}), {len(shared.errors)} errors, {shared.lost} lost, "
            f"{len(shared.unseen)} unseen, {len(shared.findings)} findings"
        )


def _shown(times_ms: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:g} ms" for name, value in times_ms.items())


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--kills", type=int, default=50, help="0 leaves the kills out")
    parser.add_argument("--seconds", type=float, default=30, help="0 leaves the sharing out")
    parser.add_argument("--seed", type=int, default=7, help="of the moments and the texts")
    parser.add_argument("--json", type=Path, default=None, help="also write the reports here")
    parser.add_argument("--role", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.role:
        play(options.role)
        return 0
    with tempfile.TemporaryDirectory() as name:
        kills = kill_rounds(Path(name), options.kills, options.seed) if options.kills else None
        shared = share(Path(name), options.seconds) if options.seconds else None
    print("\n".join(lines_of(kills, shared)))
    reports = [report for report in (kills, shared) if report is not None]
    if options.json:
        content = {type(report).__name__.lower(): asdict(report) for report in reports}
        options.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return 0 if all(report.is_clean for report in reports) else 1


if __name__ == "__main__":
    sys.exit(main())
