"""Looking for forgotten text in the files of a database, as `grep` would."""

import mmap
from collections.abc import Iterable, Sequence
from pathlib import Path

_PROBE_BYTES = 32
_LEAST_BYTES = 8


def probes(texts: Iterable[str]) -> list[bytes]:
    """Byte strings that betray a text: its beginning, middle and end.

    Pieces, because a long text is stored over several pages; a text of fewer than
    `_LEAST_BYTES` bytes gives none, for such bytes occur anywhere by chance.
    """
    found: dict[bytes, None] = {}
    for text in texts:
        data = text.encode()
        last = max(0, len(data) - _PROBE_BYTES)
        for at in (0, last // 2, last):
            piece = data[at : at + _PROBE_BYTES]
            if len(piece) >= _LEAST_BYTES:
                found[piece] = None
    return list(found)


def count_residue(database: Path, wanted: Sequence[bytes]) -> int:
    """How many of `wanted` occur in the database, its write-ahead log or rollback journal."""
    found: set[bytes] = set()
    for suffix in ("", "-wal", "-journal"):
        path = Path(f"{database}{suffix}")
        if not wanted or not path.exists() or not path.stat().st_size:
            continue
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            found.update(piece for piece in wanted if data.find(piece) >= 0)
    return len(found)
