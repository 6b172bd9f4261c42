"""Ways in which a managed cache once went wrong, most of them without a word."""

import copy
from dataclasses import dataclass

import pytest

from memsieve import kv
from memsieve.errors import ParameterError
from memsieve.kv.policy import Attend, Policy

pytestmark = pytest.mark.torch


def test_no_layer_holds_the_queries_of_a_whole_prompt(torch, decoder, texts, fed):
    """A view of the newest query would hold them all."""
    model = decoder()
    ids, _ = texts(n=200)
    with kv.enable(model) as memory:
        cache = memory.cache(kv.TOVA(12))
        fed(model, ids, cache)
        (one,) = {layer._recent.untyped_storage().nbytes() for layer in cache.managed}
        assert one == cache.managed[0]._recent.numel() * 4


@dataclass(frozen=True)
class Fourth(Policy):
    """Look at every fourth token and the newest; at the others as places that are not wanted."""

    fills: bool = False

    def attend(self, step):
        import torch

        here = torch.arange(step.n_stored)
        wanted = (here % 4 == 0) | (here >= step.n_stored - step.query.shape[2])
        if not self.fills:
            here = here[wanted]
            return Attend(here.expand(*step.slots.shape[:2], -1))
        shape = (*step.slots.shape[:2], step.n_stored)
        return Attend(here.expand(shape), wanted.expand(shape))


def test_places_that_are_not_wanted_close_no_gap(torch, decoder, texts, stepped):
    model = decoder(dtype=torch.float64)
    ids, mask = texts(n=30)
    found = []
    with kv.enable(model) as memory:
        for fills in (False, True):
            cache = memory.cache(Fourth(fills), positions="close")
            found.append(stepped(model, ids, cache, mask, lengths=(20,)))
    assert (found[0] - found[1]).abs().max() < 1e-9


def test_a_cache_that_may_evict_later_is_not_offered_for_assisted_decoding(decoder, texts, fed):
    """Drafts would push out tokens, which stay away when the drafts are taken back."""
    model = decoder()
    ids, _ = texts(n=20)
    with kv.enable(model) as memory:
        for policy, answer in ((None, True), (kv.Quest(64), True), (kv.H2O(64), False)):
            cache = memory.cache(policy)
            fed(model, ids, cache)
            assert cache.is_croppable == answer


def test_a_crop_of_nothing_forgets_nothing(torch, decoder, texts, fed):
    model = decoder()
    ids, _ = texts(n=20)
    with kv.enable(model) as memory:
        cache = memory.cache()
        fed(model, ids, cache)
        cache.frame.shared.row["choice"] = torch.zeros(1, 2)
        cache.crop(0)
        assert "choice" in cache.frame.shared.row
        cache.crop(-1)
        assert not cache.frame.shared.row


def test_an_archive_of_empty_places_is_looked_at_without_finding_anything(decoder, texts, fed):
    model = decoder()
    ids, _ = texts(n=31)
    with kv.enable(model) as memory:
        cache = memory.cache(kv.IceCache(8, 4, n_full_layers=0), leaving="archive")
        fed(model, ids[:, :30], cache)
        fed(model, ids[:, 30:], cache)
        cache.crop(-27)
        assert fed(model, ids[:, 30:], cache).isfinite().all()


@dataclass(frozen=True)
class First(kv.Scored):
    """All heads like their tokens, the first one ten times as much."""

    def score(self, step):
        liking = (step.slots + 1.0).log()
        liking[:, 0] *= 10
        return liking


def test_heads_of_unequal_length_wait_for_the_interval_too(decoder, texts, fed):
    model = decoder()
    ids, _ = texts(n=60)
    with kv.enable(model) as memory:
        cache = memory.cache(First(12, heads=kv.AdaptiveHeads(), interval=8), log=True)
        fed(model, ids[:, :30], cache)
        for at in range(30, 46):
            fed(model, ids[:, at : at + 1], cache)
        evicted = [one.n_logical for one in cache.log if one.layer == 0]
    assert evicted == [30, 38, 46]


def test_a_crop_takes_empty_places_for_nothing_but_empty(decoder, texts, fed):
    model = decoder()
    ids, _ = texts(n=30)
    with kv.enable(model) as memory:
        cache = memory.cache(First(12, heads=kv.AdaptiveHeads()))
        fed(model, ids, cache)
        for left in (28, 20):
            cache.crop(left)
            for layer in cache.managed:
                real = (layer.slots >= 0).sum(-1)
                assert layer.slots.max() < left
                assert layer.keys.shape[2] == real.max()


def test_an_archive_that_was_filled_in_inference_mode_may_be_written_to(torch, decoder, texts):
    import inspect

    model = decoder()
    ids, _ = texts(n=40)
    name = "cache" if "cache" in inspect.signature(model.forward).parameters else "past_key_values"
    with kv.enable(model) as memory:
        cache = memory.cache(kv.H2O(12), leaving="archive")
        with torch.inference_mode():
            model(input_ids=ids[:, :30], use_cache=True, **{name: cache})
        cache.crop(-2)
        with torch.no_grad():
            for at in range(28, 34):
                model(input_ids=ids[:, at : at + 1], use_cache=True, **{name: cache})
        assert cache.get_seq_length() == 34
        cache.reset()


def test_a_copy_of_a_prompt_that_waits_copies_no_module(decoder, texts, fed):
    model = decoder("deepseek_v3")
    ids, _ = texts(n=30)
    with kv.enable(model) as memory:
        cache = memory.cache(kv.SnapKV(12, n_window=4), prefill="end")
        fed(model, ids, cache)
        twin = copy.deepcopy(cache)
        assert {layer._last.module for layer in (*cache.managed, *twin.managed)} == {None}
        for one in (cache, twin):
            one.finish_prefill()
            assert {layer.keys.shape[2] for layer in one.managed} == {12}


def test_every_query_head_may_have_a_mask_of_its_own(torch, step_of):
    from memsieve.kv.view import masked

    draws = torch.Generator().manual_seed(0)
    step = step_of(torch.randn(2, 4, 1, 8), torch.randn(2, 2, 10, 8))
    mask = torch.rand(2, 4, 1, 10, generator=draws) < 0.5
    slots = torch.tensor([1, 4, 9]).expand(2, 2, 3)
    found = masked(step, slots, mask, None, may_be_empty=True)
    assert torch.equal(found, mask[..., [1, 4, 9]])


def test_a_mask_with_biases_is_refused(torch, decoder, texts, fed):
    model = decoder()
    ids, _ = texts(n=20)
    hidden = torch.full((20, 20), torch.finfo(torch.float32).min).triu(1)
    biased = (hidden + torch.arange(20).neg().expand(20, 20).tril() * 0.1).clamp(min=hidden.min())[
        None, None
    ]
    with kv.enable(model) as memory:
        with pytest.raises(ParameterError, match="masks with biases"):
            fed(model, ids, memory.cache(kv.H2O(12)), biased)
        assert fed(model, ids, memory.cache(), biased).isfinite().all()
        cache = memory.cache(kv.H2O(12))
        fed(model, ids, cache, hidden[None, None])
        assert cache.managed[0].keys.shape[2] == 12
