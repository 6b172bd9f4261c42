"""BFCL v4 memory: what users told an assistant in five scenarios, before they ask about it."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from memsieve.errors import FormatError
from memsieve.formats.base import SOURCE_OF_ROLE, Format, listing, mapping
from memsieve.formats.files import Part, named
from memsieve.formats.jsonl import numbered_lines
from memsieve.formats.stream import parse
from memsieve.types import Message

# One name is that of the published set, whose .json files are JSON lines too.
_PATTERNS = ("conversation_*.jsonl", "memory_*.json")
_MARKS = re.compile(rb'"question"\s*:\s*\[\s*\[\s*\{')


@dataclass(frozen=True, slots=True)
class BFCL(Format):
    """A folder with `conversation_SCENARIO.jsonl` files, or one of them.

    A scenario is a namespace and a row a session; its topic stands in the metadata. The key is
    "ROW:NUMBER", the number counting the row's messages from 0. Each turn of the published
    rows holds one message, so the number is the turn's too. The speaker is the role. The set
    has no dates, and none are made up: `at` is None, so what is stored is dated by the import;
    keys do not depend on it. Blank messages are skipped. Questions and answers in the same
    folder are for the benchmark and not read here.

    References
    ----------
    Patil and others, Berkeley Function Calling Leaderboard, version 4, category memory.
    """

    name: ClassVar[str] = "bfcl"
    description: ClassVar[str] = "BFCL v4 memory: a folder of conversation_SCENARIO.jsonl files"

    def matches(self, path: Path, head: bytes) -> bool:
        """A folder with such files, or rows of turns with a topic, which questions lack."""
        if path.is_dir():
            return bool(_parts(path))
        first = head.split(b"\n", 1)[0]
        return bool(_MARKS.search(first)) and b'"topic"' in first

    def places(self, path: Path) -> Iterator[tuple[str, Message]]:
        parts = _parts(path) if path.is_dir() else [Part(path)]
        if not parts:
            raise FormatError(f"{path} holds no {' and no '.join(_PATTERNS)}: name another folder")
        for part in parts:
            for number, line in numbered_lines(part):
                place = f"{part.name} line {number}"
                for message in _messages(mapping(parse(line, part.name, line=number)), place):
                    yield place, message


def _parts(folder: Path) -> list[Part]:
    return [part for pattern in _PATTERNS for part in named(folder, pattern)]


def _messages(row: dict[str, Any], place: str) -> Iterator[Message]:
    names = (row.get("id"), row.get("scenario"))
    turns = row.get("question")
    if not all(isinstance(name, str) and name for name in names) or not isinstance(turns, list):
        raise FormatError(f"{place}: a row must have id, scenario and question, a list of turns")
    session, namespace = map(str, names)
    spoken = [mapping(message) for turn in turns for message in listing(turn)]
    for number, message in enumerate(spoken):
        text, role = message.get("content"), message.get("role")
        if not isinstance(text, str) or not isinstance(role, str):
            raise FormatError(
                f"{place}: message {number} must have role and content as strings, "
                f"got {json.dumps(message)[:80]}"
            )
        if text.strip():
            yield Message(
                text,
                speaker=role,
                role=role,
                session=session,
                key=f"{session}:{number}",
                source=SOURCE_OF_ROLE.get(role, "import"),
                metadata={"topic": row["topic"]} if row.get("topic") else {},
                namespace=namespace,
            )
