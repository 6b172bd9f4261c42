"""Any endpoint that speaks OpenAI's `/embeddings`: a hosted one or a local server."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np

from memsieve.embed.base import ApiKey
from memsieve.embed.transport import Transport
from memsieve.errors import EndpointError, ParameterError

if TYPE_CHECKING:
    import httpx


class OpenAI:
    """Vectors from an OpenAI-compatible endpoint, in batches.

    Nothing is sent before `embed` is called, or `dimensions` read where they were not asked
    for. Connections are kept between calls until `close` or the end of a `with` block.
    Neither environment variables nor configuration files are read.

    Parameters
    ----------
    model
        As the endpoint names it.
    base_url
        Up to and without ``/embeddings``, such as ``https://api.openai.com/v1``. It holds no
        key: no user name, no query.
    api_key
        Sent as bearer token. A function is called once per request, so keys may change.
    asked_dimensions
        Ask for vectors of this length (models with nested dimensions can); None takes the
        model's own.
    batch_size
        Texts per request; 128 stays below the limits of the usual endpoints.
    transport
        Time-out, retries, proxy.

    Raises
    ------
    ParameterError
        If an option lies outside its rule, or the key is empty or not ASCII.
    EndpointError
        From `embed`: the endpoint cannot be reached, refuses, or answers something else.
    MissingExtraError
        From `embed`: httpx is not installed.

    Examples
    --------
    >>> OpenAI("text-embedding-3-small", "https://api.openai.com/v1").identity
    'openai:text-embedding-3-small@https://api.openai.com/v1'
    """

    __slots__ = (
        "_api_key",
        "_client",
        "_dimensions",
        "_lock",
        "asked_dimensions",
        "base_url",
        "batch_size",
        "model",
        "transport",
    )

    def __init__(
        self,
        model: str,
        base_url: str,
        *,
        api_key: ApiKey = None,
        asked_dimensions: int | None = None,
        batch_size: int = 128,
        transport: Transport | None = None,
    ) -> None:
        if not model:
            raise ParameterError("OpenAI.model must name a model, got ''")
        if asked_dimensions is not None and asked_dimensions < 1:
            raise ParameterError(f"OpenAI.asked_dimensions must be >= 1, got {asked_dimensions}")
        if batch_size < 1:
            raise ParameterError(f"OpenAI.batch_size must be >= 1, got {batch_size}")
        self.model = model
        self.base_url = _without_secrets(base_url).rstrip("/")
        self.asked_dimensions = asked_dimensions
        self.batch_size = batch_size
        self.transport = transport or Transport()
        self._api_key = api_key
        self._dimensions = asked_dimensions
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

    @property
    def identity(self) -> str:
        """The spec. An endpoint shows no weights, so there is no fingerprint of them."""
        asked = "" if self.asked_dimensions is None else f"#{self.asked_dimensions}"
        return f"openai:{self.model}@{self.base_url}{asked}"

    @property
    def dimensions(self) -> int:
        """The length of a vector; where it is not known yet, one request finds out."""
        return self._dimensions or self._request(["dimensions"]).shape[1]

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """One float32 row of length 1 per text; zeros for a text of white space."""
        spoken = [row for row, text in enumerate(texts) if text.strip()]
        starts = range(0, len(spoken), self.batch_size)
        batches = [spoken[start : start + self.batch_size] for start in starts]
        parts = [self._request([texts[row] for row in batch]) for batch in batches]
        vectors = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        if parts:
            vectors[spoken] = np.concatenate(parts)
        return vectors

    def _request(self, batch: list[str]) -> np.ndarray:
        """Unit vectors of one batch, checked."""
        body: dict[str, Any] = {"model": self.model, "input": batch}
        if self.asked_dimensions is not None:
            body["dimensions"] = self.asked_dimensions
        url = f"{self.base_url}/embeddings"
        answer = self.transport.post(self._connection(), url, body, self._key())
        vectors = _vectors(answer, len(batch), url)
        expected = self._dimensions or vectors.shape[1]
        if vectors.shape[1] != expected:
            raise EndpointError(
                f"endpoint {url} sent {vectors.shape[1]}-dimensional vectors of "
                f"{self.model!r}, expected {expected}: ask for dimensions the model offers"
            )
        self._dimensions = expected
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors / np.where(lengths > 0, lengths, 1)

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
    # The address becomes part of the identity, which stores write down: the value is not shown.
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ParameterError(
            "OpenAI.base_url must hold no user name, query or fragment: pass the key as api_key"
        )
    return base_url


def _vectors(answer: Any, n: int, url: str) -> np.ndarray:
    """The answer's vectors in the order of the texts, shape (n, d)."""
    try:
        rows = sorted(answer["data"], key=lambda row: row["index"])
        order = [row["index"] for row in rows]
        vectors = np.array([row["embedding"] for row in rows], dtype=np.float32)
    except (KeyError, TypeError, ValueError) as error:
        raise EndpointError(
            f"endpoint {url} answered JSON without embeddings: {error!r}; check the address"
        ) from error
    if order != list(range(n)) or vectors.ndim != 2 or not np.isfinite(vectors).all():
        raise EndpointError(
            f"endpoint {url} was sent {n} texts and answered {len(rows)} embeddings of shape "
            f"{vectors.shape}: check that the model makes text embeddings"
        )
    return vectors
