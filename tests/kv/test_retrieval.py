"""Looking at a part of what is stored, and at what was sent to the host."""

from dataclasses import dataclass

import pytest

from memsieve import kv

pytestmark = pytest.mark.torch


class Everything(kv.Policy):
    """Names all tokens, for each key-value head or for each query head."""

    def __init__(self, per_query):
        self.per_query = per_query

    def attend(self, step):
        import torch

        heads = (step.query if self.per_query else step.keys).shape[1]
        return kv.Attend(torch.arange(step.n_stored).expand(step.keys.shape[0], heads, -1))


@dataclass(frozen=True)
class Random(kv.Policy):
    """Looks at random tokens, each head at its own, some heads at fewer; always at the new."""

    per_query: bool

    def attend(self, step):
        import torch

        generator = torch.Generator().manual_seed(step.n_logical)
        heads = (step.query if self.per_query else step.keys).shape[1]
        n_new, n = step.query.shape[2], step.n_stored
        score = torch.rand(step.keys.shape[0], heads, n, generator=generator)
        score[..., n - n_new :] = 2
        index = score.topk(min(n, n_new + 9)).indices.sort().values
        return kv.Attend(index, index % 3 != 1 if n_new == 1 and n > 12 else None)


@dataclass(frozen=True)
class Recalled(kv.StreamingLLM):
    """Evicts to the host, and fetches everything back for each pass."""

    def attend(self, step):
        import torch

        archive = step.archive
        if not archive.n:
            return None
        index = torch.arange(archive.n).expand(*archive.slots.shape)
        return kv.Attend(extra=archive.fetch(index))


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("per_query", [False, True])
def test_naming_all_tokens_changes_nothing(decoder, texts, stepped, per_query, attention):
    from transformers import DynamicCache

    model = decoder(attention=attention)
    ids, mask = texts(n=24, pad=(7, 0))
    plain = stepped(model, ids, DynamicCache(config=model.config), mask)
    with kv.enable(model) as memory:
        found = stepped(model, ids, memory.cache(Everything(per_query)), mask)
    assert (found - plain)[mask.bool()].abs().max() < 1e-3


@pytest.mark.parametrize("family", ["llama", "deepseek_v3", "gemma3"])
@pytest.mark.parametrize("policy", [Random(False), Random(True), kv.Quest(12, 4, n_full_layers=0)])
def test_retrieving_equals_masking(torch, decoder, texts, stepped, masking, policy, family):
    dense = {"first_k_dense_replace": 2} if family == "deepseek_v3" else {}
    model = decoder(family, dtype=torch.float64, attention="sdpa", **dense)
    ids, mask = texts(n=40, pad=(7, 0))
    with kv.enable(model) as memory:
        cache = memory.cache(policy, log=True)
        found = stepped(model, ids, cache, mask, lengths=(20, 5))
        with masking(model, cache.log) as stock:
            expected = stepped(model, ids, stock, mask, lengths=(20, 5))
    assert cache.stats.n_retrievals > 0
    assert cache.stats.n_evicted == 0
    assert (found - expected)[mask.bool()].abs().max() < 1e-9


@pytest.mark.parametrize("positions", ["keep", "close"])
def test_what_went_to_the_host_comes_back_as_it_was(torch, decoder, texts, stepped, positions):
    from transformers import DynamicCache

    model = decoder(dtype=torch.float64, attention="sdpa")
    ids, mask = texts(n=40, pad=(7, 0))
    plain = stepped(model, ids, DynamicCache(config=model.config), mask, lengths=(20, 5))
    with kv.enable(model) as memory:
        cache = memory.cache(Recalled(8), leaving="archive", positions=positions)
        found = stepped(model, ids, cache, mask, lengths=(20, 5))
    stats = cache.stats
    assert (found - plain)[mask.bool()].abs().max() < 1e-9
    assert stats.bytes_device == 2 * 2 * 2 * 2 * 8 * 8 * 8
    assert stats.bytes_device + stats.bytes_host == 2 * 2 * 2 * 2 * 40 * 8 * 8
    assert stats.bytes_fetched > stats.bytes_host


def test_an_archive_grows_crops_and_follows_its_rows(torch):
    archive = kv.Archive()
    keys = torch.randn(2, 1, 50, 4)
    slots = torch.arange(50).expand(2, 1, 50)
    for start in range(0, 50, 7):
        part = slice(start, start + 7)
        archive.add(keys[:, :, part], keys[:, :, part, :2], slots[..., part])
    assert archive.n == 50
    assert torch.equal(archive.keys, keys)
    assert archive.n_bytes == 2 * 50 * 6 * 4
    index = torch.tensor([[[3, 40]], [[0, 49]]])
    fetched = archive.fetch(index)
    assert torch.equal(fetched.keys[0, 0], keys[0, 0, [3, 40]])
    assert torch.equal(fetched.slots, index)
    archive.of_rows(torch.tensor([1, 1, 0]))
    assert torch.equal(archive.keys, keys[[1, 1, 0]])
    archive.crop(45)
    assert archive.slots[0, 0].tolist() == [*range(45), *[-1] * 5]


@dataclass(frozen=True)
class Pooled(kv.Policy):
    """Looks at one entry for the first `n` tokens, which are all alike, and at the rest."""

    n: int

    def attend(self, step):
        import torch

        keys, values = step.keys[:, :, :1], step.values[:, :, :1]
        extra = kv.Extra(
            keys, values, step.slots[..., :1], torch.full(keys.shape[:3], float(self.n)).log()
        )
        rest = torch.arange(self.n, step.n_stored).expand(*keys.shape[:2], -1)
        return kv.Attend(rest, extra=extra)


def test_one_entry_may_stand_for_many_with_the_logarithm_of_their_number(torch, toy):
    generator = torch.Generator().manual_seed(0)
    alike = torch.randn(1, 2, 1, 8, generator=generator).expand(-1, -1, 32, -1)
    more = torch.randn(1, 2, 9, 8, generator=generator)
    key, query = torch.cat([alike, more], 2), torch.randn(1, 4, 1, 8, generator=generator)
    found, plain = toy(Pooled(32)), toy(None)
    assert (found.feed(query, key) - plain.feed(query, key)).abs().max() < 1e-6
