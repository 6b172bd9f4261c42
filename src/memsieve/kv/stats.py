"""What a cache holds and what it has decided."""

from __future__ import annotations

from dataclasses import dataclass, field

from memsieve.kv.extras import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """One decision of a policy about one layer.

    Attributes
    ----------
    kind
        "evict" or "retrieve".
    layer, n_logical
        Where, and how many tokens the cache had seen.
    n_stored
        Tokens of each head before the decision.
    n_chosen
        What was kept, or attended to.
    slots
        [B, H, n_chosen] int64 on the host: which; -1 for none.
    """

    kind: str
    layer: int
    n_logical: int
    n_stored: int
    n_chosen: int
    slots: Tensor


@dataclass(slots=True)
class Counters:
    """Running totals of one cache; `MemoryCache.stats` reads them."""

    n_evicted: int = 0
    n_evictions: int = 0
    n_retrievals: int = 0
    held: dict[int, int] = field(default_factory=dict)
    bytes_held: int = 0
    peak_bytes: int = 0
    log: list[Decision] | None = None

    def holds(self, layer: int, n_bytes: int) -> None:
        """Note what a layer holds on the device now."""
        self.bytes_held += n_bytes - self.held.get(layer, 0)
        self.held[layer] = n_bytes
        self.peak_bytes = max(self.peak_bytes, self.bytes_held)

    def note(self, kind: str, layer: int, n_logical: int, n_stored: int, slots: Tensor) -> None:
        """Count a decision, and log it where a log is kept."""
        chosen = int(slots.shape[-1])
        if kind == "evict":
            self.n_evictions += 1
            self.n_evicted += (n_stored - chosen) * int(slots.shape[0] * slots.shape[1])
        else:
            self.n_retrievals += 1
        if self.log is not None:
            slots = slots.detach().cpu().clone()
            self.log.append(Decision(kind, layer, n_logical, n_stored, chosen, slots))


@dataclass(frozen=True, slots=True)
class Stats:
    """What a cache holds at the moment, and has done since it was made or reset.

    Attributes
    ----------
    n_logical
        Tokens seen of each row, padding counted.
    bytes_device, bytes_host
        Keys and values on the device (layers that are not managed, and room for the next tokens
        included), and in archives.
    bytes_state
        What slots and the policy's token and row state take beside them.
    peak_bytes_device
        The most that managed layers held at once, also in the middle of a pass.
    bytes_fetched
        Brought back from archives.
    n_evicted
        Token places that left the device, summed over layers, rows and heads.
    n_evictions, n_retrievals
        Decisions that made tokens leave, and decisions to look at less than all.
    """

    n_logical: int
    bytes_device: int
    bytes_host: int
    bytes_state: int
    peak_bytes_device: int
    bytes_fetched: int
    n_evicted: int
    n_evictions: int
    n_retrievals: int
