"""What importing and exporting need besides the store: naming a source, writing a file."""

import hashlib
import json
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from memsieve.errors import StoreAccessError
from memsieve.types import Item

Progress = Callable[[int, int], None]
"""Called with (done, total) during long work."""


def fingerprint(path: str | Path, *how: str | None) -> str:
    """Names an import by what is read, as it stands, and how: another file is another job."""
    place = Path(path).resolve()
    files = sorted(place.rglob("*")) if place.is_dir() else [place]
    states = [(str(f), f.stat().st_size, f.stat().st_mtime_ns) for f in files if f.is_file()]
    return hashlib.blake2b(repr((states, how)).encode(), digest_size=16).hexdigest()


def write_lines(items: Iterator[Item], file: TextIO, total: int, progress: Progress | None) -> int:
    """Write items as JSON lines that the importer reads back; gives their number."""
    count = 0
    for count, item in enumerate(items, 1):
        row = {
            "key": item.key or item.id,
            "at": item.said_local.isoformat(),
            "session": item.session,
            "speaker": item.speaker,
            "role": item.role,
            "kind": item.kind,
            "source": item.source,
            "trust": item.trust,
            "slot": item.slot and list(item.slot),
            "text": item.text,
            "metadata": dict(item.metadata),
        }
        stated = {name: value for name, value in row.items() if value not in (None, {})}
        file.write(json.dumps(stated, ensure_ascii=False) + "\n")
        if progress and count % 1_000 == 0:
            progress(count, total)
    return count


def write_file(items: Iterator[Item], target: Path, total: int, progress: Progress | None) -> int:
    """The same into a file, which appears under its name only when it is complete."""
    with whole_file(target) as file:
        return write_lines(items, file, total, progress)


@contextmanager
def whole_file(target: Path) -> Iterator[TextIO]:
    """A text file to write, which appears under its name only when it is complete.

    Raises
    ------
    StoreAccessError
        If it cannot be written; what stood there before stays.
    """
    partial = target.with_name(f".{target.name}.{uuid.uuid4().hex}.partial")
    try:
        with partial.open("w", encoding="utf-8", newline="\n") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    except OSError as error:
        raise StoreAccessError(f"cannot write {target}: {error.strerror}") from error
    finally:
        partial.unlink(missing_ok=True)
