import json

import pytest

from memsieve.errors import FormatError
from memsieve.formats import BFCL, Scan, detect, scan

ROW = {"id": "r", "scenario": "s", "topic": "t", "question": [[{"role": "user", "content": "Hi."}]]}


def test_reads_every_scenario_of_the_folder_and_no_questions(files):
    messages = list(BFCL().read(files / "bfcl"))
    assert [(m.namespace, m.key) for m in messages] == [
        ("gardener", "prereq_0-gardener-0:0"),
        ("gardener", "prereq_0-gardener-0:1"),
        ("gardener", "prereq_1-gardener-1:0"),
        ("gardener", "prereq_1-gardener-1:1"),
        ("gardener", "prereq_1-gardener-1:3"),
        ("sailor", "prereq_2-sailor-0:0"),
    ]
    assert [(m.speaker, m.role, m.source) for m in messages[2:4]] == [
        ("user", "user", "user"),
        ("assistant", "assistant", "assistant"),
    ]
    assert (messages[0].session, dict(messages[0].metadata)) == (
        "prereq_0-gardener-0",
        {"topic": "Beds"},
    )
    assert {m.at for m in messages} == {None}


def test_reads_a_single_scenario(files):
    path = files / "bfcl" / "conversation_sailor.jsonl"
    assert scan(path) == Scan("bfcl", 1, ("sailor",))


def test_reads_the_files_as_they_are_published(write, tmp_path):
    write("memory_sailor.json", json.dumps(ROW))
    assert scan(tmp_path) == Scan("bfcl", 1, ("s",))


def test_questions_are_not_taken_for_conversations(files):
    path = files / "bfcl" / "questions.jsonl"
    assert detect(path).name == "jsonl"
    with pytest.raises(FormatError, match=r"questions\.jsonl line 1: no text"):
        scan(path)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"id": None}, "a row must have id, scenario and question"),
        ({"scenario": ""}, "a row must have id, scenario and question"),
        ({"question": "Hi."}, "a row must have id, scenario and question"),
        ({"question": [[{"role": "user"}]]}, "message 0 must have role and content as strings"),
        ({"question": [["Hi."]]}, "message 0 must have role and content as strings"),
    ],
)
def test_a_mistake_is_named_with_its_line(change, what, write):
    path = write("conversation_s.jsonl", f"{json.dumps(ROW)}\n{json.dumps(ROW | change)}")
    with pytest.raises(FormatError, match=rf"^conversation_s\.jsonl line 2: {what}"):
        scan(path, "bfcl")


def test_a_folder_without_conversations_is_refused(tmp_path):
    with pytest.raises(
        FormatError, match=r"holds no conversation_\*\.jsonl and no memory_\*\.json"
    ):
        scan(tmp_path, "bfcl")
