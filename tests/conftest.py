"""Memories in real files, other processes, and small embedders for tests."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import memsieve

_LONGEST_S = 60


@dataclass(frozen=True)
class Letters:
    """An embedder that counts letters: `identity` and `dimensions` are what a test needs."""

    identity: str = "letters"
    dimensions: int = 8

    def embed(self, texts):
        counts = np.zeros((len(texts), self.dimensions), np.float32)
        for row, text in zip(counts, texts, strict=True):
            np.add.at(row, [ord(letter) % self.dimensions for letter in text], 1)
        lengths = np.linalg.norm(counts, axis=1, keepdims=True)
        return counts / np.where(lengths > 0, lengths, 1)


@pytest.fixture
def letters():
    """The class of small embedders."""
    return Letters


@pytest.fixture
def database(tmp_path):
    """The path of a database that does not exist yet, in a folder of its own."""
    folder = tmp_path / "data"
    folder.mkdir()
    return folder / "agent.db"


@pytest.fixture
def opened(database):
    """Opens memories, by default at `database`, and closes them after the test."""
    memories = []

    def open_one(path=database, **options):
        memories.append(memsieve.open(path, **options))
        return memories[-1]

    yield open_one
    for one in memories:
        one.close()


@pytest.fixture
def memory(opened):
    """A new memory at `database`."""
    return opened()


@pytest.fixture
def sql(database):
    """Runs one SQL statement on the file behind the memory's back and gives its rows."""

    def run(statement, *values):
        with closing(sqlite3.connect(database, timeout=10)) as connection:
            rows = connection.execute(statement, values).fetchall()
            connection.commit()
        return rows

    return run


@pytest.fixture
def files_hold(database):
    """Whether the bytes of a text lie in any file of the database's folder.

    Only for closed memories: reading an open one here would take away SQLite's locks.
    """

    def holds(text):
        wanted = text if isinstance(text, bytes) else text.encode()
        return any(wanted in file.read_bytes() for file in database.parent.iterdir())

    return holds


@pytest.fixture
def process():
    """Starts Python code in another process; what is still running is killed after the test."""
    running = []

    def start(code, *arguments):
        command = [sys.executable, "-c", code, *map(str, arguments)]
        running.append(
            subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                text=True, encoding="utf-8",
            )
        )  # fmt: skip
        return running[-1]

    yield start
    for one in running:
        if one.poll() is None:
            one.kill()
        one.communicate()


@pytest.fixture
def elsewhere(process):
    """Runs Python code in another process to its end and gives what it printed."""

    def run(code, *arguments):
        other = process(code, *arguments)
        out, error = other.communicate(timeout=_LONGEST_S)
        assert other.returncode == 0, error
        return out.strip()

    return run


@pytest.fixture
def texts_of():
    """The texts of items or hits, in their order."""
    return lambda found: [one.text for one in found]


@pytest.fixture
def write_file(tmp_path):
    """Writes a text file and gives its path."""

    def write(name, content) -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write
