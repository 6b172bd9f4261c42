"""Where the memory lies: the option, the environment, the account's folder, and no place at all."""

import os
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from memsieve.cli.door import Door, pairs, stretch, when
from memsieve.errors import NotFoundError, ParameterError, StoreAccessError
from memsieve.timeline import from_spec


def default_of(home):
    return home / "memsieve" / "memory.db"


@pytest.mark.skipif(sys.platform != "linux", reason="names the data folder as Linux does")
def test_without_a_word_it_lies_in_the_data_folder_made_at_the_first_write(good, cli, tmp_path):
    home = tmp_path / "home"
    assert cli("list", db=None).code == 1
    assert not home.exists()
    id_ = good("add", "I moved to Lisbon.", db=None).out.strip()
    assert good("get", id_, "--json", db=default_of(home)).json["text"] == "I moved to Lisbon."


def test_the_environment_names_it_and_the_option_wins(good, database, tmp_path):
    other = tmp_path / "other.db"
    good("add", "in the environment's", db=None, MEMSIEVE_DB=str(database))
    good("add", "in the option's", db=other, MEMSIEVE_DB=str(database))
    listed = {path: good("list", "--json", db=path).json for path in (database, other)}
    assert [item["text"] for item in listed[database]] == ["in the environment's"]
    assert [item["text"] for item in listed[other]] == ["in the option's"]


def test_an_empty_variable_says_nothing(monkeypatch):
    monkeypatch.setenv("MEMSIEVE_DB", "")
    assert Door().path.name == "memory.db"


def test_a_tilde_is_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("MEMSIEVE_DB", "~/agent.db")
    assert Door().path == Path("~/agent.db").expanduser() != Path("~/agent.db")


def test_a_server_is_refused_by_name(cli):
    answer = cli("stats", db="postgresql://host/agent")
    assert "this version opens no servers, got 'postgresql://host/agent'" in answer.error
    assert answer.code == 2


def test_a_folder_that_somebody_named_is_not_made(cli, tmp_path):
    answer = cli("add", "x", db=tmp_path / "away" / "agent.db")
    assert "does not exist: create it first" in answer.error
    assert not (tmp_path / "away").exists()


def test_reading_where_nothing_is_says_how_to_begin(cli):
    assert "'memsieve add' and 'memsieve import' make it, --db names another" in cli("list").error


def test_below_a_file_there_is_no_folder(cli, write_file):
    path = write_file("note.txt", "x") / "agent.db"
    assert "does not exist: create it first" in cli("add", "x", db=path).error
    assert "there is no memory at" in cli("recall", "q", db=path).error


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no /proc, which nobody can write to")
def test_a_folder_that_takes_no_files_is_one_line(cli):
    answer = cli("add", "x", db="/proc/agent.db")
    assert "/proc/agent.db" in answer.error
    assert answer.code == 1
    assert cli("export", "/proc/away.jsonl", db="/proc/agent.db").code == 1


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write into every folder"
)
def test_a_read_only_folder_is_one_line_and_stays_as_it_was(cli, talk, database):
    before = database.read_bytes()
    database.parent.chmod(0o500)
    try:
        answers = [cli("add", "x"), cli("recall", "Lisbon")]
    finally:
        database.parent.chmod(0o700)
    assert all("read-only" in answer.error for answer in answers)
    assert {answer.code for answer in answers} == {1}
    assert database.read_bytes() == before


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no /proc, which nobody can write to")
def test_a_data_folder_that_cannot_be_made_names_the_way_out(monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", "/proc/nowhere")
    with pytest.raises(StoreAccessError, match=r"cannot make the folder .* name a file with --db"):
        Door().memory(makes=True)


def test_a_door_opens_nothing_before_it_is_asked(database):
    door = Door(db=str(database))
    assert door.path == database
    with pytest.raises(NotFoundError):
        door.memory()
    assert not database.exists()


def test_words_for_dates_go_by_the_clock():
    assert when("--at", None) is None
    assert when("--at", "yesterday") < when("--at", "today") <= when("--at", "now")
    with pytest.raises(ParameterError, match=r"^--at: date 'soon'"):
        when("--at", "soon")


@pytest.mark.parametrize(
    ("written", "bounds"),
    [
        ("2026-03-01/2026-04-01", ("2026-03-01", "2026-04-01")),
        ("2026-03-01 / 2026-03-01T12:00", ("2026-03-01", "2026-03-01T12:00")),
        ("2026-03-01/", ("2026-03-01", None)),
        ("/2026-04-01", (None, "2026-04-01")),
        ("last March", ("2025-03-01", "2025-04-01")),
        ("5/8/2025", ("2025-05-08", "2025-05-09")),
        ("between 3 and 9 April 2023", ("2023-04-03", "2023-04-10")),
    ],
)
def test_a_stretch_is_two_dates_or_words_read_against_a_clock(written, bounds):
    found = stretch("--during", written, when("--now", "2026-01-31"), from_spec("english"))
    assert (found.start, found.end) == tuple(when("--during", bound) for bound in bounds)


def test_words_without_a_clock_go_by_that_of_this_machine():
    found = stretch("--during", "yesterday", None, from_spec("english"))
    today = datetime.now().astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
    assert today - timedelta(days=1) <= found.end <= today + timedelta(days=1)
    assert stretch("--during", None, None, from_spec("english")) is None


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("2026-03-01/2026-03-01", "^--during must end after it starts, got '2026-03-01/2026"),
        ("2026-03-01/in May", "^--during: date 'in May' does not parse"),
        ("soon", r"^--during: 'soon' names no time: .* or as dates, '2023-04-03/2023-04-10'$"),
        ("/", "^--during: '/' names no time"),
        ("", "^--during: '' names no time"),
    ],
)
def test_a_stretch_that_is_none_names_the_option_and_both_ways(written, message):
    with pytest.raises(ParameterError, match=message):
        stretch("--during", written, None, from_spec("english"))


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("3", 3), ("-2.5", -2.5), ("true", True), ("null", None), ('"3"', "3"), ("a=b", "a=b"),
        ("", ""), ("[1]", "[1]"), ("NaN", "NaN"), ("9" * 30, "9" * 30), ("1e999", "1e999"),
    ],
)  # fmt: skip
def test_a_metadata_value_is_a_json_scalar_or_text(written, value):
    assert pairs([f"n={written}"]) == {"n": value}
    assert type(pairs([f"n={written}"])["n"]) is type(value)


def test_metadata_needs_a_name():
    with pytest.raises(ParameterError, match="must be NAME=VALUE, got '=3'"):
        pairs(["=3"])
