"""Any model that Pydantic AI speaks to: Anthropic's, and whatever a caller sets up with it."""

from __future__ import annotations

import os
from collections.abc import Coroutine, Iterator, Mapping
from functools import partial
from queue import SimpleQueue
from threading import Lock, Thread
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from memsieve.embed.base import ApiKey
from memsieve.embed.endpoint import Endpoint
from memsieve.embed.transport import SHOWN_CHARACTERS, Transport
from memsieve.errors import EndpointError, MissingExtraError, ParameterError
from memsieve.llm.base import Completion, Messages

if TYPE_CHECKING:
    import asyncio
    from concurrent.futures import Future

    import httpx2
    from pydantic_ai.messages import ModelMessage, ModelResponse
    from pydantic_ai.models import Model as PydanticModel

T = TypeVar("T")

ANTHROPIC_URL = "https://api.anthropic.com"

# What a request to Anthropic needs. The SDK adds the machine's system and Python, and headers from
# the environment, which nobody asked it to send.
_SENT_HEADERS = frozenset(
    [
        "accept",
        "accept-encoding",
        "anthropic-beta",
        "anthropic-version",
        "connection",
        "content-length",
        "content-type",
        "host",
        "user-agent",
    ]
)


class PydanticAI:
    """Completions from a model of Pydantic AI. Nothing is sent before one is asked for.

    Tracing is off, also where `logfire` or OpenTelemetry are set up for the rest of the program.

    Parameters
    ----------
    model
        A model object of that library, set up with a provider of yours. One that it builds by
        itself from a name reads keys from the environment, so names are refused.
    identity
        What tells the model apart from others, in caches and errors; None takes its name and
        address.
    Raises
    ------
    ParameterError
        If it is given a name.
    EndpointError
        From the calls: the model cannot be reached, refuses, or answers something else.
    """

    def __init__(self, model: PydanticModel, *, identity: str | None = None) -> None:
        if isinstance(model, str):
            raise ParameterError(
                f"PydanticAI.model must be a model object, got the name {model!r}: use "
                "memsieve.llm.from_spec, or set one up with its key"
            )
        self.identity = identity or f"{model.system}:{model.model_name}@{model.base_url or ''}"
        self._model = model

    def __repr__(self) -> str:
        return f"PydanticAI({self.identity!r})"

    @property
    def takes_schemas(self) -> bool:
        """Whether the model's endpoint holds answers to a JSON schema."""
        return bool(self._model.profile.get("supports_json_schema_output"))

    def complete(
        self,
        messages: Messages,
        *,
        max_tokens: int = 512,
        temperature: float = 0.0,
        top_p: float = 1.0,
    ) -> Completion:
        """The model's next message; see `Chat.complete`."""
        return self.complete_as(
            None, messages, max_tokens=max_tokens, temperature=temperature, top_p=top_p
        )

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
        from pydantic_ai.direct import model_request
        from pydantic_ai.models import ModelRequestParameters
        from pydantic_ai.output import OutputObjectDefinition

        form = ModelRequestParameters()
        if schema is not None and self.takes_schemas:
            wanted = OutputObjectDefinition(json_schema=dict(schema), name="answer")
            form = ModelRequestParameters(output_mode="native", output_object=wanted)
        call = model_request(
            self._model,
            _sent(messages),
            model_settings=_settings(max_tokens, temperature, top_p),  # type: ignore[arg-type]
            model_request_parameters=form,
            instrument=False,
        )
        return _completion(_LOOPS.start(self._translated(call)).result())

    def stream(
        self,
        messages: Messages,
        *,
        max_tokens: int = 512,
        temperature: float = 0.0,
        top_p: float = 1.0,
    ) -> Iterator[Completion]:
        """The model's next message in pieces, plain text; see `StreamingChat.stream`."""
        from pydantic_ai.direct import model_request_stream

        open_stream = partial(
            model_request_stream,
            self._model,
            _sent(messages),
            model_settings=_settings(max_tokens, temperature, top_p),  # type: ignore[arg-type]
            instrument=False,
        )
        pieces: SimpleQueue[Completion | BaseException | None] = SimpleQueue()

        async def pump() -> None:
            async with open_stream() as answer:
                async for event in answer:
                    if text := _text(event):
                        pieces.put(Completion(text))
                if answer.get().finish_reason is None:
                    raise EndpointError(
                        f"model {self.identity} ended its stream before the message: ask again"
                    )
                whole = _completion(answer.get())
                tokens = (whole.prompt_tokens, whole.completion_tokens)
                pieces.put(Completion("", *tokens, whole.cut_off))

        return _pumped(self._translated(pump()), pieces)

    def _masked(self, text: str) -> str:
        """An endpoint's words without what errors must not show."""
        return text

    async def _translated(self, call: Coroutine[Any, Any, T]) -> T:
        """The outcome of a call, with the library's errors turned into ours."""
        from pydantic_ai.exceptions import AgentRunError, UserError

        try:
            return await call
        except (AgentRunError, UserError) as error:
            said = self._masked(" ".join(str(error).split()))[:SHOWN_CHARACTERS]
            raise EndpointError(f"model {self.identity} failed: {said}") from error
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            # The library takes JSON for what it should be and trips over its shape.
            raise EndpointError(
                f"model {self.identity} answered something else than a message: {error!r}; check "
                "the address"
            ) from error


