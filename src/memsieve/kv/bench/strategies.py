"""How keys and values are kept by a server: reserved, paged, evicted, offloaded.

A `Strategy` says what a request of n tokens takes, reads and fetches; its `Room` is a device
divided that way, which lets requests in, grows them and lets them go. What runs them is
`memsieve.kv.bench.serving`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass

from memsieve.errors import ParameterError
from memsieve.kv.bench.paging import BlockPool, Table


@dataclass(frozen=True, slots=True)
class Shape:
    """What of a model decides its times and bytes; by default Llama 3.1 8B in bfloat16."""

    n_params: float = 8.03e9
    n_layers: int = 32
    n_kv_heads: int = 8
    head_dim: int = 128
    itemsize: int = 2

    @property
    def token_bytes(self) -> int:
        """Keys and values of one token in all layers.

        >>> Shape().token_bytes
        131072
        """
        return 2 * self.n_layers * self.n_kv_heads * self.head_dim * self.itemsize

    @property
    def weights_bytes(self) -> float:
        """All parameters."""
        return self.n_params * self.itemsize


@dataclass(frozen=True, slots=True)
class Machine:
    """Rates of the device; by default an H100 whose prefill reaches 40 % of its peak.

    Parameters
    ----------
    kv_bytes
        Device memory left for keys and values.
    hbm_bytes_s, link_bytes_s
        Bandwidth of the device's memory, and between host and device.
    flops
        Operations per second that a prefill reaches.
    max_running
        Requests that decode together, at most.
    """

    kv_bytes: float = 40e9
    hbm_bytes_s: float = 3.35e12
    link_bytes_s: float = 55e9
    flops: float = 400e12
    max_running: int = 256


@dataclass(slots=True, eq=False)
class Request:
    """One request on its way: when it came, had its first token, was done; in seconds."""

    number: int
    came: float
    prompt_tokens: int
    output_tokens: int
    shared_tokens: int = 0
    n_made: int = 0
    first: float = math.nan
    done: float = math.nan
    table: Table | None = None

    @property
    def n_tokens(self) -> int:
        """Prompt and tokens made; a decode step stores the last of them before it attends."""
        return self.prompt_tokens + self.n_made

    @property
    def n_final(self) -> int:
        """Tokens at its end."""
        return self.prompt_tokens + self.output_tokens

    def prompt(self) -> list[int]:
        """Ids: the shared ones, then its own, those it has made included."""
        own = range(self.n_tokens - self.shared_tokens)
        return [*range(self.shared_tokens), *(self.own(i) for i in own)]

    def own(self, place: int) -> int:
        """An id that only this request has."""
        return -1 - (place + self.number * self.n_final)


class Strategy(ABC):
    """How keys and values are kept: footprints, reads and fetches of n tokens.

    A frozen dataclass; what runs is the `Room` that `room` makes.
    """

    __slots__ = ()

    @property
    def name(self) -> str:
        """Short name, as in tables."""
        return type(self).__name__.lower()

    @abstractmethod
    def device_bytes(self, n_tokens: int, shape: Shape) -> float:
        """Device memory of a request that has come to n tokens."""

    def host_bytes(self, n_tokens: int, shape: Shape) -> float:
        """Host memory of it."""
        return 0.0

    def read_bytes(self, n_tokens: int, shape: Shape) -> float:
        """Keys and values that one decode step reads."""
        return float(n_tokens * shape.token_bytes)

    def fetched_bytes(self, n_tokens: int, shape: Shape) -> float:
        """What of them comes over the link."""
        return 0.0

    def capacity(self, n_tokens: int, shape: Shape, machine: Machine) -> int:
        """How many requests of n tokens fit on the device.

        >>> [strategy.capacity(2200, Shape(), Machine()) for strategy in (Paged(), Evict(0.2))]
        [138, 693]
        """
        return int(machine.kv_bytes // self.device_bytes(n_tokens, shape))

    def room(self, shape: Shape, machine: Machine) -> Room:
        """An empty device."""
        return Room(self, shape, machine)


@dataclass(frozen=True, slots=True)
class Reserve(Strategy):
    """Room for prompt and longest possible output, taken at once: how engines began.

    Parameters
    ----------
    max_output_tokens
        Longest output that is provided for. 2,048 was a usual setting.
    """

    max_output_tokens: int = 2048

    def device_bytes(self, n_tokens: int, shape: Shape) -> float:
        """(n + max_output) * b, with n the prompt."""
        return float((n_tokens + self.max_output_tokens) * shape.token_bytes)


@dataclass(frozen=True, slots=True)
class Paged(Strategy):
    """Blocks as they are needed, prefixes shared; exact (vLLM).

    Parameters
    ----------
    block_tokens
        Tokens of a block.
    admit
        "final": only what fits to its end comes in, as if lengths were known; nothing is ever
        pre-empted. "prompt": what fits with its prompt; when no block is left, the newest request
        goes back to the queue and is filled anew later.
    """

    block_tokens: int = 16
    admit: str = "final"

    def __post_init__(self) -> None:
        if self.admit not in ("final", "prompt"):
            raise ParameterError(f"Paged.admit must be 'final' or 'prompt', got {self.admit!r}")

    def device_bytes(self, n_tokens: int, shape: Shape) -> float:
        """ceil(n / block) * block * b."""
        blocks = -(-n_tokens // self.block_tokens)
        return float(blocks * self.block_tokens * shape.token_bytes)

    def room(self, shape: Shape, machine: Machine) -> Room:
        """An empty pool of blocks."""
        return _Pages(self, shape, machine)


@dataclass(frozen=True, slots=True)
class Evict(Strategy):
    """A share of the tokens stays, the rest is forgotten for ever (H2O).

    Parameters
    ----------
    kept
        Share in (0, 1]; 0.2 is H2O's.
    """

    kept: float = 0.2

    def __post_init__(self) -> None:
        _require_share("Evict.kept", self.kept)

    def device_bytes(self, n_tokens: int, shape: Shape) -> float:
        """kept * n * b."""
        return self.kept * n_tokens * shape.token_bytes

    def read_bytes(self, n_tokens: int, shape: Shape) -> float:
        """What is stored is what is read."""
        return self.device_bytes(n_tokens, shape)


@dataclass(frozen=True, slots=True)
class Offload(Strategy):
    """Everything on the host; a share comes back at every step (InfiniGen).

    Parameters
    ----------
    kept
        Share in (0, 1] that a step fetches and attends to.
    n_layers_on_device
        Layers whose fetched tokens lie on the device at once: the one at work, and the next.
    """

    kept: float = 0.2
    n_layers_on_device: int = 2

    def __post_init__(self) -> None:
        _require_share("Offload.kept", self.kept)

    def device_bytes(self, n_tokens: int, shape: Shape) -> float:
        """Two layers of what is fetched."""
        layers = min(self.n_layers_on_device, shape.n_layers) / shape.n_layers
        return layers * self.fetched_bytes(n_tokens, shape)

    def host_bytes(self, n_tokens: int, shape: Shape) -> float:
        """n * b."""
        return float(n_tokens * shape.token_bytes)

    def read_bytes(self, n_tokens: int, shape: Shape) -> float:
        """What was fetched."""
        return self.fetched_bytes(n_tokens, shape)

    def fetched_bytes(self, n_tokens: int, shape: Shape) -> float:
        """kept * n * b for each token that is made."""
        return self.kept * n_tokens * shape.token_bytes


def _require_share(who: str, share: float) -> None:
    if not 0 < share <= 1:
        raise ParameterError(f"{who} must be in (0, 1], got {share!r}")


class Room:
    """The device as the strategy divides it: a request is let in if it fits to its end."""

    def __init__(self, strategy: Strategy, shape: Shape, machine: Machine) -> None:
        self.strategy, self.shape, self.machine = strategy, shape, machine
        self._promised = 0.0

    def admit(self, request: Request) -> int | None:
        """Tokens to fill the prompt with; None, with nothing changed, if there is no room."""
        wanted = self._final(request)
        if self._promised + wanted > self.machine.kv_bytes:
            return None
        self._promised += wanted
        return request.n_tokens

    def grow(self, request: Request) -> bool:
        """Store one more token; False if there is no room for it."""
        return True

    def leave(self, request: Request) -> None:
        """Forget a request."""
        self._promised -= self._final(request)

    def device_bytes(self, running: Iterable[Request]) -> float:
        """What the running requests take now."""
        return sum(
            self.strategy.device_bytes(self._stored(request), self.shape) for request in running
        )

    def _final(self, request: Request) -> float:
        reserved = isinstance(self.strategy, Reserve)
        n_tokens = request.prompt_tokens if reserved else request.n_final
        return self.strategy.device_bytes(n_tokens, self.shape)

    def _stored(self, request: Request) -> int:
        return request.prompt_tokens if isinstance(self.strategy, Reserve) else request.n_tokens


class _Pages(Room):
    """Blocks of a pool; with `admit="final"` blocks are promised to those that came in."""

    strategy: Paged

    def __init__(self, strategy: Paged, shape: Shape, machine: Machine) -> None:
        super().__init__(strategy, shape, machine)
        self.block_bytes = strategy.block_tokens * shape.token_bytes
        n_blocks = int(machine.kv_bytes // self.block_bytes)
        self.pool = BlockPool(max(n_blocks, 1), strategy.block_tokens)
        self._n_promised = 0

    def admit(self, request: Request) -> int | None:
        prompt = request.prompt()
        final = self.strategy.admit == "final"
        n_later = request.n_final - request.n_tokens if final else 0
        needed = self.pool.n_needed(prompt, n_later=n_later)
        if needed > self.pool.n_free - self._n_promised:
            return None
        request.table = self.pool.take(prompt)
        if request.table is None:
            return None
        self._n_promised += self._owed(request)
        # at least one token is computed, else there are no logits to go on from
        return max(request.n_tokens - request.table.n_hit_tokens, 1)

    def grow(self, request: Request) -> bool:
        assert request.table is not None
        owed = self._owed(request)
        token = request.own(len(request.table.tokens) - request.shared_tokens)
        if not self.pool.append(request.table, token):
            return False
        self._n_promised += self._owed(request) - owed
        return True

    def leave(self, request: Request) -> None:
        assert request.table is not None
        self._n_promised -= self._owed(request)
        self.pool.release(request.table)
        request.table = None

    def device_bytes(self, running: Iterable[Request]) -> float:
        return float((self.pool.n_blocks - self.pool.n_free) * self.block_bytes)

    def _owed(self, request: Request) -> int:
        """Blocks promised to a request that it has not taken yet."""
        if self.strategy.admit != "final" or request.table is None:
            return 0
        return -(-request.n_final // self.strategy.block_tokens) - len(request.table.blocks)
