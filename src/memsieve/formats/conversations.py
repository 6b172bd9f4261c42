"""The open format of the benchmark: one JSON file per conversation, turns and questions."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from memsieve.errors import FormatError
from memsieve.formats.base import Format
from memsieve.formats.files import Part, named, whole
from memsieve.formats.record import message
from memsieve.formats.stream import parse
from memsieve.types import Message

_MARKS = re.compile(rb'"turns"\s*:\s*\[|"questions"\s*:\s*\[\s*\{')


@dataclass(frozen=True, slots=True)
class Conversations(Format):
    """A JSON file or a folder of them: `{"id", "turns": [...], "questions": [...]}`.

    A turn has "id" and "text" and may have "session", "at", "speaker" and every other field of
    `record.message`. The file's id is the namespace and the turn's id the key, so the ids that
    the questions give as evidence stay as they are. Questions are for the benchmark and not
    read here. One file is in memory at a time.
    """

    name: ClassVar[str] = "conversations"
    description: ClassVar[str] = "the open format: a JSON file or a folder of them, with turns"

    def matches(self, path: Path, head: bytes) -> bool:
        """An object with turns, or with questions where these come first."""
        return head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") and bool(_MARKS.search(head))

    def places(self, path: Path) -> Iterator[tuple[str, Message]]:
        parts = named(path, "*.json") if path.is_dir() else [Part(path)]
        if not parts:
            raise FormatError(f"{path} holds no .json file: name a folder of conversations")
        seen: dict[str, str] = {}
        for part in parts:
            content = parse(whole(part), part.name)
            conversation = _identity(content, part.name)
            if conversation in seen:
                raise FormatError(
                    f"{part.name}: the id {conversation!r} is taken by {seen[conversation]}: "
                    "give every conversation its own"
                )
            seen[conversation] = part.name
            yield from _turns(content["turns"], conversation, part.name)


def _identity(content: Any, name: str) -> str:
    if not isinstance(content, dict) or not isinstance(content.get("turns"), list):
        raise FormatError(f'{name}: expected an object {{"id": ..., "turns": [...]}}')
    identity = content.get("id")
    if isinstance(identity, bool) or not isinstance(identity, str | int) or identity == "":
        raise FormatError(f"{name}: id must be a string, got {identity!r}")
    return str(identity)


def _turns(turns: list[Any], namespace: str, name: str) -> Iterator[tuple[str, Message]]:
    keys: set[str] = set()
    for number, turn in enumerate(turns, 1):
        place = f"{name} turn {number}"
        found = replace(message(turn, place), namespace=namespace)
        if not found.key:
            raise FormatError(f"{place}: no id: questions name turns by it")
        if found.key in keys:
            raise FormatError(f"{place}: the id {found.key!r} is taken by an earlier turn")
        keys.add(found.key)
        yield place, found
