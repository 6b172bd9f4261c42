"""A managed cache that holds everything gives the bits of the stock cache."""

import pytest

from memsieve import kv

pytestmark = pytest.mark.torch

NAMES = (
    *("cohere", "deepseek_v3", "gemma2", "gemma3", "glm", "gpt2", "gpt_neox", "gpt_oss", "llama"),
    *("mistral", "mistral-window", "mixtral", "olmo2", "opt", "phi3", "qwen2", "qwen3"),
    *("smollm3", "stablelm", "starcoder2"),
)
# Fused attention lacks what these need: soft-capped logits, attention sinks.
NO_FUSED = {"gemma2", "gpt_oss"}
WITHOUT_FULL_LAYERS = {"mistral-window"}


def test_every_family_is_tried(families):
    assert sorted(NAMES) == families


@pytest.mark.parametrize(
    ("family", "attention"),
    [
        *((family, "eager") for family in NAMES),
        *((family, "sdpa") for family in NAMES if family not in NO_FUSED),
    ],
)
def test_logits_are_those_of_the_stock_cache(torch, decoder, texts, stepped, family, attention):
    from transformers import DynamicCache

    model = decoder(family, attention=attention)
    for pad in ((0,), (7, 0)):
        ids, mask = texts(n=19, pad=pad)
        stock = stepped(model, ids, DynamicCache(config=model.config), mask)
        with kv.enable(model) as memory:
            if family in WITHOUT_FULL_LAYERS:
                caches = [DynamicCache(config=model.config)]
            else:
                caches = [memory.cache(policy) for policy in (None, kv.H2O(19))]
                caches += [DynamicCache(config=model.config)]
            for cache in caches:
                assert torch.equal(stepped(model, ids, cache, mask), stock)
        assert model.config._attn_implementation == attention


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("policy", [kv.StreamingLLM(64), kv.SnapKV(64), kv.TOVA(64), kv.Quest(64)])
def test_generate_says_the_same_bit_by_bit(torch, decoder, texts, generated, policy, attention):
    model = decoder(attention=attention)
    ids, mask = texts(pad=(7, 0))
    expected = generated(model, ids, mask)
    with kv.enable(model) as memory:
        cache = memory.cache(policy)
        found = generated(model, ids, mask, cache)
    assert torch.equal(found[0], expected[0])
    assert torch.equal(found[1], expected[1])
    assert cache.stats.n_evictions == cache.stats.n_retrievals == 0
