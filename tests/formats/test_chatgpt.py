import json
import zipfile
from datetime import UTC, datetime

import pytest

from memsieve.errors import DateError, FormatError
from memsieve.formats import ChatGPT, detect, read, scan


def node(parent, text, *, role="user", **message):
    content = {"content_type": "text", "parts": [text]}
    return {"parent": parent, "message": {"author": {"role": role}, "content": content} | message}


@pytest.fixture
def chat(write):
    """A function that reads one conversation with the given mapping and fields."""

    def reading(mapping, *, all_branches=False, **fields):
        raw = json.dumps([{"conversation_id": "c", "mapping": mapping, **fields}])
        export = ChatGPT(all_branches=all_branches)
        return list(export.read(write("conversations.json", raw)))

    return reading


def test_reads_what_was_said_on_the_way_to_the_current_message(files):
    messages = list(ChatGPT().read(files / "chatgpt"))
    assert [(m.session, m.key, m.speaker, m.text) for m in messages] == [
        ("chat-1", "q1-edited", "user", "Which tram stops here?"),
        ("chat-1", "a2", "assistant", "Tram 15 \U0001f68b stops here."),
        ("chat-1", "spoken", "user", "Thanks a lot."),
        ("r2", "m2", "user", "Hello."),
    ]
    assert [m.source for m in messages] == [m.role for m in messages]
    assert {m.namespace for m in messages} == {None}


def test_the_date_is_the_messages_own_or_that_of_the_conversation(files):
    asked, answered, *_ = ChatGPT().read(files / "chatgpt")
    assert asked.at == datetime(2026, 3, 2, 11, 15, 0, 250_000, tzinfo=UTC)
    assert answered.at == datetime(2026, 3, 2, 11, 13, 20, tzinfo=UTC)


def test_the_title_stands_in_the_metadata_unless_there_is_none(files):
    first, *_, last = ChatGPT().read(files / "chatgpt")
    assert (dict(first.metadata), dict(last.metadata)) == ({"title": "Moving to Lisbon"}, {})


def test_branches_that_were_edited_away_come_only_when_asked_for(files):
    keys = [m.key for m in ChatGPT(all_branches=True).read(files / "chatgpt")]
    assert keys == ["q1", "a1", "q1-edited", "a2", "spoken", "m2"]


def test_reads_the_zip_with_its_numbered_parts_like_the_files(files, tmp_path):
    conversations = json.loads((files / "chatgpt" / "conversations.json").read_text())
    path = tmp_path / "export.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("chat.html", "<html>")
        for number, conversation in reversed(list(enumerate(conversations))):
            archive.writestr(f"conversations-{number:03}.json", json.dumps([conversation]))
    assert detect(path).name == "chatgpt"
    assert list(read(path)) == list(ChatGPT().read(files / "chatgpt" / "conversations.json"))


def test_of_a_conversation_without_a_current_message_the_newest_counts(chat):
    mapping = {
        "q": node(None, "q", create_time=1.0),
        "new": node("q", "new", create_time=3.0),
        "old": node("q", "old", create_time=2.0),
    }
    assert [m.text for m in chat(mapping)] == ["q", "new"]
    assert [m.text for m in chat(mapping, current_node="lost")] == ["q", "new"]
    assert [m.text for m in chat(mapping, current_node="old")] == ["q", "old"]
    assert [m.text for m in chat({n: node(None, n) for n in "ab"})] == ["b"]


def test_an_empty_conversation_holds_no_messages(chat):
    assert chat({}) == []
    assert chat({"root": {"message": None, "parent": None}}, current_node="root") == []


@pytest.mark.parametrize(
    "silent",
    [
        {"role": "system"},
        {"role": "tool"},
        {"recipient": "python"},
        {"metadata": {"is_visually_hidden_from_conversation": True}},
        {"content": {"content_type": "user_editable_context", "user_profile": "Ana"}},
        {"content": {"content_type": "reasoning_recap", "content": "Thought for 3 s"}},
        {"content": {"content_type": "text", "parts": ["", None]}},
        {"content": None},
        {"author": None},
    ],
)
def test_what_neither_of_the_two_said_is_skipped_without_breaking_the_thread(silent, chat):
    mapping = {"a": node(None, "a"), "b": node("a", "b", **silent), "c": node("b", "c")}
    assert [m.text for m in chat(mapping, current_node="c")] == ["a", "c"]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ({"parts": ["one", "two"]}, "one\ntwo"),
        ({"content_type": "code", "text": "print(1)"}, "print(1)"),
        ({"content_type": "multimodal_text", "parts": [{"text": "spoken"}, {}, 7]}, "spoken"),
        ({"content_type": "text", "parts": [" kept as it is\n"]}, " kept as it is\n"),
    ],
)
def test_the_text_is_put_together_from_the_parts_that_are_words(content, text, chat):
    assert [m.text for m in chat({"a": node(None, "", content=content)})] == [text]


def test_damage_is_named_with_its_conversation(write):
    path = write("conversations.json", '[{"mapping": {}},\n{"mapping": []}]')
    with pytest.raises(FormatError, match=r"line 2, conversation 2: mapping must be an object"):
        scan(path, "chatgpt")


def test_a_time_that_is_none_is_named_with_its_message(chat):
    with pytest.raises(DateError, match="line 1, conversation 1, message a: date 'noon' does not"):
        chat({"a": node(None, "a", create_time="noon")})
