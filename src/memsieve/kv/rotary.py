"""Turning cached keys to other positions, by the model's own rotary embedding."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from memsieve.kv.extras import Tensor, torch

CLOSABLE = frozenset(
    {
        *("cohere", "gemma", "gemma2", "gemma3_text", "glm", "gpt_neox", "gpt_oss", "llama"),
        *("mistral", "mixtral", "olmo2", "phi3", "qwen2", "qwen3", "smollm3", "stablelm"),
        "starcoder2",
    }
)
"""Architectures whose keys are known to be rotated as a whole layer, by the rule read here."""
_FIXED = frozenset({"default", "linear", "llama3", "yarn", None})
"""Rotary scalings whose frequencies stay the same while a text grows."""


@dataclass(frozen=True, eq=False)
class Rotary:
    """How one layer rotates its keys: R(a) R(b) = R(a + b), so a cached key can move on.

    Parameters
    ----------
    embed
        The model's rotary module: (x, position_ids [B, n]) -> cos and sin.
    apply
        The model's function (q, k, cos, sin) -> rotated q and k.
    n_rotated
        How many of the first channels rotate.
    scaling
        What `embed` has multiplied cos and sin by; taken out again here.
    options
        More that `embed` asks for (the kind of layer, in models with two frequencies).
    """

    embed: Any
    apply: Any
    n_rotated: int
    scaling: float = 1.0
    options: tuple[Any, ...] = ()

    def forward(self, keys: Tensor, by: Tensor) -> Tensor:
        """Keys [B, H, n, D] as if written `by` [B, H, n] positions later."""
        n_rows, n_heads, n, _ = keys.shape
        turned = keys[..., : self.n_rotated].reshape(n_rows * n_heads, 1, n, self.n_rotated)
        cos, sin = self.embed(turned, by.reshape(n_rows * n_heads, n), *self.options)
        _, turned = self.apply(turned, turned, cos / self.scaling, sin / self.scaling)
        turned = turned.reshape(n_rows, n_heads, n, self.n_rotated)
        return torch.cat([turned, keys[..., self.n_rotated :]], dim=-1)


def closing_shifts(slots: Tensor, newest: int, *, ascending: bool = True) -> Tensor:
    """How far each key must move so that no position is left out: [B, H, n] int64, >= 0.

    The number of later slots, up to `newest`, that are not among `slots`. The newest key stays
    where it is, and with it every key behind the last gap; -1 (empty places) count nothing.
    """
    n = slots.shape[-1]
    here = torch.arange(n, device=slots.device)
    if ascending:
        later = (n - 1 - here).expand_as(slots)
    else:
        order = slots.argsort(-1)
        later = torch.empty_like(order).scatter_(-1, order, (n - 1 - here).expand_as(order))
    return torch.where(slots >= 0, newest - slots - later, 0)


def rotaries_of(model: Any, config: Any, modules: Mapping[int, Any]) -> dict[int, Rotary]:
    """Layer index -> rotary embedding, for the layers whose rule is known; may be empty.

    A layer of a known model that does not rotate at all (SmolLM3 has some) gets none either;
    `rotates` tells the two apart.
    """
    if getattr(config, "model_type", None) not in CLOSABLE:
        return {}
    found: dict[int, Rotary] = {}
    for layer, module in modules.items():
        rotary = _rotary(model, config, layer, module)
        if rotary is not None and rotates(module):
            found[layer] = rotary
    return found


def rotates(module: Any) -> bool:
    """Whether this attention module rotates its keys at all."""
    return bool(getattr(module, "use_rope", True))


def _rotary(model: Any, config: Any, layer: int, module: Any) -> Rotary | None:
    apply = getattr(sys.modules[type(module).__module__], "apply_rotary_pos_emb", None)
    kinds = getattr(config, "layer_types", None)
    kind = kinds[layer] if kinds else None
    for embed in model.modules():
        for prefix, options in (("", ()), (f"{kind}_", (kind,))):
            frequencies = getattr(embed, f"{prefix}inv_freq", None)
            if frequencies is None or apply is None or not hasattr(embed, "forward"):
                continue
            rope_type = getattr(embed, "rope_type", None)
            if isinstance(rope_type, Mapping):
                rope_type = rope_type.get(kind)
            if rope_type not in _FIXED:
                return None
            scaling = getattr(embed, f"{prefix}attention_scaling", 1.0)
            return Rotary(embed, apply, 2 * frequencies.shape[-1], float(scaling), options)
    return None
