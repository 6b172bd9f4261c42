"""Serving under request rates: when paging, eviction or offloading is the better memory.

A discrete-event model with analytic costs, so that it runs without a model and without a GPU.
Requests arrive at random times (open loop: nobody waits for an answer before asking again). Each
turn of the engine admits what fits, fills the prompts of those one after another, then decodes one
token for every running request:

    prefill = 2 * parameters * tokens / FLOPS
    step    = (weights + bytes of keys and values read) / HBM  +  bytes fetched / link

The four strategies differ in what a request takes on the device, what it reads and what it
fetches; see `Strategy`. Times are of the model above and of no real engine: rankings and orders of
magnitude are what they are for.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from memsieve.errors import ParameterError
from memsieve.kv.bench.strategies import Machine, Request, Reserve, Room, Shape, Strategy


@dataclass(frozen=True, slots=True)
class Load:
    """Requests: Poisson arrivals, all of one size.

    Parameters
    ----------
    rate_per_s
        Mean arrivals per second, above 0.
    n_requests, prompt_tokens, output_tokens
        How many, and of what size; each at least 1.
    shared_tokens
        So many tokens at the beginning are the same in all prompts; paging finds them again.
    seed
        Same seed, same arrivals.
    """

    rate_per_s: float
    n_requests: int = 400
    prompt_tokens: int = 2000
    output_tokens: int = 200
    shared_tokens: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.rate_per_s > 0:
            raise ParameterError(f"rate_per_s must be > 0, got {self.rate_per_s!r}")
        if min(self.n_requests, self.prompt_tokens, self.output_tokens) < 1:
            raise ParameterError("n_requests, prompt_tokens and output_tokens must be >= 1")
        if not 0 <= self.shared_tokens <= self.prompt_tokens:
            raise ParameterError(
                f"shared_tokens must be in [0, {self.prompt_tokens}], got {self.shared_tokens}"
            )

    def arrivals(self) -> list[float]:
        """Seconds at which the requests come."""
        gaps = np.random.default_rng(self.seed).exponential(1 / self.rate_per_s, self.n_requests)
        return [float(at) for at in gaps.cumsum()]


@dataclass(frozen=True, slots=True)
class Served:
    """What a strategy did with a load; times in seconds, percentiles over requests.

    Attributes
    ----------
    tokens_per_s
        Tokens made, by the time until the last request was done.
    first_s
        (p50, p95) from arrival to the first token.
    token_s
        (p50, p95) of the mean time between tokens of a request; stalls for the prompts of others
        are in it.
    whole_s
        (p50, p95) from arrival to the last token.
    peak_device_bytes, peak_host_bytes
        Keys and values of running requests at the worst moment.
    moved_bytes
        What went over the link to the device.
    n_preempted
        How often a request had to go back to the queue.
    """

    strategy: str
    rate_per_s: float
    tokens_per_s: float
    first_s: tuple[float, float]
    token_s: tuple[float, float]
    whole_s: tuple[float, float]
    peak_device_bytes: float
    peak_host_bytes: float
    moved_bytes: float
    n_preempted: int

    def to_json(self) -> dict[str, Any]:
        """Field by field."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(slots=True)
