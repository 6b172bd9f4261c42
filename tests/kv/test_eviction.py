"""What has left the cache is, to the last digits, as if it had been masked."""

import copy

import pytest

from memsieve import kv

pytestmark = pytest.mark.torch

EVICTING = [
    kv.StreamingLLM(12),
    kv.H2O(12),
    kv.H2O(12, n_window=3),
    kv.SnapKV(12, n_window=4),
    kv.TOVA(12),
    kv.TOVA(12, n_window=1),
    kv.H2O(12, heads=kv.SharedHeads()),
    kv.H2O(12, n_window=2, heads=kv.AdaptiveHeads()),
    kv.H2O(12, n_window=3, unit=kv.Page(4)),
    kv.H2O(kv.Pyramid(12, beta=3)),
    kv.H2O(12, interval=3),
    kv.TOVA(12, n_window=1, interval=4),
    kv.H2O(12, n_window=2, heads=kv.AdaptiveHeads(), interval=2),
]
OTHERS = ("deepseek_v3", "gemma3", "opt", "smollm3")
every_policy = pytest.mark.parametrize("policy", EVICTING, ids=repr)
TOLERANCE = 1e-9
EAGER_TOLERANCE = 1e-4  # the models' own eager attention takes its softmax in float32
DENSE = {"deepseek_v3": {"first_k_dense_replace": 2}}  # experts have no float64


@pytest.mark.parametrize(
    ("family", "policy"),
    [
        *(("llama", policy) for policy in EVICTING),
        *((family, policy) for family in OTHERS for policy in EVICTING[:4]),
    ],
    ids=repr,
)
def test_evicting_equals_masking(torch, decoder, texts, stepped, masking, family, policy):
    model = decoder(family, dtype=torch.float64, attention="sdpa", **DENSE.get(family, {}))
    ids, mask = texts(n=30, pad=(7, 0))
    with kv.enable(model) as memory:
        cache = memory.cache(policy, log=True)
        found = stepped(model, ids, cache, mask, lengths=(20, 5))
        with masking(model, cache.log) as stock:
            expected = stepped(model, ids, stock, mask, lengths=(20, 5))
    assert cache.stats.n_evicted > 0
    assert (found - expected)[mask.bool()].abs().max() < TOLERANCE
    plain = stepped(model, ids, stock_cache(model), mask, lengths=(20, 5))
    assert (found - plain)[mask.bool()].abs().max() > 1e-3  # eviction is seen at all


def stock_cache(model):
    from transformers import DynamicCache

    return DynamicCache(config=model.config)


@pytest.mark.parametrize(
    ("attention", "policy"),
    [*(("sdpa", policy) for policy in EVICTING), *(("eager", policy) for policy in EVICTING[:2])],
    ids=repr,
)
def test_so_it_is_in_generate_with_a_prompt_in_chunks(
    torch, decoder, texts, generated, masking, policy, attention
):
    # In float64 it gives NaN where a whole row is padding, also with a stock cache.
    dtype = torch.float64 if attention == "sdpa" else torch.float32
    model = decoder(dtype=dtype, attention=attention)
    tolerance = TOLERANCE if attention == "sdpa" else EAGER_TOLERANCE
    ids, mask = texts(n=37, pad=(7, 0))
    for prefill in ("each", "end"):
        with kv.enable(model) as memory:
            cache = memory.cache(policy, log=True, prefill=prefill)
            found = generated(model, ids, mask, cache, prefill_chunk_size=16)
            log = cache.log
            if prefill == "end":  # noted when the first token comes, with what was stored then
                whole = 36 * 2 * 2 * 2 * 2 * 8 * found[1].element_size()
                assert cache.stats.peak_bytes_device >= whole
        with masking(model, log) as stock:
            expected = generated(model, ids, mask, stock, prefill_chunk_size=16)
        assert cache.stats.n_evicted > 0
        assert torch.equal(found[0], expected[0])
        assert (found[1] - expected[1]).abs().max() < tolerance


@every_policy
def test_so_it_is_with_beams(torch, decoder, texts, masking, policy):
    model = decoder(dtype=torch.float64)
    ids, mask = texts(n=24, pad=(7, 0))
    options = {"num_beams": 3, "do_sample": False, "max_new_tokens": 8}
    options |= {"output_scores": True, "return_dict_in_generate": True}
    with kv.enable(model) as memory:
        cache = memory.cache(policy, log=True)
        found = model.generate(ids, attention_mask=mask, **given(model, cache), **options)
    with masking(model, cache.log) as stock:
        expected = model.generate(ids, attention_mask=mask, **given(model, stock), **options)
    assert torch.equal(found.sequences, expected.sequences)
    assert (found.sequences_scores - expected.sequences_scores).abs().max() < TOLERANCE


