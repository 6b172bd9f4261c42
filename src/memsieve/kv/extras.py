"""PyTorch and transformers where they are installed, and stand-ins that say so where not.

The modules of this room can always be imported; what needs the extra `kv` fails at its first
use, with the command that installs it.
"""

from __future__ import annotations

from typing import Any

from memsieve.errors import MissingExtraError

Tensor = Any
"""A `torch.Tensor`; axes are always named B (rows), H (heads), L or n (tokens), D (channels)."""


class _Missing:
    """Stands where a package should be; any use of it raises."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what inspection asks for is no use of the package
            raise AttributeError(name)
        raise MissingExtraError.of("memory inside a model", "kv")


torch: Any
Cache: Any
DynamicCache: Any
DynamicLayer: Any
try:
    import torch  # type: ignore[no-redef]
    from transformers.cache_utils import (  # type: ignore[no-redef]
        Cache,
        DynamicCache,
        DynamicLayer,
    )
except ImportError:
    torch = _Missing()
    Cache = DynamicCache = DynamicLayer = object


def need_extra() -> None:
    """Raise MissingExtraError unless PyTorch and transformers are there."""
    if isinstance(torch, _Missing):
        raise MissingExtraError.of("memory inside a model", "kv")
