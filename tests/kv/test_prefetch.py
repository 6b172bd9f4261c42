"""What is asked for one layer ahead: it begins early, comes in time, and changes nothing."""

from concurrent.futures import Future
from copy import deepcopy
from dataclasses import fields
from threading import Event, get_ident

import pytest

from memsieve import kv
from memsieve.kv.policies.icecache import IceCache
from memsieve.kv.policies.infinigen import InfiniGen
from memsieve.kv.worker import Job

pytestmark = pytest.mark.torch

SECONDS = 20
EVERYTHING = float("inf")
GUESSING = InfiniGen(6, 3.0, ratio=0.5)
SEARCHING = IceCache(6, 4, n_full_layers=1, prefetches=True)
POLICIES = [
    GUESSING,
    InfiniGen(6, ratio=0.5, n_pool=20),
    SEARCHING,
    IceCache(6, 4, n_full_layers=1, prefetches=True, n_reuse_layers=2, field_of_view=5),
]
# With room for all, so that the logits are those of the stock cache whatever is prefetched.
EXACT = [
    InfiniGen(99, EVERYTHING, ratio=1.0),
    IceCache(99, 4, n_full_layers=1, prefetches=True),
]


class Beside(kv.Archive):
    """The worker is asked for the smallest fetch."""

    beside_bytes = 0


class AtOnce(kv.Archive):
    """What is asked for is read on the spot, on the same thread."""

    def read(self, work):
        """Nothing is left to wait for."""
        future = Future()
        future.set_result(work())
        return Job(future, work)


class Watched(Beside):
    """The worker tells that it has begun to read, and goes on when it may."""

    def __init__(self):
        super().__init__()
        self.started, self.may_go_on, self.threads = Event(), Event(), []

    def read(self, work):
        """Wait in between, and note which thread works."""

        def watched():
            self.started.set()
            assert self.may_go_on.wait(SECONDS)
            self.threads.append(get_ident())
            return work()

        return super().read(watched)


class Broken(Beside):
    """The host fails while it reads."""

    fails = False

    def send(self, index):
        """Now and then."""
        if self.fails:
            raise OSError("the host is on fire")
        return super().send(index)


def with_archives(cache, kind):
    for layer in cache.managed:
        layer.archive = kind()
    return cache


def options_of(policy, kind):
    """A policy of another kind with the same options."""
    return kind(**{one.name: getattr(policy, one.name) for one in fields(policy)})


class StoppedError(Exception):
    """Somebody has stopped the pass."""


def stopping(policy):
    """`policy` that stops the pass before it takes what layer 1 was promised, while `stops`."""

    class Stopping(type(policy)):
        stops = False

        def attend(self, step):
            """Stop, or go on."""
            if type(self).stops and step.layer == 1:
                raise StoppedError
            return super().attend(step)

    return options_of(policy, Stopping)


@pytest.fixture
def prompted(decoder, texts, fed):
    """A model, its memory, ids [2, 60], and what feeds a cache 40 tokens, or the i-th."""

    def make(pad=(0, 7), **options):
        model = decoder(num_hidden_layers=3, scale=2.0, **options)
        ids, mask = texts(n=60, pad=pad)
        places = (mask.cumsum(-1) - 1).clamp(min=0)

        def feed(cache, start, end, rows=slice(None)):
            part = slice(start, end)
            options = {"position_ids": places[rows, part]}
            return fed(model, ids[rows, part], cache, mask[rows, :end], **options)

        return model, feed

    return make


@pytest.mark.parametrize("policy", POLICIES)
def test_every_bit_and_byte_is_that_of_asking_and_waiting(torch, prompted, policy):
    model, feed = prompted()
    with kv.enable(model) as memory:
        ahead, at_once = (
            with_archives(memory.cache(policy, leaving="archive", log=True), kind)
            for kind in (Beside, AtOnce)
        )
        assert torch.equal(feed(ahead, 0, 40), feed(at_once, 0, 40))
        for i in range(40, 60):
            assert torch.equal(feed(ahead, i, i + 1), feed(at_once, i, i + 1))
    assert ahead.stats == at_once.stats
    assert ahead.stats.bytes_fetched > 0
    assert len(ahead.log) == len(at_once.log)
    for one, other in zip(ahead.log, at_once.log, strict=True):
        assert torch.equal(one.slots, other.slots)


