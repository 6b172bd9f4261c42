"""Enabling and restoring a model, moving rows, forgetting, counting, and what is refused."""

from dataclasses import dataclass

import pytest

from memsieve import kv
from memsieve.errors import ParameterError

pytestmark = pytest.mark.torch


def hooks_of(model):
    return sum(
        len(module._forward_pre_hooks) + len(module._forward_hooks) for module in model.modules()
    )


def test_leaving_the_with_restores_the_model(torch, decoder, texts, generated):
    model, other = decoder(attention="sdpa"), decoder(attention="eager")
    ids, mask = texts()
    before = model.config.to_dict(), {**vars(model.config)}
    expected = generated(model, ids, mask)
    with kv.enable(model) as memory:
        assert model.config._attn_implementation == "memsieve"
        assert other.config._attn_implementation == "eager"
        generated(model, ids, mask, memory.cache(Curious()))
    assert (model.config.to_dict(), {**vars(model.config)}) == before
    assert hooks_of(model) == 0
    assert torch.equal(generated(model, ids, mask)[1], expected[1])


def test_it_is_restored_after_an_error_as_well(decoder):
    model = decoder(attention="eager")
    with pytest.raises(RuntimeError, match="meant"), kv.enable(model):
        raise RuntimeError("meant")
    assert model.config._attn_implementation == "eager"
    assert hooks_of(model) == 0


def test_models_on_two_threads_do_not_meet(torch, decoder, texts, stepped):
    from concurrent.futures import ThreadPoolExecutor

    models = [decoder(seed=seed) for seed in range(4)]
    ids, mask = texts(n=30, pad=(7, 0))

    def logits(model):
        with kv.enable(model) as memory:
            return stepped(model, ids, memory.cache(kv.H2O(8)), mask)

    alone = [logits(model) for model in models]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(logits, models))
    for one, other in zip(alone, together, strict=True):
        assert torch.equal(one, other)


@dataclass(frozen=True)
class Curious(kv.Policy):
    """Asks for everything there is, and notes what it was shown."""

    needs = frozenset({"hidden", "input_ids"})

    def observe(self, step):
        assert step.hidden.shape == (*step.input_ids.shape, 64)
        step.shared.layer.setdefault("seen", []).append(
            (step.layer, step.n_logical, step.input_ids.tolist(), step.is_prefill)
        )
        step.state.layer["query"] = step.query
        step.state.layer["hidden"] = step.hidden


def test_a_policy_may_see_input_ids_and_what_goes_into_attention(torch, decoder, texts, fed):
    model = decoder()
    ids, _ = texts(n=10)
    with kv.enable(model) as memory:
        cache = memory.cache(Curious())
        fed(model, ids[:, :9], cache)
        fed(model, ids[:, 9:], cache)
        seen = cache.frame.shared.layer["seen"]
        assert [one[:2] for one in seen] == [(0, 9), (1, 9), (0, 10), (1, 10)]
        assert seen[2][2:] == (ids[:, 9:].tolist(), False)
        # The query of the second layer is what its projection makes of the hidden state.
        state = cache.managed[1].state.layer
        query = model.model.layers[1].self_attn.q_proj(state["hidden"])
        norms = query.view(1, 1, 8, 8).norm(dim=-1)
        assert torch.allclose(norms[0, 0], state["query"].norm(dim=-1)[0, :, 0], rtol=1e-4)


def filled(decoder, texts, fed, policy, n=20, **options):
    model = decoder()
    ids, mask = texts(n=n + 4, pad=(7, 0))
    memory = kv.enable(model)
    cache = memory.__enter__().cache(policy, **options)
    fed(model, ids[:, :n], cache, mask[:, :n])
    return model, ids, mask, cache, memory


def content(cache):
    found = []
    for layer in cache.managed:
        found += [layer.keys, layer.values, layer.slots, *layer.state.token.values()]
        if layer._recent is not None:
            found.append(layer._recent)
        if layer.archive is not None and layer.archive.n:
            found += [layer.archive.keys, layer.archive.values, layer.archive.slots]
    return found


