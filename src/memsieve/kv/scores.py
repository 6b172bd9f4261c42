"""Attention weights for policies, computed beside the fast kernels that do not give them out.

Everything works on the rotated query that attention received, in blocks of queries, without
repeating key-value heads, in float32 at least; what padding asks or is asked counts nothing.
Attention sinks (GPT-OSS) are left out of the softmax: weights of a row sum to 1 over its keys.
"""

from __future__ import annotations

from memsieve.kv.extras import Tensor, torch
from memsieve.kv.policy import Step

BLOCK_QUERIES = 128
CACHED_LOGITS = 3 * 2**19
"""How many logits of a block stay in the nearest caches of a processor: 6 MB."""


def weights(step: Step, query: Tensor) -> Tensor:
    """Attention weights of the last r queries: [B, Hk, g, r, n] from [B, Hq, r, D].

    `query` must end with the newest token. Rows of padding are 0.
    """
    first = step.n_logical - query.shape[2]
    return _weights(step, query, widened(step.keys), first, step.n_stored)


def column_sums(step: Step, block_queries: int | None = None) -> Tensor:
    """What each stored token received from the queries of this pass: [B, Hkv, n].

    f[j] = sum over queries i of softmax(q_i K^T)[j], the mean over the query heads that share
    the head. Costs one more q K^T; extra memory Hq * block * n, for blocks of so many queries
    (None: `queries_at_once`).
    """
    block_queries = block_queries or queries_at_once(step)
    n_new, n = step.query.shape[2], step.n_stored
    keys = widened(step.keys)
    sums = keys.new_zeros((*step.slots.shape[:2], n))
    for start in range(0, n_new, block_queries):
        rows = step.query[:, :, start : start + block_queries]
        seen = n - n_new + start + rows.shape[2]  # later keys are later than every row
        block = _weights(step, rows, keys[:, :, :seen], step.n_logical - n_new + start, seen)
        sums[..., :seen] += of_stored_heads(block.sum(3), step)
    return sums


def queries_at_once(step: Step, n_tensors: int = 1) -> int:
    """How many queries to score at once, with `n_tensors` tensors as large as their logits.

    On a CPU as few as keep them in its caches, which is up to three times as fast.
    """
    if step.query.device.type != "cpu":
        return BLOCK_QUERIES
    of_query = n_tensors * step.query.shape[0] * step.query.shape[1] * step.n_stored
    return max(4, min(BLOCK_QUERIES, CACHED_LOGITS // of_query))


def of_stored_heads(x: Tensor, step: Step) -> Tensor:
    """Mean over the query heads of each stored head: [B, Hkv, n] from [B, Hk, g, n]."""
    stored = step.slots.shape[1]
    return x.reshape(x.shape[0], stored, -1, x.shape[-1]).mean(2)


def widened(x: Tensor) -> Tensor:
    """At least float32."""
    return x.float() if x.element_size() < 4 else x


def _weights(step: Step, query: Tensor, keys: Tensor, first: int, seen: int) -> Tensor:
    n_rows, n_heads, n_queries, _ = query.shape
    grouped = widened(query).reshape(n_rows, keys.shape[1], -1, keys.shape[3])
    logits = (grouped @ keys.transpose(2, 3)).mul_(step.scale)
    if step.softcap is not None:
        logits = (logits / step.softcap).tanh_().mul_(step.softcap)
    logits = logits.view(n_rows, keys.shape[1], n_heads // keys.shape[1], n_queries, seen)
    if step.is_whole and step.n_stored == step.n_logical:
        # Nothing has left: only the square at the end holds keys later than a query.
        later = torch.ones(n_queries, n_queries, dtype=torch.bool, device=query.device).triu_(1)
        logits[..., seen - n_queries :].masked_fill_(later, -torch.inf)
        return logits.softmax(-1)
    asked = torch.arange(first, first + n_queries, device=query.device)
    slots, real = step.slots[:, :, None, :seen], step.real[:, :, None, :seen]
    allowed = real & (slots <= asked[:, None])
    if step.padding is not None:
        allowed = allowed & step.padding[:, None, first : first + n_queries, None]
    return logits.masked_fill_(~allowed[:, :, None], -torch.inf).softmax(-1).nan_to_num_(0.0)
