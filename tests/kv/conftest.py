"""Tiny random decoders, and a stock cache whose attention masks what a policy evicted."""

from dataclasses import dataclass, field

import pytest

VOCABULARY = 97
SMALL = {
    "vocab_size": VOCABULARY,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "max_position_embeddings": 2048,
}
MARKS = {"pad_token_id": 0, "bos_token_id": None, "eos_token_id": None}
ALL_HEADS = {"num_key_value_heads": 8}
MOE = {"num_local_experts": 4, "num_experts_per_tok": 2}
SLIDING = {"sliding_window": 8, "use_sliding_window": True}
# Family -> (class prefix of transformers, what its configuration has beside SMALL).
FAMILIES = {
    "llama": ("Llama", {}),
    "mistral": ("Mistral", {"sliding_window": None}),
    "mistral-window": ("Mistral", {"sliding_window": 8}),
    "qwen2": ("Qwen2", {}),
    "qwen3": ("Qwen3", {"head_dim": 16}),
    "gemma2": ("Gemma2", {"head_dim": 8, "sliding_window": 8, "query_pre_attn_scalar": 8}),
    "gemma3": (
        "Gemma3",
        {
            "head_dim": 8,
            "sliding_window": 8,
            "query_pre_attn_scalar": 8,
            "num_hidden_layers": 4,
            "layer_types": ["sliding_attention", "full_attention"] * 2,
        },
    ),
    "phi3": ("Phi3", {"sliding_window": None}),
    "olmo2": ("Olmo2", {}),
    "cohere": ("Cohere", {}),
    "glm": ("Glm", {"head_dim": 8, "partial_rotary_factor": 0.5}),
    "gpt_neox": ("GPTNeoX", {"rotary_pct": 0.5, **ALL_HEADS}),
    "gpt2": ("GPT2", {"n_embd": 64, "n_layer": 2, "n_head": 8, "n_positions": 2048, **ALL_HEADS}),
    "opt": ("OPT", {"ffn_dim": 96, "word_embed_proj_dim": 64, **ALL_HEADS}),
    "mixtral": ("Mixtral", {**MOE, "sliding_window": None}),
    "starcoder2": ("Starcoder2", {"sliding_window": None}),
    "stablelm": ("StableLm", {"partial_rotary_factor": 0.5}),
    "smollm3": ("SmolLM3", {"no_rope_layers": [1, 0]}),
    "gpt_oss": (
        "GptOss",
        {
            **MOE,
            "head_dim": 8,
            "sliding_window": 8,
            "layer_types": ["sliding_attention", "full_attention"],
        },
    ),
    "deepseek_v3": (
        "DeepseekV3",
        {
            **ALL_HEADS,
            "kv_lora_rank": 16,
            "q_lora_rank": None,
            "qk_nope_head_dim": 8,
            "qk_rope_head_dim": 8,
            "v_head_dim": 8,
            "first_k_dense_replace": 1,  # one layer of experts, which run in float32 at most
            "n_routed_experts": 4,
            "n_group": 2,
            "topk_group": 1,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 32,
        },
    ),
}


@pytest.fixture
def torch():
    """PyTorch, or no test; one thread, as sums in another order differ in the last bit."""
    module = pytest.importorskip("torch", reason="PyTorch is not installed")
    pytest.importorskip("transformers", reason="transformers is not installed")
    return module


def is_release_4():
    """Whether transformers is older than its fifth release."""
    import transformers

    return int(transformers.__version__.partition(".")[0]) < 5


@pytest.fixture
def chunks_like_wholes(torch):
    """No test where `generate` feeds a prompt in chunks in another way than at once."""
    if is_release_4():
        pytest.skip(
            "transformers 4 feeds the last token of a prompt in chunks alone, and counts padding "
            "in its positions"
        )


@pytest.fixture
def families():
    """The names of all families."""
    return sorted(FAMILIES)


