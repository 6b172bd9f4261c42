"""Memories in real files, other processes, and small embedders for tests."""

import json
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

import memsieve
from memsieve.llm import Completion

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


class Spoken:
    """A chat model that writes its texts one after another, the last again and again.

    An error among them is raised. `asked` holds the messages of every call, `prompts` the last one
    of each.
    """

    identity = "scripted"

    def __init__(self, *texts):
        self.texts, self.asked = list(texts), []

    @property
    def prompts(self):
        return [messages[-1]["content"] for messages in self.asked]

    def complete(self, messages, *, max_tokens, temperature, top_p):
        self.asked.append(messages)
        text = self.texts.pop(0) if len(self.texts) > 1 else self.texts[0]
        if isinstance(text, Exception):
            raise text
        return Completion(text, 100, 10)


@pytest.fixture
def spoken():
    """The class of scripted chat models."""
    return Spoken


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


class Scripted(ThreadingHTTPServer):
    """Answers each request with the next step of its script, without one by `usual(body)`.

    A step is (status, body), (status, body, headers), a function from the request's body to the
    answer's, or "silence" (no answer in time); `as_step` turns other things into one.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Answer)
        self.script, self.bodies, self.headers, self.connections = [], [], [], 0
        self.usual = self.as_step = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/v1"

    def get_request(self):
        self.connections += 1
        return super().get_request()


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        server = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server.bodies.append(body | {"path": self.path})
        server.headers.append(dict(self.headers))
        step = server.script.pop(0) if server.script else server.usual
        if step == "silence":
            time.sleep(0.6)
            self.close_connection = True
            return
        step = step if server.as_step is None else server.as_step(step)
        status, answer, *rest = (200, step(body)) if callable(step) else step
        sent = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
        self.send_response(status)
        for name, value in (rest[0] if rest else {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    def log_message(self, *_):
        pass


@pytest.fixture
def scripted():
    """An endpoint on the loopback interface that follows a script."""
    pytest.importorskip("httpx", reason="endpoints need httpx")
    server = Scripted()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()