def given(model, cache):
    import inspect

    known = inspect.signature(type(model).forward).parameters
    return {"cache" if "cache" in known else "past_key_values": cache}


@every_policy
def test_so_it_is_over_two_turns(torch, decoder, texts, generated, masking, policy):
    model = decoder(dtype=torch.float64)
    ids, mask = texts(n=24, pad=(7, 0))
    more, _ = texts(n=9, pad=(0, 0), seed=5)
    with kv.enable(model) as memory:
        cache = memory.cache(policy, log=True)
        found = two_turns(torch, model, ids, mask, more, generated, cache)
    with masking(model, cache.log) as stock:
        expected = two_turns(torch, model, ids, mask, more, generated, stock)
    assert torch.equal(found[0], expected[0])
    assert (found[1] - expected[1]).abs().max() < TOLERANCE


def two_turns(torch, model, ids, mask, more, generated, cache):
    """Sequences and logits of a second `generate` over everything said so far and more."""
    said, _ = generated(model, ids, mask, cache)
    ids = torch.cat([said, more], 1)
    mask = torch.cat([mask, torch.ones_like(ids[:, mask.shape[1] :])], 1)
    return generated(model, ids, mask, cache)


def test_a_second_turn_feeds_the_new_tokens_and_no_others(torch, decoder, texts, generated):
    """Pruning a stock cache by hand makes `generate` feed old tokens again, silently."""
    model = decoder()
    ids, mask = texts(n=12, pad=(0,))
    fed = []
    model.model.embed_tokens.register_forward_hook(lambda *a: fed.append(a[1][0].shape[1]))
    with kv.enable(model) as memory:
        cache = memory.cache(kv.StreamingLLM(6))
        said, _ = generated(model, ids, mask, cache, n_new=2)
        assert cache.get_seq_length() == 13
        fed.clear()
        more = torch.cat([said, said[:, :4]], 1)
        generated(model, more, torch.ones_like(more), cache, n_new=1)
    assert fed == [5]  # the last of the answer, which was not fed yet, and four new ones


def test_a_stock_cache_pruned_by_hand_feeds_old_tokens_again(torch, decoder, texts, generated):
    """12 logical, 6 stored: 7 are fed, not 1. The control to the test above."""
    model = decoder()
    ids, mask = texts(n=12, pad=(0,))
    cache = stock_cache(model)
    generated(model, ids, mask, cache, n_new=1)
    for layer in cache.layers:
        layer.keys, layer.values = layer.keys[:, :, -6:], layer.values[:, :, -6:]
    fed = []
    model.model.embed_tokens.register_forward_hook(lambda *a: fed.append(a[1][0].shape[1]))
    more = torch.cat([ids, ids[:, :1]], 1)
    generated(model, more, torch.ones_like(more), cache, n_new=1)
    assert fed == [7]


