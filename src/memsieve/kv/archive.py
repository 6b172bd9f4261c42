"""Where tokens go that leave the device: kept on the host, and brought back at once or ahead."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cache
from threading import Lock
from typing import Any, ClassVar, TypeVar
from weakref import WeakSet

from memsieve.errors import ParameterError
from memsieve.kv.extras import Tensor, torch
from memsieve.kv.policy import Extra
from memsieve.kv.room import is_locked
from memsieve.kv.worker import Job, begun, done, to_host, waited_for

T = TypeVar("T")

# From so many numbers on, whole rows are worth the steps of finding where they lie.
_LARGE_ON_CPU, _LARGE = 1 << 14, 1 << 20
_COUNTING = Lock()  # what is fetched is counted on two threads


class Archive:
    """Keys, values and slots of one layer on the host; n entries of each head.

    Entries lie in the order in which they left, unless `places` says otherwise. What a policy
    wants is fetched at once (`fetch`) or beside the pass (`ask`). Changes wait until nothing is
    being read: what was asked for is what was there at that moment.

    Attributes
    ----------
    n
        How many entries each head has; some may be empty places (slot -1).
    n_max
        Memory is never taken for more entries of each head than this; None: no limit. Only who
        sets `places` can keep to it: others append.
    places
        Where the next `add` puts its entries, [B, Hkv, m] int64: in the place of another, or
        behind n, none twice; places that are left out in between are empty. -1: nowhere, the
        entry is forgotten. None: behind all others, in order.
    version
        Grows with every change.
    bytes_fetched
        Keys and values that were sent to the device so far, also those that nobody took.
    beside_bytes
        On a CPU the worker is asked only for fetches of so many bytes, or more. Two threads on
        two cores gained nothing at 0.5 MB, 3 % of a step at 2 MB, 12 % at 4 MB.
    """

    beside_bytes: ClassVar[int] = 1 << 20

    def __init__(self) -> None:
        self.n = self.bytes_fetched = self.version = 0
        self.n_max: int | None = None
        self.places: Tensor | None = None
        self._held: list[Tensor] = []  # keys, values, slots; longer than n, to grow seldom
        self._device: Any = None
        self._readers: WeakSet[Future[Any]] = WeakSet()

    def __getstate__(self) -> dict[str, Any]:
        waited_for(list(self._readers))  # they count what they fetch
        return {name: part for name, part in vars(self).items() if name != "_readers"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _readers=WeakSet())

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
        """Append m entries of each head, or put them where `places` says."""
        self._changes()
        self._device = keys.device
        added = [tensor.to("cpu") for tensor in (keys, values, slots)]
        places, self.places = self.places, None
        if places is not None:
            self._put(added, places.to("cpu"))
            return
        end = self.n + added[0].shape[2]
        self._make_room(added, end)
        for held, new in zip(self._held, added, strict=True):
            held[:, :, self.n : end] = new
        self.n = end

    def _put(self, added: list[Tensor], places: Tensor) -> None:
        end = max(self.n, int(places.max()) + 1)
        self._make_room(added, end)
        self._held[2][:, :, self.n : end] = -1
        self.n = end
        stays = (places >= 0).flatten()
        at = self._rows(places.clamp(min=0))[stays]
        for held, new in zip(self._held, added, strict=True):
            held.flatten(0, 2).index_copy_(0, at, new.flatten(0, 2)[stays])

    def _make_room(self, like: list[Tensor], n: int) -> None:
        if self._held and self._held[0].shape[2] >= n:
            return
        room = max(n, min(2 * self.n, self.n_max or 2 * self.n))
        grown = [new.new_empty((*new.shape[:2], room, *new.shape[3:])) for new in like]
        if self.n:
            for old, new in zip(self._held, grown, strict=True):
                new[:, :, : self.n] = old[:, :, : self.n]
        self._held = grown

    def fetch(self, index: Tensor) -> Extra:
        """Entries `index` [B, Hkv, m] on the layer's device, ready for `Attend.extra`.

        Raises
        ------
        ParameterError
            If the index names an entry that is not there.
        """
        return self.send(index.to("cpu")).extra()

    def ask(self, index: Tensor) -> Arriving:
        """The same, gathered by the worker: this returns at once, `Arriving.extra` waits.

        Where little is asked for (`beside_bytes`) it is gathered here. What is asked for and not
        taken costs its copy, and is let go with the answer. Errors come out of `Arriving.extra`.
        """
        at = to_host(index)

        def work() -> Sent:
            return self.send(at())

        one = sum(held.shape[3] * held.element_size() for held in self._held[:2])
        if index.device.type == "cpu" and index.numel() * one < self.beside_bytes:
            return Arriving(done(work))
        return Arriving(self.read(work))

    def read(self, work: Callable[[], T]) -> Job[T]:
        """Have `work`, which reads this archive, done by the worker; changes wait for it."""
        job = begun(work)
        self._readers.add(job.future)
        return job

    def _changes(self) -> None:
        """Wait for those that read: what they raised is theirs to tell."""
        waited_for(list(self._readers))
        self.version += 1
        if any(is_locked(held) for held in self._held):
            self._held = [held.clone() for held in self._held]

    def send(self, index: Tensor) -> Sent:
        """Gather entries `index`, which lies on the host, and send them to the layer's device.

        On CUDA the copy goes from pinned memory on a stream of its own, and need not be over
        when this returns. For work that the worker does; others `fetch` or `ask`.
        """
        if index.numel():
            first, last = int(index.min()), int(index.max())
            if first < 0 or last >= self.n:
                raise ParameterError(
                    f"an index into an archive of {self.n} entries must be in [0, {self.n}), "
                    f"got {first if first < 0 else last}"
                )
        on_cuda = self._device is not None and self._device.type == "cuda"
        at, shape = self._rows(index), index.shape
        parts = [_gathered(held, at, shape, pinned=on_cuda) for held in self._held]
        with _COUNTING:
            self.bytes_fetched += _bytes(parts[0]) + _bytes(parts[1])
        if not on_cuda:
            return Sent(Extra(*(part.to(self._device) for part in parts)))
        stream = _side_stream(self._device)
        with torch.cuda.stream(stream):
            there = Extra(*(part.to(self._device, non_blocking=True) for part in parts))
            copied = torch.cuda.Event()
            copied.record(stream)
        return Sent(there, copied)

    def _rows(self, index: Tensor) -> Tensor:
        """Where entries [B, H', m] lie in a list of all rows, heads and places: [B * H' * m]."""
        n_rows, n_heads, room = self._held[2].shape
        first = torch.arange(n_rows * n_heads).view(n_rows, n_heads, 1) * room
        return (index + first.repeat_interleave(index.shape[1] // n_heads, 1)).flatten()

    def of_rows(self, index: Tensor) -> None:
        """Take rows `index` [B']."""
        self._changes()
        self._held = [tensor.index_select(0, index.to("cpu")) for tensor in self._held]

    def crop(self, n_logical: int) -> None:
        """Empty the places of slots from `n_logical` on."""
        self._changes()
        if self.n:
            self.slots.masked_fill_(self.slots >= n_logical, -1)

    def clear(self) -> None:
        """Forget all entries."""
        self._changes()
        self.n, self._held, self.places = 0, [], None


@dataclass(frozen=True, eq=False)
class Sent:
    """Entries of an archive that were gathered and sent; on CUDA they may still be copied."""

    what: Extra
    copied: Any = None  # the event of that copy

    def extra(self) -> Extra:
        """The entries, for use on the current stream, which waits for the copy."""
        if self.copied is not None:
            stream = torch.cuda.current_stream(self.what.keys.device)
            stream.wait_event(self.copied)
            for tensor in (self.what.keys, self.what.values, self.what.slots):
                tensor.record_stream(stream)
        return self.what

    def __deepcopy__(self, memo: dict[int, Any]) -> Sent:
        there = self.extra()
        parts = (there.keys, there.values, there.slots)
        return Sent(Extra(*(part.clone() for part in parts)))


@dataclass(frozen=True, eq=False)
class Arriving:
    """Entries of an archive that were asked for: what was there at that moment.

    A copy holds entries of its own, and waits for them where they have not arrived.
    """

    job: Job[Sent]

    def extra(self) -> Extra:
        """The entries on the layer's device, as `Archive.fetch` gives them; waits for them."""
        return self.job.result().extra()


@cache
def _side_stream(device: Any) -> Any:
    return torch.cuda.Stream(device)


def _gathered(held: Tensor, at: Tensor, shape: Sequence[int], *, pinned: bool) -> Tensor:
    """Rows `at` of [B, H, room, ...] as [*shape, ...], in pinned memory if they are to be sent."""
    found = torch.empty((*shape, *held.shape[3:]), dtype=held.dtype, pin_memory=pinned)
    # Rows that are copied whole: several times as fast as a gather.
    torch.index_select(held.flatten(0, 2), 0, at, out=found.flatten(0, 2))
    return found


def picked(tensor: Tensor, index: Tensor) -> Tensor:
    """Entries `index` [B, H', m] of [B, H, n, ...] as [B, max(H, H'), m, ...].

    Of two numbers of heads one divides the other; the smaller side serves its group.
    """
    n_rows, n_heads, _, *tail = tensor.shape
    if index.shape[1] < n_heads:
        index = index.repeat_interleave(n_heads // index.shape[1], 1)
    heads = index.shape[1]
    at = index.reshape(n_rows, n_heads, -1)
    large = _LARGE_ON_CPU if tensor.device.type == "cpu" else _LARGE
    wanted = len(tail) == 1 and at.numel() * tail[0] >= large
    if wanted and not (tensor.requires_grad and torch.is_grad_enabled()):
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
