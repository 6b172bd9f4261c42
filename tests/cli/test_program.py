"""The program as a whole: where options stand, how errors and interruptions leave it, its speed."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import memsieve
from memsieve.cli.program import Program
from memsieve.evaluate import DATASETS
from memsieve.formats import FORMATS

COMMANDS = (
    "add", "recall", "timeline", "get", "list", "forget", "history",
    "import", "export", "check", "stats", "reindex", "bench",
)  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_has_a_summary_an_example_and_the_shared_options(good, command):
    text = good(command, "--help", db=None).out
    assert f"Example: memsieve {command}" in text
    assert "--namespace" in text
    assert "MEMSIEVE_DB" in text


def test_the_help_names_every_command_and_the_exit_codes(good):
    text = good("--help", db=None).out
    assert [name for name in COMMANDS if f"│ {name} " not in text] == []
    assert "Exit codes: 0 done, 1 failed" in text
    assert good(db=None).out == text


def test_the_help_names_every_format_and_data_set(good):
    for command, names in (("import", FORMATS), ("bench", DATASETS)):
        text = " ".join(good(command, "--help", db=None).out.split())
        assert [name for name in ("auto", *names) if name not in text] == []


def test_the_version_is_that_of_the_package(good):
    for arguments in (["--version"], ["recall", "--version"]):
        assert good(*arguments, db=None).out == f"memsieve {memsieve.__version__}\n"


def test_options_may_stand_before_and_after_the_command(good, talk, database):
    before = good("--db", database, "--json", "list", db=None).json
    after = good("list", "--db", database, "--json", db=None).json
    assert before == after
    assert [item["id"] for item in after] == talk


def test_what_stands_after_the_command_wins(good, talk, database, tmp_path):
    answer = good(
        "--db", tmp_path / "other.db", "list", "--json", "--db", database, db=None,
        MEMSIEVE_DB="neither.db",
    )  # fmt: skip
    assert len(answer.json) == len(talk)


def test_an_error_in_json_is_one_line_with_its_class(cli, database):
    for arguments, kind in (
        (["--json", "list"], "NotFoundError"),
        (["recall", "q", "--budget", "-5", "--json"], "NotFoundError"),
        (["recall", "--json", "--nothing"], "UsageError"),
        (["add", "x", "--kind", "poem", "--json"], "ParameterError"),
    ):
        error = json.loads(cli(*arguments).error)["error"]
        assert error["type"] == kind
        assert error["message"]


def test_an_option_behind_two_dashes_is_text(good, cli):
    id_ = good("add", "--", "--json").out.strip()
    assert good("get", id_, "--json").json["text"] == "--json"


def test_the_real_program_answers_and_fails_with_its_codes(program, database):
    assert program("add", "I moved to Lisbon.", "--db", database).code == 0
    found = program("recall", "Who moved?", "--db", database)
    assert found.lines[0].endswith("I moved to Lisbon.")
    assert program("recall", "", "--db", database).code == 2
    failed = program("get", "nothing", "--db", database)
    assert (failed.code, failed.error) == (1, "memsieve: no item has the id 'nothing'")


def test_verbose_tells_where_an_error_came_from(program, database):
    answer = program("--verbose", "get", "nothing", "--db", database)
    assert "Traceback" in answer.err
    assert answer.err.splitlines()[-1].startswith("memsieve: there is no memory at")


@pytest.fixture
def failing():
    """Runs a program of two commands that raise `error`."""

    def run(error):
        app = typer.Typer(cls=Program)

        @app.command()
        def fail() -> None:
            raise error

        @app.command()
        def other() -> None:
            """A second one, for a single command would take the place of the group."""

        done = CliRunner().invoke(app, ["fail"])
        return done.exit_code, done.stderr

    return run


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (memsieve.StoreBusyError("locked:\ntry \x1b[1magain"), 1, "locked: try  [1magain"),
        (memsieve.ParameterError("budget must be >= 0"), 2, "budget must be >= 0"),
        (typer.BadParameter("Too odd."), 2, "invalid value: Too odd: see 'memsieve fail --help'"),
        (OSError(28, "No space left", "a.png"), 1, "cannot use a.png: No space left"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (KeyboardInterrupt("it goes on"), 130, "interrupted: it goes on"),
        (typer.Abort(), 130, "interrupted"),
        (
            ZeroDivisionError("by zero"),
            1,
            "a mistake in memsieve, please report it: ZeroDivisionError: by zero"
            " ('--verbose' tells where)",
        ),
    ],
    ids=repr,
)
def test_every_way_to_fail_is_one_line_and_a_code(failing, error, code, line):
    assert failing(error) == (code, f"memsieve: {line}\n")


def test_a_reader_that_went_away_is_no_news(failing):
    assert failing(BrokenPipeError(32, "Broken pipe")) == (1, "")


@pytest.mark.skipif(os.name != "posix", reason="pipes and signals as POSIX has them")
class TestTheShell:
    """What only a real process can show."""

    def test_a_pipe_that_closes_early_is_quiet(self, database):
        with memsieve.open(database) as memory:
            memory.add([f"This is note number {n} of many." for n in range(5_000)])
        command = [sys.executable, "-m", "memsieve", "list", "--all", "--db", str(database)]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as running:
            assert "note number 0" in running.stdout.readline()
            running.stdout.close()
            assert running.stderr.read() == ""
            assert running.wait(timeout=30) == 1

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
    def test_a_full_disk_under_the_answer_is_one_line(self, talk, database):
        with open("/dev/full", "w") as full:
            done = subprocess.run(
                [sys.executable, "-m", "memsieve", "list", "--db", str(database)],
                stdout=full, stderr=subprocess.PIPE, text=True, timeout=30,
            )  # fmt: skip
        assert (done.returncode, done.stderr) == (1, "memsieve: No space left on device\n")

    def test_an_interrupted_import_goes_on_with_the_same_command(
        self, process, program, database, tmp_path
    ):
        path = tmp_path / "long.jsonl"
        n_lines = 20_000
        path.write_text("".join(f'{{"text": "note {n} of a year"}}\n' for n in range(n_lines)))
        running = process(
            "import signal, sys\n"
            "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # whatever a shell set
            "from memsieve.cli import main\n"
            "sys.argv = ['memsieve', *sys.argv[1:]]\n"
            "main()",
            "import", path, "--db", database,
        )  # fmt: skip
        self.wait_for_items(database, running)
        running.send_signal(signal.SIGINT)
        _, error = running.communicate(timeout=30)
        assert error == ("memsieve: interrupted: the same command goes on where this one stopped\n")
        assert running.returncode == 130
        done = program("import", path, "--db", database, "--json").json
        assert 0 < done["added"] < n_lines
        counts = program("stats", "--db", database, "--json").json["namespaces"]["default"]
        assert counts["items"] == n_lines
        assert program("check", "--db", database).code == 0

    @staticmethod
    def wait_for_items(database, running):
        until = time.monotonic() + 30
        while time.monotonic() < until and running.poll() is None:
            if database.exists():
                with closing(memsieve.open(database)) as memory:
                    if memory.stats()["namespaces"]:
                        return
            time.sleep(0.02)
        raise AssertionError(f"nothing was imported: {running.communicate()}")


def test_the_help_comes_without_numpy_and_within_three_tenths_of_a_second(elsewhere):
    code = """
import sys, time
sys.argv = ["memsieve", "--help"]
begun = time.perf_counter()
try:
    from memsieve.cli import main
    main()
except SystemExit:
    pass
heavy = {"numpy", "Stemmer", "matplotlib", "memsieve.memory"}
print(time.perf_counter() - begun, sorted(heavy & set(sys.modules)))
"""
    runs = [elsewhere(code).splitlines()[-1].split(" ", 1) for _ in range(5)]
    assert {heavy for _, heavy in runs} == {"[]"}
    assert min(float(took_s) for took_s, _ in runs) < 0.3
