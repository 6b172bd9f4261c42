"""Formats that are one JSON array with a conversation in each element, read as a stream."""

import re
from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from memsieve.errors import FormatError
from memsieve.formats.base import Format
from memsieve.formats.files import chats, opened
from memsieve.formats.stream import elements
from memsieve.types import Message


class ConversationArray(Format):
    """A file `[conversation, ...]`, alone, in parts, in a folder or in the zip it came in.

    A subclass states the `marks` by which the head of such a file is told, and turns one
    conversation into messages. One conversation is in memory at a time.
    """

    __slots__ = ()

    marks: ClassVar[re.Pattern[bytes]]

    def matches(self, path: Path, head: bytes) -> bool:
        """An array in which the marks stand."""
        opening = head.lstrip(b"\xef\xbb\xbf \t\r\n")
        return opening.startswith(b"[") and bool(self.marks.search(head))

    def places(self, path: Path) -> Iterator[tuple[str, Message]]:
        for part in chats(path):
            with opened(part) as file:
                for number, (line, conversation) in enumerate(elements(file, part.name), 1):
                    place = f"{part.name} line {line}, conversation {number}"
                    if not isinstance(conversation, dict):
                        raise FormatError(f"{place}: expected an object, got {conversation!r:.60}")
                    yield from self.turns(conversation, place)

    @abstractmethod
    def turns(self, conversation: dict[str, Any], place: str) -> Iterator[tuple[str, Message]]:
        """The messages of one conversation, each with its place."""
