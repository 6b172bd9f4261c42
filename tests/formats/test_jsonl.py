import json
from datetime import UTC, datetime

import pytest

from memsieve.errors import DateError, FormatError
from memsieve.formats import JSONL, detect, scan
from memsieve.formats.jsonl import MAX_LINE_BYTES


@pytest.fixture
def lines(write):
    """A function that reads the given records, or raw lines, as JSON lines."""

    def read(*records):
        raw = [r if isinstance(r, bytes) else json.dumps(r).encode() for r in records]
        return list(JSONL().read(write("chat.jsonl", b"\n".join(raw))))

    return read


def test_reads_the_fields_under_their_common_names(files):
    first, second, third, fourth, fifth = JSONL().read(files / "chat.jsonl")
    assert (first.text, first.speaker, first.session) == (
        "I moved to Lisbon last spring.",
        "Ana",
        "s1",
    )
    assert first.at == datetime(2026, 3, 2, 13, 5, tzinfo=UTC)
    assert (first.role, first.source, first.namespace) == ("user", "user", None)
    assert (second.text, second.speaker, second.role) == (
        "How do you like it there?",
        None,
        "assistant",
    )
    assert (second.source, second.session) == ("assistant", "s1")
    assert second.at == datetime(2026, 3, 2, 13, 6, tzinfo=UTC)
    assert (third.session, third.speaker, dict(third.metadata)) == ("1", "Ana", {"mood": "sunny"})
    assert (third.source, dict(fourth.metadata)) == ("import", {"mood": "rainy"})
    assert (fifth.key, fifth.kind, fifth.trust, fifth.namespace) == (
        "rule-1",
        "instruction",
        0.9,
        "ana",
    )


def test_the_same_words_said_twice_are_two_messages(files):
    _, _, third, fourth, _ = JSONL().read(files / "chat.jsonl")
    assert third.text == fourth.text
    assert third.key.removesuffix("-0") == fourth.key.removesuffix("-1")
    assert third.key != fourth.key


def test_a_key_follows_from_the_content_alone(lines):
    said = {"text": "Hi.", "at": "2026-03-02T10:00:00Z", "speaker": "Ana", "session": "s"}
    (key,) = [m.key for m in lines(said)]
    for same in ({"at": "2026-03-02T11:00:00+01:00"}, {"mood": "sunny"}, {"role": "user"}):
        assert [m.key for m in lines({**said, **same})] == [key]
    for other in (
        {"text": "Hi!"},
        {"at": "2026-03-02T10:00:01Z"},
        {"at": None},
        {"speaker": "Ben"},
        {"session": "t"},
        {"namespace": "n"},
    ):
        assert [m.key for m in lines({**said, **other})] != [key]


def test_a_file_that_has_grown_keeps_its_old_keys(lines):
    said = [{"text": "ok"}, {"text": "ok"}, {"text": "yes"}]
    before = [m.key for m in lines(*said)]
    after = [m.key for m in lines(*said, {"text": "ok"}, {"text": "no"})]
    assert after[:3] == before
    assert len(set(after)) == 5


def test_of_two_names_for_one_field_the_first_counts_and_the_other_is_kept(lines):
    (message,) = lines({"text": "Hi.", "content": "Hello.", "at": None, "date": "2026-03-02"})
    assert message.text == "Hi."
    assert message.at == datetime(2026, 3, 2, tzinfo=UTC)
    assert dict(message.metadata) == {"content": "Hello."}


def test_the_callers_key_goes_before_an_id(lines):
    (message,) = lines({"text": "Hi.", "id": "0198", "key": "m1"})
    assert (message.key, dict(message.metadata)) == ("m1", {"id": "0198"})


def test_empty_names_count_as_not_given(lines):
    (message,) = lines({"text": "Hi.", "session": "", "speaker": None, "id": "", "metadata": {}})
    assert (message.session, message.speaker, dict(message.metadata)) == (None, None, {})
    assert len(message.key) == 34


def test_stated_metadata_wins_over_a_field_of_the_same_name(lines):
    (message,) = lines({"text": "Hi.", "a": 1, "b": 2, "metadata": {"b": 3}})
    assert dict(message.metadata) == {"a": 1, "b": 3}


def test_null_bytes_and_line_separators_inside_of_a_text_are_kept(lines):
    text = "a\x00b\u2028c\x85d\ne"
    raw = json.dumps({"text": text}, ensure_ascii=False).encode()
    assert [m.text for m in lines(raw)] == [text]


def test_a_byte_order_mark_windows_line_ends_and_blank_lines_are_accepted(lines):
    raw = b'\xef\xbb\xbf{"text": "a"}\r\n\r\n  \r\n{"text": "b"}\r\n'
    assert [m.text for m in lines(raw)] == ["a", "b"]


def test_an_empty_file_holds_no_messages(write):
    assert scan(write("chat.jsonl", "")).messages == 0


@pytest.mark.parametrize(
    ("record", "what"),
    [
        (b'{"text": "Hi."', "not valid JSON: Expecting ',' delimiter"),
        (b"text", "not valid JSON: Expecting value"),
        (b'{"text": "\xff"}', r"not valid UTF-8 \(byte 0xff\): save it as UTF-8"),
        (b'{"text": "\\ud83d"}', r"half of a surrogate pair \(U\+D83D\)"),
        (["Hi."], "expected an object, got an array"),
        ("Hi.", "expected an object, got a string"),
        ({"speaker": "Ana"}, "no text: give it as a string under 'text' or 'content'"),
        ({"text": " "}, "text must not be blank"),
        ({"text": ["Hi."]}, "text must be a string, got an array"),
        ({"text": 7}, "text must be a string, got a number"),
        ({"text": "Hi.", "session": True}, "session must be a string, got a boolean"),
        ({"text": "Hi.", "id": 1.5}, "key must be a string, got a number"),
        ({"text": "Hi.", "metadata": "x"}, "metadata must be an object, got a string"),
        ({"text": "Hi.", "kind": "poem"}, "kind must be one of turn"),
        ({"text": "Hi.", "trust": "high"}, r"trust must be a number in \[0, 1\], got 'high'"),
    ],
)
def test_a_mistake_is_named_with_its_line(lines, record, what):
    with pytest.raises(FormatError, match=rf"^chat\.jsonl line 3: {what}"):
        lines({"text": "a"}, b"", record, {"text": "b"})


def test_a_date_that_does_not_parse_is_named_with_its_line(lines):
    with pytest.raises(DateError, match=r"^chat\.jsonl line 2: date 'soon' does not parse: write"):
        lines({"text": "a"}, {"text": "b", "at": "soon"})


def test_a_scan_finds_the_mistake_on_the_last_line(write):
    path = write("chat.jsonl", '{"text": "a"}\n' * 1000 + '{"text": }')
    with pytest.raises(FormatError, match="line 1001: not valid JSON"):
        scan(path)


def test_a_file_without_line_breaks_is_refused_before_it_fills_the_memory(write):
    path = write("chat.jsonl", b"x" * (MAX_LINE_BYTES + 1))
    with pytest.raises(FormatError, match="line 1: longer than 16,777,216 bytes"):
        scan(path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", "anything"),
        ("A.NDJSON", ""),
        ("a.txt", '{"text": "Hi."}'),
        ("a.json", '\n{"role": "user", "content": "Hi."}\n{"role"'),
        ("a.log", '\ufeff{"text": "Hi."}\r\n'),
    ],
)
def test_is_told_by_its_ending_or_by_its_first_line(name, content, write):
    assert detect(write(name, content)).name == "jsonl"
