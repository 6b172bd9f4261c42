"""From what a caller hands in to records ready to be written: checked, analysed, embedded."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from datetime import date, datetime, time, tzinfo
from functools import lru_cache
from typing import Any

import numpy as np

from memsieve.embed import Embedder, WordPiece
from memsieve.embed.quantise import pack
from memsieve.errors import InputError, ParameterError
from memsieve.formats.when import aware, parse_when
from memsieve.rules import field_problem, text_problem
from memsieve.search.words import terms
from memsieve.store.base import IndexRow, Record, TimeRow
from memsieve.timeline import Reader, annotated
from memsieve.traits import traits
from memsieve.types import Interval, Mention, Message

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
    at, slot = as_moment(message.at), message.slot
    if slot is not None and slot != (slot[0], slot[1]):  # a list, from JSON
        message = replace(message, slot=(slot[0], slot[1]))
    return message if at is message.at else replace(message, at=at)


def as_moment(at: datetime | str | None, now: datetime | None = None) -> datetime | None:
    """An aware moment at its own fixed offset; a naive one is UTC, text read by `parse_when`."""
    if at is None:
        return None
    if isinstance(at, str):
        return parse_when(at, now=now)
    if not isinstance(at, datetime):
        raise ParameterError(f"at must be a datetime or text such as '2026-03-02', got {at!r}")
    try:
        return aware(at)
    except OverflowError as error:
        raise ParameterError(f"at lies outside the years 1 to 9999 in UTC: {at!r}") from error


def _stated(given: Addable) -> dict[str, Any]:
    if isinstance(given, str):
        return {"text": given}
    if isinstance(given, Message):
        return {n: value for n in _FIELDS if (value := getattr(given, n)) is not None}
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
    """Turns checked messages into records: words, tokens, vectors and times in batches."""

    def __init__(self, embedder: Embedder, timeline: Reader) -> None:
        self.embedder, self.timeline = embedder, timeline
        self._pieces = WordPiece.shipped()

    def count(self, text: str) -> int:
        """Length of a text in tokens of the shipped WordPiece vocabulary."""
        return self._pieces.count(text)

    def records(self, messages: Sequence[Message], now: datetime) -> list[Record]:
        """Records in the order of `messages`; what has no date was said `now`."""
        texts = [message.text for message in messages]
        clocks = [message.at or now for message in messages]
        derived = zip(messages, clocks, self.index(texts), self.times(texts, clocks), strict=True)
        return [Record(*parts) for parts in derived]

    def times(self, texts: Sequence[str], clocks: Sequence[datetime]) -> list[TimeRow]:
        """The times of each text, read against the clock of whoever said it."""
        return [self._times(text, clock) for text, clock in zip(texts, clocks, strict=True)]

    def _times(self, text: str, clock: datetime) -> TimeRow:
        mentions = tuple(self.timeline.mentions(text, clock))
        dated_tokens = 0
        if any(mention.is_relative for mention in mentions):
            dated_tokens = self.count(annotated(text, mentions, clock)) - self.count(text)
        return TimeRow(mentions, _happened(mentions, clock), dated_tokens)

    def index(self, texts: Sequence[str]) -> list[IndexRow]:
        """The index row of each text."""
        if self.embedder.dimensions:
            codes, scales = pack(self.embedder.embed(texts))
        else:
            codes, scales = np.empty((len(texts), 0), np.int8), np.zeros(len(texts), np.float32)
        return [
            IndexRow(self._pieces.count(text), terms(text).astype("<u4").tobytes(),
                     code.tobytes(), float(scale), traits(text))
            for text, code, scale in zip(texts, codes, scales, strict=True)
        ]  # fmt: skip


def _happened(mentions: Sequence[Mention], clock: datetime) -> Interval:
    """The interval of the surest mention, the first of equals; without any, the clock's day."""
    if mentions:
        return max(mentions, key=lambda mention: mention.weight).interval
    return _day(clock.date(), clock.tzinfo)


@lru_cache(maxsize=16)  # what is said in one go is mostly said on one day
def _day(day: date, zone: tzinfo | None) -> Interval:
    return Interval.day_of(datetime.combine(day, time.min, zone))
