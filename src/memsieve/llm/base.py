"""What a chat model promises, and how to find the JSON in what it wrote."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

_DECODER = json.JSONDecoder()

Messages = Sequence[Mapping[str, str]]
"""In order, each with `role` ("system", "user" or "assistant") and `content`."""


@dataclass(frozen=True, slots=True)
class Completion:
    """What a model wrote, verbatim, and the tokens it was charged; None where it does not say.

    `cut_off` where the endpoint says that the limit of tokens ended the text.
    """

    text: str
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cut_off: bool = False


@runtime_checkable
class Chat(Protocol):
    """Messages in, one completion out."""

    def complete(
        self, messages: Messages, *, max_tokens: int, temperature: float, top_p: float
    ) -> Completion:
        """The model's next message.

        Parameters
        ----------
        messages
            In order, each with `role` ("system", "user" or "assistant") and `content`.
        max_tokens
            The most that the model may write, >= 1.
        temperature, top_p
            >= 0, and in (0, 1].
        """
        ...


@runtime_checkable
class SchemaChat(Chat, Protocol):
    """A chat model whose endpoint can be told which form the answer must have."""

    @property
    def takes_schemas(self) -> bool:
        """Whether the endpoint is given the schema; where not, the prompt must state it."""
        ...

    def complete_as(
        self,
        schema: Mapping[str, Any] | None,
        messages: Messages,
        *,
        max_tokens: int,
        temperature: float,
        top_p: float,
    ) -> Completion:
        """The next message as `complete` gives it: one object of a JSON schema, or plain text."""
        ...


@runtime_checkable
class StreamingChat(Chat, Protocol):
    """A chat model that hands over its message while it writes."""

    def stream(
        self, messages: Messages, *, max_tokens: int, temperature: float, top_p: float
    ) -> Iterator[Completion]:
        """The pieces of the next message, plain text; the last one tells the tokens."""
        ...


def json_object(text: str) -> dict[str, Any] | None:
    """The first JSON object in a text, with or without prose around it; None if there is none.

    Braces that open no valid JSON are passed over. An object inside an array or inside a broken
    object counts too, for models are cut off and wrap what they write.

    Examples
    --------
    >>> json_object('Sure {thinking}: {"answer": "A"} Anything else?')
    {'answer': 'A'}
    >>> json_object('{"answer": "A"') is None
    True
    """
    start = text.find("{")
    while start >= 0:
        try:
            # Always a dictionary: what is decoded begins with a brace.
            return _DECODER.raw_decode(text, start)[0]
        except (ValueError, RecursionError):
            start = text.find("{", start + 1)
    return None
