"""What every format promises, and the four doors to them."""

import json
import subprocess
import sys
from dataclasses import FrozenInstanceError, dataclass
from typing import ClassVar

import pytest

from memsieve import formats
from memsieve.errors import FormatError, InputError, NotFoundError, ParameterError
from memsieve.formats import FORMATS, Scan, detect, open_format, read, scan
from memsieve.formats.files import peek
from memsieve.types import Message

FIXTURES = {
    "bfcl": "bfcl",
    "chatgpt": "chatgpt",
    "claude": "claude",
    "conversations": "conversations",
    "jsonl": "chat.jsonl",
    "locomo": "locomo.json",
    "tau2": "tau2",
}
every_format = pytest.mark.parametrize("name", sorted(FIXTURES))


def test_the_formats_are_the_seven_that_are_documented():
    assert sorted(FORMATS) == sorted(FIXTURES)
    assert {one.__name__ for one in FORMATS.values()} < set(formats.__all__)


@every_format
def test_a_format_says_in_one_line_what_it_reads(name):
    assert 20 < len(FORMATS[name].description) < 80
    assert FORMATS[name].__doc__


@every_format
def test_a_format_is_told_by_the_head_of_its_files_and_no_other_claims_it(name, files):
    path = files / FIXTURES[name]
    claims = [
        one.name
        for one in FORMATS.values()
        if one().matches(path, peek(path)) and not one.is_fallback
    ]
    assert claims == [name][: len(claims)]
    assert detect(path).name == name


@every_format
def test_every_message_has_a_key_of_its_own_within_its_namespace(name, files):
    keys = [(m.namespace, m.key) for m in read(files / FIXTURES[name])]
    assert all(key for _, key in keys)
    assert len(set(keys)) == len(keys) > 0


@every_format
def test_reading_twice_gives_the_same_messages(name, files):
    path = files / FIXTURES[name]
    assert list(read(path)) == list(read(path, name)) == list(FORMATS[name]().read(str(path)))


@every_format
def test_every_message_has_words_and_an_aware_time_or_none(name, files):
    for message in read(files / FIXTURES[name]):
        assert message.text.strip()
        assert message.at is None or message.at.utcoffset() is not None


@every_format
def test_a_scan_counts_what_a_reading_yields(name, files):
    path = files / FIXTURES[name]
    messages = list(read(path))
    spaces = dict.fromkeys(m.namespace for m in messages if m.namespace is not None)
    assert scan(path) == Scan(name, len(messages), tuple(spaces))


@every_format
def test_a_format_is_rebuilt_by_its_repr_and_never_changes(name):
    one = FORMATS[name]()
    assert eval(repr(one), vars(formats)) == one
    with pytest.raises((FrozenInstanceError, AttributeError, TypeError)):
        one.name = "other"


@every_format
@pytest.mark.parametrize("door", [detect, open_format, read, scan])
def test_a_path_that_is_not_there_is_named_at_the_call(name, door, tmp_path):
    with pytest.raises(NotFoundError, match=r"no such file or folder: .*gone\.json"):
        door(tmp_path / "gone.json", *([name] if door is not detect else []))


def test_an_unknown_format_is_answered_with_the_known_ones(files):
    with pytest.raises(ParameterError) as caught:
        read(files / "chat.jsonl", "slack")
    assert str(caught.value) == (
        "format must be one of auto, bfcl, chatgpt, claude, conversations, jsonl, locomo, tau2, "
        "got 'slack'"
    )


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("notes.txt", "Dear diary,"),
        ("empty.json", ""),
        ("list.json", "[]"),
        ("numbers.json", "[1, 2, 3]"),
        ("object.json", '{"hello": "world"}'),
        ("picture.png", b"\x89PNG\r\n\x1a\n\x00\xff"),
        ("folder/notes.txt", "in a folder"),
    ],
)
def test_what_no_format_knows_is_answered_with_what_was_tried_and_the_way_out(
    name, content, write, tmp_path
):
    write(name, content)
    with pytest.raises(FormatError, match=r"looks like none of bfcl, .*, tau2: .*--format"):
        read(tmp_path / name.split("/", maxsplit=1)[0])


def test_a_format_object_is_taken_as_it_is(files):
    branches = formats.ChatGPT(all_branches=True)
    assert open_format(files / "chatgpt", branches) is branches
    assert scan(files / "chatgpt", branches).messages > scan(files / "chatgpt").messages


def test_names_inside_of_texts_do_not_mislead_the_detection(write):
    said = json.dumps('"mapping": {"chat_messages": [ "dia_id": "turns": [')
    path = write("trap.txt", f'{{"text": {said}}}')
    assert detect(path).name == "jsonl"
    assert detect(write("a.json", f'[{{"chat_messages": [{{"text": {said}}}]}}]')).name == "claude"


@dataclass(frozen=True, slots=True)
class Spoken(formats.Format):
    """A format that yields what it is given; not registered, for it states no name."""

    message: Message
    description: ClassVar[str] = "a single message"

    def matches(self, path, head):
        return False

    def places(self, path):
        yield "here", self.message


def checked(path, text="Hi.", **fields):
    return list(Spoken(Message(text, key="k", **fields)).read(path))


def test_what_no_store_could_hold_is_refused_with_its_place(tmp_path):
    for fields, what in [
        ({"text": "\n"}, "text must not be blank"),
        ({"text": "\ud83d"}, r"half of a surrogate pair \(U\+D83D\)"),
        ({"speaker": "\udc00"}, r"speaker: half of a surrogate pair \(U\+DC00\)"),
        ({"metadata": {"a": ["\ud83d"]}}, r"metadata: half of a surrogate pair \(U\+D83D\)"),
        ({"metadata": {"a": float("nan")}}, "metadata must be a mapping that JSON can hold"),
        (
            {"text": "é" * (1 << 19) + "x"},
            "text has 1,048,577 bytes, the limit is 1,048,576",
        ),
        ({"kind": "poem"}, r"kind must be one of turn, .*, got 'poem'"),
        ({"source": "web"}, r"source must be one of user, .*, got 'web'"),
        ({"trust": 1.5}, r"trust must be a number in \[0, 1\], got 1.5"),
        ({"trust": float("nan")}, r"trust must be a number in \[0, 1\], got nan"),
        ({"slot": ("Ana",)}, "slot must be a pair, subject and attribute"),
        ({"trust": True}, r"trust must be a number in \[0, 1\], got True"),
    ]:
        with pytest.raises(FormatError, match=f"^here: {what}"):
            checked(tmp_path, **fields)


def test_what_a_store_can_hold_passes_unchanged(tmp_path):
    for fields in (
        {"text": "\x00 kept \U0001f68b "},
        {"text": "é" * (1 << 19)},
        {"metadata": {"a": [None, 1, "é"]}},
        {"kind": "fact", "source": "tool", "trust": 0},
    ):
        assert checked(tmp_path, **fields) == [Message(**{"text": "Hi.", "key": "k", **fields})]


def test_a_file_that_may_not_be_read_is_an_input_error(write, monkeypatch):
    path = write("chat.jsonl", "{}")

    def denied(*_, **__):
        raise PermissionError(13, "Permission denied")

    # Tests may run as root, whom no mode of the file keeps out.
    monkeypatch.setattr(type(path), "open", denied)
    with pytest.raises(InputError, match=r"chat\.jsonl cannot be read: Permission denied"):
        read(path)


def test_importing_the_formats_loads_neither_zipfile_nor_dateutil():
    code = "import sys, memsieve.formats; print({'zipfile', 'dateutil'} & set(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "set()"
