"""tau2-bench, banking knowledge: the policy documents that an agent's tasks must be solved by."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from memsieve.errors import FormatError
from memsieve.formats.base import Format, mapping
from memsieve.formats.files import Part, peek
from memsieve.formats.jsonl import numbered_lines
from memsieve.formats.stream import parse
from memsieve.types import Message

NAMESPACE = "tau2-banking"
_DOCUMENTS, _TASKS = "documents.jsonl", "tasks.json"
_MARKS = re.compile(rb'"(?:user_scenario|required_documents)"\s*:')


@dataclass(frozen=True, slots=True)
class Tau2(Format):
    """A folder with `documents.jsonl` and `tasks.json`, or the documents alone.

    A document is a message of kind "document": its title, a blank line, its content. The key is
    its id, the namespace "tau2-banking". Nobody says a document and it belongs to no
    conversation, so there is neither speaker nor session. The set has no dates, and none are
    made up: `at` is None, so what is stored is dated by the import; keys do not depend on it. A
    title or content that is blank is left out, and so is a document without both. The tasks are
    for the benchmark and not read here.

    References
    ----------
    Barres and others, tau2-bench: evaluating conversational agents in a dual-control
    environment, 2025; the domain of banking knowledge of its repository. Differs: the documents
    stand in one file of JSON lines.
    """

    name: ClassVar[str] = "tau2"
    description: ClassVar[str] = "tau2-bench, banking: a folder of documents.jsonl and tasks.json"

    def matches(self, path: Path, head: bytes) -> bool:
        """A folder with both files, the second with marks of a task.

        The documents alone are not claimed: id, title and content are anybody's names.
        """
        tasks = path / _TASKS
        both = (path / _DOCUMENTS).is_file() and tasks.is_file()
        return both and bool(_MARKS.search(peek(tasks)))

    def places(self, path: Path) -> Iterator[tuple[str, Message]]:
        part = Part(path / _DOCUMENTS if path.is_dir() else path)
        ids: set[str] = set()
        for number, line in numbered_lines(part):
            place = f"{part.name} line {number}"
            message = _message(mapping(parse(line, part.name, line=number)), place)
            if message.key in ids:
                raise FormatError(
                    f"{place}: the id {message.key!r} is taken by an earlier document"
                )
            ids.add(str(message.key))
            if message.text:
                yield place, message


def _message(row: dict[str, Any], place: str) -> Message:
    fields = [row.get(name) for name in ("id", "title", "content")]
    if not all(isinstance(field, str) for field in fields) or not row["id"]:
        raise FormatError(
            f"{place}: a document must have id, title and content as strings, got {row!r:.80}"
        )
    key, *parts = map(str, fields)
    return Message(
        "\n\n".join(part for part in parts if part.strip()),
        key=key,
        kind="document",
        source="import",
        namespace=NAMESPACE,
    )