@every_policy
def test_bytes_follow_the_formula_after_every_step(decoder, texts, fed, policy):
    """layers * 2 * B * Hkv * budget * D * itemsize; SnapKV adds room for nine tokens at a time."""
    model = decoder(num_hidden_layers=3)
    ids, mask = texts(n=30, pad=(7, 0))
    with kv.enable(model) as memory:
        cache = memory.cache(policy)
        fed(model, ids[:, :20], cache, mask[:, :20])
        for n in range(20, 31):
            budgets = [policy.allocation.tokens(layer, 3) for layer in range(3)]
            if isinstance(policy, kv.SnapKV):
                budgets = [budget + -(-(n - 20) // 9) * 9 for budget in budgets]
            elif (n - 20) % policy.interval:  # room for all that comes before the next eviction
                budgets = [budget + policy.interval for budget in budgets]
            if not isinstance(policy.heads, kv.AdaptiveHeads):
                assert cache.stats.bytes_device == sum(budgets) * 2 * 2 * 2 * 8 * 4
            stored = [layer.keys.untyped_storage().nbytes() for layer in cache.layers]
            assert sum(stored) * 2 == cache.stats.bytes_device
            if n < 30:
                fed(model, ids[:, n : n + 1], cache, mask[:, : n + 1])


@every_policy
@pytest.mark.parametrize("leaving", ["drop", "archive"])
def test_slots_are_ascending_and_padding_goes_first(torch, decoder, texts, fed, policy, leaving):
    model = decoder()
    ids, mask = texts(n=30, pad=(22, 4, 0))
    with kv.enable(model) as memory:
        cache = memory.cache(policy, leaving=leaving)
        for start, end in ((0, 26), (26, 27), (27, 30)):
            fed(model, ids[:, start:end], cache, mask[:, :end])
            for layer in cache.managed:
                held = layer.slots
                later = (held[..., 1:] > held[..., :-1]) | (held[..., :-1] < 0)
                assert later.all()
                padding = (held >= 0) & (held < torch.tensor([22, 4, 0])[:, None, None])
                real = ((held >= 0) & ~padding).sum(-1)
                total = torch.tensor([end - 22, end - 4, end])[:, None]
                # Padding is held only where nothing real has left.
                assert ((real == total) | ~padding.any(-1)).all()
                if leaving == "archive":
                    everything = torch.cat([layer.archive.slots, held], 2)
                    for head in everything.flatten(0, 1).tolist():
                        assert sorted(slot for slot in head if slot >= 0) == list(range(end))


@every_policy
def test_rows_in_another_order_are_chosen_from_alike(torch, decoder, texts, stepped, policy):
    model = decoder()
    ids, mask = texts(n=26, pad=(7, 0, 3))
    order = torch.tensor([2, 0, 1])
    held = []
    with kv.enable(model) as memory:
        for rows in (torch.arange(3), order):
            cache = memory.cache(policy)
            stepped(model, ids[rows], cache, mask[rows])
            held.append([layer.slots for layer in cache.managed])
    for here, there in zip(*held, strict=True):
        assert torch.equal(here[order], there)


def test_a_gemma_keeps_its_windows_and_bounds_the_rest(decoder, texts, stepped):
    model = decoder("gemma3")
    ids, mask = texts(n=40, pad=(0,))
    with kv.enable(model) as memory:
        cache = memory.cache(kv.H2O(16))
        stepped(model, ids, cache, mask, lengths=(30,))
    assert [layer.keys.shape[2] for layer in cache.layers] == [7, 16, 7, 16]


@pytest.mark.parametrize(
    ("family", "policy"),
    [
        *(("llama", policy) for policy in EVICTING),
        *(("deepseek_v3", policy) for policy in EVICTING[1:5]),
    ],
    ids=repr,
)
def test_chunks_selected_from_at_the_end_are_as_one_prompt(
    torch, decoder, texts, fed, policy, family
):
    model = decoder(family, dtype=torch.float64, **DENSE.get(family, {}))
    ids, mask = texts(n=33, pad=(7, 0))
    with kv.enable(model) as memory:
        whole = memory.cache(policy)
        fed(model, ids[:, :32], whole, mask[:, :32])
        parts = memory.cache(policy, prefill="end")
        for start in (0, 8, 16, 24):
            fed(model, ids[:, start : start + 8], parts, mask[:, : start + 8])
        assert parts.stats.n_evicted == 0
        parts.finish_prefill()
        for one, other in zip(whole.managed, parts.managed, strict=True):
            assert torch.equal(one.slots, other.slots)
        logits = [fed(model, ids[:, 32:], cache, mask) for cache in (whole, parts)]
    assert (logits[0] - logits[1]).abs().max() < TOLERANCE


def test_memory_of_a_long_prompt_falls_as_the_card_says(torch, decoder, fed):
    """16,384 tokens, 6 layers of 2 heads of 64 channels in float32: 100.7 MB to 3.1 MB."""
    model = decoder(
        hidden_size=64, head_dim=64, num_attention_heads=2, num_hidden_layers=6, vocab_size=97
    )
    ids = torch.randint(1, 97, (1, 16384))
    full = 6 * 2 * 2 * 16384 * 64 * 4
    with kv.enable(model) as memory:
        cache = memory.cache(kv.StreamingLLM(512))
        for start in range(0, 16384, 2048):
            fed(model, ids[:, start : start + 2048], cache, logits_to_keep=1)
        assert full / 1e6 == pytest.approx(100.7, abs=0.1)
        assert cache.stats.bytes_device / 1e6 == pytest.approx(3.1, abs=0.05)
        assert cache.stats.bytes_device * 32 == full
        # A chunk of 2,048 beside the budget in one layer at a time.
        assert cache.stats.peak_bytes_device / 1e6 == pytest.approx(3.1 + 12.6 / 6, abs=0.1)


def test_a_snapshot_goes_its_own_way(torch, decoder, texts, fed):
    model = decoder()
    ids, _ = texts(n=24, pad=(0,))
    with kv.enable(model) as memory:
        cache = memory.cache(kv.H2O(8), leaving="archive")
        fed(model, ids[:, :20], cache)
        twin = copy.deepcopy(cache)
        first = fed(model, ids[:, 20:], cache)
        assert twin.get_seq_length() == 20
        assert torch.equal(fed(model, ids[:, 20:], twin), first)
