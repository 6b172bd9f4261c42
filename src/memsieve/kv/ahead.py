"""What the next layer would ask, were its input this layer's: inputs of neighbours are alike."""

from __future__ import annotations

from typing import Any

from memsieve.errors import ParameterError
from memsieve.kv.extras import Tensor, torch
from memsieve.kv.policy import Step
from memsieve.kv.rotations import rotary_of


def query_ahead(module: Any, step: Step, hidden: Tensor) -> Tensor:
    """Queries [B, Hq, q, D] that `module` would ask with, were `hidden` [B, q, size] its input.

    Rotated to the positions of the last q tokens. Covers projections named q_proj, norms of
    each head or of all heads together, and scaling before attention (OPT).
    """
    n_heads, size = step.query.shape[1], step.query.shape[3]
    query, norm = module.q_proj(hidden), getattr(module, "q_norm", None)
    if norm is not None and norm.weight.shape[-1] == query.shape[-1]:
        query, norm = norm(query), None
    query = query.unflatten(-1, (n_heads, size))
    query = (query if norm is None else norm(query)).transpose(1, 2)
    query = query * (getattr(module, "scaling", step.scale) / step.scale)
    rotary = rotary_of(module)
    if rotary is None:
        return query
    first = step.n_logical - hidden.shape[1]
    places = torch.arange(first, step.n_logical, device=query.device).expand(len(query), -1)
    if step.padding is not None:
        places = (step.padding.long().cumsum(-1) - 1).clamp(min=0)[:, first:]
    turned = rotary.forward(query, places[:, None].expand(-1, n_heads, -1))
    turned[..., : rotary.n_rotated] *= rotary.scaling
    return turned


def check_queries(step: Step, who: str) -> None:
    """Refuse a model whose queries are not what `query_ahead` makes of their own input.

    Raises
    ------
    ParameterError
        If they are off by more than a twentieth, as rounding does not explain.
    """
    if step.hidden is None:
        return
    real, foreseen = step.query[:, :, -1:], query_ahead(step.module, step, step.hidden[:, -1:])
    off = (foreseen - real).norm() / real.norm().clamp(min=1e-20)
    if off > 0.05:
        raise ParameterError(
            f"{who} cannot foresee the queries of {type(step.module).__name__} (off by "
            f"{float(off):.0%}): either it makes them in a way of its own, or position_ids were "
            "given that do not count the real tokens of each row from 0, as generate does"
        )
