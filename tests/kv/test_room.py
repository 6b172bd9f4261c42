"""Room for the next tokens: they come without a copy, and nothing else changes."""

import copy

import pytest

from memsieve import kv
from memsieve.errors import ParameterError

pytestmark = pytest.mark.torch


@pytest.fixture
def room(torch):
    from memsieve.kv.room import Room

    return Room()


def numbered(torch, n, start=0):
    """[2, 3, n, 4], a token's number in each of its channels."""
    return torch.arange(start, start + n).float()[None, None, :, None].expand(2, 3, n, 4)


def test_new_tokens_come_behind_the_old_ones_in_place(torch, room):
    with torch.no_grad():
        held = room.appended(numbered(torch, 5), numbered(torch, 1, 5), spare=3)
        first = held.data_ptr()
        for n in range(6, 9):
            held = room.appended(held, numbered(torch, 1, n), spare=3)
            assert held.data_ptr() == first
            assert torch.equal(held, numbered(torch, n + 1))
        held = room.appended(held, numbered(torch, 2, 9), spare=3)  # the room is used up
        assert held.data_ptr() != first
        assert torch.equal(held, numbered(torch, 11))


def test_a_room_is_a_small_share_of_what_it_holds(torch, room):
    with torch.no_grad():
        held = room.appended(numbered(torch, 10), numbered(torch, 1), spare=64)
        assert held.untyped_storage().nbytes() == (11 + 8) * 2 * 3 * 4 * 4
        held = room.appended(numbered(torch, 1000), numbered(torch, 1), spare=64)
        assert held.untyped_storage().nbytes() == (1001 + 31) * 2 * 3 * 4 * 4


def test_without_spare_or_with_gradients_everything_is_copied(torch, room):
    with torch.no_grad():
        held = room.appended(numbered(torch, 5), numbered(torch, 1, 5), spare=0)
        assert not room.has(held)
        held = room.appended(held, numbered(torch, 1, 6), spare=8)
        assert room.has(held)
    again = room.appended(held, numbered(torch, 1, 7), spare=8)
    assert not room.has(again)
    assert torch.equal(again, numbered(torch, 8))


def test_a_room_made_in_inference_mode_is_left_outside_of_it(torch, room):
    with torch.inference_mode():
        held = room.appended(numbered(torch, 5), numbered(torch, 1, 5), spare=8)
    with torch.no_grad():
        again = room.appended(held, numbered(torch, 1, 6), spare=8)
        assert again.data_ptr() != held.data_ptr()
        assert torch.equal(again, numbered(torch, 7))


def test_a_cache_that_was_cropped_or_pruned_by_hand_writes_over_no_neighbour(
    torch, decoder, texts, fed
):
    model = decoder()
    ids, mask = texts(n=30, pad=(7, 0))
    with torch.no_grad(), kv.enable(model) as memory:
        cache, plain = memory.cache(), memory.cache()
        for at, end in ((0, 20), (20, 21), (21, 22), (22, 23)):
            fed(model, ids[:, at:end], cache, mask[:, :end])
        cache.crop(-2)
        assert cache.get_seq_length() == 21
        kept = cache.layers[0].keys.clone()
        fed(model, ids[:, :21], plain, mask[:, :21])
        both = [fed(model, ids[:, 21:30], one, mask) for one in (cache, plain)]
        assert torch.equal(cache.layers[0].keys[:, :, :21], kept)
        assert (both[0] - both[1]).abs().max() < 1e-4
        layer = cache.layers[0]
        layer.keys = layer.keys[:, :, 1:].clone()
        assert not layer._rooms["keys"].has(layer.keys)


def test_a_snapshot_has_a_room_of_its_own(torch, decoder, texts, fed):
    model = decoder()
    ids, _ = texts(n=30)
    with torch.no_grad(), kv.enable(model) as memory:
        cache = memory.cache()
        fed(model, ids[:, :20], cache)
        fed(model, ids[:, 20:21], cache)
        twin = copy.deepcopy(cache)
        fed(model, ids[:, 21:22], cache)
        fed(model, ids[:, 29:30], twin)
        assert twin.layers[0]._rooms["keys"].has(twin.layers[0].keys)
        assert not torch.equal(cache.layers[0].keys, twin.layers[0].keys)
        assert torch.equal(cache.layers[0].keys[:, :, :21], twin.layers[0].keys[:, :, :21])


