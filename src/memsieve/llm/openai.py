"""Any endpoint that speaks OpenAI's `/chat/completions`: a hosted one or a local server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from memsieve.embed.base import ApiKey
from memsieve.embed.endpoint import Endpoint
from memsieve.embed.transport import Transport
from memsieve.errors import EndpointError, ParameterError
from memsieve.llm.base import Completion

ROLES = ("system", "user", "assistant")


class OpenAI(Endpoint):
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

    __slots__ = ("json_mode",)

    def __init__(
        self,
        model: str,
        base_url: str,
        *,
        api_key: ApiKey = None,
        json_mode: bool = True,
        transport: Transport | None = None,
    ) -> None:
        super().__init__(model, base_url, api_key=api_key, transport=transport)
        self.json_mode = json_mode

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
        return _completion(self._post(url, body), url)


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
