"""The device code of `memsieve.kv.kernels`, written in Triton; loaded at its first use.

Where Triton is missing the module still imports, and its functions cannot be launched. A kernel
is compiled for each set of what is annotated `tl.constexpr`, and again where a stride or an
address stops being a multiple of 16. Logits are in units of log 2: `exp2` is what devices have.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

triton: Any
tl: Any
try:
    import triton  # type: ignore[no-redef]
    import triton.language as tl  # type: ignore[no-redef]
except ImportError:
    triton = tl = None


def is_interpreted() -> bool:
    """Whether the kernels run on the host, by Triton's interpreter.

    Settled when this module is loaded: `TRITON_INTERPRET=1` must be set before.
    """
    return triton is not None and not isinstance(merge_splits, triton.runtime.JITFunction)


def _jit(*without_variants: str) -> Callable[[Callable[..., Any]], Any]:
    """`triton.jit`; the named integers change from step to step, and must not compile anew.

    Strides of rows that are read 16 bytes at a time are not among them: that needs to be known.
    """
    if triton is None:
        return lambda kernel: kernel
    return lambda kernel: triton.jit(kernel, do_not_specialize=without_variants)


@_jit()
def _dot(left: tl.tensor, right: tl.tensor, sums: tl.tensor, widens: tl.constexpr) -> tl.tensor:
    """`left @ right`, added to `sums`; `widens` for the interpreter, which has no bfloat16."""
    if widens:
        left, right = left.to(tl.float32), right.to(tl.float32)
    return tl.dot(left, right, sums, input_precision="ieee")


@_jit(
    *("m", "blocks_of_split", "n_splits"),
    *("index_row", "index_head", "mask_row", "mask_head"),
)
def attend_split(
    query: tl.tensor,
    keys: tl.tensor,
    values: tl.tensor,
    index: tl.tensor,
    mask: tl.tensor,
    out: tl.tensor,
    sums: tl.tensor,
    rests: tl.tensor,
    scale: tl.tensor,
    softcap: tl.tensor,
    lowest: tl.tensor,
    m: tl.tensor,
    blocks_of_split: tl.tensor,
    n_splits: tl.tensor,
    query_row: tl.tensor,
    query_head: tl.tensor,
    keys_row: tl.tensor,
    keys_head: tl.tensor,
    keys_token: tl.tensor,
    values_row: tl.tensor,
    values_head: tl.tensor,
    values_token: tl.tensor,
    index_row: tl.tensor,
    index_head: tl.tensor,
    index_token: tl.tensor,
    mask_row: tl.tensor,
    mask_head: tl.tensor,
    mask_token: tl.tensor,
    n_heads: tl.constexpr,
    heads_of_index: tl.constexpr,
    heads_of_keys: tl.constexpr,
    n_channels: tl.constexpr,
    n_values: tl.constexpr,
    padded_channels: tl.constexpr,
    padded_values: tl.constexpr,
    group: tl.constexpr,
    block: tl.constexpr,
    stages: tl.constexpr,
    is_whole: tl.constexpr,
    widens: tl.constexpr,
) -> None:
    """Attention of up to `group` query heads that share an index, over one split of its places.

    Program (row * blocks of heads + block of heads, split). `is_whole`: there is one split, and
    `out` [B, Hq, Dv] gets the answer. Otherwise `sums` [B, Hq, splits, Dv] gets the values under
    weights exp2(logit - top), and `rests` [B, Hq, splits, 2] top and the sum of the weights.
    """
    log2_e: tl.constexpr = 1.4426950408889634
    blocks_of_index: tl.constexpr = (heads_of_index + group - 1) // group
    blocks_of_row: tl.constexpr = n_heads // heads_of_index * blocks_of_index
    row = (tl.program_id(0) // blocks_of_row).to(tl.int64)
    block_of_heads = tl.program_id(0) % blocks_of_row
    split = tl.program_id(1)
    chooser = block_of_heads // blocks_of_index
    head = chooser * heads_of_index + block_of_heads % blocks_of_index * group
    keys_at = (head // heads_of_keys).to(tl.int64)
    head = head + tl.arange(0, group)
    is_head = head < (chooser + 1) * heads_of_index

    channel, value = tl.arange(0, padded_channels), tl.arange(0, padded_values)
    is_channel, is_value = channel < n_channels, value < n_values
    asked = tl.load(
        query + row * query_row + head[:, None] * query_head + channel[None, :],
        mask=is_head[:, None] & is_channel[None, :],
        other=0.0,
    )
    if group == 1:
        asked = asked.to(tl.float32)
    keys += row * keys_row + keys_at * keys_head
    values += row * values_row + keys_at * values_head
    index += row * index_row + chooser.to(tl.int64) * index_head
    if mask is not None:
        mask += row * mask_row + head.to(tl.int64)[:, None] * mask_head

    top = tl.full([group], float("-inf"), tl.float32)
    total = tl.zeros([group], tl.float32)
    held = tl.zeros([group, padded_values], tl.float32)
    first = split * blocks_of_split * block
    last = tl.minimum(first + blocks_of_split * block, m)
    for start in tl.range(first, last, block, num_stages=stages):
        place = start + tl.arange(0, block)
        is_place = place < m
        if mask is not None:
            given = tl.load(
                mask + place[None, :] * mask_token,
                mask=is_head[:, None] & is_place[None, :],
                other=0,
            )
        at = tl.load(index + place * index_token, mask=is_place, other=0)
        key = tl.load(
            keys + at[:, None] * keys_token + channel[None, :],
            mask=is_place[:, None] & is_channel[None, :],
            other=0.0,
        )
        if group == 1:
            logits = tl.sum(asked * key.to(tl.float32), 1)[None, :]
        else:
            logits = _dot(asked, tl.trans(key), None, widens)
        logits *= scale
        if softcap is not None:
            # softcap * tanh(natural logit / softcap); Triton's language has no tanh.
            logits = log2_e * softcap * (1 - 2 / (tl.exp2(logits * 2 / softcap) + 1))
        if mask is not None:
            if mask.dtype.element_ty == tl.int8:
                logits = tl.where(given != 0, logits, float("-inf"))
            else:
                given = given.to(tl.float32)
                logits = tl.where(given > lowest, logits + given * log2_e, float("-inf"))
        # Finite, so that a row of nothing but masked places weighs them alike, as softmax does
        # at equal logits. A comparison, as a maximum would turn NaN into a number.
        logits = tl.where(logits < -1e38, -1e38, logits)
        logits = tl.where(is_place[None, :], logits, float("-inf"))

        new_top = tl.maximum(top, tl.max(logits, 1))
        shrunk = tl.exp2(top - new_top)
        weight = tl.exp2(logits - new_top[:, None])
        top, total = new_top, total * shrunk + tl.sum(weight, 1)
        held *= shrunk[:, None]
        content = tl.load(
            values + at[:, None] * values_token + value[None, :],
            mask=is_place[:, None] & is_value[None, :],
            other=0.0,
        )
        if group == 1:
            held += tl.sum(tl.trans(weight) * content.to(tl.float32), 0)[None, :]
        else:
            held = _dot(weight.to(content.dtype), content, held, widens)

    line = row * n_heads + head
    is_out = is_head[:, None] & is_value[None, :]
    if is_whole:
        held /= total[:, None]
        tl.store(
            out + line[:, None] * n_values + value[None, :],
            held.to(out.dtype.element_ty),
            mask=is_out,
        )
    else:
        line = line * n_splits + split
        tl.store(sums + line[:, None] * n_values + value[None, :], held, mask=is_out)
        tl.store(rests + line * 2, top, mask=is_head)
        tl.store(rests + line * 2 + 1, total, mask=is_head)


@_jit("n_splits")
def merge_splits(
    sums: tl.tensor,
    rests: tl.tensor,
    out: tl.tensor,
    n_splits: tl.tensor,
    n_values: tl.constexpr,
    padded_values: tl.constexpr,
    block: tl.constexpr,
) -> None:
    """`out` [B, Hq, Dv] from what `attend_split` left; program (row * Hq + head)."""
    line = tl.program_id(0).to(tl.int64)
    value = tl.arange(0, padded_values)
    is_value = value < n_values
    sums += line * n_splits * n_values
    rests += line * n_splits * 2

    top = tl.full([1], float("-inf"), tl.float32)
    total = tl.zeros([1], tl.float32)
    held = tl.zeros([padded_values], tl.float32)
    for start in range(0, n_splits, block):
        split = start + tl.arange(0, block)
        is_split = split < n_splits
        tops = tl.load(rests + split * 2, mask=is_split, other=float("-inf"))
        totals = tl.load(rests + split * 2 + 1, mask=is_split, other=0.0)
        parts = tl.load(
            sums + split[:, None] * n_values + value[None, :],
            mask=is_split[:, None] & is_value[None, :],
            other=0.0,
        )
        new_top = tl.maximum(top, tl.max(tops, 0))
        shrunk, weight = tl.exp2(top - new_top), tl.exp2(tops - new_top)
        top, total = new_top, total * shrunk + tl.sum(totals * weight, 0)
        held = held * shrunk + tl.sum(parts * weight[:, None], 0)
    tl.store(out + line * n_values + value, (held / total).to(out.dtype.element_ty), mask=is_value)
