"""Attention of one new token over picked keys and values, read where they are stored.

A policy that retrieves names m of n stored tokens. Gathering them writes and reads m keys and
values of every head once more than attention itself has to; `attend_at` does without. It needs
Triton, which comes with builds of PyTorch for CUDA on Linux; `usable` says whether it can run.
"""

from __future__ import annotations

from functools import cache
from math import e, log2
from types import ModuleType

from memsieve.errors import MissingExtraError, ParameterError
from memsieve.kv.extras import Tensor, torch

_MOST_CHANNELS = 256
# Bytes of the keys and values of one block. Three blocks are on their way at a time, which must
# fit the 99 KiB that a program may share on the smaller cards (compute capability 8.6 and 8.9).
_BLOCK_BYTES = 32 * 1024
# Programs for each multiprocessor: two or three run at once, the rest evens out their ends.
_PROGRAMS = 4
_INTERPRETED = 5  # multiprocessors that the interpreter makes splits for: a few are enough to try
_MERGED_AT_ONCE = 16


def usable(
    query: Tensor, keys: Tensor, values: Tensor, index: Tensor, mask: Tensor | None = None
) -> bool:
    """Whether `attend_at` can run, and takes these tensors; reads no element of them.

    True if Triton is installed; all tensors are on one CUDA device (compute capability 8.0 at
    least), or anywhere under Triton's interpreter; there is one query for each row; queries,
    keys and values are all bfloat16, float16 or float32, with at most 256 channels that lie side
    by side; no gradient is asked for; and the shapes are those of `attend_at`.
    """
    return _runs_on(query) and _objection(query, keys, values, index, mask) is None


def attend_at(
    query: Tensor,
    keys: Tensor,
    values: Tensor,
    index: Tensor,
    *,
    scale: float,
    mask: Tensor | None = None,
    softcap: float | None = None,
) -> Tensor:
    """Attention over the keys and values at `index`: [B, 1, Hq, Dv] in the type of `query`.

    out[h] = sum_j softmax_j(scale * query[h] . keys[index[j]] + mask[h, j]) * values[index[j]],
    with h // (Hq / Hkv) the key-value head of h. Logits, weights and sums are float32; a weight is
    rounded to the type of the values before it meets one, as in other fused attention.
    Each picked key and value is read once for each head of `index`, and nothing is copied: m is
    cut into splits which fill the device, and a second kernel merges them.

    Parameters
    ----------
    query
        [B, Hq, 1, D], rotated, any strides but that channels lie side by side.
    keys, values
        [B, Hkv, n, D] and [B, Hkv, n, Dv], likewise; D and Dv at most 256. They may be views
        of larger buffers.
    index
        [B, H, m] int64, H = Hkv (the query heads of a group share it) or H = Hq, m >= 1, each in
        [0, n). That is not checked, as it would wait for the device: what lies outside reads
        foreign memory. Order does not matter; a token named twice counts twice.
    scale
        What q . k is multiplied by.
    mask
        Broadcastable to [B, Hq, 1, m], of any strides. Float: added to the logits, after
        `softcap`; an entry at the lowest number of its type, or at -inf, hides its place. Bool:
        False hides. A row of which all places are hidden gets the mean of its values, as softmax
        over equal logits gives it; where PyTorch has other ideas (NaN for a row of -inf, and
        for float16, whose lowest number does not swallow a logit), this holds all the same.
    softcap
        Logits become `softcap * tanh(logits / softcap)` (Gemma 2).

    Raises
    ------
    ParameterError
        If a shape, type, stride or device breaks these rules, or a gradient is asked for.
    MissingExtraError
        If Triton is not installed.

    References
    ----------
    Splitting the keys of a single query and merging by log-sum-exp: Flash-Decoding (Dao,
    Haziza, Massa, Sizov, 2023), on Dao, arXiv 2307.08691. Differs: keys are picked by an index;
    splits leave sum and maximum apart, so that rows of hidden places alone merge exactly.
    """
    objection = _objection(query, keys, values, index, mask)
    if objection is None and softcap is not None and not softcap > 0:
        objection = f"softcap must be > 0, got {softcap!r}"
    if objection is not None:
        raise ParameterError(f"attend_at: {objection}")
    if not _runs_on(query):
        _refuse(query)
    n_rows, n_heads = query.shape[:2]
    out = query.new_empty((n_rows, 1, n_heads, values.shape[3]))
    if n_rows:
        with torch.cuda.device_of(query):
            _launch(query, keys, values, index, mask, out, scale, softcap)
    return out