class _Clock:
    """The engine's state: what waits, what runs, and the tallies."""

    room: Room
    waiting: deque[Request] = field(default_factory=deque)
    running: list[Request] = field(default_factory=list)
    now: float = 0.0
    moved: float = 0.0
    peak_device: float = 0.0
    peak_host: float = 0.0
    n_preempted: int = 0

    def fill(self) -> None:
        """Admit in the order of arrival while there is room, one prompt after another."""
        machine, shape = self.room.machine, self.room.shape
        while self.waiting and len(self.running) < machine.max_running:
            n_tokens = self.room.admit(self.waiting[0])
            if n_tokens is None:
                return
            request = self.waiting.popleft()
            self.now += 2 * shape.n_params * n_tokens / machine.flops
            request.n_made += 1  # the last logits of a prompt are those of the next token
            if math.isnan(request.first):
                request.first = self.now
            self.running.append(request)
            self._let_go_of_done()

    def step(self) -> None:
        """One token for each running request."""
        strategy, shape, machine = self.room.strategy, self.room.shape, self.room.machine
        at = 0
        while at < len(self.running):  # the newest may leave meanwhile, from the end of the list
            self._store(self.running[at])
            at += 1
        read = sum(strategy.read_bytes(request.n_tokens, shape) for request in self.running)
        fetched = sum(strategy.fetched_bytes(request.n_tokens, shape) for request in self.running)
        self.now += (shape.weights_bytes + read) / machine.hbm_bytes_s
        self.now += fetched / machine.link_bytes_s
        self.moved += fetched
        self._watch()
        for request in self.running:
            request.n_made += 1
        self._let_go_of_done()

    def _store(self, request: Request) -> None:
        """Room for the last token made; the newest request goes back to the queue for it."""
        while not self.room.grow(request):
            newest = self.running.pop()
            self.room.leave(newest)
            self.n_preempted += 1
            self.waiting.appendleft(newest)
            if newest is request:
                return

    def _let_go_of_done(self) -> None:
        for request in self.running:
            if request.n_made >= request.output_tokens:
                request.done = self.now
                self.room.leave(request)
        self.running = [request for request in self.running if math.isnan(request.done)]

    def _watch(self) -> None:
        host, shape = self.room.strategy.host_bytes, self.room.shape
        self.peak_device = max(self.peak_device, self.room.device_bytes(self.running))
        self.peak_host = max(self.peak_host, sum(host(r.n_tokens, shape) for r in self.running))


def serve(
    strategy: Strategy, load: Load, *, shape: Shape | None = None, machine: Machine | None = None
) -> Served:
    """Run a load to its end.

    Parameters
    ----------
    strategy, load
        What keeps, and what comes.
    shape, machine
        Of the model and the device. Default: those of `Shape()` and `Machine()`.

    Raises
    ------
    ParameterError
        If not even one request fits on the device.

    Examples
    --------
    >>> from memsieve.kv.bench.strategies import Paged
    >>> served = serve(Paged(), Load(rate_per_s=4))
    >>> round(served.tokens_per_s), round(1e3 * served.token_s[0], 1)
    (703, 7.4)
    """
    shape, machine = shape or Shape(), machine or Machine()
    coming = deque(
        Request(number, at, load.prompt_tokens, load.output_tokens, load.shared_tokens)
        for number, at in enumerate(load.arrivals())
    )
    everyone = list(coming)
    n_largest = load.prompt_tokens + (0 if isinstance(strategy, Reserve) else load.output_tokens)
    if strategy.capacity(n_largest, shape, machine) < 1:
        raise ParameterError(
            f"{strategy.name}: one request takes {strategy.device_bytes(n_largest, shape):,.0f}"
            f" bytes, the device has {machine.kv_bytes:,.0f} for keys and values"
        )
    clock = _Clock(strategy.room(shape, machine))
    while coming or clock.waiting or clock.running:
        if not clock.waiting and not clock.running:
            clock.now = max(clock.now, coming[0].came)
        while coming and coming[0].came <= clock.now:
            clock.waiting.append(coming.popleft())
        clock.fill()
        if clock.running:
            clock.step()
    return _served(strategy, load, everyone, clock)


def _served(strategy: Strategy, load: Load, done: Sequence[Request], clock: _Clock) -> Served:
    gaps = [(r.done - r.first) / max(r.output_tokens - 1, 1) for r in done]
    return Served(
        strategy=strategy.name,
        rate_per_s=load.rate_per_s,
        tokens_per_s=load.n_requests * load.output_tokens / clock.now,
        first_s=_middle_and_tail([r.first - r.came for r in done]),
        token_s=_middle_and_tail(gaps),
        whole_s=_middle_and_tail([r.done - r.came for r in done]),
        peak_device_bytes=clock.peak_device,
        peak_host_bytes=clock.peak_host,
        moved_bytes=clock.moved,
        n_preempted=clock.n_preempted,
    )


def _middle_and_tail(values: Sequence[float]) -> tuple[float, float]:
    middle, tail = np.percentile(values, [50, 95])
    return float(middle), float(tail)
