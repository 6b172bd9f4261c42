"""JSON lines: one message per line, the format that any script can write."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC
from hashlib import blake2b
from pathlib import Path
from typing import ClassVar

from memsieve.errors import FormatError
from memsieve.formats.base import Format
from memsieve.formats.files import Part, opened
from memsieve.formats.record import NAMES, message
from memsieve.formats.stream import parse
from memsieve.types import Message

# Far above the longest text, so that a file without line breaks is refused, not swallowed.
MAX_LINE_BYTES = 16 << 20
_KEY_BYTES = 16


def numbered_lines(part: Part) -> Iterator[tuple[int, bytes]]:
    """The lines of `part` that are not blank, counted from 1, in constant memory.

    Raises
    ------
    FormatError
        If a line is longer than 16 MiB.
    """
    with opened(part) as file:
        for number, line in enumerate(iter(lambda: file.readline(MAX_LINE_BYTES + 1), b""), 1):
            if len(line) > MAX_LINE_BYTES:
                raise FormatError(
                    f"{part.name} line {number}: longer than {MAX_LINE_BYTES:,} bytes: "
                    "write one message per line"
                )
            if line.strip(b"\xef\xbb\xbf \t\r\n"):
                yield number, line


@dataclass(frozen=True, slots=True)
class JSONL(Format):
    """One JSON object per line; `record.message` says which fields it may have.

    A line without a key gets one of its content: blake2b(namespace, session, at, speaker,
    text) and the number of earlier lines that were the same, so "ok" said twice is kept twice
    and still nothing is added when the file comes again or has grown. Streams; what grows is
    the counter, about 130 bytes for every line without a key.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     chat = Path(folder, "chat.jsonl")
    ...     _ = chat.write_text('{"text": "Hi.", "at": "2026-03-02", "speaker": "Ana"}')
    ...     [(m.speaker, m.text, m.key) for m in JSONL().read(chat)]
    [('Ana', 'Hi.', 'e34ac246416aa502be04011e140374e8-0')]
    """

    name: ClassVar[str] = "jsonl"
    description: ClassVar[str] = "one message per line: text, at, session, speaker, role, ..."
    is_fallback: ClassVar[bool] = True

    def matches(self, path: Path, head: bytes) -> bool:
        """By its ending, or by a first line that is an object with a text."""
        if path.suffix.lower() in (".jsonl", ".ndjson"):
            return True
        first = head.strip().split(b"\n", 1)[0]
        try:
            record = parse(first, path.name)
        except FormatError:
            return False
        return isinstance(record, dict) and any(name in record for name in NAMES["text"])

    def places(self, path: Path) -> Iterator[tuple[str, Message]]:
        same: Counter[bytes] = Counter()
        for number, line in numbered_lines(Part(path)):
            place = f"{path.name} line {number}"
            found = message(parse(line, path.name, line=number), place)
            if found.key is None:
                digest = _digest(found)
                found = replace(found, key=f"{digest.hex()}-{same[digest]}")
                same[digest] += 1
            yield place, found


def _digest(found: Message) -> bytes:
    # Frozen: another hash would import every file a second time.
    at = found.at and found.at.astimezone(UTC).isoformat()
    content = [found.namespace, found.session, at, found.speaker, found.text]
    return blake2b(json.dumps(content).encode(), digest_size=_KEY_BYTES).digest()
