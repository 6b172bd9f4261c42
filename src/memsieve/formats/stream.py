"""JSON read piece by piece: the elements of one long array, without holding the whole of it."""

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any, BinaryIO, NoReturn

from memsieve.errors import FormatError

CHUNK_BYTES = 1 << 20
_DECODER = json.JSONDecoder()
_SPACE = re.compile(r"[ \t\n\r]*")
_CLOSED_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
# A cut inside a token is reported where the token starts: at most "-Infinity" before the end.
_LONGEST_TOKEN_CHARS = 16


def elements(
    file: BinaryIO, name: str, *, chunk_bytes: int = CHUNK_BYTES
) -> Iterator[tuple[int, Any]]:
    """The elements of a JSON array that is the whole file, each with the line it starts on.

    The same values as `json.load` gives, in memory for one element and one chunk. Linear in
    the file: an element that is longer than what was read is tried again only after the
    buffer has doubled, so that no byte is decoded more than about three times.

    Parameters
    ----------
    file
        Open for reading bytes; UTF-8, with or without a byte order mark.
    name
        How error messages call the file.
    chunk_bytes
        What is read at a time, at least 1. A megabyte holds a few hundred chats.

    Raises
    ------
    FormatError
        Where the file is no array, not JSON or not UTF-8, with the line.

    Examples
    --------
    >>> import io
    >>> list(elements(io.BytesIO(b'[{"a": 1},\\n 2]'), "a.json"))
    [(1, {'a': 1}), (2, 2)]
    """
    text = _Text(file, name, chunk_bytes)
    if (opening := text.sign()) != "[":
        text.fail("expected a JSON array" + (f", got {opening!r}" if opening else ", got nothing"))
    text.skip(1)
    expected = "]" if text.sign() == "]" else ""
    while expected != "]":
        yield text.line, text.value()
        expected = text.sign()
        if expected not in (",", "]"):
            text.fail("not valid JSON: expected ',' or ']' after an element of the array")
        if expected == ",":
            text.skip(1)
            text.sign()
    text.skip(1)
    if text.sign():
        text.fail("not valid JSON: something follows the end of the array")


class _Text:
    """A window on the decoded file: what is in front of `position` is dropped at each filling.

    `line` counts from 1 and is the line at `position`.
    """

    __slots__ = ("_buffer", "_chunk_bytes", "_decoder", "_file", "_name", "line", "position")

    def __init__(self, file: BinaryIO, name: str, chunk_bytes: int) -> None:
        self._file = file
        self._name = name
        self._chunk_bytes = chunk_bytes
        self._decoder: codecs.IncrementalDecoder | None = codecs.getincrementaldecoder(
            "utf-8-sig"
        )()
        self._buffer = ""
        self.position = 0
        self.line = 1

    def sign(self) -> str:
        """The next character that is not white space; "" at the end of the file."""
        while True:
            blank = _SPACE.match(self._buffer, self.position)
            self.skip(blank.end() - self.position if blank else 0)
            if self.position < len(self._buffer):
                return self._buffer[self.position]
            if not self._fill():
                return ""

    def skip(self, n_chars: int) -> None:
        self.line += self._buffer.count("\n", self.position, self.position + n_chars)
        self.position += n_chars

    def value(self) -> Any:
        """The JSON value at `position`, which moves behind it."""
        while True:
            try:
                value, end = _DECODER.raw_decode(self._buffer, self.position)
            except json.JSONDecodeError as error:
                if not self._cut_before(error.pos) or not self._fill():
                    self.fail(f"not valid JSON: {error.msg}", error.pos)
            except (RecursionError, ValueError) as error:
                self.fail(f"JSON that cannot be read: {error}")
            else:
                if not self._may_go_on(end) or not self._fill():
                    self.skip(end - self.position)
                    return value

    def fail(self, what: str, position: int | None = None) -> NoReturn:
        behind = self.position if position is None else position
        line = self.line + self._buffer.count("\n", self.position, behind)
        raise FormatError(f"{self._name} line {line}: {what}")

    def _cut_before(self, position: int) -> bool:
        """Whether more text might mend what is wrong at `position`."""
        if not self._buffer[position + _LONGEST_TOKEN_CHARS :].strip(" \t\n\r"):
            return True
        # A string that is cut is reported where it opens, however long it is.
        return self._buffer[position] == '"' and not _CLOSED_STRING.match(self._buffer, position)

    def _may_go_on(self, end: int) -> bool:
        """Whether the value that ends at `end` may be the front of a longer number."""
        behind = self._buffer[end : end + _LONGEST_TOKEN_CHARS]
        return len(behind) < _LONGEST_TOKEN_CHARS and behind.lstrip(" \t\n\r")[:1] not in (",", "]")

    def _fill(self) -> bool:
        """Read at least as much as is left over; False at the end of the file."""
        if self._decoder is None:
            return False
        left = self._buffer[self.position :]
        raw = self._file.read(max(self._chunk_bytes, len(left)))
        try:
            more = self._decoder.decode(raw, final=not raw)
        except UnicodeDecodeError as error:
            before = left + error.object[: error.start].decode("utf-8", "replace")
            line = self.line + before.count("\n")
            raise FormatError(_not_utf8(f"{self._name} line {line}", error)) from None
        if not raw:
            self._decoder = None
            return False
        self._buffer = left + more
        self.position = 0
        return True


def parse(raw: bytes, name: str, *, line: int = 1) -> Any:
    """The one JSON value in `raw`, which stands on line `line` of the file `name`.

    Raises
    ------
    FormatError
        If it is not UTF-8, not JSON, or nested too deeply, with the line.

    Examples
    --------
    >>> parse(b'{"a": }', "a.jsonl", line=3)
    Traceback (most recent call last):
    memsieve.errors.FormatError: a.jsonl line 3: not valid JSON: Expecting value (column 7)
    """
    try:
        # Without the line break: what is missing at the end belongs to this line.
        return json.loads(raw.decode("utf-8-sig").rstrip())
    except UnicodeDecodeError as error:
        at = line + raw.count(b"\n", 0, error.start)
        raise FormatError(_not_utf8(f"{name} line {at}", error)) from None
    except json.JSONDecodeError as error:
        at = line + error.lineno - 1
        raise FormatError(
            f"{name} line {at}: not valid JSON: {error.msg} (column {error.colno})"
        ) from None
    except (RecursionError, ValueError) as error:
        raise FormatError(f"{name} line {line}: JSON that cannot be read: {error}") from None


def _not_utf8(place: str, error: UnicodeDecodeError) -> str:
    return f"{place}: not valid UTF-8 (byte 0x{error.object[error.start]:02x}): save it as UTF-8"