@pytest.fixture
def decoder(torch):
    """Makes a tiny random decoder whose attention is far from flat."""

    def make(family="llama", *, attention=None, scale=6.0, dtype=None, seed=0, **options):
        import transformers

        if is_release_4():
            if family == "stablelm":
                pytest.skip("transformers 4 computes its attention in the model's own code")
            if "rope_parameters" in options:
                rope = dict(options.pop("rope_parameters"))
                options |= {"rope_theta": rope.pop("rope_theta"), "rope_scaling": rope}
        prefix, own = FAMILIES[family]
        config = getattr(transformers, f"{prefix}{'Text' * (family == 'gemma3')}Config")(
            **{**SMALL, **own, **MARKS, "attn_implementation": attention, **options}
        )
        torch.manual_seed(seed)
        head = "LMHeadModel" if family == "gpt2" else "ForCausalLM"
        model = getattr(transformers, prefix + head)(config).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim > 1:
                    parameter.mul_(scale)
        return model.to(dtype or torch.float32)

    return make


@pytest.fixture
def texts(torch):
    """Makes random token ids [B, n] and their mask, row i with pad[i] tokens of left padding."""

    def make(n=24, pad=(0,), seed=1):
        generator = torch.Generator().manual_seed(seed)
        ids = torch.randint(1, VOCABULARY, (len(pad), n), generator=generator)
        mask = torch.ones_like(ids)
        for row, length in enumerate(pad):
            mask[row, :length] = 0
        return ids * mask, mask

    return make


@pytest.fixture
def generated(torch):
    """Runs `generate` greedily, and gives sequences and logits [B, steps, V]."""

    def run(model, ids, mask, cache=None, n_new=6, **options):
        given = {} if cache is None else cached(model, cache)
        out = model.generate(
            input_ids=ids,
            attention_mask=mask,
            max_new_tokens=n_new,
            do_sample=False,
            output_logits=True,
            return_dict_in_generate=True,
            **given,
            **options,
        )
        return out.sequences, torch.stack(out.logits, 1)

    return run


def cached(model, cache):
    """The keyword under which this release of transformers takes a cache."""
    import inspect

    known = inspect.signature(type(model).forward).parameters
    return {"cache" if "cache" in known else "past_key_values": cache}


@pytest.fixture
def fed(torch):
    """Runs one forward pass over new tokens with a cache, and gives the logits."""

    def run(model, ids, cache, mask=None, **options):
        with torch.no_grad():
            return model(
                input_ids=ids,
                attention_mask=mask,
                use_cache=True,
                **cached(model, cache),
                **options,
            ).logits

    return run


@pytest.fixture
def stepped(torch, fed):
    """Feeds ids in passes of the given lengths, the rest one by one: logits of every token."""

    def run(model, ids, cache, mask=None, lengths=(16,)):
        logits, start = [], 0
        lengths = [*lengths, *[1] * (ids.shape[1] - sum(lengths))]
        for length in lengths:
            end = start + length
            seen = None if mask is None else mask[:, :end]
            logits.append(fed(model, ids[:, start:end], cache, seen))
            start = end
        return torch.cat(logits, 1)

    return run


@dataclass
class Replay:
    """What was kept after a pass and seen in it: (layer, n_logical) -> slots [B, H, m]."""

    kept: dict
    seen: dict
    alive: dict = field(default_factory=dict)

    @property
    def layers(self):
        return {layer for layer, _ in self.kept}