class Anthropic(PydanticAI):
    """Completions from an endpoint that speaks Anthropic's interface, hosted or local.

    Connections are kept between calls until `close` or the end of a `with` block.

    Parameters
    ----------
    model
        As the endpoint names it.
    base_url
        Up to and without ``/v1/messages``. It holds no key: no user name, no query.
    api_key
        Sent as `x-api-key`; a function is called once per request. Neither the environment nor
        the SDK's own files are looked into.
    transport
        Time-out, retries, proxy; the SDK chooses the waits between tries.

    Raises
    ------
    ParameterError
        If an option lies outside its rule, or the key is empty or not ASCII.
    MissingExtraError
        If the library is not installed.
    EndpointError
        From the calls: the endpoint cannot be reached, refuses, or answers something else.
    """

    def __init__(
        self,
        model: str,
        base_url: str = ANTHROPIC_URL,
        *,
        api_key: ApiKey = None,
        transport: Transport | None = None,
    ) -> None:
        self._endpoint = _AnthropicEndpoint(model, base_url, api_key=api_key, transport=transport)
        identity = f"anthropic:{model}@{self._endpoint.base_url}"
        super().__init__(self._endpoint.connected(), identity=identity)

    def __enter__(self) -> Self:
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
        left, self._model = self._model, self._endpoint.connected()
        _LOOPS.start(left.client.close()).result()  # type: ignore[attr-defined]

    def _masked(self, text: str) -> str:
        for key in self._endpoint.sent_keys:
            text = text.replace(key, "***")
        return text


class _AnthropicEndpoint(Endpoint):
    """Address, key and transport, checked as for the other adapters, and the SDK set up by them."""

    __slots__ = ("sent_keys",)

    def __init__(
        self, model: str, base_url: str, *, api_key: ApiKey, transport: Transport | None
    ) -> None:
        super().__init__(model, base_url, api_key=api_key, transport=transport)
        self.sent_keys: set[str] = set()
        if not callable(api_key):
            self._key()  # refused here rather than inside a request

    def connected(self) -> PydanticModel:
        """The model behind a client that sends this key and nothing from the environment."""
        try:
            import httpx2
            from anthropic import AsyncAnthropic
            from pydantic_ai.models.anthropic import AnthropicModel
            from pydantic_ai.providers.anthropic import AnthropicProvider
        except ImportError as error:
            raise MissingExtraError.of("a model of Anthropic", "llm") from error
        client = AsyncAnthropic(
            # Any text keeps the SDK from looking for a key; the hook puts the one to send.
            api_key="-",
            base_url=self.base_url,
            max_retries=self.transport.max_retries,
            timeout=self.transport.timeout_s,
            http_client=httpx2.AsyncClient(
                timeout=self.transport.timeout_s,
                proxy=self.transport.proxy,
                trust_env=False,
                event_hooks={"request": [self._only_ours]},
            ),
        )
        return AnthropicModel(self.model, provider=AnthropicProvider(anthropic_client=client))

    async def _only_ours(self, request: httpx2.Request) -> None:
        for name in {*request.headers} - _SENT_HEADERS:
            del request.headers[name]
        if (key := self._key()) is not None:
            request.headers["x-api-key"] = key
            self.sent_keys.add(key)


