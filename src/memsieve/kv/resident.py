"""What a policy has brought back from the archive, kept on the device as long as it is wanted."""

from __future__ import annotations

from dataclasses import dataclass

from memsieve.kv.archive import Archive, Sent, picked
from memsieve.kv.extras import Tensor, torch
from memsieve.kv.policy import Extra, State

HERE = "resident.index"
"""Where `State.row` holds the entries that are here, ascending."""
_PARTS = ("resident.keys", "resident.values", "resident.slots")
_NONE = 2**62
"""The index of an empty place: behind all others, also once the archive has grown."""


def indices_of(mask: Tensor) -> tuple[Tensor, Tensor]:
    """Where `mask` [B, H, n] holds, ascending, filled up: `index` and `valid` [B, H, m]."""
    m = int(mask.sum(-1).max()) if mask.numel() else 0
    index = (~mask).to(torch.uint8).argsort(dim=-1, stable=True)[..., :m]
    return index, mask.gather(-1, index)


@dataclass(frozen=True, eq=False)
class Bringing:
    """What `brought` needs the host for: which entries are wanted, where they are, the new ones.

    Attributes
    ----------
    wanted, valid
        [B, H, m], ascending; those that are not wanted are not valid, and last.
    place
        [B, H, m] into what is here and, behind it, what is new.
    new
        Entries that are not here; None if all are.
    """

    wanted: Tensor
    valid: Tensor
    place: Tensor
    new: Sent | None


def brought(state: State, archive: Archive, index: Tensor, valid: Tensor) -> Extra:
    """Entries `index` [B, Hkv, m] of the archive; only those not here already are fetched.

    What was here and is not wanted is let go. `index` and `valid` lie on the host; `valid`
    [B, Hkv, m] is False where a head wants fewer. No entry may be named twice. What is here
    stands in `state.row`, under names that begin with "resident": the policy must set
    `keeps_rows`, as an archive only grows.
    """
    return settled(state, bringing(state.row.get(HERE), archive, index, valid))


def bringing(here: Tensor | None, archive: Archive, index: Tensor, valid: Tensor) -> Bringing:
    """The first half of `brought`, which the worker may do: find out and send what is not here.

    `here` is `state.row.get(HERE)`, and must still be when `settled` is called.
    """
    m = int(valid.sum(-1).max()) if valid.numel() else 0
    wanted = torch.where(valid, index, _NONE).sort(-1).values[..., :m].contiguous()
    valid = wanted < _NONE
    if here is not None and here.shape[2]:
        place = torch.searchsorted(here, wanted).clamp(max=here.shape[2] - 1)
        known = valid & (here.gather(2, place) == wanted)
    else:
        place, known = torch.zeros_like(wanted), torch.zeros_like(valid)
    missing, is_missing = indices_of(valid & ~known)
    if not missing.shape[2] and here is not None:
        return Bringing(wanted, valid, place, None)
    new = archive.send(wanted.gather(2, missing).clamp(max=archive.n - 1))
    n_here = 0 if here is None else here.shape[2]
    spot = n_here + torch.arange(missing.shape[2])
    spot = torch.where(is_missing, spot, place.gather(2, missing))
    return Bringing(wanted, valid, place.scatter(2, missing, spot), new)


def settled(state: State, coming: Bringing) -> Extra:
    """The second half, on the current stream: what is wanted, and what is here from now on."""
    rows, m = state.row, coming.wanted.shape[2]
    parts = [rows[name] for name in _PARTS] if HERE in rows else []
    if coming.new is not None:
        new = coming.new.extra()
        fresh = [new.keys, new.values, new.slots]
        parts = [torch.cat(both, 2) for both in zip(parts, fresh, strict=True)] if parts else fresh
    if m:
        parts = [picked(part, coming.place.to(part.device)) for part in parts]
    keys, values, slots = (part[:, :, :m] for part in parts)
    slots = slots.masked_fill(~coming.valid.to(slots.device), -1)
    rows[HERE] = coming.wanted
    rows.update(zip(_PARTS, (keys, values, slots), strict=True))
    return Extra(keys, values, slots)