def test_gradients_flow_through_a_cache_as_through_the_stock_one(torch, decoder, texts):
    from inspect import signature

    from transformers import DynamicCache

    model = decoder()
    ids, _ = texts(n=4)
    name = "cache" if "cache" in signature(model.forward).parameters else "past_key_values"
    found = []
    for managed in (True, False):
        model.zero_grad()
        with kv.enable(model) as memory:
            cache = memory.cache() if managed else DynamicCache(config=model.config)
            loss = 0.0
            for at in range(4):
                out = model(input_ids=ids[:, at : at + 1], use_cache=True, **{name: cache})
                loss = loss + out.logits.float().square().sum()
        loss.backward()
        found.append(model.model.layers[0].self_attn.k_proj.weight.grad.clone())
    assert torch.equal(*found)
    assert found[0].abs().sum() > 0


@pytest.mark.parametrize(
    "make",
    [
        lambda interval: kv.StreamingLLM(12, interval=interval),
        lambda interval: kv.H2O(12, interval=interval),
        lambda interval: kv.TOVA(12, interval=interval),
        lambda interval: kv.Keyformer(12, interval=interval),
    ],
)
def test_between_evictions_no_more_is_stored_than_the_interval_allows(decoder, texts, fed, make):
    model = decoder()
    ids, mask = texts(n=30, pad=(7, 0))
    with kv.enable(model) as memory:
        cache = memory.cache(make(5), log=True)
        fed(model, ids[:, :20], cache, mask[:, :20])
        stored = []
        for n in range(20, 30):
            fed(model, ids[:, n : n + 1], cache, mask[:, : n + 1])
            stored.append({layer.keys.shape[2] for layer in cache.layers})
            most = 2 * len(cache.layers) * 2 * 2 * (12 + 5) * 8 * 4
            assert cache.stats.bytes_device <= most
    assert stored == [{n} for n in (13, 14, 15, 16, 12, 13, 14, 15, 16, 12)]
    assert sum(one.kind == "evict" for one in cache.log) == 3 * len(cache.layers)


def test_an_interval_of_one_is_the_policy_as_it_was(torch, decoder, texts, stepped):
    model = decoder()
    ids, mask = texts(n=30, pad=(7, 0))
    with kv.enable(model) as memory:
        one, other = (memory.cache(kv.H2O(12, **given)) for given in ({}, {"interval": 1}))
        both = [stepped(model, ids, cache, mask, lengths=(20,)) for cache in (one, other)]
    assert torch.equal(*both)


def test_what_leaves_at_an_interval_has_the_scores_of_all_steps_between(torch, toy):
    """H2O: a token that one query between two evictions looked at outlives the others."""
    policy = kv.H2O(4, n_window=1, interval=3)
    layer = toy(policy)
    keys = 8 * torch.eye(8)[None, None]
    layer.feed(keys[:, :, 2:6], keys[:, :, 2:6], scale=1.0)
    for at, asks in ((6, 4), (7, 4), (0, 4)):
        layer.feed(keys[:, :, asks : asks + 1], keys[:, :, at : at + 1], scale=1.0)
    assert layer.kept.tolist()[0][0][-1] == 6
    assert 2 in layer.kept.tolist()[0][0]  # slot 2 holds key 4


@pytest.mark.parametrize("interval", [0, -1, 1.5])
def test_wrong_intervals_are_refused(interval):
    with pytest.raises(ParameterError, match=r"StreamingLLM\.interval must be"):
        kv.StreamingLLM(12, interval=interval)


def test_snap_kv_evicts_after_prompts_alone():
    with pytest.raises(ParameterError, match=r"SnapKV\.interval must be 1"):
        kv.SnapKV(64, interval=4)


def test_of_the_lowest_the_last_leaves(torch):
    from memsieve.kv.archive import highest

    draws = torch.Generator().manual_seed(0)
    for n in (2, 5, 40):
        score = torch.randint(0, 4, (3, 2, n), generator=draws).float()
        slow = (score + torch.arange(n, 0, -1) * 1e-3).topk(n - 1).indices.sort().values
        assert torch.equal(highest(score, n - 1), slow)