@pytest.mark.parametrize("policy", [kv.H2O(8), kv.SnapKV(8, n_window=4)], ids=repr)
@pytest.mark.parametrize("leaving", ["drop", "archive"])
def test_rows_are_reordered_repeated_and_selected_with_all_that_is_theirs(
    torch, decoder, texts, fed, policy, leaving
):
    _, _, _, cache, memory = filled(decoder, texts, fed, policy, leaving=leaving)
    cache.frame.shared.row["votes"] = torch.arange(2)
    before = content(cache)
    for act, rows in (
        (lambda: cache.reorder_cache(torch.tensor([1, 0])), [1, 0]),
        (lambda: cache.batch_repeat_interleave(2), [1, 1, 0, 0]),
        (lambda: cache.batch_select_indices(torch.tensor([0, 3])), [1, 0]),
        (lambda: cache.batch_select_indices(torch.tensor([False, True])), [0]),
    ):
        act()
        for found, whole in zip(content(cache), before, strict=True):
            assert torch.equal(found, whole[rows])
        assert cache.frame.shared.row["votes"].tolist() == rows
    memory.__exit__(None, None, None)


def test_a_reset_cache_is_as_new(torch, decoder, texts, fed):
    model, ids, mask, cache, memory = filled(
        decoder, texts, fed, kv.H2O(8), leaving="archive", log=True
    )
    first = fed(model, ids[:, 20:], cache, mask)
    cache.reset()
    assert cache.get_seq_length() == 0
    assert cache.log == []
    assert cache.stats == kv.Stats(0, 0, 0, 0, 0, cache.stats.bytes_fetched, 0, 0, 0)
    fed(model, ids[:, :20], cache, mask[:, :20])
    assert torch.equal(fed(model, ids[:, 20:], cache, mask), first)
    memory.__exit__(None, None, None)


def test_cropping_restores_what_nothing_had_left_from(torch, decoder, texts, fed):
    model, ids, mask, cache, memory = filled(decoder, texts, fed, kv.Quest(8, 4, n_full_layers=0))
    assert cache.is_croppable
    first = fed(model, ids[:, 20:21], cache, mask[:, :21])
    fed(model, ids[:, 21:], cache, mask)
    cache.crop(-4)
    assert cache.get_seq_length() == 20
    assert torch.equal(fed(model, ids[:, 20:21], cache, mask[:, :21]), first)
    memory.__exit__(None, None, None)


def test_cropping_after_an_eviction_forgets_the_newest_and_no_others(decoder, texts, fed):
    model, ids, mask, cache, memory = filled(
        decoder, texts, fed, kv.TOVA(8, heads=kv.EachHead()), leaving="archive"
    )
    fed(model, ids[:, 20:], cache, mask)
    assert not cache.is_croppable
    held = [layer.slots.clone() for layer in cache.managed]
    cache.crop(-5)
    assert cache.get_seq_length() == 19
    for layer, before in zip(cache.managed, held, strict=True):
        for head, old in zip(layer.slots.flatten(0, 1), before.flatten(0, 1), strict=True):
            assert [s for s in head.tolist() if s >= 0] == [s for s in old.tolist() if s < 19]
        assert (layer.archive.slots < 19).all()
    fed(model, ids[:, 19:20], cache, mask[:, :20])
    memory.__exit__(None, None, None)


def test_statistics_and_log_tell_what_was_decided(decoder, texts, fed):
    model, ids, mask, cache, memory = filled(decoder, texts, fed, kv.StreamingLLM(8), log=True)
    fed(model, ids[:, 20:21], cache, mask[:, :21])
    stats = cache.stats
    assert (stats.n_logical, stats.n_evictions) == (21, 4)
    assert stats.n_evicted == (12 + 1) * 2 * 2 * 2
    assert stats.bytes_device == 2 * 2 * 2 * 2 * 8 * 8 * 4
    assert stats.bytes_state == 2 * 2 * 2 * 8 * 8
    first, *_, last = cache.log
    assert (first.kind, first.layer, first.n_stored, first.n_chosen) == ("evict", 0, 20, 8)
    assert last.slots[0, 0].tolist() == [7, 8, 9, 10, 17, 18, 19, 20]
    assert last.slots[1, 1].tolist() == [0, 1, 2, 3, 17, 18, 19, 20]
    memory.__exit__(None, None, None)


def test_a_log_must_be_asked_for(decoder):
    with pytest.raises(ParameterError, match="make it with log=True"):
        kv.MemoryCache(decoder().config).log  # noqa: B018


# What is refused.


def no_pass(model):
    """Fails the test if any layer runs."""
    model.get_input_embeddings().register_forward_hook(lambda *_: pytest.fail("a pass was begun"))


def test_a_cache_of_fixed_size_is_refused_before_the_pass(decoder, texts, generated):
    model = decoder()
    ids, mask = texts()
    no_pass(model)
    with kv.enable(model), pytest.raises(ParameterError, match="fixed size"):
        generated(model, ids, mask, cache_implementation="static")


