"""Import and export: whole, once, resumable; and a failure leaves nothing half done."""

import io
import json
from datetime import UTC, datetime

import pytest

from memsieve.errors import (
    DateError,
    FormatError,
    NotFoundError,
    ParameterError,
    StoreAccessError,
)

CARRIED = (
    "text", "said_at", "speaker", "session", "role", "kind", "source", "trust", "metadata", "key",
    "ordinal", "tokens", "slot",
)  # fmt: skip


class PowerCutError(Exception):
    """Raised by tests in the middle of something."""


def carried(memory, **where):
    """What a round trip must keep, of every item."""
    items = memory.list(limit=None, **where)
    return [tuple(getattr(item, name) for name in CARRIED) for item in items]


@pytest.fixture
def rich(memory):
    """A memory whose items use every field and awkward characters."""
    memory.add(
        [
            {
                "text": 'She said: "No!"\nThen\tleft. \\ / \u2028 \x00 end', "speaker": "Zoë",
                "role": "user", "session": "s1", "at": "2026-03-02T10:00:00.123456+02:00",
                "key": "k1", "metadata": {"a": {"b": [1, 2.5, None, True]}, "ключ": "значение"},
            },
            {
                "text": "שלום עולם 🌍 你好", "source": "assistant", "role": "assistant",
                "session": "s2", "trust": 0.125, "kind": "note", "key": "k2",
                "at": "1969-07-20T20:17:40Z",
            },
            {"text": "  spaces around  ", "source": "tool", "session": "s1", "key": "k3",
             "slot": (" Zoë ", "a / b\n\u2028")},
            {"text": "no key, no session", "kind": "preference", "source": "derived"},
        ]
    )  # fmt: skip
    return memory


@pytest.fixture
def lines(write_file):
    """A JSON-lines file of 2,100 messages: two batches."""
    rows = (
        {"text": f"Line {n}.", "at": "2026-03-02", "session": f"s{n % 7}", "speaker": "Ana"}
        for n in range(2_100)
    )
    return write_file("chat.jsonl", "".join(json.dumps(row) + "\n" for row in rows))


def test_a_round_trip_keeps_every_field_of_every_item(rich, opened, tmp_path):
    rich.add("Gone by then.", key="k3b")
    rich.forget(rich.list(newest_first=True, limit=1)[0].id)
    assert rich.export(tmp_path / "all.jsonl") == 4
    other = opened(tmp_path / "other.db")
    report = other.import_(tmp_path / "all.jsonl")
    assert report == {"format": "jsonl", "messages": 4, "added": 4, "namespaces": ["default"]}
    unkeyed = carried(rich)[3][: CARRIED.index("key")]
    assert carried(other)[:3] == carried(rich)[:3]
    assert carried(other)[3][: CARRIED.index("key")] == unkeyed
    assert carried(other)[3][CARRIED.index("key")] == rich.list()[3].id  # its old id is its key
    assert rich.check() == other.check() == []


def test_an_export_read_back_into_its_own_memory_adds_nothing_keyed(rich, tmp_path):
    rich.export(tmp_path / "all.jsonl")
    before = carried(rich)
    assert rich.import_(tmp_path / "all.jsonl")["added"] == 1  # the one without a key
    assert carried(rich)[:4] == before
    assert rich.import_(tmp_path / "all.jsonl")["added"] == 0
    assert rich.check() == []


def test_superseded_items_are_not_exported(memory, tmp_path):
    memory.add("Old.", key="k")
    memory.add("New.", key="k")
    assert memory.export(tmp_path / "all.jsonl") == 1
    assert json.loads((tmp_path / "all.jsonl").read_text())["text"] == "New."


def test_an_export_may_go_to_an_open_stream(rich, tmp_path):
    stream = io.StringIO()
    assert rich.export(stream) == 4
    rich.export(tmp_path / "all.jsonl")
    assert stream.getvalue() == (tmp_path / "all.jsonl").read_text(encoding="utf-8")


def test_an_export_replaces_a_file_only_when_it_is_whole(memory, tmp_path):
    memory.add([f"Line {n}." for n in range(1_500)])
    target = tmp_path / "all.jsonl"
    target.write_text("what was there")

    def cut(done, total):
        assert (done, total) == (1_000, 1_500)
        raise PowerCutError

    with pytest.raises(PowerCutError):
        memory.export(target, progress=cut)
    assert target.read_text() == "what was there"
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == ["all.jsonl"]
    assert memory.export(target) == 1_500
    assert len(target.read_text().splitlines()) == 1_500


def test_an_export_of_nothing_is_an_empty_file(memory, tmp_path):
    assert memory.export(tmp_path / "all.jsonl") == 0
    assert (tmp_path / "all.jsonl").read_text() == ""


def test_an_export_to_a_place_that_does_not_exist_names_it(rich, tmp_path):
    with pytest.raises(StoreAccessError, match=r"cannot write .*no/all\.jsonl: No such file"):
        rich.export(tmp_path / "no" / "all.jsonl")


def test_neither_export_nor_import_takes_the_database_for_its_file(rich, database, tmp_path):
    before = carried(rich)
    link = tmp_path / "link.db"
    link.symlink_to(database)
    for path in (database, str(database), link):
        with pytest.raises(ParameterError, match="is the database itself: name another file"):
            rich.export(path)
        with pytest.raises(ParameterError, match="is the database itself: name another file"):
            rich.import_(path)
    assert carried(rich) == before
    assert rich.check() == []