def _sent(messages: Messages) -> list[ModelMessage]:
    from pydantic_ai import messages as theirs

    sent: list[ModelMessage] = []
    for message in messages:
        role, content = message.get("role"), message.get("content")
        if role not in ("system", "user", "assistant") or not isinstance(content, str):
            raise ParameterError(
                "a message must have a role of system, user, assistant and a content of text, got "
                f"the fields {sorted(message)} and the role {role!r}"
            )
        if role == "assistant":
            sent.append(theirs.ModelResponse(parts=[theirs.TextPart(content)]))
        elif role == "system":
            sent.append(theirs.ModelRequest(parts=[theirs.SystemPromptPart(content)]))
        else:
            sent.append(theirs.ModelRequest(parts=[theirs.UserPromptPart(content)]))
    if not sent:
        raise ParameterError("a completion needs at least one message, got none")
    return sent


def _settings(max_tokens: int, temperature: float, top_p: float) -> dict[str, float]:
    """The options; models that take one of the two kinds of sampling refuse both at once."""
    if max_tokens < 1:
        raise ParameterError(f"max_tokens must be >= 1, got {max_tokens!r}")
    settings = {"max_tokens": max_tokens, "temperature": temperature}
    return settings if top_p == 1 else {**settings, "top_p": top_p}


def _completion(answer: ModelResponse) -> Completion:
    usage = answer.usage
    tokens = (usage.input_tokens or None, usage.output_tokens or None)
    return Completion(answer.text or "", *tokens, answer.finish_reason == "length")


def _text(event: Any) -> str:
    """The new text of one event of a stream; thoughts and tools are none."""
    from pydantic_ai.messages import PartDeltaEvent, PartStartEvent, TextPart, TextPartDelta

    if isinstance(event, PartStartEvent) and isinstance(event.part, TextPart):
        return event.part.content
    if isinstance(event, PartDeltaEvent) and isinstance(event.delta, TextPartDelta):
        return event.delta.content_delta
    return ""


def _pumped(
    pump: Coroutine[Any, Any, None], pieces: SimpleQueue[Completion | BaseException | None]
) -> Iterator[Completion]:
    """What a coroutine puts into a queue, until it ends; it ends with its reader."""
    task = _LOOPS.start(pump)
    task.add_done_callback(lambda done: pieces.put(None if done.cancelled() else done.exception()))
    try:
        while isinstance(piece := pieces.get(), Completion):
            yield piece
        if piece is not None:
            raise piece
    finally:
        task.cancel()


class _Loops:
    """The event loop that all calls of a process share, in a thread of its own.

    Kept connections belong to the loop that opened them, and callers come from many threads, some
    with a loop of their own. A forked process gets a new one.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._by_process: dict[int, asyncio.AbstractEventLoop] = {}

    def start(self, call: Coroutine[Any, Any, T]) -> Future[T]:
        """Run a coroutine in the loop."""
        import asyncio  # 40 ms that only those who use this module pay

        with self._lock:
            if os.getpid() not in self._by_process:
                loop = asyncio.new_event_loop()
                Thread(target=loop.run_forever, name="memsieve-llm", daemon=True).start()
                self._by_process[os.getpid()] = loop
            return asyncio.run_coroutine_threadsafe(call, self._by_process[os.getpid()])


_LOOPS = _Loops()
