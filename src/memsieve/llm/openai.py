"""Any endpoint that speaks OpenAI's `/chat/completions`: a hosted one or a local server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from memsieve.embed.base import ApiKey
from memsieve.embed.endpoint import Endpoint
from memsieve.embed.transport import Transport
from memsieve.errors import EndpointError, ParameterError
from memsieve.llm.base import Completion, Messages
from memsieve.llm.events import data_of
from memsieve.llm.shape import is_closed

ROLES = ("system", "user", "assistant")


class OpenAI(Endpoint):
    """Completions from an OpenAI-compatible endpoint.

    Nothing is sent before a completion is asked for. Connections are kept between calls until
    `close` or the end of a `with` block. Neither environment variables nor configuration files are
    read.

    Parameters
    ----------
    model
        As the endpoint names it.
    base_url
        Up to and without ``/chat/completions``, such as ``https://api.openai.com/v1``. It holds
        no key: no user name, no query.
    api_key
        Sent as bearer token. A function is called once per request, so keys may change.
    json_mode
        Ask the endpoint to write nothing but one JSON object (`response_format`); the prompt must
        then speak of JSON. Off for endpoints that refuse the field.
    takes_schemas
        Give the endpoint the JSON schema of a typed answer; off for endpoints that know no more
        than JSON mode. Without JSON mode it is never given.
    transport
        Time-out, retries, proxy. A stream is tried once.

    Raises
    ------
    ParameterError
        If an option lies outside its rule, or the key is empty or not ASCII.
    EndpointError
        From the calls: the endpoint cannot be reached, refuses, or answers something else.
    MissingExtraError
        From the calls: httpx is not installed.

    Examples
    --------
    >>> OpenAI("gpt-4o-mini", "https://api.openai.com/v1")
    OpenAI('gpt-4o-mini', 'https://api.openai.com/v1')
    """

    __slots__ = ("json_mode", "takes_schemas")

    def __init__(
        self,
        model: str,
        base_url: str,
        *,
        api_key: ApiKey = None,
        json_mode: bool = True,
        takes_schemas: bool = True,
        transport: Transport | None = None,
    ) -> None:
        super().__init__(model, base_url, api_key=api_key, transport=transport)
        self.json_mode = json_mode
        self.takes_schemas = takes_schemas and json_mode

    @property
    def identity(self) -> str:
        """The model and where it is."""
        return f"openai:{self.model}@{self.base_url}"

    def complete(
        self,
        messages: Messages,
        *,
        max_tokens: int = 512,
        temperature: float = 0.0,
        top_p: float = 1.0,
    ) -> Completion:
        """The model's next message; see `Chat.complete`."""
        body = self._body(messages, max_tokens, temperature, top_p)
        if self.json_mode:
            body["response_format"] = {"type": "json_object"}
        return _completion(self._post(self._url, body), self._url)

    def complete_as(
        self,
        schema: Mapping[str, Any] | None,
        messages: Messages,
        *,
        max_tokens: int = 512,
        temperature: float = 0.0,
        top_p: float = 1.0,
    ) -> Completion:
        """The model's next message, one object of a schema or plain text; see `SchemaChat`."""
        body = self._body(messages, max_tokens, temperature, top_p)
        if schema is not None and self.takes_schemas:
            form = {"name": "answer", "schema": dict(schema), "strict": is_closed(schema)}
            body["response_format"] = {"type": "json_schema", "json_schema": form}
        elif schema is not None and self.json_mode:
            body["response_format"] = {"type": "json_object"}
        return _completion(self._post(self._url, body), self._url)

    def stream(
        self,
        messages: Messages,
        *,
        max_tokens: int = 512,
        temperature: float = 0.0,
        top_p: float = 1.0,
    ) -> Iterator[Completion]:
        """The model's next message in pieces, plain text; see `StreamingChat.stream`."""
        body = self._body(messages, max_tokens, temperature, top_p)
        body |= {"stream": True, "stream_options": {"include_usage": True}}
        return _pieces(data_of(self._connection(), self._url, body, self._key()), self._url)

    @property
    def _url(self) -> str:
        return f"{self.base_url}/chat/completions"

    def _body(
        self, messages: Messages, max_tokens: int, temperature: float, top_p: float
    ) -> dict[str, Any]:
        _check(messages, max_tokens, temperature, top_p)
        return {
            "model": self.model,
            "messages": [dict(message) for message in messages],
            "max_tokens": max_tokens,
            "temperature": temperature,
            "top_p": top_p,
        }


def _check(messages: Messages, max_tokens: int, temperature: float, top_p: float) -> None:
    if not messages:
        raise ParameterError("OpenAI.complete needs at least one message, got none")
    for message in messages:
        if message.get("role") not in ROLES or not isinstance(message.get("content"), str):
            raise ParameterError(
                f"OpenAI.complete: a message must have a role of {', '.join(ROLES)} and a content "
                f"of text, got the fields {sorted(message)} and the role {message.get('role')!r}"
            )
    if max_tokens < 1:
        raise ParameterError(f"OpenAI.complete: max_tokens must be >= 1, got {max_tokens!r}")
    if not temperature >= 0:
        raise ParameterError(f"OpenAI.complete: temperature must be >= 0, got {temperature!r}")
    if not 0 < top_p <= 1:
        raise ParameterError(f"OpenAI.complete: top_p must be in (0, 1], got {top_p!r}")


def _completion(answer: Any, url: str) -> Completion:
    try:
        choice = answer["choices"][0]
        text, cut_off = choice["message"]["content"], choice.get("finish_reason") == "length"
        charged = _charged(answer)
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise EndpointError(
            f"endpoint {url} answered JSON without a completion: {error!r}; check the address"
        ) from error
    if not isinstance(text, str):
        refused = EndpointError(
            f"endpoint {url} answered a completion whose content is no text but "
            f"{type(text).__name__}: check that the model chats and did not refuse"
        )
        refused.charged = charged
        raise refused
    return Completion(text, *charged, cut_off)


def _pieces(events: Iterator[Any], url: str) -> Iterator[Completion]:
    """The pieces of text in the events of a stream, and at its end what they cost."""
    charged: tuple[int | None, int | None] = (None, None)
    finish = None
    for event in events:
        try:
            charged = _charged(event) if event.get("usage") else charged
            for choice in event.get("choices", ())[:1]:
                # An endpoint that does not stream answers the whole message at once.
                text = (choice.get("delta") or choice.get("message") or {}).get("content")
                finish = choice.get("finish_reason") or finish
                if text:
                    yield Completion(text)
        except (AttributeError, KeyError, TypeError) as error:
            raise EndpointError(
                f"endpoint {url} streamed something else than a completion: {error!r}"
            ) from error
    if finish is None:
        raise EndpointError(f"endpoint {url} ended its stream before the message: ask again")
    yield Completion("", *charged, finish == "length")


def _charged(answer: Any) -> tuple[int | None, int | None]:
    usage = answer.get("usage") or {}
    tokens = [usage.get(name) for name in ("prompt_tokens", "completion_tokens")]
    prompt_tokens, completion_tokens = (n if isinstance(n, int) else None for n in tokens)
    return prompt_tokens, completion_tokens
