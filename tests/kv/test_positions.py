"""Where tokens stand after others have left: in their old places, or closed up."""

import pytest

from memsieve import kv
from memsieve.errors import ParameterError

pytestmark = pytest.mark.torch

FULL = {"layer_types": ["full_attention"]}
# One layer, so that keys and values depend on the token and its position alone.
ROTATING = {
    **dict.fromkeys(("gemma2", "gemma3", "gpt_oss"), FULL),
    **{family: {} for family in ("cohere", "glm", "gpt_neox", "llama", "mistral", "mixtral")},
    **{family: {} for family in ("olmo2", "phi3", "qwen2", "qwen3", "stablelm", "starcoder2")},
    "smollm3": {"no_rope_layers": [1]},
}
EXPERTS = {"mixtral", "gpt_oss"}  # they have no float64
KEPT = [*range(4), *range(25, 40)]


def one_layer(torch, decoder, family, **more):
    dtype = torch.float32 if family in EXPERTS else torch.float64
    return decoder(family, num_hidden_layers=1, dtype=dtype, **ROTATING[family], **more)


def after_forty(torch, model, texts, fed, policy, positions, **options):
    """Logits of token 40, after `policy` has chosen from 40 tokens; and all 41 tokens."""
    ids, _ = texts(n=41)
    with kv.enable(model) as memory:
        cache = memory.cache(policy, positions=positions, **options)
        fed(model, ids[:, :40], cache)
        return fed(model, ids[:, 40:], cache), ids


def text_of(model, ids, fed, places=None):
    from transformers import DynamicCache

    options = {} if places is None else {"position_ids": places}
    return fed(model, ids, DynamicCache(config=model.config), **options)[:, -1:]


@pytest.mark.parametrize("family", sorted(ROTATING))
def test_kept_tokens_stand_where_they_stood_or_close_up(torch, decoder, texts, fed, family):
    model = one_layer(torch, decoder, family)
    stayed, ids = after_forty(torch, model, texts, fed, kv.StreamingLLM(19), "keep")
    closed, _ = after_forty(torch, model, texts, fed, kv.StreamingLLM(19), "close")
    rest = ids[:, [*KEPT, 40]]
    exact, rotated = (1e-3, 1e-3) if family in EXPERTS else (1e-12, 1e-4)
    in_place = text_of(model, rest, fed, torch.tensor([[*KEPT, 40]]))
    assert (stayed - in_place).abs().max() < exact
    assert (closed - text_of(model, rest, fed)).abs().max() < rotated  # cos and sin are float32
    assert (closed - stayed).abs().max() > 10 * rotated


@pytest.mark.parametrize("scaling", ["yarn", "llama3", "linear"])
def test_closing_up_knows_scaled_embeddings(torch, decoder, texts, fed, scaling):
    rope = {"rope_type": scaling, "rope_theta": 10000.0, "factor": 4.0}
    rope |= {"original_max_position_embeddings": 512} if scaling != "linear" else {}
    if scaling == "llama3":
        rope |= {"low_freq_factor": 1.0, "high_freq_factor": 4.0}
    model = one_layer(torch, decoder, "llama", rope_parameters=rope)
    closed, ids = after_forty(torch, model, texts, fed, kv.StreamingLLM(19), "close")
    assert (closed - text_of(model, ids[:, [*KEPT, 40]], fed)).abs().max() < 1e-4


def test_closing_up_does_not_drift(torch, decoder, texts, fed):
    """300 tokens past a budget of 8: still what the eight kept tokens give as a text."""
    model = one_layer(torch, decoder, "llama")
    ids, _ = texts(n=300)
    with kv.enable(model) as memory:
        cache = memory.cache(kv.StreamingLLM(8), positions="close")
        fed(model, ids[:, :8], cache)
        for n in range(8, 300):
            logits = fed(model, ids[:, n : n + 1], cache)
    rest = ids[:, [*range(4), *range(295, 300)]]
    assert (logits - text_of(model, rest, fed)).abs().max() < 1e-4


def test_closing_up_leaves_padding_out_of_account(torch, decoder, texts, fed):
    """A padded row closes up as the same text without padding does."""
    model = one_layer(torch, decoder, "llama")
    ids, mask = texts(n=41, pad=(9,))
    found = []
    for tokens, real in ((ids, mask), (ids[:, 9:], mask[:, 9:])):
        places = (real.cumsum(1) - 1).clamp(min=0)
        n = tokens.shape[1] - 1
        with kv.enable(model) as memory:
            cache = memory.cache(kv.StreamingLLM(19), positions="close")
            fed(model, tokens[:, :n], cache, real[:, :n], position_ids=places[:, :n])
            found.append(fed(model, tokens[:, n:], cache, real, position_ids=places[:, n:]))
    assert (found[0] - found[1]).abs().max() < 1e-4


class FixedView(kv.Policy):
    """Looks at tokens 0-3 and from 25 on, once there are 40."""

    def attend(self, step):
        if step.is_prefill:
            return None
        import torch

        index = torch.tensor([*KEPT, *range(40, step.n_stored)])
        return kv.Attend(index.expand(1, step.keys.shape[1], -1))


@pytest.mark.parametrize("positions", ["keep", "close"])
def test_what_is_looked_at_closes_up_as_what_is_kept(torch, decoder, texts, fed, positions):
    model = one_layer(torch, decoder, "llama")
    kept, _ = after_forty(torch, model, texts, fed, kv.StreamingLLM(19), positions)
    seen, _ = after_forty(torch, model, texts, fed, FixedView(), positions)
    assert (kept - seen).abs().max() < 1e-12


def test_gaps_close_towards_the_newest(torch):
    """PackForcing's figure: of 0..9, 2 and 6 leave; 0 stands at 2 then, 7 where it was."""
    from memsieve.kv.rotary import closing_shifts

    slots = torch.tensor([[[0, 1, 3, 4, 5, 7, 8, 9]]])
    assert (slots + closing_shifts(slots, 9)).tolist() == [[[2, 3, 4, 5, 6, 7, 8, 9]]]
    order = torch.tensor([3, 0, 7, 1, 6, 2, 5, 4])
    shuffled = closing_shifts(slots[..., order], 9, ascending=False)
    assert torch.equal(shuffled, closing_shifts(slots, 9)[..., order])
    empty = torch.tensor([[[-1, -1, 0, 5]]])
    assert closing_shifts(empty, 5).tolist() == [[[0, 0, 4, 0]]]


@pytest.mark.parametrize(
    ("family", "options", "why"),
    [
        ("gpt2", {}, "does not know how gpt2 rotates"),
        ("opt", {}, "does not know how opt rotates"),
        ("deepseek_v3", {}, "caches latents"),
        (
            "llama",
            {"rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}},
            "frequencies are fixed",
        ),
    ],
)
def test_closing_up_is_refused_where_the_rule_is_not_known(decoder, family, options, why):
    model = decoder(family, **options)
    with kv.enable(model) as memory, pytest.raises(ParameterError, match=why):
        memory.cache(kv.StreamingLLM(19), positions="close")
