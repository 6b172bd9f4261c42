"""What attention gets to see of a layer: keys, values and mask of what was chosen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from memsieve.kv import kernels
from memsieve.kv.archive import picked
from memsieve.kv.extras import Tensor, torch
from memsieve.kv.policy import Attend, Extra, Step
from memsieve.kv.rotary import Rotary, closing_shifts


@dataclass(frozen=True, eq=False)
class View:
    """Keys and values with the mask that goes with them.

    Attributes
    ----------
    keys, values
        [B, H, m, D] and [B, H, m, Dv]; H is Hkv, or Hq where each query head has its own. With
        an `index`, those it picks from: [B, Hkv, n, D] and [B, Hkv, n, Dv].
    mask
        [B, Hq, q, m], of bool or additive as the model's own; None where everything may be seen.
    slots
        [B, H, m], which were chosen, -1 for none; None where it is all that is stored.
    index
        [B, H, m], which are to be picked; None if that is done.
    is_all
        Whether it is all that the row has, in its order: attention is then the model's own, bit
        for bit.
    """

    keys: Tensor
    values: Tensor
    mask: Tensor | None
    slots: Tensor | None = None
    index: Tensor | None = None
    is_all: bool = False

    def attention(
        self, inner: Callable[..., Any], module: Any, query: Tensor, **kwargs: Any
    ) -> Any:
        """Attention of `inner` over it, or by a faster way that gives the same but for rounding."""
        keys, values = self.keys, self.values
        plain = not self.is_all and query.shape[2] == 1 and _is_plain(inner, kwargs)
        scale = kwargs.get("scaling") or query.shape[-1] ** -0.5
        if self.index is not None:
            given = (query, keys, values, self.index)
            if plain and kernels.usable(*given, self.mask):
                return kernels.attend_at(*given, scale=scale, mask=self.mask), None
            keys, values = picked(keys, self.index), picked(values, self.index)
        if plain and keys.shape[1] < query.shape[1]:
            return packed(query, keys, values, self.mask, scale), None
        if self.slots is not None and keys.shape[1] == query.shape[1]:
            module = _Ungrouped(module)
        return inner(module, query, keys, values, self.mask, **kwargs)


def packed(
    query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, scale: float
) -> Tensor:
    """Attention of single tokens, [B, 1, Hq, Dv]: the heads of a group as so many queries.

    Shared keys and values are then read once for the group, and never repeated.

    Parameters
    ----------
    query
        [B, Hq, 1, D].
    keys, values
        [B, Hkv, m, D] and [B, Hkv, m, Dv].
    mask
        Broadcastable to [B, Hq, 1, m], bool or additive; None where everything may be seen.
    """
    n_rows, n_heads, _, n_channels = query.shape
    grouped = query.reshape(n_rows, keys.shape[1], -1, n_channels)
    if mask is not None:
        mask = mask.expand(n_rows, n_heads, 1, -1).reshape(*grouped.shape[:3], -1)
    found = torch.nn.functional.scaled_dot_product_attention(
        grouped, keys, values, attn_mask=mask, scale=scale
    )
    return found.reshape(n_rows, 1, n_heads, -1)


def _is_plain(inner: Callable[..., Any], kwargs: dict[str, Any]) -> bool:
    """Whether it is PyTorch's attention, without sinks, caps, dropout or weights to give out."""
    return (
        getattr(inner, "__name__", "") == "sdpa_attention_forward"
        and not any(kwargs.get(name) for name in ("dropout", "softcap", "output_attentions"))
        and kwargs.get("s_aux") is None
    )


class _Ungrouped:
    """An attention module as seen by attention over keys that were gathered per query head."""

    num_key_value_groups = 1

    def __init__(self, module: Any) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


def stored(step: Step, value: Tensor, mask: Tensor | None, *, has_empty: bool) -> View:
    """All that is stored; `mask` is that of all N tokens seen so far."""
    is_all = step.n_stored == step.n_logical and not has_empty
    if not is_all:
        mask = masked(step, step.slots, mask, None, may_be_empty=has_empty)
    return View(step.keys, value, mask, is_all=is_all)