@pytest.fixture
def masking(torch, decoder):
    """A stock cache for which attention masks what `log` says had left, and nothing is dropped.

    The attention is written out here in full, shares nothing with the library, and is set on
    the model by `with masking(model, log) as cache`.
    """
    from contextlib import contextmanager

    from transformers import AttentionInterface, AttentionMaskInterface, DynamicCache
    from transformers.masking_utils import sdpa_mask

    class Masked(DynamicCache):
        def __init__(self, log, **options):
            super().__init__(**options)
            parts = {
                kind: {(one.layer, one.n_logical): one.slots for one in log if one.kind == kind}
                for kind in ("evict", "retrieve")
            }
            self.replay = Replay(parts["evict"], parts["retrieve"])

        def reorder_cache(self, beam_idx):
            super().reorder_cache(beam_idx)
            for layer, alive in self.replay.alive.items():
                self.replay.alive[layer] = alive.index_select(0, beam_idx)

        def update(self, *args, **kwargs):
            current.append(self.replay)
            return super().update(*args, **kwargs)

    current = []

    def members(slots, n):
        """[B, H, n] bool of slots [B, H, m]; -1 goes to a last column that is cut off."""
        found = torch.zeros(*slots.shape[:2], n + 1, dtype=torch.bool)
        return found.scatter(2, slots.where(slots >= 0, n), True)[..., :n]

    def attention(module, query, key, value, mask, scaling=None, **kwargs):
        replay, layer = current.pop(), module.layer_idx
        n_new, n, groups = query.shape[2], key.shape[2], query.shape[1] // key.shape[1]
        if mask is None:
            mask = torch.ones(n_new, n, dtype=torch.bool).tril(n - n_new)[None, None]
        mask = mask if mask.dtype == torch.bool else mask >= 0
        if (layer, n) in replay.seen:
            chosen = members(replay.seen[layer, n], n)
            mask = mask & chosen[:, :, None].repeat_interleave(query.shape[1] // chosen.shape[1], 1)
        if layer in replay.layers:
            heads = next(kept.shape[1] for at, kept in replay.kept.items() if at[0] == layer)
            alive = replay.alive.get(layer, key.new_zeros(key.shape[0], heads, 0).bool())
            alive = torch.cat([alive, alive.new_ones(*alive.shape[:2], n - alive.shape[2])], 2)
            mask = mask & alive[:, :, None].repeat_interleave(query.shape[1] // heads, 1)
            kept = replay.kept.get((layer, n))
            replay.alive[layer] = alive if kept is None else members(kept, n)
        key, value = (x.repeat_interleave(groups, 1) for x in (key, value))
        logits = query @ key.transpose(2, 3) * (scaling or query.shape[-1] ** -0.5)
        weights = logits.masked_fill(~mask, -torch.inf).softmax(-1).nan_to_num(0.0)
        return (weights @ value).transpose(1, 2).contiguous(), None

    AttentionInterface.register("written_out", attention)
    AttentionMaskInterface.register("written_out", sdpa_mask)

    @contextmanager
    def use(model, log):
        before = model.config._attn_implementation
        model.config._attn_implementation = "written_out"
        yield Masked(log, config=model.config)
        model.config._attn_implementation = before

    return use


@pytest.fixture
def toy(torch):
    """A single managed layer without a model: feed it query, key and value, read its slots."""
    from types import SimpleNamespace

    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    from memsieve.kv.checks import ModelFacts
    from memsieve.kv.layer import Frame, MemoryLayer, claim
    from memsieve.kv.stats import Counters

    class Toy:
        def __init__(self, policy, archives=False, n_layers=1, layer=0):
            facts = ModelFacts(None, n_layers, 1, 1, 1)
            self.frame = Frame(policy, False, archives, False, facts, counters=Counters(log=[]))
            self.layer = MemoryLayer(self.frame, layer)

        def feed(self, query, key, value=None, scale=None):
            value = key if value is None else value
            groups = query.shape[1] // key.shape[1]
            module = SimpleNamespace(layer_idx=self.layer.index, num_key_value_groups=groups)
            key, value = self.layer.update(key, value)
            assert claim(module) is self.layer
            return self.layer.attention(
                sdpa_attention_forward, module, query, key, value, None, scaling=scale
            )[0]

        @property
        def kept(self):
            return self.layer.slots

    return Toy


@pytest.fixture
def step_of(torch):
    """A step of a layer that holds everything: q queries at the end of n keys."""
    from memsieve.kv.policy import Step

    def make(query, keys, padding=None, scale=1.0, n_recent=0, **options):
        n_rows, n_heads, n, _ = keys.shape
        return Step(
            layer=0,
            n_layers=1,
            query=query,
            keys=keys,
            values=keys,
            slots=torch.arange(n).expand(n_rows, n_heads, n),
            scale=scale,
            n_logical=n,
            padding=padding,
            recent=query[:, :, query.shape[2] - n_recent :],
            is_prefill=query.shape[2] > 1,
            **options,
        )

    return make
