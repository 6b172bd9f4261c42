"""import, export, check, stats and reindex."""

import json
import sqlite3
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from memsieve.embed import Static
from memsieve.timeline import DEFAULT_TIMELINE, from_spec

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "conversations"

READER = from_spec(DEFAULT_TIMELINE).identity


def test_an_import_says_what_it_did_and_the_second_adds_nothing(good):
    first = good("import", EXAMPLES).lines
    assert first[0].startswith("418 new of 418 messages (conversations), ")
    assert first[1] == "namespaces: ana-and-tom, assistant-desk"
    second = good("import", EXAMPLES, "--json").json
    assert second.pop("seconds") >= 0
    assert second == {
        "format": "conversations", "messages": 418, "added": 0,
        "namespaces": ["ana-and-tom", "assistant-desk"],
    }  # fmt: skip
    assert (
        "0 new of 418 messages (conversations), 418 already there," in good("import", EXAMPLES).out
    )


def test_the_question_of_the_demo_finds_its_evidence_in_the_first_line(good):
    good("import", EXAMPLES)
    question = "Who found Tom's dog after the thunderstorm?"
    lines = good("recall", question, "--namespace", "ana-and-tom", "--budget", "160").lines
    assert "The lock keeper at Gentbrugge found my dog this afternoon." in lines[0]
    assert lines[0].startswith("1  06 Jul 2025  Tom: ")


def test_an_import_into_a_named_namespace_puts_all_there(good, write_file):
    path = write_file("talk.jsonl", '{"text": "Good morning."}\n{"text": "Good night."}\n')
    assert good("import", path, "--namespace", "day").lines[1] == "namespaces: day"
    assert good("import", path).lines[1] == "namespaces: default"
    assert len(good("list", "--namespace", "day", "--json").json) == 2


def test_an_import_shows_its_progress_on_a_terminal_only(terminal, conversation):
    answer = terminal("import", conversation)
    assert answer.code == 0
    assert "importing ana-and-ben.json" in answer.err
    assert "importing" not in answer.out


def test_what_is_exported_is_imported_again_elsewhere(good, talk, tmp_path, database):
    path, other = tmp_path / "all.jsonl", tmp_path / "other.db"
    assert good("export", path).lines == [f"3 items of the namespace default in {path}"]
    assert good("export", "-").out == path.read_text(encoding="utf-8")
    assert good("export", path, "--json").json == {
        "path": str(path), "namespace": "default", "items": 3,
    }  # fmt: skip
    good("import", path, db=other)
    kept = ("text", "speaker", "session", "said_at", "ordinal", "kind")
    listed = [good("list", "--json", db=db).json for db in (database, other)]
    assert [[item[name] for name in kept] for item in listed[0]] == [
        [item[name] for name in kept] for item in listed[1]
    ]


def test_an_export_does_not_overwrite_the_memory(cli, talk, database):
    before = database.read_bytes()
    answer = cli("export", database)
    assert "is the database itself" in answer.error
    assert answer.code == 2
    assert database.read_bytes() == before


def test_a_sound_file_is_called_sound(good, talk, database):
    assert good("check").lines == [f"{database} is sound"]
    assert good("check", "--json").json == {"sound": True, "findings": []}


def test_a_finding_is_listed_fails_and_is_mended_on_request(cli, good, talk, database):
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("UPDATE item_index SET codes = zeroblob(256) WHERE seq = 1")
        connection.commit()
    answer = cli("check")
    assert answer.code == 1
    assert talk[0] in answer.out
    assert "has 1 findings: 'memsieve check --fix' may mend them" in answer.error
    found = cli("check", "--json")
    assert json.loads(found.error)["error"]["type"] == "StoreError"
    assert found.json["sound"] is False
    assert [finding["fixed"] for finding in found.json["findings"]] == [False]
    assert "mended" in good("check", "--fix").out
    assert good("check", "--json").json["sound"]


def test_a_finding_in_what_is_canonical_stays_a_failure(cli, talk, database):
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("UPDATE item SET hash = zeroblob(16) WHERE seq = 1")
        connection.commit()
    answer = cli("check", "--fix")
    assert answer.code == 1
    assert answer.error.endswith("what is left is no derived data")


def test_stats_count_by_namespace(good, talk, database):
    good("add", "The bank closes at four.", "--namespace", "bank")
    lines = good("stats").lines
    assert lines[0].startswith(f"{database}: ")
    assert lines[0].endswith(f"embedder {Static().identity}, timeline {READER}, policy default")
    assert [line.split() for line in lines[1:]] == [
        ["namespace", "items", "sessions", "tokens", "superseded"],
        ["default", "3", "2", str(7 + 6 + 8), "0"],
        ["bank", "1", "0", "6", "0"],
    ]
    stats = good("stats", "--json").json
    assert stats["embedder"] == Static().identity
    assert (stats["timeline"], stats["unread_times"]) == (READER, 0)
    assert stats["namespaces"]["default"]["items"] == 3


def test_reindex_moves_the_file_and_the_next_recall_follows(cli, good, talk):
    assert good("reindex", "--embedder", "none").lines == ["0 items embedded with none"]
    assert good("recall", "Lisbon", "--json").json["hits"][0]["id"] == talk[0]
    assert cli("recall", "Lisbon", "--embedder", "static").code == 1
    moved = good("reindex", "--embedder", "static", "--json").json
    assert moved == {"embedder": Static().identity, "items": 3}
    assert good("recall", "Lisbon", "--embedder", "static").code == 0
    good("check")


