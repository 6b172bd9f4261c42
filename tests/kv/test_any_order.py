"""Whatever is done to a layer, in whatever order: what it holds is what was fed, and its bytes."""

import copy
import random

import pytest

from memsieve import kv

pytestmark = pytest.mark.torch

HEADS, CHANNELS = 2, 8
KINDS = {
    "one": 60,
    "several": 8,
    "crop": 6,
    "reorder": 4,
    "repeat": 2,
    "select": 2,
    "copy": 4,
    "reset": 1,
}


def drawn_policy(draw):
    """One of those that evict by a score or look at pages, with options at random."""
    n, interval = draw.randint(6, 20), draw.choice((1, 2, 5, 9))
    return draw.choice(
        (
            None,
            kv.StreamingLLM(n, n_sink=2, interval=interval),
            kv.H2O(n, interval=interval),
            kv.TOVA(n, interval=interval),
            kv.Keyformer(n, interval=interval),
            kv.SnapKV(n, n_window=4),
            kv.H2O(n, n_window=2, heads=kv.AdaptiveHeads(), interval=interval),
            kv.H2O(n, n_window=2, unit=kv.Page(4), interval=interval),
            kv.Quest(12, 4, n_full_layers=0, shares=draw.random() < 0.5),
        )
    )


class Run:
    """A layer, and every key that it was ever fed, [B, H, N, D], by slot; values are twice that."""

    def __init__(self, torch, toy, seed):
        self.torch, self.draw = torch, random.Random(seed)
        self.draws = torch.Generator().manual_seed(seed)
        self.toy = toy(drawn_policy(self.draw), archives=self.draw.random() < 0.5)
        self.fed = torch.zeros(self.draw.randint(1, 3), HEADS, 0, CHANNELS)
        self.was_cropped = False

    def do(self, kind):
        n_rows, n = self.fed.shape[0], self.fed.shape[2]
        layer, there = self.toy.layer, n > 0
        if kind in ("one", "several"):
            self.feed(1 if kind == "one" else self.draw.randint(2, 30))
        elif kind == "crop" and n > 1:
            k = self.draw.randint(1, n - 1 if self.draw.random() < 0.2 else min(5, n - 1))
            layer.crop(-k)
            self.fed, self.was_cropped = self.fed[:, :, :-k], True
        elif kind in ("reorder", "select") and there:
            n_taken = n_rows if kind == "reorder" else self.draw.randint(1, n_rows)
            rows = self.torch.tensor([self.draw.randrange(n_rows) for _ in range(n_taken)])
            (layer.reorder_cache if kind == "reorder" else layer.batch_select_indices)(rows)
            self.fed = self.fed[rows]
        elif kind == "repeat" and there and n_rows < 4:
            layer.batch_repeat_interleave(2)
            self.fed = self.fed.repeat_interleave(2, 0)
        elif kind == "copy" and there:
            before, fed = copy.deepcopy(self.toy), self.fed
            self.feed(3)  # which must leave the copy alone
            self.toy, self.fed = before, fed
        elif kind == "reset":
            layer.reset()
            self.fed, self.was_cropped = self.fed[:, :, :0], False

    def feed(self, n):
        n_rows = self.fed.shape[0]
        key = self.torch.randn(n_rows, HEADS, n, CHANNELS, generator=self.draws)
        query = self.torch.randn(n_rows, 2 * HEADS, n, CHANNELS, generator=self.draws)
        with self.torch.no_grad():
            out = self.toy.feed(query, key, 2 * key, scale=0.3)
        assert out.shape == (n_rows, n, 2 * HEADS, CHANNELS)
        assert out.isfinite().all()
        self.fed = self.torch.cat([self.fed, key], 2)

    def check(self):
        layer, n = self.toy.layer, self.fed.shape[2]
        if not n:
            return
        stores = [(layer.slots, layer.keys, layer.values)]
        if layer.archive is not None and layer.archive.n:
            stores.append((layer.archive.slots, layer.archive.keys, layer.archive.values))
        held = [set() for _ in range(self.fed.shape[0] * HEADS)]
        for slots, keys, values in stores:
            heads = zip(slots.flatten(0, 1), keys.flatten(0, 1), values.flatten(0, 1), strict=True)
            for mine, fed, (at, key, value) in zip(
                held, self.fed.flatten(0, 1), heads, strict=True
            ):
                found = at[at >= 0]
                assert self.torch.equal(key[at >= 0], fed[found])
                assert self.torch.equal(value[at >= 0], 2 * fed[found])
                assert not mine & set(found.tolist())
                mine.update(found.tolist())
        assert (layer.slots.diff() > 0)[layer.slots[..., 1:] > 0].all()  # ascending
        if layer.archive is not None and not self.was_cropped:
            assert all(mine == set(range(n)) for mine in held)  # nothing is lost
        stored = [one.untyped_storage().nbytes() for one in (layer.keys, layer.values)]
        assert layer.n_bytes == sum(stored) == self.toy.frame.counters.held[0]


@pytest.mark.parametrize("seed", range(60))
def test_what_is_held_is_what_was_fed(torch, toy, seed):
    run = Run(torch, toy, seed)
    for kind in run.draw.choices(list(KINDS), list(KINDS.values()), k=run.draw.randint(5, 40)):
        run.do(kind)
        run.check()


def test_bytes_fall_with_a_crop_that_takes_more_than_half(torch, toy):
    run = Run(torch, toy, 0)
    run.toy = toy(None)
    run.feed(100)
    run.feed(1)
    run.toy.layer.crop(-61)
    assert run.toy.layer.n_bytes == 2 * run.fed[:, :, :40].numel() * 4
    run.toy.layer.crop(-5)
    run.fed = run.fed[:, :, :35]
    run.check()