def test_a_cache_of_another_dtype_or_model_is_refused_before_the_pass(torch, decoder, texts, fed):
    model, ids, _, cache, memory = filled(decoder, texts, fed, kv.H2O(8))
    memory.__exit__(None, None, None)
    half, deeper, foreign = decoder(), decoder(num_hidden_layers=3), decoder("qwen2")
    for other, why in (
        (half.to(torch.bfloat16), "holds torch.float32 and the model gives torch.bfloat16"),
        (deeper, "for llama with 2 layers, the model is llama with 3"),
        (foreign, "for llama with 2 layers, the model is qwen2"),
    ):
        no_pass(other)
        with kv.enable(other), pytest.raises(ParameterError, match=why):
            fed(other, ids[:, 20:], cache)
    with kv.enable(model), pytest.raises(ParameterError, match="holds 2 rows, got 1"):
        fed(model, ids[:1, 20:], cache)


def test_a_cache_outside_the_with_is_refused(decoder, texts, fed):
    model = decoder()
    ids, _ = texts()
    cache = kv.MemoryCache(model.config, kv.H2O(8))
    fed(model, ids[:, :20], cache)  # nothing has left yet, so nothing is wrong yet
    with pytest.raises(ParameterError, match=r"inside `with memsieve\.kv\.enable"):
        fed(model, ids[:, 20:], cache)


def test_a_model_with_its_own_attention_is_refused(torch):
    import transformers

    config = transformers.GPTNeoXJapaneseConfig(
        vocab_size=97, hidden_size=64, num_hidden_layers=2, num_attention_heads=8
    )
    model = transformers.GPTNeoXJapaneseForCausalLM(config)
    with pytest.raises(ParameterError, match="computes attention in its own code"):
        kv.enable(model).__enter__()


def test_architectures_that_are_not_supported_are_refused(torch):
    import transformers

    t5 = transformers.T5Config(vocab_size=97, d_model=64, num_layers=2, num_heads=8)
    with pytest.raises(ParameterError, match="encoder-decoder"):
        kv.MemoryCache(t5, kv.H2O(8))
    rope = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 1, 1]}
    vision = transformers.Qwen2VLConfig(
        text_config={"hidden_size": 64, "num_attention_heads": 8, "rope_parameters": rope}
    )
    with pytest.raises(ParameterError, match="M-RoPE"):
        kv.MemoryCache(vision, kv.H2O(8))
    mpt = transformers.MptConfig(vocab_size=97, d_model=64, n_layers=2, n_heads=8)
    with pytest.raises(ParameterError, match="bias by position"):
        kv.MemoryCache(mpt, kv.H2O(8))
    mamba = transformers.MambaConfig(vocab_size=97, hidden_size=64, num_hidden_layers=2)
    with pytest.raises(ParameterError, match="decoder with attention is needed"):
        kv.MemoryCache(mamba, kv.H2O(8))
    with pytest.raises(ParameterError, match="decoder with attention is needed, got NoneType"):
        kv.MemoryCache(None)


@dataclass(frozen=True)
class NeedsRotation(kv.H2O):
    """A policy that cannot do without something."""

    def bind(self, facts):
        super().bind(facts)
        if facts.model is not None and not facts.rotaries:
            raise ParameterError(f"NeedsRotation needs rotary keys, {facts.name} has none")


def test_a_policy_that_needs_what_the_model_lacks_says_so_before_the_pass(decoder, texts, fed):
    model = decoder("gpt2")
    ids, _ = texts()
    cache = kv.MemoryCache(model.config, NeedsRotation(8))
    no_pass(model)
    with kv.enable(model), pytest.raises(ParameterError, match="needs rotary keys, gpt2 has none"):
        fed(model, ids, cache)


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"positions": "shift"}, "positions must be one of"),
        ({"leaving": "host"}, "leaving must be one of"),
        ({"prefill": "late"}, "prefill must be one of"),
        ({"policy": "h2o"}, "policy must be a Policy, got 'h2o'"),
    ],
)
def test_wrong_options_of_a_cache_are_refused(decoder, options, rule):
    with pytest.raises(ParameterError, match=rule):
        kv.MemoryCache(decoder().config, **options)


def test_a_model_is_enabled_once(decoder):
    model = decoder()
    with kv.enable(model), pytest.raises(ParameterError, match="is enabled already"):
        kv.enable(model).__enter__()
