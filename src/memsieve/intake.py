"""From what a caller hands in to records ready to be written: checked, analysed, embedded."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from memsieve.embed import Embedder, WordPiece
from memsieve.embed.quantise import pack
from memsieve.errors import InputError, ParameterError
from memsieve.formats.when import parse_when
from memsieve.rules import field_problem, text_problem
from memsieve.search.words import terms
from memsieve.store.base import IndexRow, Record
from memsieve.types import Message

Addable = str | Message | Mapping[str, Any]
_FIELDS = {field.name for field in fields(Message)}
_ALIASES = {"content": "text"}


def as_message(given: Addable, **defaults: Any) -> Message:
    """A checked message from text, a message, or a mapping such as a chat API's.

    `defaults` fill the fields that `given` does not state. Mappings take the fields of
    `Message`, `content` for the text, and `at` as text.

    Raises
    ------
    InputError, ParameterError, DateError
        If the text is blank, too long or no Unicode, or a field lies outside its rule.
    """
    stated = _stated(given)
    message = Message(**{**{k: v for k, v in defaults.items() if v is not None}, **stated})
    if problem := text_problem(message.text):
        raise InputError(problem)
    if problem := field_problem(message):
        raise ParameterError(problem)
    return replace(message, at=as_moment(message.at))


def as_moment(at: datetime | str | None, now: datetime | None = None) -> datetime | None:
    """An aware moment in UTC; a naive one is read as UTC, text as `parse_when` reads it."""
    if at is None:
        return None
    if isinstance(at, str):
        return parse_when(at, now=now)
    if not isinstance(at, datetime):
        raise ParameterError(f"at must be a datetime or text such as '2026-03-02', got {at!r}")
    try:
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except OverflowError as error:
        raise ParameterError(f"at lies outside the years 1 to 9999 in UTC: {at!r}") from error


def _stated(given: Addable) -> dict[str, Any]:
    if isinstance(given, str):
        return {"text": given}
    if isinstance(given, Message):
        return {name: getattr(given, name) for name in _FIELDS if getattr(given, name) is not None}
    if isinstance(given, Mapping):
        stated = {_ALIASES.get(name, name): value for name, value in given.items()}
        if unknown := sorted(map(str, set(stated) - _FIELDS)):
            raise ParameterError(
                f"a message has no field {unknown[0]!r}: put it into 'metadata', or use one of "
                f"{', '.join(sorted(_FIELDS))}"
            )
        if "text" not in stated:
            raise ParameterError("a message needs a field 'text' or 'content'")
        return {name: value for name, value in stated.items() if value is not None}
    raise ParameterError(f"can only add text, messages and mappings, got {type(given).__name__}")


class Analyst:
    """Turns checked messages into records: words, tokens and vectors in batches."""

    def __init__(self, embedder: Embedder) -> None:
        self.embedder = embedder
        self._pieces = WordPiece.shipped()

    def count(self, text: str) -> int:
        """Length of a text in tokens of the shipped WordPiece vocabulary."""
        return self._pieces.count(text)

    def records(self, messages: Sequence[Message], now: datetime) -> list[Record]:
        """Records in the order of `messages`; what has no date was said `now`."""
        rows = self.index([message.text for message in messages])
        return [
            Record(message, message.at or now, row)
            for message, row in zip(messages, rows, strict=True)
        ]

    def index(self, texts: Sequence[str]) -> list[IndexRow]:
        """The index row of each text."""
        if self.embedder.dimensions:
            codes, scales = pack(self.embedder.embed(texts))
        else:
            codes, scales = np.empty((len(texts), 0), np.int8), np.zeros(len(texts), np.float32)
        return [
            IndexRow(self._pieces.count(text), terms(text).astype("<u4").tobytes(),
                     code.tobytes(), float(scale))
            for text, code, scale in zip(texts, codes, scales, strict=True)
        ]  # fmt: skip
