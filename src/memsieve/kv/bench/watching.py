"""What a cache looked at, and how much of full attention that would have had."""

from __future__ import annotations

from dataclasses import dataclass

from memsieve.kv.cache import MemoryCache
from memsieve.kv.extras import Tensor, torch
from memsieve.kv.layer import MemoryLayer
from memsieve.kv.policy import Policy, Step
from memsieve.kv.scores import weights

_ROWS = "attention of full attention"


@dataclass(frozen=True)
class Recorder(Policy):
    """Keeps everything and remembers the attention weights of every single token, per layer."""

    def observe(self, step: Step) -> None:
        """[B, Hq, N] of this step, on the host."""
        if step.is_prefill:
            return
        rows = weights(step, step.query)[..., 0, :].flatten(1, 2)
        step.shared.layer.setdefault(_ROWS, {}).setdefault(step.layer, []).append(rows.cpu())


def recorded(cache: MemoryCache) -> dict[int, list[Tensor]]:
    """Layer -> the weights [B, Hq, N] of each step that a cache under `Recorder` has seen."""
    return dict(cache.frame.shared.layer.get(_ROWS, {}))


def present(layer: MemoryLayer) -> Tensor:
    """[B, Hkv, n] slots that a layer has stored now; None before the first pass."""
    return layer.slots


def looked_at(cache: MemoryCache) -> dict[int, Tensor]:
    """Layer -> slots [B, H, m] of what the newest pass retrieved; needs a cache with a log."""
    n_logical = cache.get_seq_length()
    return {
        one.layer: one.slots
        for one in cache.log
        if one.kind == "retrieve" and one.n_logical == n_logical
    }


def attended(retrieved: Tensor, before: Tensor, n_logical: int) -> Tensor:
    """[B, H, m] slots that the newest single token could attend to; -1 stands for none.

    `retrieved` is what the pass retrieved, None for all that was stored; `before` what was
    stored before the pass, None for nothing.
    """
    if retrieved is not None:
        return retrieved
    newest = torch.full((*before.shape[:2], 1), n_logical - 1, device=before.device)
    return torch.cat([before, newest], dim=2)


def mass(rows: Tensor, seen: Tensor) -> float:
    """Share of the attention weights `rows` [B, Hq, N] that falls on slots `seen` [B, H, m].

    The mean over rows and query heads; H divides Hq.
    """
    n = rows.shape[2]
    at = seen.to(rows.device)
    marked = torch.zeros(*at.shape[:2], n + 1, dtype=torch.bool, device=rows.device)
    marked = marked.scatter(2, at.where((at >= 0) & (at < n), n), True)[..., :n]
    of_queries = marked.repeat_interleave(rows.shape[1] // at.shape[1], 1)
    return float((rows * of_queries).sum(-1).mean())