def of_a_lost_embedder(database, identity="static-minilm-256@000000000000"):
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("UPDATE meta SET value = ? WHERE key = 'embedder'", (identity,))
        connection.commit()
    return identity


def test_a_file_of_weights_that_are_gone_is_still_read_forgotten_exported_and_moved(
    cli, good, talk, database, tmp_path
):
    lost = of_a_lost_embedder(database)
    answer = cli("recall", "Lisbon")
    assert answer.code == 1
    assert "reindex" in answer.error
    assert good("stats", "--json").json["embedder"] == lost
    assert len(good("list").lines) == 3
    assert good("get", talk[0]).code == 0
    assert good("history", talk[0]).code == 0
    assert good("export", tmp_path / "all.jsonl").code == 0
    assert good("forget", talk[0], "--json").json["residue"] == 0
    assert good("reindex", "--embedder", "static", "--json").json["items"] == 2
    assert good("recall", "bake", "--json").json["hits"]


def test_a_file_of_an_embedder_without_a_spec_says_so(cli, talk, database):
    of_a_lost_embedder(database, "letters")
    answer = cli("recall", "Lisbon")
    assert "was made with the embedder letters" in answer.error
    assert answer.code == 1


class Endpoint(BaseHTTPRequestHandler):
    """Embeds by length, for who has the key."""

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        may = self.headers["Authorization"] == "Bearer secret"
        rows = [[len(text), 1, 0, 0] for text in asked["input"]] if may else []
        data = [{"index": i, "embedding": row} for i, row in enumerate(rows)]
        answer = json.dumps({"data": data} if may else {"error": {"message": "no key"}}).encode()
        self.send_response(200 if may else 401)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


@pytest.fixture
def spec():
    """The spec of an endpoint on the loopback interface."""
    pytest.importorskip("httpx", reason="endpoints need httpx")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"openai:tiny@http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("variable", ["MEMSIEVE_API_KEY", "OPENAI_API_KEY"])
def test_the_key_of_an_endpoint_comes_from_the_environment(good, spec, variable, database):
    key = {variable: "secret"}
    id_ = good("add", "I moved to Lisbon.", "--embedder", spec, **key).out.strip()
    found = good("recall", "Lisbon", "--json", **key).json  # the file knows the rest
    assert [hit["id"] for hit in found["hits"]] == [id_]
    assert good("stats", "--json").json["embedder"].startswith("openai:tiny@")
    assert b"secret" not in database.read_bytes()


def test_an_endpoint_that_refuses_costs_nothing(cli, good, talk, spec, database, tmp_path):
    before = database.read_bytes()
    assert cli("reindex", "--embedder", spec).code == 1
    assert database.read_bytes() == before
    assert cli("add", "x", "--embedder", spec, db=tmp_path / "new.db").code == 1
    assert not (tmp_path / "new.db").exists()


def test_reindex_reads_times_where_they_are_unread_or_the_reader_is_another(cli, good, talk):
    assert good("reindex", "--time").lines == [f"times of 0 items read with {READER}"]
    moved = good("reindex", "--time", "--timeline", "none", "--json").json
    assert moved == {"times": 3, "timeline": "none"}
    assert good("stats").lines[0].endswith("timeline none, policy default")
    both = good("reindex", "--time", "--timeline", DEFAULT_TIMELINE, "--embedder", "none").lines
    assert both == [
        "0 items embedded with none", f"times of 3 items read with {READER}",
    ]  # fmt: skip
    good("check")


def test_unread_times_are_told_by_stats_with_the_way_out(good, talk, database):
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("UPDATE item_index SET dated_tokens = NULL")
        connection.commit()
    assert good("stats").lines[1] == "times of 3 items not read: run memsieve reindex --time"
    assert good("reindex", "--time", "--json").json["times"] == 3
    good("check")


def test_a_file_of_a_reader_that_is_gone_is_still_read_exported_and_moved(
    cli, good, talk, database, tmp_path
):
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("UPDATE meta SET value = 'sundial' WHERE key = 'timeline'")
        connection.execute("UPDATE item_index SET dated_tokens = NULL")
        connection.commit()
    assert "times from the timeline sundial, which cannot be made" in cli("add", "x").error
    assert good("stats", "--json").json["timeline"] == "sundial"
    assert len(good("list").lines) == 3
    assert good("export", tmp_path / "all.jsonl").code == 0
    assert "name another with --timeline SPEC" in cli("reindex", "--time").error
    assert good("reindex", "--time", "--timeline", "none", "--json").json["times"] == 3
    assert good("add", "x").code == 0


def test_an_offset_given_at_the_door_is_kept(good):
    id_ = good("add", "Good morning.", "--at", "2026-03-02T07:00+09:00").out.strip()
    item = good("get", id_, "--json").json
    assert (item["said_at"], item["offset_minutes"]) == ("2026-03-01T22:00:00+00:00", 540)
    assert item["happened"]["start"] == "2026-03-02T00:00:00+09:00"


def test_mentions_are_printed_in_json(good):
    id_ = good("add", "It was in May 2021.", "--at", "2026-03-02").out.strip()
    (mention,) = good("get", id_, "--json").json["mentions"]
    assert mention["interval"] == {
        "start": "2021-05-01T00:00:00+00:00", "end": "2021-06-01T00:00:00+00:00",
        "precision": "month",
    }  # fmt: skip
