import json
from datetime import UTC, datetime

import pytest

from memsieve.errors import DateError, FormatError
from memsieve.formats import LoCoMo, Scan, detect, scan

TURN = {"speaker": "Ana", "dia_id": "D1:1", "text": "Hi."}
DATE = "1:56 pm on 8 May, 2023"


@pytest.fixture
def read(write):
    """A function that reads one sample with the given conversation."""

    def reading(conversation, sample_id="c"):
        sample = {"sample_id": sample_id, "conversation": conversation}
        return list(LoCoMo().read(write("l.json", json.dumps([sample]))))

    return reading


def test_reads_the_sessions_by_number_and_the_turns_in_their_order(files):
    messages = list(LoCoMo().read(files / "locomo.json"))
    assert [(m.session, m.key) for m in messages] == [
        ("session_1", "D1:1"),
        ("session_1", "D1:2"),
        ("session_2", "D2:1"),
        ("session_2", "D2:2"),
        ("session_2", "D2:3"),
        ("session_10", "D10:1"),
    ]
    assert {m.namespace for m in messages} == {"conv-1"}
    assert [m.speaker for m in messages[:2]] == ["Ana", "Ben"]


def test_every_turn_of_a_session_carries_the_date_of_the_session(files):
    dates = [m.at for m in LoCoMo().read(files / "locomo.json")]
    assert dates[:2] == [datetime(2023, 5, 8, 13, 56, tzinfo=UTC)] * 2
    assert dates[2:5] == [datetime(2023, 6, 1, 12, 48, tzinfo=UTC)] * 3
    assert dates[5] == datetime(2024, 1, 1, 0, 5, tzinfo=UTC)


def test_the_caption_of_a_picture_follows_the_text_and_nothing_else_of_it_is_kept(files):
    shown, wordless = list(LoCoMo().read(files / "locomo.json"))[3:5]
    assert shown.text == "Look. [picture: a photo of a yellow tram]"
    assert dict(shown.metadata) == {"caption": "a photo of a yellow tram"}
    assert wordless.text == "[picture: a photo of the sea]"


def test_is_told_by_the_evidence_when_the_questions_fill_the_head(write):
    question = {"question": "?" * 100, "answer": "!", "evidence": ["D1:1"], "category": 4}
    conversation = {"session_1_date_time": DATE, "session_1": [TURN]}
    sample = {"qa": [question] * 2000, "conversation": conversation, "sample_id": "c"}
    path = write("l.json", json.dumps([sample]))
    assert detect(path).name == "locomo"
    assert scan(path) == Scan("locomo", 1, ("c",))


@pytest.mark.parametrize(
    ("conversation", "what"),
    [
        ({"session_1": [TURN]}, "session_1 has no session_1_date_time"),
        ({"session_1_date_time": DATE, "session_1": [TURN, TURN]}, "the dia_id D1:1 is taken"),
        ({"session_1_date_time": DATE, "session_1": [{"text": "Hi."}]}, "a turn must have dia_id"),
        ({"session_1_date_time": DATE, "session_1": ["Hi."]}, "a turn must have dia_id"),
    ],
)
def test_a_mistake_is_named_with_its_conversation(conversation, what, read):
    with pytest.raises(
        FormatError, match=rf"^l\.json line 1, conversation 1(, session_1)?: {what}"
    ):
        read(conversation)


def test_a_sample_without_an_id_is_refused(read):
    with pytest.raises(FormatError, match="conversation 1: sample_id must be a string, got None"):
        read({}, sample_id=None)


def test_a_date_that_does_not_parse_is_named_with_its_session(read):
    with pytest.raises(DateError, match="conversation 1, session_1: date 'May' does not parse"):
        read({"session_1_date_time": "May", "session_1": [TURN]})


def test_an_element_that_is_no_sample_is_refused(write):
    with pytest.raises(FormatError, match=r"l\.json line 2, conversation 1: expected an object"):
        scan(write("l.json", "[\n7]"), "locomo")
