"""Where tokens go that leave the device: kept on the host, in the order in which they left."""

from __future__ import annotations

from memsieve.kv.extras import Tensor, torch
from memsieve.kv.policy import Extra


class Archive:
    """Keys, values and slots of one layer on the host; n entries of each head.

    Attributes
    ----------
    n
        How many entries each head has; some may be empty places (slot -1).
    bytes_fetched
        What `fetch` has brought to the device so far, keys and values.
    """

    def __init__(self) -> None:
        self.n = self.bytes_fetched = 0
        self._held: list[Tensor] = []  # keys, values, slots; longer than n, to grow seldom
        self._device = None

    @property
    def keys(self) -> Tensor:
        """[B, Hkv, n, D], rotated as they were written, on the host."""
        return self._held[0][:, :, : self.n]

    @property
    def values(self) -> Tensor:
        """[B, Hkv, n, Dv], on the host."""
        return self._held[1][:, :, : self.n]

    @property
    def slots(self) -> Tensor:
        """[B, Hkv, n] int64, on the host; -1 is an empty place."""
        return self._held[2][:, :, : self.n]

    @property
    def n_bytes(self) -> int:
        """Bytes of the n keys and values."""
        return sum(_bytes(tensor) for tensor in (self.keys, self.values)) if self.n else 0

    def add(self, keys: Tensor, values: Tensor, slots: Tensor) -> None:
        """Append m entries of each head."""
        self._device = keys.device
        added = [tensor.to("cpu") for tensor in (keys, values, slots)]
        end = self.n + added[0].shape[2]
        if not self._held or self._held[0].shape[2] < end:
            self._grow(added, max(end, 2 * self.n))
        for held, new in zip(self._held, added, strict=True):
            held[:, :, self.n : end] = new
        self.n = end

    def _grow(self, like: list[Tensor], room: int) -> None:
        grown = [new.new_empty((*new.shape[:2], room, *new.shape[3:])) for new in like]
        if self.n:
            for old, new in zip(self._held, grown, strict=True):
                new[:, :, : self.n] = old[:, :, : self.n]
        self._held = grown

    def fetch(self, index: Tensor) -> Extra:
        """Entries `index` [B, Hkv, m] on the layer's device, ready for `Attend.extra`."""
        at = index.to("cpu")
        keys, values = (picked(tensor, at) for tensor in (self.keys, self.values))
        self.bytes_fetched += _bytes(keys) + _bytes(values)
        return Extra(
            keys.to(self._device),
            values.to(self._device),
            self.slots.gather(2, at).to(index.device),
        )

    def of_rows(self, index: Tensor) -> None:
        """Take rows `index` [B']."""
        self._held = [tensor.index_select(0, index.to("cpu")) for tensor in self._held]

    def crop(self, n_logical: int) -> None:
        """Empty the places of slots from `n_logical` on."""
        if self.n:
            self.slots.masked_fill_(self.slots >= n_logical, -1)

    def clear(self) -> None:
        """Forget all entries."""
        self.n, self._held = 0, []


def picked(tensor: Tensor, index: Tensor) -> Tensor:
    """Entries `index` [B, H', m] of [B, H, n, ...] as [B, max(H, H'), m, ...].

    Of two numbers of heads one divides the other; the smaller side serves its group.
    """
    n_rows, n_heads, _, *tail = tensor.shape
    if index.shape[1] < n_heads:
        index = index.repeat_interleave(n_heads // index.shape[1], 1)
    heads = index.shape[1]
    at = index.reshape(n_rows, n_heads, -1)
    if len(tail) == 1 and not (tensor.requires_grad and torch.is_grad_enabled()):
        found = _rows_at(tensor, at)
        if found is not None:
            return found.reshape(n_rows, heads, -1, *tail)
    at = at.reshape(*at.shape, *[1] * len(tail)).expand(*at.shape, *tail)
    return tensor.gather(2, at).reshape(n_rows, heads, -1, *tail)


def _rows_at(tensor: Tensor, at: Tensor) -> Tensor | None:
    """Entries `at` [B, H, m] of [B, H, n, D], copied as whole rows of D: four times as fast.

    None where they do not lie in rows of one storage.
    """
    n_rows, n_heads, n, width = tensor.shape
    of_row, of_head, *inner = tensor.stride()
    if not n or inner != [width, 1] or of_row % width or of_head % width:
        return None
    of_row, of_head = of_row // width, of_head // width
    n_all = (n_rows - 1) * of_row + (n_heads - 1) * of_head + n
    starts = torch.arange(n_rows, device=at.device)[:, None] * of_row
    starts = starts + torch.arange(n_heads, device=at.device) * of_head
    flat = (at + starts[..., None]).flatten()
    return tensor.as_strided((n_all, width), (width, 1)).index_select(0, flat)


def _bytes(tensor: Tensor) -> int:
    return int(tensor.numel() * tensor.element_size())


def highest(score: Tensor, k: int) -> Tensor:
    """Indices of the k highest of the last axis, ascending; of equal ones the lower index.

    `select.TopK` for every row at once: O(n + k log k) for each, without a copy to the host.
    `score` must hold no NaN.
    """
    n = score.shape[-1]
    if k >= n or k == 0:
        return torch.arange(min(n, k), device=score.device).expand(*score.shape[:-1], -1)
    if k == n - 1:  # a cache that loses a token at each step: the last of the lowest
        lost = k - score.flip(-1).argmin(-1, keepdim=True)
        index = torch.arange(k, device=score.device)
        return index + (index >= lost)
    edge = score.topk(k, dim=-1, sorted=False).values.amin(-1, keepdim=True)
    above, level = score > edge, score == edge
    room = k - above.sum(-1, keepdim=True)
    taken = above | (level & (level.cumsum(-1) <= room))
    # Each taken one goes to its rank, all others to a last place that is cut off.
    place = torch.where(taken, taken.cumsum(-1) - 1, k)
    found = place.new_empty((*score.shape[:-1], k + 1))
    found.scatter_(-1, place, torch.arange(n, device=score.device).expand(score.shape))
    return found[..., :k]
