"""Any endpoint that speaks OpenAI's `/embeddings`: a hosted one or a local server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from memsieve.embed.base import ApiKey
from memsieve.embed.endpoint import Endpoint
from memsieve.embed.transport import Transport
from memsieve.errors import EndpointError, ParameterError


class OpenAI(Endpoint):
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

    __slots__ = ("_dimensions", "asked_dimensions", "batch_size")

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
        super().__init__(model, base_url, api_key=api_key, transport=transport)
        if asked_dimensions is not None and asked_dimensions < 1:
            raise ParameterError(f"OpenAI.asked_dimensions must be >= 1, got {asked_dimensions}")
        if batch_size < 1:
            raise ParameterError(f"OpenAI.batch_size must be >= 1, got {batch_size}")
        self.asked_dimensions = asked_dimensions
        self.batch_size = batch_size
        self._dimensions = asked_dimensions

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
        vectors = _vectors(self._post(url, body), len(batch), url)
        expected = self._dimensions or vectors.shape[1]
        if vectors.shape[1] != expected:
            raise EndpointError(
                f"endpoint {url} sent {vectors.shape[1]}-dimensional vectors of "
                f"{self.model!r}, expected {expected}: ask for dimensions the model offers"
            )
        self._dimensions = expected
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors / np.where(lengths > 0, lengths, 1)


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
