"""Any model of the sentence-transformers library, run on this machine."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from memsieve.errors import MissingExtraError, ParameterError

PROBED_VALUES = 256  # per parameter tensor: enough to tell two trainings apart, cheap for 8e9


@dataclass(frozen=True, slots=True)
class SentenceTransformers:
    """Vectors of a sentence-transformers model, loaded on first use.

    The fingerprint in the identity covers the name, shape and first 256 values of every
    parameter: cheap for the largest model, the same on every device, different after any
    training that touches them.

    Parameters
    ----------
    model
        A name on the model hub, or a folder. The library may download a name on first use.
    device
        As PyTorch names it, such as "cpu" or "cuda:0"; None lets the library choose.
    batch_size
        Texts per forward pass.

    Raises
    ------
    MissingExtraError
        On first use, if the library is not installed.
    ParameterError
        If `model` is empty or `batch_size` is below 1.

    References
    ----------
    Reimers and Gurevych, EMNLP 2019.
    """

    model: str
    device: str | None = None
    batch_size: int = field(default=32, kw_only=True)

    def __post_init__(self) -> None:
        if not self.model:
            raise ParameterError("SentenceTransformers.model must name a model, got ''")
        if self.batch_size < 1:
            raise ParameterError(
                f"SentenceTransformers.batch_size must be >= 1, got {self.batch_size}"
            )

    @property
    def identity(self) -> str:
        """The spec, "@", and the first 12 hexadecimal digits of the fingerprint."""
        return f"sentence-transformers:{self.model}@{_load(self.model, self.device).digits}"

    @property
    def dimensions(self) -> int:
        """The length of a vector."""
        return _load(self.model, self.device).dimensions

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """One float32 row of length 1 per text; zeros for a text of white space."""
        loaded = _load(self.model, self.device)
        vectors = np.zeros((len(texts), loaded.dimensions), dtype=np.float32)
        spoken = [row for row, text in enumerate(texts) if text.strip()]
        if spoken:
            vectors[spoken] = loaded.network.encode(
                [texts[row] for row in spoken],
                batch_size=self.batch_size,
                normalize_embeddings=True,
                convert_to_numpy=True,
                show_progress_bar=False,
            )
        return vectors


@dataclass(frozen=True, slots=True)
class _Loaded:
    network: Any
    dimensions: int
    digits: str


@lru_cache(maxsize=2)
def _load(model: str, device: str | None) -> _Loaded:
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        missing = MissingExtraError.of(f"the embedder {model!r}", "sentence-transformers")
        raise missing from error
    network = SentenceTransformer(model, device=device)
    # A model may not state its dimensions; one forward pass always does.
    dimensions = network.encode(["dimensions"], show_progress_bar=False).shape[1]
    return _Loaded(network, int(dimensions), _digits(network))


def _digits(network: Any) -> str:
    digest = hashlib.sha256()
    for name, values in sorted(network.state_dict().items()):
        digest.update(f"{name} {tuple(values.shape)}".encode())
        digest.update(values.flatten()[:PROBED_VALUES].float().cpu().numpy().tobytes())
    return digest.hexdigest()[:12]
