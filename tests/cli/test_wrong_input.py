"""Wrong input: one clear line, an exit code, and the memory as it was."""

import sqlite3
from contextlib import closing

import pytest

MALFORMED = '{"text": "good"}\n{"text": }\n'
TOO_LONG = b"a" * 50_000_000


@pytest.fixture
def files(write_file, tmp_path):
    """Paths of things that are not what they are taken for, by name."""
    with closing(sqlite3.connect(tmp_path / "others.db")) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    return {
        "MALFORMED": write_file("malformed.jsonl", MALFORMED),
        "UNDATED": write_file("undated.jsonl", '{"text": "good", "at": "in May"}\n'),
        "STRANGE": write_file("strange.bin", b"\x00\x01\x02 neither this nor that"),
        "QUESTIONLESS": write_file(
            "talk.json", '{"id": "a", "turns": [{"id": "t", "text": "Good morning."}]}'
        ),
        "TEXT": write_file("note.txt", "I am no database, and longer than a header would be." * 9),
        "OTHERS": tmp_path / "others.db",
        "FOLDER": tmp_path,
        "MISSING": tmp_path / "missing",
    }


WRONG = [
    # command line, exit code, what the line says
    (["import", "MISSING"], 1, "no such file or folder: "),
    (["import", "MALFORMED"], 1, "malformed.jsonl line 2: not valid JSON"),
    (["import", "UNDATED"], 1, "undated.jsonl line 1: date 'in May' does not parse: write it like"),
    (["import", "STRANGE"], 1, "looks like none of bfcl, chatgpt"),
    (["import", "MALFORMED", "--format", "word"], 2, "format must be one of auto, bfcl"),
    (["add", ""], 1, "text must not be blank"),
    (["add", "x", "--at", "03/04/2026"], 2, "--at: date '03/04/2026' does not parse"),
    (["add", "x", "--kind", "poem"], 2, "kind must be one of turn, document"),
    (["add", "x", "--key", " "], 2, "key must be text that is not blank"),
    (["add", "x", "--slot", "Ana"], 2, "--slot must be SUBJECT/ATTRIBUTE, got 'Ana'"),
    (["add", "x", "--slot", "Ana/ "], 2, "--slot must be SUBJECT/ATTRIBUTE, got 'Ana/ '"),
    (["add", "x", "--metadata", "topic"], 2, "--metadata must be NAME=VALUE, got 'topic'"),
    (["add", "x", "--namespace", ""], 2, "namespace must be text that is not blank"),
    (["add", "x", "--embedder", "wordly"], 2, "an embedder spec must be static,"),
    (["recall", ""], 2, "the question must not be empty"),
    (["recall", " \t"], 2, "the question must not be empty"),
    (["recall", "q", "--budget", "-5"], 2, "budget_tokens must be >= 0, got -5"),
    (["recall", "q", "--budget", "many"], 2, "invalid value for '--budget'"),
    (["recall", "q", "--k", "-1"], 2, "k must be >= 0, got -1"),
    (["recall", "q", "--neighbours", "-1"], 2, "neighbours must be >= 0, got -1"),
    (["recall", "q", "--since", "in May"], 2, "--since: date 'in May' does not parse"),
    (["recall", "q", "--until", "8 May"], 2, "--until: date '8 May' does not parse"),
    (["recall", "q", "--now", "soon"], 2, "--now: date 'soon' does not parse"),
    (
        ["recall", "q", "--namespace", "bank"],
        1,
        "no namespace is called 'bank'; there are: default",
    ),
    (["recall", "q", "--during", "soon"], 2, "--during: 'soon' names no time: write it like"),
    (["recall", "q", "--during", "2 May 2025, 3 June 2026"], 2, "2026' names 2 times: write it"),
    (["recall", "q", "--during", "2026-03-01/soon"], 2, "--during: date 'soon' does not parse"),
    (
        ["recall", "q", "--during", "2026-03-02/2026-03-01"],
        2,
        "--during must end after it starts, got '2026-03-02/2026-03-01'",
    ),
    (["recall", "q", "--during", "May 2025", "--window", "firm"], 2, "window must be soft or hard"),
    (["recall", "q", "--as-of", "in May"], 2, "--as-of: date 'in May' does not parse"),
    (
        ["recall", "q", "--as-of", "2026-03-02", "--now", "2026-03-03"],
        2,
        "now must not lie after as_of",
    ),
    (["timeline", " "], 2, "subject must be text that is not blank"),
    (["timeline", "--during", "soon"], 2, "--during: 'soon' names no time: write it like"),
    (["timeline", "--during", "/"], 2, "--during: '/' names no time"),
    (["timeline", "--now", "soon"], 2, "--now: date 'soon' does not parse"),
    (["timeline", "--limit", "-1"], 2, "limit must be a whole number >= 0 or None, got -1"),
    (["timeline", "--namespace", "bank"], 1, "no namespace is called 'bank'; there are: default"),
    (["timeline", "--html", "MISSING/page.html"], 1, "its folder is missing or read-only"),
    (["timeline", "--html", "FOLDER"], 1, "it is a folder"),
    (["list", "--namespace", "bank"], 1, "no namespace is called 'bank'"),
    (["list", "--limit", "-1"], 2, "limit must be"),
    (["export", "MISSING", "--namespace", "bank"], 1, "no namespace is called 'bank'"),
    (["export", "MISSING/away.jsonl"], 1, "cannot write"),
    (["get", "nothing"], 1, "no item has the id 'nothing'"),
    (["forget", "nothing", "--yes"], 1, "no item has the id 'nothing'"),
    (["history", "nothing"], 1, "the journal knows no item with the id 'nothing'"),
    (["reindex"], 2, "reindex needs to know what: name it with --embedder SPEC"),
    (["reindex", "--timeline", "none"], 2, "reindex needs to know what: name it with"),
    (["reindex", "--time", "--timeline", "sundial"], 2, "timeline must be one of english, "),
    (["reindex", "--embedder", "wordly"], 2, "an embedder spec must be static,"),
    (["recall", "q", "--embedder", "none"], 1, "it was opened with none: open it without naming"),
    (["list", "--embedder", "none"], 1, "it was opened with none: open it without naming"),
    (["bench", "MISSING"], 1, "no data set at "),
    (["bench", "QUESTIONLESS"], 2, "at least one question with evidence"),
    (["bench", "QUESTIONLESS", "--dataset", "squad"], 2, "dataset must be one of auto"),
    (
        ["bench", "QUESTIONLESS", "--system", "oracle"],
        2,
        "--system must be one of memsieve, memsieve-untrained, memsieve-timeless",
    ),
    (
        ["bench", "QUESTIONLESS", "--budgets", "1k"],
        2,
        "--budgets must be whole numbers with commas",
    ),
    (["bench", "QUESTIONLESS", "--json", "MISSING/out"], 1, "its folder is missing or read-only"),
    (["bench", "QUESTIONLESS", "--rows", "FOLDER"], 1, "it is a folder"),
    (["bench", "QUESTIONLESS", "--plot", "TEXT"], 1, "it is a file"),
    (["forgett"], 2, "no such command 'forgett'"),
    (["recall", "q", "--bugdet", "5"], 2, "no such option: --bugdet"),
    (["recall"], 2, "missing argument 'QUESTION'"),
]