def _launch(
    query: Tensor,
    keys: Tensor,
    values: Tensor,
    index: Tensor,
    mask: Tensor | None,
    out: Tensor,
    scale: float,
    softcap: float | None,
) -> None:
    kernels = _kernels()
    n_rows, n_heads, _, n_channels = query.shape
    n_values, m = values.shape[3], index.shape[2]
    heads_of_index = n_heads // index.shape[1]
    group, block = _tile(query, values, heads_of_index)
    n_programs = n_rows * index.shape[1] * -(-heads_of_index // group)
    blocks_of_split, n_splits = _splits(query, -(-m // block), n_programs)
    is_whole = n_splits == 1
    sums = rests = out
    if not is_whole:
        shape = (n_rows, n_heads, n_splits)
        sums = query.new_empty((*shape, n_values), dtype=torch.float32)
        rests = query.new_empty((*shape, 2), dtype=torch.float32)
    lowest, mask_strides = 0.0, (0, 0, 0)
    if mask is not None:
        mask = mask.expand(n_rows, n_heads, 1, m)
        mask_strides = (mask.stride(0), mask.stride(1), mask.stride(3))
        if mask.dtype == torch.bool:
            mask = mask.view(torch.int8)
        else:
            lowest = torch.finfo(mask.dtype).min
    # A float even where an int was given, for which another kernel would be compiled.
    cap = None if softcap is None else float(softcap)
    kernels.attend_split[(n_programs, n_splits)](
        *(query, keys, values, index, mask, out, sums, rests),
        *(scale * log2(e), cap, lowest, m, blocks_of_split, n_splits),
        *query.stride()[:2],
        *keys.stride()[:3],
        *values.stride()[:3],
        *index.stride(),
        *mask_strides,
        n_heads=n_heads,
        heads_of_index=heads_of_index,
        heads_of_keys=n_heads // keys.shape[1],
        n_channels=n_channels,
        n_values=n_values,
        padded_channels=_padded(n_channels),
        padded_values=_padded(n_values),
        group=group,
        block=block,
        stages=3,
        is_whole=is_whole,
        widens=kernels.is_interpreted(),
        num_warps=4,
    )
    if not is_whole:
        kernels.merge_splits[(n_rows * n_heads,)](
            *(sums, rests, out, n_splits),
            n_values=n_values,
            padded_values=_padded(n_values),
            block=_MERGED_AT_ONCE,
            num_warps=4,
        )


def _tile(query: Tensor, values: Tensor, heads_of_index: int) -> tuple[int, int]:
    """How many query heads a program serves, and how many tokens it reads at a time."""
    channels = _padded(query.shape[3]) + _padded(values.shape[3])
    fitting = _BLOCK_BYTES // (channels * query.element_size())
    block = min(1 << (fitting.bit_length() - 1), 128)
    # Tensor cores multiply 16 rows as fast as one, and take a quarter of the instructions that
    # sums of products take; they do not multiply float32. Larger groups run out of registers.
    if query.dtype == torch.float32:
        return 1 if heads_of_index == 1 else 16, block
    return min(_padded(heads_of_index), 32), block


def _splits(query: Tensor, n_blocks: int, n_programs: int) -> tuple[int, int]:
    """Blocks of each split, and how many splits there are; none of them is empty."""
    wanted = -(-_PROGRAMS * _multiprocessors(query) // n_programs)
    blocks_of_split = -(-n_blocks // min(n_blocks, wanted))
    return blocks_of_split, -(-n_blocks // blocks_of_split)


def _objection(
    query: Tensor, keys: Tensor, values: Tensor, index: Tensor, mask: Tensor | None
) -> str | None:
    """Which rule of `attend_at` these tensors break; None if they keep them all."""
    if not query.ndim == keys.ndim == values.ndim == 4 or index.ndim != 3:
        return "query, keys and values must have 4 axes and index 3"
    n_rows, n_heads, n_queries, n_channels = query.shape
    n_kv_heads, n, n_values = keys.shape[1], keys.shape[2], values.shape[3]
    shared = (n_rows, n_kv_heads, n)
    if n_queries != 1:
        return f"query must hold one query for each row, got {n_queries}"
    if keys.shape != (*shared, n_channels) or values.shape[:3] != shared:
        return (
            f"keys [B, Hkv, n, D] and values [B, Hkv, n, Dv] do not fit query {_of(query)}: "
            f"got {_of(keys)} and {_of(values)}"
        )
    if not (n_kv_heads and n_heads and n_heads % n_kv_heads == 0):
        return f"query heads must be a multiple of key-value heads, got {n_heads} and {n_kv_heads}"
    if index.shape[0] != n_rows or index.shape[1] not in (n_kv_heads, n_heads):
        return f"index must be [{n_rows}, {n_kv_heads} or {n_heads}, m], got {_of(index)}"
    if not (n and index.shape[2]):
        return f"at least one token must be stored and one picked, got {n} and {index.shape[2]}"
    if not (1 <= n_channels <= _MOST_CHANNELS and 1 <= n_values <= _MOST_CHANNELS):
        return f"D and Dv must be in [1, {_MOST_CHANNELS}], got {n_channels} and {n_values}"
    if any(one.stride(3) != 1 and one.shape[3] > 1 for one in (query, keys, values)):
        return "channels of query, keys and values must lie side by side"
    return _objection_to_types(query, keys, values, index) or _objection_to_mask(query, index, mask)


def _objection_to_types(query: Tensor, keys: Tensor, values: Tensor, index: Tensor) -> str | None:
    if query.dtype not in (torch.bfloat16, torch.float16, torch.float32):
        return f"query must be bfloat16, float16 or float32, got {query.dtype}"
    if not query.dtype == keys.dtype == values.dtype:
        return (
            "query, keys and values must be of one type, "
            f"got {query.dtype}, {keys.dtype}, {values.dtype}"
        )
    if index.dtype != torch.int64:
        return f"index must be int64, got {index.dtype}"
    if not query.device == keys.device == values.device == index.device:
        return "all tensors must be on one device"
    if torch.is_grad_enabled() and any(one.requires_grad for one in (query, keys, values)):
        return "gradients are not computed: call it under torch.no_grad()"
    return None


def _objection_to_mask(query: Tensor, index: Tensor, mask: Tensor | None) -> str | None:
    if mask is None:
        return None
    full = (*query.shape[:2], 1, index.shape[2])
    if mask.ndim != 4 or any(
        had not in (1, most) for had, most in zip(mask.shape, full, strict=True)
    ):
        return f"mask must be broadcastable to {list(full)}, got {_of(mask)}"
    if mask.dtype not in (torch.bool, torch.bfloat16, torch.float16, torch.float32):
        return f"mask must be bool, bfloat16, float16 or float32, got {mask.dtype}"
    if mask.device != query.device:
        return "all tensors must be on one device"
    return None


def _of(tensor: Tensor) -> list[int]:
    return list(tensor.shape)


@cache
def _kernels() -> ModuleType:
    # Loaded at its first use: Triton takes its time, and settles then whether it interprets.
    from memsieve.kv import kernels_triton

    return kernels_triton


def _runs_on(query: Tensor) -> bool:
    """Whether Triton is there and compiles for, or interprets on, the device of `query`."""
    kernels = _kernels()
    if kernels.triton is None:
        return False
    if kernels.is_interpreted():
        return True
    # ROCm calls its devices CUDA as well; nothing here was ever tried on one.
    if query.device.type != "cuda" or torch.version.hip is not None:
        return False
    return bool(torch.cuda.get_device_capability(query.device) >= (8, 0))


def _refuse(query: Tensor) -> None:
    if _kernels().triton is None:
        raise MissingExtraError(
            "attend_at needs Triton, which comes with PyTorch for CUDA on Linux: pip install triton"
        )
    raise ParameterError(
        "attend_at needs a CUDA device of compute capability 8.0 or more, or Triton's interpreter "
        f"(TRITON_INTERPRET=1), got tensors on {query.device}: ask `usable` first"
    )


def _multiprocessors(query: Tensor) -> int:
    if query.device.type != "cuda":
        return _INTERPRETED
    return int(torch.cuda.get_device_properties(query.device).multi_processor_count)


def _padded(size: int) -> int:
    """The power of two, at least 16, that `size` fits in: what Triton's tiles need."""
    return max(16, 1 << (size - 1).bit_length())
