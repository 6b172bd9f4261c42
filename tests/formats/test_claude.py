import json
import zipfile
from datetime import UTC, datetime

import pytest

from memsieve.errors import DateError, FormatError
from memsieve.formats import Claude, detect, read, scan

PLACEHOLDER = "```\nThis block is not supported on your current device yet.\n```"


def said(uuid, text, *, parent=None, sender="human", **fields):
    return {"uuid": uuid, "text": text, "sender": sender, "parent_message_uuid": parent, **fields}


@pytest.fixture
def chat(write):
    """A function that reads one conversation of the given messages."""

    def reading(*messages, all_branches=False, **fields):
        raw = json.dumps([{"uuid": "c", "chat_messages": messages, **fields}])
        return list(Claude(all_branches=all_branches).read(write("conversations.json", raw)))

    return reading


def test_reads_what_was_said_on_the_branch_of_the_newest_message(files):
    messages = list(Claude().read(files / "claude"))
    assert [(m.session, m.key, m.speaker, m.text) for m in messages] == [
        ("chat-1", "h2", "user", "Name my boat, please. It is a small one."),
        ("chat-1", "a2", "assistant", "Let me look.\n\nWren."),
        ("chat-1", "h3", "user", "Wren it is."),
        ("chat-2", "h4", "user", "Hello."),
        ("chat-2", "a4", "assistant", "Hello!"),
    ]
    assert [m.source for m in messages] == [m.role for m in messages]
    assert {m.namespace for m in messages} == {None}


def test_the_date_is_the_messages_own_or_that_of_the_conversation(files):
    *_, undated, dated = Claude().read(files / "claude")
    assert undated.at == datetime(2026, 2, 15, 8, tzinfo=UTC)
    assert dated.at == datetime(2026, 2, 15, 8, 0, 5, tzinfo=UTC)


def test_the_name_stands_in_the_metadata_as_title_unless_it_is_empty(files):
    first, *_, last = Claude().read(files / "claude")
    assert (dict(first.metadata), dict(last.metadata)) == ({"title": "A name for a boat"}, {})


def test_messages_that_were_edited_away_come_only_when_asked_for(files):
    keys = [m.key for m in Claude(all_branches=True).read(files / "claude")]
    assert keys == ["h1", "a1", "h2", "a2", "h3", "h4", "a4"]


def test_reads_the_zip_like_the_file(files, tmp_path):
    path = tmp_path / "export.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("users.json", "[]")
        archive.write(files / "claude" / "conversations.json", "data-1/conversations.json")
    assert detect(path).name == "claude"
    assert list(read(path)) == list(Claude().read(files / "claude" / "conversations.json"))


def test_the_current_leaf_decides_the_branch_where_the_export_names_it(chat):
    tree = [said("q", "q"), said("a", "a", parent="q"), said("b", "b", parent="q")]
    assert [m.text for m in chat(*tree)] == ["q", "b"]
    assert [m.text for m in chat(*tree, current_leaf_message_uuid="a")] == ["q", "a"]
    assert [m.text for m in chat(*tree, current_leaf_message_uuid="lost")] == ["q", "b"]


def test_a_flat_list_is_read_as_it_is(chat):
    assert [m.text for m in chat(said("a", "a"), said("b", "b"))] == ["a", "b"]
    assert chat() == []


def test_a_message_without_an_id_is_keyed_by_its_place(chat):
    assert [m.key for m in chat(said("a", "a"), said(None, "b"))] == ["a", "c:1"]


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"text": "", "content": [{"type": "text", "text": "a"}]}, "a"),
        ({"text": None, "content": [{"type": "text", "text": "a"}, {"type": "tool_use"}]}, "a"),
        ({"text": f"a\n{PLACEHOLDER}\n\nb", "content": []}, "a\n\n\nb"),
        ({"text": f"{PLACEHOLDER}", "content": [{"type": "text", "text": "a"}]}, "a"),
        ({"text": " kept as it is\n", "content": [{"type": "text"}]}, " kept as it is\n"),
    ],
)
def test_the_words_come_from_the_text_or_else_from_the_blocks(message, text, chat):
    assert [m.text for m in chat(said("a", "") | message)] == [text]


@pytest.mark.parametrize(
    "silent",
    [
        {"text": "", "content": [{"type": "tool_use", "name": "search"}]},
        {"text": PLACEHOLDER, "content": [{"type": "text", "text": PLACEHOLDER}]},
        {"text": None},
        {"sender": "system"},
        {"sender": None},
    ],
)
def test_messages_without_words_are_skipped(silent, chat):
    assert [m.text for m in chat(said("a", "a"), said("b", "b") | silent)] == ["a"]


@pytest.mark.parametrize("broken", ['{"chat_messages": []}', '{"uuid": "c", "chat_messages": {}}'])
def test_damage_is_named_with_its_conversation(broken, write):
    path = write("conversations.json", f"[{broken}]")
    with pytest.raises(
        FormatError, match="line 1, conversation 1: a conversation must have a uuid"
    ):
        scan(path, "claude")


def test_a_time_that_is_none_is_named_with_its_message(chat):
    with pytest.raises(DateError, match="line 1, conversation 1, message a: date 'noon' does not"):
        chat(said("a", "a", created_at="noon"))
