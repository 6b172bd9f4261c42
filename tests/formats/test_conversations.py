import json
from datetime import UTC, datetime

import pytest

from memsieve.errors import DateError, FormatError
from memsieve.formats import Conversations, Scan, detect, scan

TURN = {"id": "t1", "session": "s1", "at": "2026-03-02", "speaker": "Ana", "text": "Hi."}


@pytest.fixture
def read(write):
    """A function that reads one conversation file with the given content."""

    def reading(content):
        raw = content if isinstance(content, bytes) else json.dumps(content).encode()
        return list(Conversations().read(write("ana.json", raw)))

    return reading


def test_reads_the_turns_of_every_file_of_a_folder_under_the_id_of_the_file(files):
    messages = list(Conversations().read(files / "conversations"))
    assert [(m.namespace, m.key, m.session) for m in messages] == [
        ("ana", "t1", "s1"),
        ("ana", "t2", "s1"),
        ("ana", "t3", "s2"),
        ("ben", "1", "s1"),
    ]
    assert messages[1].at == datetime(2026, 3, 2, 10, 1, tzinfo=UTC)
    assert (messages[1].speaker, messages[1].text) == ("Ben", "Since when?")
    assert dict(messages[2].metadata) == {"picture": "tram.jpg"}
    assert messages[3].at is None
    assert scan(files / "conversations") == Scan("conversations", 4, ("ana", "ben"))


def test_reads_a_single_file(files):
    assert [m.key for m in Conversations().read(files / "conversations" / "ben.json")] == ["1"]


def test_the_namespace_is_the_files_even_if_a_turn_names_another(read):
    (message,) = read({"id": 7, "turns": [{**TURN, "namespace": "other"}]})
    assert message.namespace == "7"


def test_questions_that_come_first_do_not_hide_the_format(write):
    question = {"question": "?" * 100, "evidence": ["t1"], "category": "a"}
    path = write("long.json", json.dumps({"questions": [question] * 1000, "turns": [TURN]}))
    assert detect(path).name == "conversations"


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ([], r'expected an object \{"id": ..., "turns": \[...\]\}'),
        ({"id": "a"}, "expected an object"),
        ({"id": "a", "turns": {}}, "expected an object"),
        ({"turns": []}, "id must be a string, got None"),
        ({"id": "", "turns": []}, "id must be a string, got ''"),
        ({"id": True, "turns": []}, "id must be a string, got True"),
        ({"id": "a", "turns": [TURN, {"text": "Hi."}]}, "turn 2: no id: questions name turns"),
        ({"id": "a", "turns": [TURN, TURN]}, "turn 2: the id 't1' is taken by an earlier turn"),
        ({"id": "a", "turns": [TURN, {**TURN, "text": ""}]}, "turn 2: the "),
        ({"id": "a", "turns": [{**TURN, "text": " "}]}, "turn 1: text must not be blank"),
        ({"id": "a", "turns": ["Hi."]}, "turn 1: expected an object, got a string"),
        (b'{"id": "a",\n"turns": [,]}', "line 2: not valid JSON"),
    ],
)
def test_a_mistake_is_named_with_its_file_and_turn(content, what, read):
    with pytest.raises(FormatError, match=rf"^ana\.json:? {what}"):
        read(content)


def test_a_date_that_does_not_parse_is_named_with_its_turn(read):
    with pytest.raises(DateError, match=r"^ana\.json turn 1: date 'soon' does not parse"):
        read({"id": "a", "turns": [{**TURN, "at": "soon"}]})


def test_two_files_must_not_share_an_id(write, tmp_path):
    for name in ("a.json", "b.json"):
        write(name, json.dumps({"id": "same", "turns": []}))
    with pytest.raises(FormatError, match=r"b\.json: the id 'same' is taken by a\.json"):
        scan(tmp_path, "conversations")


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(FormatError, match=r"holds no \.json file"):
        scan(tmp_path, "conversations")


def test_a_file_of_the_folder_that_is_no_conversation_is_refused(files, write, tmp_path):
    write("a.json", (files / "conversations" / "ana.json").read_bytes())
    write("z.json", '{"hello": "world"}')
    with pytest.raises(FormatError, match=r"^z\.json: expected an object"):
        scan(tmp_path)