@pytest.mark.parametrize("policy", [GUESSING, SEARCHING])
def test_the_worker_begins_before_a_layer_takes_and_no_layer_waits_to_ask(torch, prompted, policy):
    # What a layer was promised may go on only when that layer attends: had the layer before
    # waited for it, the test would not get there.
    class Patient(type(policy)):
        def attend(self, step):
            if not step.is_prefill and step.layer:
                assert step.archive.started.wait(SECONDS)
                assert not step.archive.threads
                step.archive.may_go_on.set()
            return super().attend(step)

    model, feed = prompted()
    with kv.enable(model) as memory:
        plain = memory.cache(policy, leaving="archive")
        cache = with_archives(memory.cache(options_of(policy, Patient), leaving="archive"), Watched)
        for one in (plain, cache):
            feed(one, 0, 40)
        if isinstance(policy, IceCache):  # layers are known to one another from here on
            assert [layer.archive.started.is_set() for layer in cache.managed] == [False] * 3
        expected = feed(plain, 40, 41)
        assert torch.equal(feed(cache, 40, 41), expected)
    for layer in cache.managed[1:]:
        assert len(layer.archive.threads) == 1
        assert layer.archive.threads[0] != get_ident()


@pytest.mark.parametrize("policy", [GUESSING, SEARCHING])
def test_what_the_worker_raises_comes_out_of_the_pass(torch, prompted, policy):
    model, feed = prompted()
    with kv.enable(model) as memory:
        cache = with_archives(memory.cache(policy, leaving="archive"), Broken)
        feed(cache, 0, 40)
        feed(cache, 40, 41)
        cache.managed[2].archive.fails = True
        with pytest.raises(OSError, match="the host is on fire"):
            [feed(cache, i, i + 1) for i in range(41, 60)]  # IceCache does not fetch every time
        cache.managed[2].archive.fails = False
        cache.reset()
        plain = memory.cache(policy, leaving="archive")
        for start, end in ((0, 40), (40, 41)):
            assert torch.equal(feed(cache, start, end), feed(plain, start, end))


@pytest.mark.parametrize("policy", EXACT)
@pytest.mark.parametrize("leaving", ["drop", "archive"])
@pytest.mark.parametrize("order", [[0, 1], [1, 0], [1, 1]])
def test_after_a_pass_that_was_stopped_half_way_nothing_stale_is_taken(
    torch, prompted, policy, leaving, order
):
    # Layer 0 has promised layer 1 something, which is pending in all that happens then.
    model, feed = prompted(dtype=torch.float64)
    policy = stopping(policy)
    rows = torch.tensor(order)
    with kv.enable(model) as memory:
        cache, stock = memory.cache(policy, leaving=leaving), memory.cache(None)
        if leaving == "archive":
            with_archives(cache, Beside)
        for one in (cache, stock):
            feed(one, 0, 40)
            feed(one, 40, 41)
        type(policy).stops = True
        with pytest.raises(StoppedError):
            feed(cache, 41, 42)
        type(policy).stops = False
        twin = deepcopy(cache)
        for one in (cache, twin, stock):
            one.crop(41)
        for one in (cache, stock):
            one.reorder_cache(rows)
        for i in range(41, 46):
            expected = feed(stock, i, i + 1, rows)
            assert (feed(cache, i, i + 1, rows) - expected).abs().max() < 1e-9
        plain = memory.cache(None)
        feed(plain, 0, 41)
        for i in range(41, 46):
            assert (feed(twin, i, i + 1) - feed(plain, i, i + 1)).abs().max() < 1e-9


class Moving:
    """Swaps the rows of the layers to come, once layer 0 has asked for them, while `swaps`."""

    swaps, cache = False, None

    def observe(self, step):
        """As ever, then swap."""
        super().observe(step)
        kind = type(self)
        if kind.swaps and step.layer == 0:
            for layer in kind.cache.managed[1:]:
                layer.reorder_cache(step.slots.new_tensor([1, 0]))


@pytest.mark.parametrize("policy", EXACT)
def test_rows_that_move_while_something_is_pending_are_guessed_for_anew(torch, prompted, policy):
    class Plain(Moving, kv.Policy):
        pass

    class Ahead(Moving, type(policy)):
        pass

    model, feed = prompted(pad=(0, 0), dtype=torch.float64)
    with kv.enable(model) as memory:
        Plain.cache = memory.cache(Plain())
        Ahead.cache = memory.cache(options_of(policy, Ahead), leaving="archive")
        with_archives(Ahead.cache, Beside)
        # Long enough that IceCache has something to fetch that is not here already.
        for start, end in ((0, 40), *((i, i + 1) for i in range(40, 50))):
            Plain.swaps = Ahead.swaps = start > 40
            expected = feed(Plain.cache, start, end)
            assert (feed(Ahead.cache, start, end) - expected).abs().max() < 1e-9
