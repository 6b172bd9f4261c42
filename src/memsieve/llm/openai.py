"""Any endpoint that speaks OpenAI's `/chat/completions`: a hosted one or a local server."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from memsieve.embed.transport import Transport
from memsieve.errors import EndpointError, ParameterError
from memsieve.llm.base import Completion

if TYPE_CHECKING:
    import httpx

ROLES = ("system", "user", "assistant")


class OpenAI:
    """Completions from an OpenAI-compatible endpoint.

    Nothing is sent before `complete` is called. Connections are kept between calls until `close`
    or the end of a `with` block. Neither environment variables nor configuration files are read.

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
    transport
        Time-out, retries, proxy.

    Raises
    ------
    ParameterError
        If an option lies outside its rule, or the key is empty or not ASCII.
    EndpointError
        From `complete`: the endpoint cannot be reached, refuses, or answers something else.
    MissingExtraError
        From `complete`: httpx is not installed.

    Examples
    --------
    >>> OpenAI("gpt-4o-mini", "https://api.openai.com/v1")
    OpenAI('gpt-4o-mini', 'https://api.openai.com/v1')
    """

    __slots__ = ("_api_key", "_client", "_lock", "base_url", "json_mode", "model", "transport")

    def __init__(
        self,
        model: str,
        base_url: str,
        *,
        api_key: str | Callable[[], str] | None = None,
        json_mode: bool = True,
        transport: Transport | None = None,
    ) -> None:
        if not model:
            raise ParameterError("OpenAI.model must name a model, got ''")
        self.model = model
        self.base_url = _without_secrets(base_url).rstrip("/")
        self.json_mode = json_mode
        self.transport = transport or Transport()
        self._api_key = api_key
        self._client: httpx.Client | None = None
        self._lock = Lock()

    def __repr__(self) -> str:
        return f"OpenAI({self.model!r}, {self.base_url!r})"

    def __enter__(self) -> OpenAI:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Drop the kept connections; the next call opens new ones."""
        with self._lock:
            if self._client is not None:
                self._client.close()
            self._client = None

    def complete(
        self,
        messages: Sequence[Mapping[str, str]],
        *,
        max_tokens: int = 512,
        temperature: float = 0.0,
        top_p: float = 1.0,
    ) -> Completion:
        """The model's next message; see `Chat.complete`."""
        _check(messages, max_tokens, temperature, top_p)
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [dict(message) for message in messages],
            "max_tokens": max_tokens,
            "temperature": temperature,
            "top_p": top_p,
        }
        if self.json_mode:
            body["response_format"] = {"type": "json_object"}
        url = f"{self.base_url}/chat/completions"
        return _completion(self.transport.post(self._connection(), url, body, self._key()), url)

    def _connection(self) -> httpx.Client:
        with self._lock:
            if self._client is None:
                self._client = self.transport.connect()
            return self._client

    def _key(self) -> str | None:
        key = self._api_key() if callable(self._api_key) else self._api_key
        if key is not None and not (key and key.isascii() and key.isprintable()):
            raise ParameterError("OpenAI.api_key must be printable ASCII and not empty")
        return key


def _without_secrets(base_url: str) -> str:
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ParameterError(f"OpenAI.base_url must be an http(s) address, got {base_url!r}")
    # Errors and `repr` show the address: the value is not shown where it may hold a key.
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ParameterError(
            "OpenAI.base_url must hold no user name, query or fragment: pass the key as api_key"
        )
    return base_url


def _check(
    messages: Sequence[Mapping[str, str]], max_tokens: int, temperature: float, top_p: float
) -> None:
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
        text = answer["choices"][0]["message"]["content"]
        usage = answer.get("usage") or {}
        tokens = [usage.get(name) for name in ("prompt_tokens", "completion_tokens")]
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise EndpointError(
            f"endpoint {url} answered JSON without a completion: {error!r}; check the address"
        ) from error
    if not isinstance(text, str):
        raise EndpointError(
            f"endpoint {url} answered a completion whose content is no text but "
            f"{type(text).__name__}: check that the model chats and did not refuse"
        )
    prompt_tokens, completion_tokens = (n if isinstance(n, int) else None for n in tokens)
    return Completion(text, prompt_tokens, completion_tokens)
