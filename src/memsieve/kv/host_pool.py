"""A limit on what a layer keeps on the host: whose place a new token takes (InfiniGen)."""

from __future__ import annotations

from dataclasses import dataclass

from memsieve.kv.extras import Tensor, torch


@dataclass(frozen=True, slots=True)
class Victim:
    """A rule: of the oldest `share` of the pool, at least one, the entry of least worth goes.

    Worth is how often it was fetched (`counts`), or when last: the newest token's slot at that
    moment, its own before. Of equal ones the older goes.
    """

    share: float
    counts: bool

    def worth(self, slots: Tensor) -> Tensor:
        """What new tokens at `slots` are worth, int64."""
        return torch.zeros_like(slots) if self.counts else slots

    def fetched(self, worth: Tensor, index: Tensor, valid: Tensor, newest: int) -> Tensor:
        """`worth` [B, H, n] after a fetch of `index`, where `valid` [B, H, m]."""
        if self.counts:
            return worth.scatter_add(2, index, valid.to(worth.dtype))
        last = worth.gather(2, index)
        return worth.scatter(2, index, torch.where(valid, newest, last))


VICTIMS = {
    "counter": Victim(share=0.5, counts=True),
    "lru": Victim(share=1.0, counts=False),
    "fifo": Victim(share=0.0, counts=False),
}


def evicted(worth: Tensor, slots: Tensor, usable: Tensor, n_kept: int, victim: Victim) -> Tensor:
    """The m = n - n_kept entries of each head that go: [B, H, m] indices, in no order.

    As if a pool of `n_kept` had been filled in order of slot, one token after another, each in
    the place of a victim. What is not usable (padding, empty places) goes first. All m at
    once: with each token the next oldest entry becomes a candidate and the least worthy of them
    goes, which comes to the m least worthy of all that were ever candidates. O(n + m log m).

    Parameters
    ----------
    worth, slots
        [B, H, n] int64, each below 2^31; all that is there and all that comes.
    usable
        [B, H, n] bool.
    """
    n = slots.shape[2]
    n_oldest = max(1, int(n_kept * victim.share)) + n - n_kept - 1
    age = slots.masked_fill(~usable, -1)
    # Not kthvalue: on a pool whose first places were just filled anew it takes four times as long.
    oldest = age.topk(n_oldest, dim=-1, largest=False, sorted=False).values
    here = torch.arange(n, device=slots.device)
    rank = torch.where(usable, (worth << 31) + slots, here - n)
    rank = rank.masked_fill(age > oldest.amax(-1, keepdim=True), torch.iinfo(rank.dtype).max)
    return rank.topk(n - n_kept, dim=-1, largest=False).indices


def places(gone: Tensor, n_held: int, n_kept: int, n_all: int) -> Tensor:
    """Where each new entry goes in a pool of `n_kept`: [B, H, n_all - n_held], -1: nowhere.

    The first `n_held` of `n_all` entries are in the pool; those of `gone` [B, H, m] give way.
    New ones that stay take free places in order.
    """
    n_new, device = n_all - n_held, gone.device
    of_new = torch.where(gone < n_held, n_new, gone - n_held)
    stays = torch.ones((*gone.shape[:2], n_new + 1), dtype=torch.bool, device=device)
    stays = stays.scatter(2, of_new, torch.zeros_like(gone, dtype=torch.bool))[..., :n_new]
    room = torch.arange(n_held, n_kept, device=device).expand(*gone.shape[:2], -1)
    free = torch.cat([gone.masked_fill(gone >= n_held, n_all), room], dim=2).sort(-1).values
    return torch.where(stays, free.gather(2, (stays.cumsum(-1) - 1).clamp(min=0)), -1)


def moved(entries: Tensor, to: Tensor, n_kept: int) -> Tensor:
    """[B, H, n_kept, ...] of [B, H, n, ...], whose last ones went `to` [B, H, m] (-1: nowhere)."""
    n, m = entries.shape[2], to.shape[2]
    # The last place is cut off, as something goes.
    at = torch.where(to < 0, n - 1, to).reshape(*to.shape, *[1] * (entries.dim() - 3))
    new = entries[:, :, n - m :]
    return entries.scatter(2, at.expand_as(new), new)[:, :, :n_kept]
