"""The machine under the figures: what it is, how fast its disk syncs, how busy others kept it."""

import os
import platform
import sqlite3
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import psutil

_N_SYNCS = 50
_PAGE = b"\0" * 4096


def describe(folder: Path) -> dict[str, Any]:
    """Processor, memory, versions, and the time of one write of 4 KiB with fsync in `folder`."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "ram_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "fsync_p50_ms": round(fsync_ms(folder), 3),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "sqlite": sqlite3.sqlite_version,
        "memsieve": _version("memsieve"),
    }


def fsync_ms(folder: Path) -> float:
    """Median time to append 4 KiB to a file and sync it: the floor of a durable add."""
    target = folder / "fsync.probe"
    times = []
    with target.open("wb", buffering=0) as file:
        for _ in range(_N_SYNCS):
            start = time.perf_counter()
            file.write(_PAGE)
            os.fsync(file.fileno())
            times.append(1e3 * (time.perf_counter() - start))
    target.unlink()
    return statistics.median(times)


def own_memory_mb() -> float:
    """Memory of this process that is its own, in MB: file pages, which cost nothing, left out."""
    memory = psutil.Process().memory_info()
    return float(memory.rss - getattr(memory, "shared", 0)) / 1e6


@dataclass(slots=True)
class Company:
    """How much of the machine's processor time other programs took; set when the block ends."""

    share: float = 0.0


@contextmanager
def company() -> Iterator[Company]:
    """Watch the block: `share` is in [0, 1] of all cores, this program's children not counted."""
    found = Company()
    wall, busy, own = time.perf_counter(), _busy_s(), _own_s()
    yield found
    passed = time.perf_counter() - wall
    others = (_busy_s() - busy) - (_own_s() - own)
    found.share = min(max(others / (passed * (os.cpu_count() or 1)), 0.0), 1.0)


def _busy_s() -> float:
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0))


def _own_s() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _cpu() -> str:
    """The name of the processor as the system gives it."""
    listing = Path("/proc/cpuinfo")
    if listing.exists():
        for line in listing.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
