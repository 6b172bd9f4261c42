"""PackForcing: first tokens, blocks packed to a few entries of which the best come, newest ones."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, replace
from math import log
from typing import ClassVar

from memsieve.errors import ParameterError
from memsieve.kv.archive import highest, picked
from memsieve.kv.checks import ModelFacts, whole_number
from memsieve.kv.extras import Tensor, torch
from memsieve.kv.policy import Attend, Extra, Keep, Policy, Step
from memsieve.kv.pooling import means_by, turned_to_middle
from memsieve.kv.resident import indices_of
from memsieve.kv.rotations import refuse_latent, remember, rotary_of
from memsieve.kv.scores import widened


@dataclass(frozen=True)
class PackForcing(Policy):
    """Sink and window in full; between them blocks as `n_packed` entries, `n_top` at a time.

    Blocks are runs of `block_tokens` tokens behind the sink. A block is packed when its last
    token is written, and leaves the device in full when the window has passed it: nothing is
    computed at that moment. An entry is the mean key and value of its share of the block, keys
    turned to the middle of that share, and counts for its tokens (log(count) on the logit).
    When a block leaves, the `n_top` packs with the highest score are chosen anew, in the order
    of the text; the others wait and may come back unchanged:

        s_m = scale / N sum_h (sum_i q[h, i]) . (sum_j k_m[h, j])

    over the first half of the query heads (N of them), the last `n_queries` queries i and the
    entries j of pack m. Where packs are left out, the keys before them slide towards the newer
    ones, so that positions have no gaps; the window and the query stay where they are.

    A query attends to n_sink + n_top n_packed entries and less than n_window + block_tokens
    tokens. Use `MemoryCache(..., positions="keep")`: gaps are closed here. With
    `leaving="archive"` packs can be made anew after `crop`; with "drop" they are lost then.

    Parameters
    ----------
    n_sink
        First tokens of the text, >= 0; 4 here (2 blocks of 6,240 in the video model).
    n_window
        Newest tokens at full resolution, >= 0, up to a block more; 256 (1 block in the paper).
    block_tokens
        Tokens of a block, >= 1; 64 (6,240 in the paper).
    n_packed
        Entries that stand for a block, a divisor of `block_tokens`; 4 (182 in the paper).
    n_top
        Packs that are looked at, >= 0; 16 in the paper.
    n_queries
        Newest queries that score, >= 1; the paper samples evenly from its block, the count is
        not stated.
    closes
        Whether positions are closed up.
    on_host
        Whether packs wait on the host; sums of their keys stay on the device.

    Raises
    ------
    ParameterError
        If a value lies outside its range; in `bind`, if the model caches latents, or with
        `closes` if its rotation is not known.

    References
    ----------
    Mao et al., arXiv 2603.25730; ShandaAI/PackForcing has no code. The paper packs blocks of
    video latents by a trained compressor (convolutions beside a decoded, pooled and encoded
    copy) that is learned with its generator; pooling stands in its place here, which needs no
    training and is exact for alike tokens (`pooled_on_grid` does so in three axes). Ours as
    well: the choice is made for each row and not over the batch, for each layer (UNCONFIRMED),
    and once for each block, as in the paper for the first of several denoising steps.
    """

    n_sink: int = 4
    n_window: int = 256
    _: KW_ONLY
    block_tokens: int = 64
    n_packed: int = 4
    n_top: int = 16
    n_queries: int = 64
    closes: bool = True
    on_host: bool = False

    keeps_rows: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for name in ("n_sink", "n_window", "n_top"):
            whole_number(f"PackForcing.{name}", getattr(self, name), at_least=0)
        for name in ("block_tokens", "n_packed", "n_queries"):
            whole_number(f"PackForcing.{name}", getattr(self, name), at_least=1)
        if self.block_tokens % self.n_packed:
            raise ParameterError(
                f"PackForcing.n_packed must divide block_tokens = {self.block_tokens}, "
                f"got {self.n_packed}"
            )

    @property
    def n_recent(self) -> int:
        """The queries that score."""
        return self.n_queries

    def bind(self, facts: ModelFacts) -> None:
        """Refuse latents; look for the rotation."""
        refuse_latent(facts, "PackForcing")
        remember(facts, "PackForcing.closes", must=self.closes)

    # Packing, as soon as a block is written.

    def observe(self, step: Step) -> None:
        """Pack the blocks that this pass completed."""
        self._pack(step)

    def _pack(self, step: Step) -> None:
        rows, places = step.state.row, step.positions[:, 0]
        n_done = ((places.amax(-1) + 1 - self.n_sink) // self.block_tokens).clamp(min=0)
        known = rows.get("n_done", torch.zeros_like(n_done))
        if "n_done" in rows and bool((known == n_done).all()):
            return
        rows["n_done"] = n_done
        n_before, n = self._n_packs(rows), int(n_done.max())
        keys, values, slots, real, places = self._in_full(step)
        block = (places - self.n_sink) // self.block_tokens
        fresh = real & (places >= self.n_sink)
        fresh &= (block >= known[:, None, None]) & (block < n_done[:, None, None])
        share = self.block_tokens // self.n_packed
        entry = ((places - self.n_sink) // share).masked_fill(~fresh, n * self.n_packed)
        index, valid = indices_of(fresh)
        entry = entry.gather(2, index).masked_fill(~valid, n * self.n_packed)
        keys, values = widened(picked(keys, index)), widened(picked(values, index))
        places, m = places.gather(2, index), n * self.n_packed
        keys = turned_to_middle(keys, places, entry, m, rotary_of(step.module))
        # A block whose tokens were lost (see `crop`) gets no slot, and is seen by none.
        last = entry.new_full((*entry.shape[:2], m + 1), -1)
        last.scatter_reduce_(2, entry, slots.gather(2, index), "amax")
        new = {"keys": means_by(keys, entry, m).to(step.keys.dtype)}
        new |= {"values": means_by(values, entry, m).to(step.values.dtype), "slots": last[..., :m]}
        is_new = torch.arange(m, device=known.device) >= known[:, None] * self.n_packed
        for name, tensor in new.items():
            old = rows.get(f"pack.{name}")
            rows[f"pack.{name}"] = self._stored(tensor, old, is_new, n_before * self.n_packed)
        sums = self._of_blocks(new["keys"].float().masked_fill(~is_new[:, None, :, None], 0.0))
        old = rows.get("pack.sums")
        if old is not None:
            sums[:, :, :n_before] += old
        rows["pack.sums"] = sums

    def _n_packs(self, rows: dict[str, Tensor]) -> int:
        return int(rows["pack.sums"].shape[2]) if "pack.sums" in rows else 0

    def _of_blocks(self, keys: Tensor) -> Tensor:
        """Sums [B, H, M, D] over the entries [B, H, M * n_packed, D] of each pack."""
        return keys.unflatten(2, (-1, self.n_packed)).sum(3)

    def _stored(self, new: Tensor, old: Tensor | None, is_new: Tensor, n_old: int) -> Tensor:
        if old is not None:
            kept = torch.cat([old.to(new.device), new[:, :, n_old:]], 2)
            mask = is_new.view(is_new.shape[0], 1, -1, *[1] * (new.dim() - 3))
            new = torch.where(mask, new, kept)
        return new.to("cpu") if self.on_host else new

    def _in_full(self, step: Step) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Keys, values, slots, real, positions of what is stored; after `crop` of all there is."""
        stored = (step.keys, step.values, step.slots, step.real, step.positions)
        archive = step.archive
        if "pack.sums" in step.state.row or archive is None or not archive.n:
            return stored
        device = step.keys.device
        slots = archive.slots.to(device)
        beside = replace(step, keys=archive.keys.to(device), slots=slots)
        left = (beside.keys, archive.values.to(device), slots, beside.real, beside.positions)
        keys, values, slots, real, places = (
            torch.cat([old, new], 2) for old, new in zip(left, stored, strict=True)
        )
        return keys, values, slots, real, places

    # Choosing, when a block has left.

    def attend(self, step: Step) -> Attend | None:
        """Window, chosen packs, and the sink where it slides."""
        rows = step.state.row
        left = self._n_left(step)
        if "n_done" not in rows and bool((left > 0).any()):  # after `crop`
            self._pack(step)
        n = min(int(left.max()), self._n_packs(rows))
        if not n:
            return None
        before = rows.get("left")
        if before is None or not bool((before == left).all()):
            chosen = self._chosen(step, left, n)
            if before is not None:
                old = rows["chosen"]
                old = torch.cat([old, old.new_zeros((old.shape[0], n - old.shape[1]))], 1)
                chosen = torch.where((before == left)[:, None], old, chosen)
            rows["left"], rows["chosen"] = left, chosen
            self._lay_out(step, chosen, left)
        parts = (rows[f"laid.{name}"] for name in ("keys", "values", "slots", "bias"))
        keys, values, slots, bias = parts
        extra = Extra(keys, values, slots, bias)
        if not int(rows["n_laid_sinks"].max()):
            return Attend(extra=extra)
        behind = step.real & (step.positions >= self.n_sink)
        return Attend(*indices_of(behind), extra=extra)

    def _n_left(self, step: Step) -> Tensor:
        """[B] int64: how many blocks are no longer stored in full."""
        places = step.positions[:, 0]
        behind = torch.where(places >= self.n_sink, places, 2**62)
        first = behind.amin(-1)
        return torch.where(first < 2**62, (first - self.n_sink) // self.block_tokens, 0)

    def _chosen(self, step: Step, left: Tensor, n: int) -> Tensor:
        """[B, n] bool: the packs that are looked at."""
        slots = step.state.row["pack.slots"].to(left.device)[:, 0, : n * self.n_packed]
        there = (slots.unflatten(1, (-1, self.n_packed)) >= 0).any(-1)
        there &= torch.arange(n, device=left.device) < left[:, None]
        if n <= self.n_top:
            return there
        score = self.scores(step)[:, :n].masked_fill(~there, -torch.inf)
        chosen = torch.zeros_like(there)
        if self.n_top:
            chosen.scatter_(1, highest(score, self.n_top), True)
        return chosen & there

    def scores(self, step: Step) -> Tensor:
        """s_m of every pack: [B, M], higher is taken."""
        recent = widened(step.recent)
        if step.padding is not None:
            asked = step.padding[:, step.n_logical - recent.shape[2] :]
            recent = recent.masked_fill(~asked[:, None, :, None], 0.0)
        return affinity(recent, step.state.row["pack.sums"], step.scale)

    def _lay_out(self, step: Step, chosen: Tensor, left: Tensor) -> None:
        """Keep what attention gets beside the stored tokens, until the next choice."""
        rows, device, size = step.state.row, step.keys.device, self.n_packed
        index, valid = indices_of(chosen[:, None])
        n_heads = step.keys.shape[1]
        shifts, sink_shift = slides(chosen, left)
        shift = (shifts[:, None].gather(2, index) * self.block_tokens)[..., None]
        entry = index[..., None] * size + torch.arange(size, device=index.device)
        entry = entry.flatten(2).expand(-1, n_heads, -1)
        at = entry.to(rows["pack.keys"].device)
        packed = (
            picked(rows[f"pack.{name}"], at).to(device) for name in ("keys", "values", "slots")
        )
        keys, values, slots = packed
        slots = slots.masked_fill(~valid.repeat_interleave(size, 2), -1)
        shift = shift.expand(*shift.shape[:3], size).flatten(2).expand_as(slots)
        bias = torch.full(slots.shape, log(self.block_tokens // size), device=device)
        rotary = rotary_of(step.module) if self.closes else None
        slide = rotary is not None and bool((sink_shift > 0).any())
        rows["n_laid_sinks"] = torch.zeros_like(left)
        if slide:
            where, is_sink = indices_of(step.real & (step.positions < self.n_sink))
            rows["n_laid_sinks"] = is_sink[:, 0].sum(-1)
            by = (sink_shift * self.block_tokens)[:, None, None].expand(where.shape)
            keys = torch.cat([picked(step.keys, where), keys], 2)
            values = torch.cat([picked(step.values, where), values], 2)
            at_slots = step.slots.gather(2, where).masked_fill(~is_sink, -1)
            slots, shift = torch.cat([at_slots, slots], 2), torch.cat([by, shift], 2)
            bias = torch.cat([bias.new_zeros(where.shape), bias], 2)
            assert rotary is not None
            keys = rotary.forward(keys, shift)
        laid = {"keys": keys, "values": values, "slots": slots, "bias": bias}
        rows.update({f"laid.{name}": tensor for name, tensor in laid.items()})

    # What stays in full.

    def keep(self, step: Step) -> Keep | None:
        """Sink, window, and the rest of the block on its border."""
        if step.n_stored < self.n_sink + self.n_window + self.block_tokens:
            return None
        places, real = step.positions, step.real
        behind = places.amax(-1, keepdim=True) + 1 - self.n_sink - self.n_window
        first = self.n_sink + behind.clamp(min=0) // self.block_tokens * self.block_tokens
        stays = real & ((places < self.n_sink) | (places >= first))
        if bool((stays == real).all()):
            return None
        return Keep(*indices_of(stays))


def affinity(query: Tensor, sums: Tensor, scale: float) -> Tensor:
    """Mean over the first half of the query heads of (sum_i q_i) . (sum_j k_j): [B, M].

    `query` [B, Hq, q, D]; `sums` [B, Hkv, M, D], the summed keys of each pack. One product for
    each pack and head, as the double sum over queries and keys is linear in both. No softmax: a
    pack with long keys along the queries may win always, and taking the mean key off all packs
    moves all scores alike.
    """
    n_heads, n_stored = query.shape[1], sums.shape[1]
    half = max(1, n_heads // 2)
    asked = query.sum(2).unflatten(1, (n_stored, -1)).to(sums.dtype)
    of_heads = (asked @ sums.transpose(2, 3)).flatten(1, 2)
    return of_heads[:, :half].mean(1) * scale


def slides(chosen: Tensor, left: Tensor) -> tuple[Tensor, Tensor]:
    """By how many blocks each pack and the sink slide: [B, M] and [B] int64.

    `chosen` [B, M] bool of the first `left` [B] packs that exist. A pack slides by the packs
    behind it that are left out; the sink by all of them.
    """
    there = torch.arange(chosen.shape[1], device=chosen.device) < left[:, None]
    out = (there & ~chosen).long()
    behind = out.flip(1).cumsum(1).flip(1) - out
    return behind, out.sum(1)


def active_tokens(
    n_blocks: int,
    *,
    block_tokens: int,
    n_packed: int,
    n_sink_blocks: int,
    n_top: int,
    n_recent_blocks: int,
) -> tuple[int, int, int, int]:
    """Tokens of sink, chosen packs, recent blocks, and of all packs, after `n_blocks` blocks.

    >>> active_tokens(100, block_tokens=6240, n_packed=182, n_sink_blocks=2, n_top=16,
    ...               n_recent_blocks=1)
    (12480, 2912, 6240, 17654)
    """
    n_sink = min(n_blocks, n_sink_blocks)
    n_recent = min(n_blocks - n_sink, n_recent_blocks)
    n_middle = n_blocks - n_sink - n_recent
    return (
        n_sink * block_tokens,
        min(n_middle, n_top) * n_packed,
        n_recent * block_tokens,
        n_middle * n_packed,
    )
