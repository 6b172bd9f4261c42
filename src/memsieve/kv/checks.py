"""What a cache and its policy must know of a model, and what is refused before any pass."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import index
from typing import TYPE_CHECKING, Any

from memsieve.errors import ParameterError

if TYPE_CHECKING:
    from memsieve.kv.rotary import Rotary


_BIASED = frozenset({"bloom", "cpmant", "inkling", "inkling2", "inkling2_loop", "mpt"})
"""Decoders that add a bias by distance to their logits, which slots would have to be picked of."""


@dataclass(frozen=True, eq=False)
class ModelFacts:
    """Sizes and parts of a decoder.

    Attributes
    ----------
    config
        The configuration of the text decoder.
    n_layers, n_heads, n_kv_heads, head_dim
        Layers; query heads, key-value heads and channels of each.
    model
        The model; None where only a configuration is known.
    modules
        Layer index -> attention module; empty without a model.
    rotaries
        Layer index -> how its keys are rotated; empty without a model, or where the rule is
        not known.
    """

    config: Any
    n_layers: int
    n_heads: int
    n_kv_heads: int
    head_dim: int
    model: Any = None
    modules: Mapping[int, Any] = field(default_factory=dict)
    rotaries: Mapping[int, Rotary] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The architecture, such as "llama"."""
        return str(getattr(self.config, "model_type", type(self.config).__name__))

    @property
    def is_latent(self) -> bool:
        """Whether the cache holds compressed latents (multi-head latent attention)."""
        return getattr(self.config, "kv_lora_rank", None) is not None


def facts_of(config: Any, model: Any = None) -> ModelFacts:
    """What `config` says, and the parts of `model`.

    Raises
    ------
    ParameterError
        If the architecture is one that the frame cannot serve.
    """
    text = decoder_config(config)
    n_heads = getattr(text, "num_attention_heads", None)
    n_layers = getattr(text, "num_hidden_layers", None)
    if n_heads is None or n_layers is None:
        raise ParameterError(
            f"the configuration of a decoder with attention is needed, got {type(config).__name__}"
        )
    kv_heads = getattr(text, "num_key_value_heads", None) or n_heads
    head_dim = getattr(text, "head_dim", None) or text.hidden_size // n_heads
    facts = ModelFacts(text, n_layers, n_heads, kv_heads, head_dim, model)
    _check_architecture(config, facts)
    return facts


def decoder_config(config: Any) -> Any:
    """The part of a configuration that describes the text decoder."""
    get = getattr(config, "get_text_config", None)
    return config if get is None else get(decoder=True)


def _check_architecture(config: Any, facts: ModelFacts) -> None:
    text, name = facts.config, facts.name
    if getattr(config, "is_encoder_decoder", False):
        raise ParameterError(f"{name} is an encoder-decoder: only decoders are supported")
    rope = getattr(text, "rope_parameters", None) or getattr(text, "rope_scaling", None) or {}
    if "mrope_section" in rope or rope.get("type") == "mrope":
        raise ParameterError(f"{name} rotates by several axes (M-RoPE), which is not supported")
    if name in _BIASED or (name == "falcon" and getattr(text, "alibi", False)):
        raise ParameterError(f"{name} adds a bias by position (ALiBi), which is not supported")
    if getattr(text, "num_kv_shared_layers", 0):
        raise ParameterError(f"{name} shares keys between layers, which is not supported")


def attention_modules(model: Any, config: Any) -> dict[int, Any]:
    """Layer index -> attention module of the decoder with this configuration.

    Raises
    ------
    ParameterError
        If the model's attention cannot be exchanged.
    """
    found: dict[int, Any] = {}
    for module in model.modules():
        place = getattr(module, "layer_idx", None)
        if place is None or "Attention" not in type(module).__name__:
            continue
        if getattr(module, "config", config) is config:
            found.setdefault(int(place), module)
    exchangeable = found and all(
        hasattr(sys.modules[type(module).__module__], "ALL_ATTENTION_FUNCTIONS")
        for module in found.values()
    )
    if not exchangeable:
        raise ParameterError(
            f"{type(model).__name__} computes attention in its own code, not through "
            "transformers' attention interface: its cache cannot be managed"
        )
    return found


def whole_number(name: str, value: object, *, at_least: int) -> int:
    """`value` as an int.

    Raises
    ------
    ParameterError
        If it is none, or below `at_least`.
    """
    try:
        number = index(value)  # type: ignore[arg-type]
    except TypeError:
        raise ParameterError(f"{name} must be a whole number, got {value!r}") from None
    if number < at_least:
        raise ParameterError(f"{name} must be >= {at_least}, got {number}")
    return number
