"""What an embedder promises, and the way from a line of text to one.

A store writes down the `identity` of the embedder that made its vectors. `from_spec` turns
that line into the embedder again, or refuses when its weights are others now.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from memsieve.errors import EmbedderMismatchError, ParameterError

ApiKey = str | Callable[[], str] | None

_FINGERPRINT = re.compile(r"@[0-9a-f]{12}$")
_ENDPOINT = re.compile(r"(?P<model>.+)@(?P<url>https?://[^#]+)(?:#(?P<dimensions>[1-9]\d*))?")


@runtime_checkable
class Embedder(Protocol):
    """Texts in, unit vectors out.

    `identity` is a stable line of text that `from_spec` accepts; it never holds a key.
    `dimensions` is the length of a vector, 0 for an embedder that makes none.
    """

    @property
    def identity(self) -> str: ...

    @property
    def dimensions(self) -> int: ...

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Float32 of shape (n, d), rows of length 1; a text without tokens is all zeros."""
        ...


@dataclass(frozen=True, slots=True)
class NoEmbedder:
    """Says that there is no dense search: vectors of zero dimensions.

    Examples
    --------
    >>> NoEmbedder().embed(["a", "b"]).shape
    (2, 0)
    """

    @property
    def identity(self) -> str:
        return "none"

    @property
    def dimensions(self) -> int:
        return 0

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Shape (n, 0)."""
        return np.zeros((len(texts), 0), dtype=np.float32)


def from_spec(spec: str, *, api_key: ApiKey = None) -> Embedder:
    """The embedder that a spec, or an identity that a store remembers, names.

    ====================================== ================================================
    ``static``                             the model in the package, no further dependency
    ``sentence-transformers:MODEL``        a local model of that library
    ``openai:MODEL@BASE_URL``              an OpenAI-compatible endpoint; add ``#256`` to ask
                                           it for shorter vectors
    ``none``                               no dense search
    ====================================== ================================================

    An identity is a spec that may end in ``@`` and twelve hexadecimal digits, the
    fingerprint of the weights. Only such an identity makes this function read weights;
    nothing is sent to an endpoint.

    Parameters
    ----------
    api_key
        For endpoints: the key, or a function that returns it. It never becomes part of the
        identity.

    Raises
    ------
    ParameterError
        If the spec names no embedder.
    EmbedderMismatchError
        If the fingerprint differs from that of the weights found here.
    MissingExtraError
        If the embedder's library is not installed.

    Examples
    --------
    >>> from_spec("none").dimensions
    0
    >>> from_spec("static").dimensions
    256
    """
    plain = _FINGERPRINT.sub("", spec)
    name, _, rest = plain.partition(":")
    if name not in _BUILDERS:
        raise ParameterError(
            "an embedder spec must be static, sentence-transformers:MODEL, "
            f"openai:MODEL@BASE_URL or none, got {spec!r}"
        )
    embedder = _BUILDERS[name](rest, api_key)
    if plain != spec:
        require_identity(spec, embedder)
    return embedder


def require_identity(remembered: str, embedder: Embedder) -> None:
    """Refuse an embedder other than the one that made the vectors at hand.

    Raises
    ------
    EmbedderMismatchError
        If `embedder.identity` is not `remembered`; the message names both and the way out.

    Examples
    --------
    >>> require_identity("none", NoEmbedder())
    """
    if embedder.identity != remembered:
        raise EmbedderMismatchError(
            f"the vectors were made by the embedder {remembered!r}, this one is "
            f"{embedder.identity!r}: use the first again, or embed every item anew with the second "
            "('memsieve reindex')"
        )


def _static(rest: str, api_key: ApiKey) -> Embedder:
    from memsieve.embed.static import Static

    if rest:
        raise ParameterError(f"the embedder spec 'static' takes nothing after it, got {rest!r}")
    return Static()


def _none(rest: str, api_key: ApiKey) -> Embedder:
    if rest:
        raise ParameterError(f"the embedder spec 'none' takes nothing after it, got {rest!r}")
    return NoEmbedder()


def _sentence_transformers(rest: str, api_key: ApiKey) -> Embedder:
    from memsieve.embed.sentence_transformers import SentenceTransformers

    return SentenceTransformers(rest)


def _openai(rest: str, api_key: ApiKey) -> Embedder:
    from memsieve.embed.openai import OpenAI

    found = _ENDPOINT.fullmatch(rest)
    if not found:
        raise ParameterError(
            "an endpoint's spec must be openai:MODEL@http(s)://..., optionally with "
            f"#DIMENSIONS at its end, got {'openai:' + rest!r}"
        )
    dimensions = int(found["dimensions"]) if found["dimensions"] else None
    return OpenAI(found["model"], found["url"], api_key=api_key, asked_dimensions=dimensions)


_BUILDERS: dict[str, Callable[[str, ApiKey], Embedder]] = {
    "static": _static,
    "static-minilm-256": _static,
    "sentence-transformers": _sentence_transformers,
    "openai": _openai,
    "none": _none,
}
