"""The program run in this process, as itself, and on a terminal of its own."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass

import pytest
from typer.testing import CliRunner

from memsieve.cli.app import app

_LONGEST_S = 60


@dataclass(frozen=True)
class Answer:
    """What a run of the program left: exit code, stdout, stderr."""

    code: int
    out: str
    err: str

    @property
    def lines(self):
        return self.out.splitlines()

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def error(self):
        """The one line on stderr."""
        assert self.err.endswith("\n"), self
        (line,) = self.err.splitlines()
        return line


@pytest.fixture(autouse=True)
def _own_surroundings(monkeypatch, tmp_path):
    ours = ("MEMSIEVE_DB", "MEMSIEVE_API_KEY", "MEMSIEVE_MODEL", "MEMSIEVE_MODEL_KEY")
    for name in (*ours, "OPENAI_API_KEY", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    for name in ("XDG_DATA_HOME", "HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))


@pytest.fixture
def cli(database):
    """Runs the program on `database` in this process; `db=None` leaves the option out."""

    def run(*arguments, db=database, input=None, **environment):
        given = [*map(str, arguments), *(() if db is None else ("--db", str(db)))]
        if "--" in given:  # what follows it would be no option
            given = [*given[-2:], *given[:-2]]
        done = CliRunner().invoke(app, given, input=input, env=environment)
        assert isinstance(done.exception, SystemExit | None), done.exception
        return Answer(done.exit_code, done.stdout, done.stderr)

    return run


@pytest.fixture
def good(cli):
    """Runs the program as `cli` does, and expects it to succeed without a word on stderr."""

    def run(*arguments, **options):
        answer = cli(*arguments, **options)
        assert (answer.code, answer.err) == (0, ""), answer
        return answer

    return run


@pytest.fixture
def terminal(cli):
    """Runs the program as on a terminal of so many columns."""

    def run(*arguments, columns=60, **options):
        return cli(*arguments, FORCE_COLOR="1", COLUMNS=str(columns), TERM="xterm", **options)

    return run


@pytest.fixture
def program():
    """Runs the program as a process of its own."""

    def run(*arguments, **options):
        done = subprocess.run(
            [sys.executable, "-m", "memsieve", *map(str, arguments)],
            capture_output=True, timeout=_LONGEST_S, env={**os.environ, "PYTHONUTF8": "1"},
            **options,
        )  # fmt: skip
        return Answer(done.returncode, done.stdout.decode(), done.stderr.decode())

    return run


@pytest.fixture
def talk(good):
    """A small conversation in the memory; gives the ids of its three turns."""
    said = [
        ("Ana", "I moved to Lisbon last spring.", "2026-03-02"),
        ("Ben", "Do you still bake?", "2026-03-02"),
        ("Ana", "Every morning, for the whole street.", "2026-03-09"),
    ]
    return [
        good("add", text, "--speaker", speaker, "--at", at, "--session", f"s-{at}").out.strip()
        for speaker, text, at in said
    ]


@pytest.fixture
def conversation(write_file):
    """The path of a file in the open format: four turns and three questions about them."""
    turns = [
        {"id": "t1", "session": "s1", "at": "2026-03-02", "speaker": "Ana",
         "text": "I moved to Lisbon last spring."},
        {"id": "t2", "session": "s1", "at": "2026-03-02", "speaker": "Ben",
         "text": "I paint boats in the old harbour."},
        {"id": "t3", "session": "s2", "at": "2026-03-09", "speaker": "Ana",
         "text": "My studio faces the river."},
        {"id": "t4", "session": "s2", "at": "2026-03-09", "speaker": "Ben",
         "text": "The ferry was late again."},
    ]  # fmt: skip
    questions = [
        {"question": "Where did Ana move?", "evidence": ["t1"], "category": "fact"},
        {"question": "What does Ben paint?", "evidence": ["t2"], "category": "fact"},
        {"question": "What was late?", "evidence": ["t4"], "category": "event"},
        {"question": "Who is Cleo?", "evidence": []},
    ]
    return write_file(
        "ana-and-ben.json",
        json.dumps({"id": "ana-and-ben", "turns": turns, "questions": questions}),
    )
