"""Reading the bytes of database files past SQLite, without breaking its locks."""

import os
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

CHUNK_BYTES = 8 << 20

Key = tuple[int, int]
"""A file's device and inode: what POSIX hangs locks on."""


class RawFiles:
    """Reads database files past SQLite without breaking SQLite's locks.

    POSIX takes *all* locks of a process on a file away when any descriptor of it is closed.
    A plain open, read and close of an open database would let another process believe itself
    its last user and delete the write-ahead log, into which this process would go on
    committing. So a descriptor, once opened, stays open until the process has no connection
    to that file left.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users: Counter[Key] = Counter()
        self._files: dict[Key, BinaryIO] = {}

    def hold(self, path: Path) -> Key:
        """Announce a connection to `path` before it is made; an empty file is made if need be."""
        with self._lock:
            if not path.exists():
                # Nobody in this process can hold a lock on a file that is just being made.
                os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o644))
            state = path.stat()
            key = (state.st_dev, state.st_ino)
            self._users[key] += 1
            return key

    def release(self, key: Key) -> None:
        """Announce that a connection has been closed."""
        with self._lock:
            self._users[key] -= 1
            if not self._users[key]:
                del self._users[key]
                if key in self._files:
                    self._files.pop(key).close()

    def chunks(self, key: Key, path: Path, *, overlap: int) -> Iterator[bytes]:
        """The bytes of the held file at `path`; each chunk repeats the last `overlap` ones."""
        with self._lock:
            if key not in self._files:
                self._files[key] = path.open("rb", buffering=0)
            file = self._files[key]
        yield from read_chunks(file, self._lock, overlap=overlap)


def read_chunks(file: BinaryIO, lock: threading.Lock, *, overlap: int) -> Iterator[bytes]:
    """A file from its beginning; each chunk repeats the last `overlap` bytes of the one before."""
    at = 0
    while True:
        with lock:
            file.seek(at)
            data = file.read(CHUNK_BYTES)
        if len(data) <= (overlap if at else 0):
            return
        yield data
        at += max(len(data) - overlap, 1)


RAW_FILES = RawFiles()
"""The register of this process: locks belong to processes, not to objects."""