def test_importing_twice_adds_nothing_the_second_time(memory, lines, sql):
    assert memory.import_(lines)["added"] == 2_100
    rows = sql("SELECT * FROM item"), sql("SELECT count(*) FROM journal")
    assert memory.import_(lines)["added"] == 0
    assert (sql("SELECT * FROM item"), sql("SELECT count(*) FROM journal")) == rows
    assert memory.check() == []


@pytest.mark.parametrize("stop_at", [2_000, 2_100])
def test_an_interrupted_import_goes_on_with_nothing_twice_and_nothing_missing(
    opened, lines, stop_at
):
    def cut(done, total):
        assert total == 2_100
        if done == stop_at:
            raise PowerCutError

    memory = opened()
    with pytest.raises(PowerCutError):
        memory.import_(lines, progress=cut)
    assert len(memory.list(limit=None)) == stop_at
    memory.close()
    again, seen = opened(), []
    again.import_(lines, progress=lambda done, total: seen.append(done))
    assert [item.text for item in again.list(limit=None)] == [f"Line {n}." for n in range(2_100)]
    assert seen == [done for done in (2_000, 2_100) if done > stop_at]
    assert again.check() == []


def test_a_batch_that_was_written_but_not_noted_is_not_written_twice(memory, lines, sql):
    def cut(done, total):
        raise PowerCutError

    with pytest.raises(PowerCutError):
        memory.import_(lines, progress=cut)
    sql("UPDATE job SET done = 0")  # as if killed between the two transactions
    memory.import_(lines)
    assert len(memory.list(limit=None)) == 2_100
    assert memory.check() == []


def test_an_interrupted_import_does_not_shorten_that_into_another_namespace(memory, opened, lines):
    def cut(done, total):
        raise PowerCutError

    with pytest.raises(PowerCutError):
        memory.import_(lines, progress=cut)
    assert memory.import_(lines, namespace="other")["added"] == 2_100
    assert opened(namespace="third").import_(lines)["added"] == 2_100
    assert memory.import_(lines)["added"] == 100
    assert memory.check() == []


def test_a_file_that_has_grown_since_is_read_from_its_beginning(memory, lines):
    def cut(done, total):
        raise PowerCutError

    with pytest.raises(PowerCutError):
        memory.import_(lines, progress=cut)
    first = json.dumps({"text": "Put before the rest.", "at": "2026-03-01"}) + "\n"
    lines.write_text(first + lines.read_text())
    memory.import_(lines)
    assert len(memory.list(limit=None)) == 2_101
    assert memory.check() == []


@pytest.mark.parametrize(
    ("line", "error", "message"),
    [
        ("{not json", FormatError, "chat.jsonl line 2101"),
        ('["a list"]', FormatError, "chat.jsonl line 2101: expected an object"),
        ('{"text": 5}', FormatError, "chat.jsonl line 2101: text must be a string"),
        ('{"text": "x", "at": "soon"}', DateError, "chat.jsonl line 2101: date 'soon' does not"),
        ('{"text": "x", "trust": 2}', FormatError, "line 2101: trust must be a number in"),
    ],
)
def test_a_malformed_line_at_the_end_leaves_the_database_untouched(
    memory, lines, sql, line, error, message
):
    with lines.open("a") as file:
        file.write(line + "\n")
    before = sql("SELECT * FROM item"), sql("SELECT * FROM job"), sql("SELECT * FROM namespace")
    with pytest.raises(error, match=message):
        memory.import_(lines)
    after = sql("SELECT * FROM item"), sql("SELECT * FROM job"), sql("SELECT * FROM namespace")
    assert before == after == ([], [], [])


def test_a_missing_file_and_an_unknown_format_are_named(memory, tmp_path, lines):
    with pytest.raises(NotFoundError, match=r"nothing\.jsonl"):
        memory.import_(tmp_path / "nothing.jsonl")
    with pytest.raises(ParameterError, match=r"format must be one of auto, .*got 'pdf'"):
        memory.import_(lines, format="pdf")
    assert memory.list() == []


def test_messages_go_to_their_own_namespaces_unless_one_is_named(opened, write_file):
    rows = [{"text": "One.", "namespace": "a"}, {"text": "Two.", "namespace": "b"}, {"text": "3."}]
    path = write_file("chat.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    memory = opened(namespace="home")
    assert memory.import_(path)["namespaces"] == ["a", "b", "home"]
    assert [len(memory.list(namespace=name)) for name in ("a", "b", "home")] == [1, 1, 1]
    assert memory.import_(path, namespace="all")["namespaces"] == ["all"]
    assert len(memory.list(namespace="all")) == 3
    assert memory.check() == []


def test_what_has_no_date_is_said_now_and_what_has_one_then(memory, write_file):
    path = write_file("chat.jsonl", '{"text": "One."}\n{"text": "Two.", "at": "2026-03-02"}\n')
    before = datetime.now(UTC)
    memory.import_(path)
    one, two = memory.list()
    assert before <= one.said_at <= datetime.now(UTC)
    assert two.said_at == datetime(2026, 3, 2, tzinfo=UTC)
