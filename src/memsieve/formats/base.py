"""What every format is, and the four doors: detect, open_format, read and scan.

A format turns a file into `Message`s and stores nothing. Each message carries a key that the
file's content alone decides, so importing a file twice adds nothing, and an import that broke
off is taken up again by starting it again.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

from memsieve.errors import DateError, FormatError, ParameterError
from memsieve.formats.files import peek, present
from memsieve.formats.when import parse_when
from memsieve.rules import field_problem, text_problem
from memsieve.types import Message

AUTO = "auto"
FORMATS: dict[str, type["Format"]] = {}
SOURCE_OF_ROLE = {"user": "user", "human": "user", "assistant": "assistant", "tool": "tool"}


class Format(ABC):
    """One way in which conversations lie in files.

    A subclass states `name` and `description`, tells its own files in `matches`, and yields
    messages from `places`, each with the place that error messages name. It is registered
    under its name by being imported.
    """

    __slots__ = ()

    name: ClassVar[str]
    description: ClassVar[str]
    # Formats whose marks are weak are asked last.
    is_fallback: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "name" in cls.__dict__:
            FORMATS[cls.name] = cls

    @abstractmethod
    def matches(self, path: Path, head: bytes) -> bool:
        """Whether `path`, which begins with `head` (see `files.peek`), looks like this format."""

    @abstractmethod
    def places(self, path: Path) -> Iterator[tuple[str, Message]]:
        """The messages in the order of the file, each with where it stands, unchecked."""

    def read(self, path: str | Path) -> Iterator[Message]:
        """The messages of `path` in the order of the file, checked one by one.

        Raises
        ------
        NotFoundError
            If nothing is there.
        FormatError
            Where the content is not in this format, with the place.
        DateError
            Where a date does not parse, with the place.
        """
        for place, message in self.places(present(path)):
            _check(message, place)
            yield message


@dataclass(frozen=True, slots=True)
class Scan:
    """What a walk through a file found: its format, how many messages, for which namespaces.

    `namespaces` are in the order of their first message; messages that name none are not in it.
    """

    format: str
    messages: int
    namespaces: tuple[str, ...]


def detect(path: str | Path) -> Format:
    """The format whose marks stand in the first 64 KiB of `path`.

    Raises
    ------
    NotFoundError
        If nothing is there.
    FormatError
        If no format knows its marks.
    """
    path = present(path)
    head = peek(path)
    for format_class in sorted(FORMATS.values(), key=lambda one: (one.is_fallback, one.name)):
        if (found := format_class()).matches(path, head):
            return found
    raise FormatError(
        f"{path} looks like none of {', '.join(sorted(FORMATS))}: "
        "name its format with --format (format= in Python)"
    )


def open_format(path: str | Path, name: str | Format = AUTO) -> Format:
    """The format called `name`, or the detected one for "auto"; a `Format` is handed back.

    Raises
    ------
    NotFoundError
        If nothing is at `path`.
    ParameterError
        If no format is called `name`.
    FormatError
        If `name` is "auto" and no format knows the content.
    """
    path = present(path)
    if isinstance(name, Format):
        return name
    if name == AUTO:
        return detect(path)
    if name not in FORMATS:
        known = ", ".join([AUTO, *sorted(FORMATS)])
        raise ParameterError(f"format must be one of {known}, got {name!r}")
    return FORMATS[name]()


def read(path: str | Path, format: str | Format = AUTO) -> Iterator[Message]:
    """The messages of `path`, streamed; raises what `open_format` and `Format.read` raise.

    Opening is checked at the call, the content as it is walked.
    """
    return open_format(path, format).read(path)


def scan(path: str | Path, format: str | Format = AUTO) -> Scan:
    """Walk the whole of `path` and check every message, storing nothing.

    An import that calls this first either finds a mistake before it has begun, or knows how
    many messages are coming. Raises what `read` raises.
    """
    opened = open_format(path, format)
    namespaces: dict[str, None] = {}
    n_messages = 0
    for message in opened.read(path):
        n_messages += 1
        if message.namespace is not None:
            namespaces[message.namespace] = None
    return Scan(opened.name, n_messages, tuple(namespaces))


def moment(value: object, place: str) -> datetime | None:
    """`parse_when` of what a file says at `place`; None where it says nothing.

    Raises
    ------
    DateError
        If it does not parse, with the place in front.
    """
    if value is None:
        return None
    try:
        return parse_when(value)
    except DateError as error:
        raise DateError(f"{place}: {error}") from None


def mapping(value: Any) -> dict[str, Any]:
    """`value` if it is a JSON object, else an empty one: exports leave out what is empty."""
    return value if isinstance(value, dict) else {}


def listing(value: Any) -> list[Any]:
    """`value` if it is a JSON array, else an empty one."""
    return value if isinstance(value, list) else []


def string(value: Any) -> str | None:
    """`value` if it is a JSON string that holds something, else None."""
    return value if isinstance(value, str) and value else None


def _check(message: Message, place: str) -> None:
    if problem := text_problem(message.text) or field_problem(message):
        raise FormatError(f"{place}: {problem}")