def chosen(
    step: Step,
    plan: Attend,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    *,
    has_empty: bool,
    rotary: Rotary | None,
) -> View:
    """What `plan` names; `key` as stored, turned by `rotary` to close the gaps of the choice."""
    slots, bias = step.slots, None
    may_be_empty = has_empty or plan.valid is not None or plan.extra is not None
    if plan.index is not None:
        slots = picked(slots, plan.index)
        if plan.valid is not None:
            slots = torch.where(plan.valid, slots, -1)
        if plan.extra is None and rotary is None:
            seen = masked(step, slots, mask, None, may_be_empty=may_be_empty)
            return View(key, value, seen, slots, plan.index)
        key, value = picked(key, plan.index), picked(value, plan.index)
    if plan.extra is not None:
        key, value, slots, bias = _joined(plan.extra, key, value, slots)
    if rotary is not None:
        newest, ascending = step.n_logical - 1, plan.extra is None and plan.valid is None
        shifts = closing_shifts(slots, newest, ascending=ascending)
        key = rotary.forward(key, _of_heads(shifts, key.shape[1]))
    return View(key, value, masked(step, slots, mask, bias, may_be_empty=may_be_empty), slots)


def masked(
    step: Step, slots: Tensor, mask: Tensor | None, bias: Tensor | None, *, may_be_empty: bool
) -> Tensor | None:
    """[B, Hq, q, m] for tokens at `slots` [B, H, m]; None where everything may be seen."""
    n_new = step.query.shape[2]
    if n_new == 1 and step.padding is None and not may_be_empty and bias is None:
        return None
    if mask is None:
        asked = torch.arange(step.n_logical - n_new, step.n_logical, device=slots.device)
        seen = slots[:, :, None, :] <= asked[:, None]
    else:
        if mask.shape[1] > 1:  # each query head has its own
            slots = _of_heads(slots, step.query.shape[1])
            bias = None if bias is None else _of_heads(bias, step.query.shape[1])
        n_rows, heads, _ = slots.shape
        at = slots.clamp(min=0)[:, :, None, :].expand(-1, -1, n_new, -1)
        seen = mask.expand(n_rows, heads, n_new, -1).gather(3, at)
    empty = (slots < 0)[:, :, None, :]
    lowest = torch.finfo(step.query.dtype).min
    if seen.dtype == torch.bool:
        seen = seen & ~empty
        if bias is not None or (mask is not None and mask.dtype != torch.bool):
            seen = torch.zeros((), dtype=step.query.dtype, device=slots.device).where(seen, lowest)
    else:
        seen = seen.masked_fill(empty, lowest)
    if bias is not None:
        seen = (seen + bias[:, :, None, :].to(seen.dtype)).clamp(min=lowest)
    return _of_heads(seen, step.query.shape[1])


def _of_heads(x: Tensor, n_heads: int) -> Tensor:
    """[B, n_heads, ...] of [B, H, ...], each head for its group."""
    return x if x.shape[1] == n_heads else x.repeat_interleave(n_heads // x.shape[1], 1)


def _joined(
    extra: Extra, key: Tensor, value: Tensor, slots: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """What is stored behind what is extra, and the bias of both."""
    slots = _of_heads(slots, extra.slots.shape[1])
    key, value = _of_heads(key, extra.keys.shape[1]), _of_heads(value, extra.keys.shape[1])
    bias = None
    if extra.bias is not None:
        bias = torch.cat([extra.bias, extra.bias.new_zeros(slots.shape)], dim=2)
    return (
        torch.cat([extra.keys.to(key.dtype), key], dim=2),
        torch.cat([extra.values.to(value.dtype), value], dim=2),
        torch.cat([extra.slots, slots], dim=2),
        bias,
    )
