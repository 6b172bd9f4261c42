"""What a policy has brought back from the archive, kept on the device as long as it is wanted."""

from __future__ import annotations

from dataclasses import replace

from memsieve.kv.archive import Archive, picked
from memsieve.kv.extras import Tensor, torch
from memsieve.kv.policy import Extra, State

NAME = "resident"


def indices_of(mask: Tensor) -> tuple[Tensor, Tensor]:
    """Where `mask` [B, H, n] holds, ascending, filled up: `index` and `valid` [B, H, m]."""
    m = int(mask.sum(-1).max()) if mask.numel() else 0
    index = (~mask).to(torch.uint8).argsort(dim=-1, stable=True)[..., :m]
    return index, mask.gather(-1, index)


def brought(state: State, archive: Archive, index: Tensor, valid: Tensor) -> Extra:
    """Entries `index` [B, Hkv, m] of the archive; only those not here already are fetched.

    What was here and is not wanted is let go. `valid` [B, Hkv, m] is False where a head wants
    fewer. No entry may be named twice. What is here stands in `state.row`, under names that
    begin with "resident": the policy must set `keeps_rows`, as an archive only grows.
    """
    rows = state.row
    wanted = torch.where(valid, index, archive.n).sort(-1).values
    valid = wanted < archive.n
    here = rows.get(f"{NAME}.index")
    if here is None:
        extra = _masked(archive.fetch(wanted.clamp(max=archive.n - 1)), valid)
    else:
        extra = _refreshed(rows, archive, here, wanted, valid)
    held = {"index": wanted.masked_fill(~valid, _NONE), "keys": extra.keys}
    held |= {"values": extra.values, "slots": extra.slots}
    rows.update({f"{NAME}.{name}": tensor for name, tensor in held.items()})
    return extra


_NONE = 2**62
"""The index of an empty place: behind all others, also once the archive has grown."""


def _masked(extra: Extra, valid: Tensor) -> Extra:
    slots = extra.slots.to(extra.keys.device)
    return replace(extra, slots=slots.masked_fill(~valid.to(slots.device), -1))


def _refreshed(
    rows: dict[str, Tensor], archive: Archive, here: Tensor, wanted: Tensor, valid: Tensor
) -> Extra:
    if here.shape[2]:
        place = torch.searchsorted(here, wanted).clamp(max=here.shape[2] - 1)
        known = valid & (here.gather(2, place) == wanted)
    else:
        place, known = torch.zeros_like(wanted), torch.zeros_like(valid)
    device = rows[f"{NAME}.keys"].device
    parts = [rows[f"{NAME}.{name}"] for name in ("keys", "values", "slots")]
    missing, is_missing = indices_of(valid & ~known)
    if missing.shape[2]:
        asked = wanted.gather(2, missing).clamp(max=archive.n - 1)
        new = archive.fetch(asked)
        parts = [
            torch.cat([part, of_new.to(device)], 2)
            for part, of_new in zip(parts, (new.keys, new.values, new.slots), strict=True)
        ]
        spot = here.shape[2] + torch.arange(missing.shape[2], device=wanted.device)
        spot = torch.where(is_missing, spot, place.gather(2, missing))
        place = place.scatter(2, missing, spot)
    if not parts[0].shape[2]:
        return Extra(*parts)
    extra = Extra(*(picked(part, place.to(device)) for part in parts))
    return _masked(extra, valid)
