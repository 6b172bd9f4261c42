"""An OpenAI-compatible endpoint as adapters see it: an address, a model, a key, a connection."""

from __future__ import annotations

from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from memsieve.embed.base import ApiKey
from memsieve.embed.transport import Transport
from memsieve.errors import ParameterError

if TYPE_CHECKING:
    import httpx


class Endpoint:
    """What adapters of one endpoint share; connections are kept until `close`.

    Parameters
    ----------
    model
        As the endpoint names it.
    base_url
        An http(s) address without a user name, a query or a fragment, which may hold a key.
    api_key
        Sent as bearer token. A function is called once per request, so keys may change.
    transport
        Time-out, retries, proxy.

    Raises
    ------
    ParameterError
        If the model is empty or the address is none of these; from `_post`, if the key is empty or
        not printable ASCII.
    """

    __slots__ = ("_api_key", "_client", "_lock", "base_url", "model", "transport")

    def __init__(
        self, model: str, base_url: str, *, api_key: ApiKey, transport: Transport | None
    ) -> None:
        if not model:
            raise ParameterError("OpenAI.model must name a model, got ''")
        self.model = model
        self.base_url = _without_secrets(base_url).rstrip("/")
        self.transport = transport or Transport()
        self._api_key = api_key
        self._client: httpx.Client | None = None
        self._lock = Lock()

    def __repr__(self) -> str:
        return f"OpenAI({self.model!r}, {self.base_url!r})"

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
        with self._lock:
            if self._client is not None:
                self._client.close()
            self._client = None

    def _post(self, url: str, body: dict[str, Any]) -> Any:
        """The answer to one request, as JSON."""
        return self.transport.post(self._connection(), url, body, self._key())

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
    # Errors and identities show the address: the value is not shown where it may hold a key.
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ParameterError(
            "OpenAI.base_url must hold no user name, query or fragment: pass the key as api_key"
        )
    return base_url