def named(command, files):
    """The command with the paths that its capitals stand for."""
    return [
        str(files[head]) + rest if (head := part.split("/")[0]) in files else part
        for part in command
        for rest in [part.removeprefix(part.split("/")[0])]
    ]


@pytest.mark.parametrize(("command", "code", "message"), WRONG, ids=lambda x: str(x)[:60])
def test_it_is_one_line_and_changes_nothing(cli, talk, database, files, command, code, message):
    before = database.read_bytes()
    answer = cli(*named(command, files))
    assert message in answer.error
    assert answer.error.startswith('{"error": {' if "--json" in command else "memsieve: ")
    assert (answer.code, answer.out) == (code, "")
    assert database.read_bytes() == before
    assert not files["MISSING"].exists()


@pytest.mark.parametrize(
    "command",
    [
        ["add", ""],
        ["add", "x", "--kind", "poem"],
        ["add", "x", "--embedder", "wordly"],
        ["import", "MISSING"],
        ["import", "MALFORMED"],
        ["import", "MALFORMED", "--format", "word"],
        *([command, "id"] for command in ("recall", "get", "forget", "history", "export")),
        *([command] for command in ("list", "timeline", "check", "stats")),
        ["reindex", "--embedder", "none"],
    ],
    ids=" ".join,
)
def test_it_leaves_no_new_database_behind(cli, database, files, command):
    answer = cli(*named(command, files))
    assert answer.error
    assert answer.code in (1, 2)
    assert list(database.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("TEXT", "is not a memsieve database"),
        ("OTHERS", "is an SQLite file of another program: choose another file"),
        ("FOLDER", "is a folder, not a memsieve database"),
    ],
)
@pytest.mark.parametrize("command", [["add", "x"], ["recall", "q"], ["check", "--fix"], ["stats"]])
def test_what_is_no_database_is_left_alone(cli, files, place, message, command):
    path = files[place]
    before = path.is_file() and path.read_bytes()
    answer = cli(*command, db=path)
    assert message in answer.error
    assert answer.code == 1
    assert (path.is_file() and path.read_bytes()) == before


def test_a_file_of_a_newer_schema_is_left_alone(cli, talk, database):
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA user_version = 99")
    before = database.read_bytes()
    for command in (["add", "x"], ["recall", "q"], ["forget", talk[0], "--yes"], ["check"]):
        answer = cli(*command)
        assert "has schema 99, this memsieve knows up to" in answer.error
        assert answer.code == 1
    assert database.read_bytes() == before


def test_a_damaged_file_is_one_line(cli, talk, database):
    content = database.read_bytes()
    database.write_bytes(content[:100] + b"\xff" * (len(content) - 100))
    answer = cli("recall", "q")
    assert "is not a memsieve database or is damaged" in answer.error
    assert answer.code == 1


def test_fifty_megabytes_through_the_pipe_are_refused_unread(cli, talk, database):
    before = database.read_bytes()
    answer = cli("add", "-", input=TOO_LONG)
    assert "the text from standard input has more than 1,048,576 bytes" in answer.error
    assert answer.code == 1
    assert database.read_bytes() == before


def test_fifty_megabytes_in_a_file_are_refused_with_the_place(cli, talk, database, write_file):
    before = database.read_bytes()
    path = write_file("long.jsonl", b'{"text": "short"}\n{"text": "' + TOO_LONG + b'"}\n')
    answer = cli("import", path)
    path.unlink()
    assert "long.jsonl line 2: longer than" in answer.error
    assert answer.code == 1
    assert database.read_bytes() == before


def test_a_pipe_that_is_not_utf8_is_refused_with_the_place(cli, database):
    answer = cli("add", input=b"caf\xe9")
    assert "is not UTF-8: byte 0xe9 at 3" in answer.error
    assert answer.code == 1
    assert not database.exists()


def test_an_argument_that_is_not_utf8_is_one_line(program, database):
    answer = program("add", b"caf\xe9".decode("utf-8", "surrogateescape"), "--db", database)
    assert "half of a surrogate pair" in answer.error
    assert answer.code == 1
    assert not database.exists()
