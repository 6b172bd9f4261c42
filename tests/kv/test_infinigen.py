"""InfiniGen: the threshold worked by hand, skewing, guesses ahead, and keys on the host."""

from copy import deepcopy

import pytest

from memsieve import kv
from memsieve.errors import ParameterError
from memsieve.kv.ahead import query_ahead
from memsieve.kv.policies.infinigen import InfiniGen, basis, choose, skew_model

pytestmark = pytest.mark.torch

LOGITS = [9.0, 8.5, 5.2, 4.1, 3.9, 0.0]
EVERYTHING = float("inf")
# Families whose queries come from a projection of their own, with norms, scaling or part rotation.
PROJECTED = (
    *("cohere", "gemma2", "gemma3", "glm", "gpt_oss", "llama", "mistral", "mixtral", "olmo2"),
    *("opt", "qwen2", "qwen3", "smollm3", "stablelm", "starcoder2"),
)


class Telling(InfiniGen):
    """Notes how far the queries foreseen from a layer's own input are from the real ones."""

    def observe(self, step):
        """Compare, then as ever."""
        real = step.query if step.padding is None else step.query * _asking(step)
        seen = query_ahead(step.module, step, step.hidden)
        seen = seen if step.padding is None else seen * _asking(step)
        step.state.layer.setdefault("off", []).append(float((seen - real).abs().max()))
        super().observe(step)


def _asking(step):
    return step.padding[:, None, -step.query.shape[2] :, None]


class Unchanged:
    """An attention module whose queries are what goes into it."""

    @staticmethod
    def q_proj(hidden):
        """The same."""
        return hidden


@pytest.fixture
def two_layers(torch):
    """Two layers without a model: layer 1 projects by the unit matrix, so hidden = query.

    Gives what layer 1 attends to for `asked` [B, D] after a prompt of `queries` and `keys`
    [B, 1, n, D], and the number of columns that guessed.
    """

    def run(policy, queries, keys, asked, padding=None, softcap=None):
        n_rows, _, n, _ = keys.shape
        shared, states = kv.State(), [kv.State(), kv.State()]

        def step(layer, query, n_stored, n_logical, hidden=None):
            return kv.Step(
                layer=layer,
                n_layers=2,
                query=query,
                keys=keys[:, :, :n_stored],
                values=keys[:, :, :n_stored],
                slots=torch.arange(n_stored).expand(n_rows, 1, -1),
                scale=1.0,
                n_logical=n_logical,
                padding=None if padding is None else padding[:, :n_logical],
                softcap=softcap,
                is_prefill=query.shape[2] > 1,
                state=states[layer],
                shared=shared,
                hidden=hidden,
                module=module,
            )

        module = Unchanged()
        for layer in range(2):
            policy.observe(step(layer, queries, n - 1, n - 1))
        one = asked[:, None, None]
        policy.observe(step(0, one, n, n, hidden=asked[:, None]))
        plan = policy.attend(step(1, one, n, n))
        return plan, states[1].row["partial"].shape[3]

    return run


def spectrum(torch, n, seed, *, decays=True, size=64):
    """Queries and keys [1, 1, n, size] of falling (or equal) strengths in one turned basis."""
    generator = torch.Generator().manual_seed(seed)
    strength = torch.exp(-torch.arange(size) / 10) if decays else torch.ones(size)
    turn = torch.linalg.qr(torch.randn(size, size, generator=generator)).Q
    draws = (torch.randn(1, 1, n, size, generator=generator) * strength @ turn for _ in range(2))
    return tuple(x * size**0.5 / strength.norm() for x in draws)


@pytest.mark.parametrize(
    ("alpha", "expected"), [(5.0, 4), (4.0, 3), (0.0, 1), (EVERYTHING, 6), (0.5, 2)]
)
def test_threshold_worked_by_hand(torch, alpha, expected):
    logits = torch.tensor([[[LOGITS]]])
    index, valid = choose(logits, torch.ones(1, 1, 6, dtype=torch.bool), alpha, 99)
    assert valid.all()
    assert index[0, 0].tolist() == list(range(expected))


def test_every_head_gets_the_mean_count_and_its_own_tokens(torch):
    # Counts 4, 2, 3 and 3 of 6 tokens; every head begins elsewhere.
    logits = torch.full((1, 4, 1, 6), -20.0)
    for head, n in enumerate((4, 2, 3, 3)):
        logits[0, head, 0, head : head + n] = torch.arange(n, 0, -1) / 10
    usable = torch.ones(1, 4, 6, dtype=torch.bool)
    index, valid = choose(logits, usable, 5.0, 99)
    assert valid.all()
    assert index[0, [0, 2, 3]].tolist() == [[0, 1, 2], [2, 3, 4], [3, 4, 5]]
    assert {1, 2} < set(index[0, 1].tolist())
    assert choose(logits, usable, 5.0, 2)[0].tolist()[0][0] == [0, 1]


def test_the_mean_count_is_rounded_down_and_never_below_one(torch):
    logits = torch.tensor([[[[0.0, 0, -9]], [[0.0, -9, -9]]]])
    usable = torch.ones(1, 2, 3, dtype=torch.bool)
    assert choose(logits, usable, 1.0, 99)[0].tolist() == [[[0], [0]]]


def test_rows_have_counts_of_their_own_and_padding_is_not_chosen(torch):
    logits = torch.tensor([[[LOGITS]], [[LOGITS]]])
    usable = torch.ones(2, 1, 6, dtype=torch.bool)
    usable[1, 0, :2] = False
    index, valid = choose(logits, usable, 1.2, 99)
    assert index[0][valid[0]].tolist() == [0, 1]
    assert index[1][valid[1]].tolist() == [2, 3]
    index, valid = choose(logits, usable, 5.0, 99)
    assert valid.sum(-1).flatten().tolist() == [4, 3]
    assert index[1][valid[1]].tolist() == [2, 3, 4]


def test_query_heads_of_a_group_count_by_the_nearest(torch):
    logits = torch.tensor([[[[5.0, 0, 0, 0], [100, 100, 130, 100]]]])
    index, _ = choose(logits, torch.ones(1, 1, 4, dtype=torch.bool), 1.0, 99)
    assert index.tolist() == [[[0, 2]]]


def test_the_basis_is_orthogonal_and_changes_no_logit(torch):
    query = torch.randn(2, 3, 200, 16, dtype=torch.float64) @ torch.randn(
        2, 3, 16, 16, dtype=torch.float64
    )
    key = torch.randn(2, 3, 50, 16, dtype=torch.float64)
    turn = basis(query.transpose(2, 3) @ query)
    eye = torch.eye(16, dtype=torch.float64)
    assert (turn.transpose(2, 3) @ turn - eye).abs().max() < 1e-12
    turned = (query @ turn) @ (key @ turn).transpose(2, 3)
    assert (turned - query @ key.transpose(2, 3)).abs().max() < 1e-10
    lengths = (query @ turn).norm(dim=2)
    assert (lengths.diff(dim=-1) <= 1e-9).all()
    singular = torch.linalg.svdvals(query)
    assert (lengths - singular).abs().max() < 1e-8


@pytest.mark.parametrize("skew", ["prompt", "off"])
def test_with_all_channels_and_equal_inputs_the_guess_is_exact(torch, two_layers, skew):
    generator = torch.Generator().manual_seed(0)
    queries, keys = (torch.randn(2, 1, 65, 16, generator=generator) for _ in range(2))
    asked = torch.randn(2, 16, generator=generator)
    policy = InfiniGen(10, EVERYTHING, ratio=1.0, skew=skew)
    plan, n_channels = two_layers(policy, queries[:, :, :-1], keys, asked)
    exact = (asked[:, None, None] @ keys[:, :, :64].transpose(2, 3))[:, :, 0].topk(10).indices
    assert n_channels == 16
    assert plan.index[..., -1].flatten().tolist() == [64, 64]  # the new token
    assert (plan.index[..., :-1] == exact.sort().values).all()


@pytest.mark.parametrize(("decays", "least", "most"), [(True, 0.15, 1.0), (False, -0.1, 0.1)])
def test_skewing_finds_the_best_tokens_with_few_channels(torch, two_layers, decays, least, most):
    # 30 % of 64 channels, the best 102 of 1,024 tokens: 0.71 found unskewed and 0.98 skewed if
    # strengths fall, and next to no gain if all directions are alike.
    found = {"off": 0.0, "prompt": 0.0}
    for seed in range(8):
        queries, keys = spectrum(torch, 1025, seed, decays=decays)
        asked = spectrum(torch, 1025, seed, decays=decays)[0][0, 0, -1:]
        exact = (asked @ keys[0, 0, :1024].T)[0].topk(102).indices
        for skew in found:
            policy = InfiniGen(102, EVERYTHING, ratio=0.3, skew=skew)
            plan, n_channels = two_layers(policy, queries[:, :, :-1], keys, asked)
            assert n_channels == 19
            hits = torch.isin(exact, plan.index[0, 0, :-1]).float().mean()
            found[skew] += float(hits) / 8
    assert least <= found["prompt"] - found["off"] <= most
    assert not decays or found["prompt"] > 0.9


def test_channels_are_chosen_by_the_queries_of_each_row(torch, two_layers):
    # The speed code takes those of the first row for all.
    keys = torch.zeros(2, 1, 33, 8)
    keys[0, 0, :, 1], keys[1, 0, :, 6] = torch.arange(33.0), -torch.arange(33.0)
    queries = torch.zeros(2, 1, 32, 8)
    queries[0, ..., 1] = queries[1, ..., 6] = 1.0
    asked = queries[:, 0, -1]
    policy = InfiniGen(1, ratio=0.125, skew="off")
    plan, n_channels = two_layers(policy, queries, keys, asked)
    assert n_channels == 1
    assert plan.index[..., 0].flatten().tolist() == [31, 0]


def test_what_padding_asks_chooses_no_channels(torch, two_layers):
    generator = torch.Generator().manual_seed(0)
    queries, keys = (torch.randn(1, 1, 41, 16, generator=generator) for _ in range(2))
    padding = torch.ones(1, 41, dtype=torch.bool)
    padding[:, :9] = False
    keys[:, :, :9], queries[:, :, :9, :8] = 50.0, 1000.0
    asked = torch.randn(1, 16, generator=generator)
    for skew in ("off", "prompt"):
        policy = InfiniGen(6, EVERYTHING, ratio=0.25, skew=skew)
        behind, _ = two_layers(policy, queries[:, :, :-1], keys, asked, padding)
        alone, _ = two_layers(policy, queries[:, :, 9:-1], keys[:, :, 9:], asked)
        assert (behind.index == alone.index + 9).all()


def test_the_threshold_is_on_capped_logits_where_the_model_caps(torch, two_layers):
    keys = torch.zeros(1, 1, 33, 4)
    keys[0, 0, :, 0] = torch.arange(33.0) * 10
    queries, asked = torch.ones(1, 1, 32, 4), torch.ones(1, 4)
    policy = InfiniGen(99, 0.5, ratio=1.0, skew="off")
    free, _ = two_layers(policy, queries, keys, asked)
    capped, _ = two_layers(policy, queries, keys, asked, softcap=1.0)
    assert free.index.flatten().tolist() == [31, 32]
    assert capped.index.flatten().tolist() == list(range(1, 33))


def test_a_needle_that_is_asked_for_late_is_found(torch, two_layers):
    found = 0
    for seed in range(40):
        queries, keys = spectrum(torch, 513, seed)
        asked = queries[:, 0, -1]
        keys[:, :, 200] = 3 * asked
        plan, _ = two_layers(InfiniGen(64, ratio=0.3), queries[:, :, :-1], keys, asked)
        found += int((plan.index == 200).any())
    assert found == 40


def test_what_the_first_pass_never_asked_along_is_not_found_by_few_channels(torch, two_layers):
    # A limit of choosing channels by the prompt's queries, in paper and code too.
    found = {0.3: 0, 1.0: 0}
    for seed in range(20):
        queries, keys = spectrum(torch, 513, seed)
        along = queries[:, 0, -1] / queries[:, 0, -1].norm()
        queries = queries - (queries * along).sum(-1, keepdim=True) * along
        keys[:, :, 200] = 20 * along
        for ratio in found:
            plan, _ = two_layers(InfiniGen(64, ratio=ratio), queries[:, :, :-1], keys, 8 * along)
            found[ratio] += int((plan.index == 200).any())
    assert found[1.0] == 20
    assert found[0.3] <= 10


@pytest.mark.parametrize("leaving", ["drop", "archive"])
@pytest.mark.parametrize("family", PROJECTED)
def test_without_threshold_and_limit_it_gives_the_stock_logits(
    decoder, texts, generated, family, leaving
):
    model = decoder(family)
    ids, mask = texts(n=30, pad=(7, 0))
    sequences, stock = generated(model, ids, mask)
    with kv.enable(model) as memory:
        cache = memory.cache(Telling(99, EVERYTHING), leaving=leaving)
        again, managed = generated(model, ids, mask, cache)
        off = [off for layer in cache.managed for off in layer.state.layer["off"]]
    assert (again == sequences).all()
    assert (managed - stock).abs().max() < 1e-4  # the archive is read in another order
    assert max(off) < 1e-3


def test_host_and_device_give_the_same_and_hold_what_they_should(decoder, texts, generated):
    model = decoder(num_hidden_layers=3)
    ids, mask = texts(n=40, pad=(7, 0))
    with kv.enable(model) as memory:
        caches = [
            memory.cache(InfiniGen(8, EVERYTHING), leaving=leaving, log=True)
            for leaving in ("drop", "archive")
        ]
        (one, logits), (other, again) = (
            generated(model, ids, mask, cache, n_new=6) for cache in caches
        )
    assert (one == other).all()
    assert (logits - again).abs().max() < 1e-4
    token = 2 * 2 * 2 * 8 * 4  # rows, heads, keys and values, channels, bytes
    on_device, on_host = (cache.stats for cache in caches)
    held = 40 + 1 + 8  # the first decoded token came with room for eight
    assert on_device.bytes_device == 3 * held * token
    assert (on_host.bytes_device, on_host.bytes_host) == (held * token, 2 * 45 * token)
    assert on_host.bytes_fetched == 5 * 2 * 8 * token  # single tokens, layers, fetched
    for cache in caches:
        asked = [one for one in cache.log if one.kind == "retrieve"]
        assert [one.layer for one in asked] == [1, 2] * 5
        assert all(one.n_chosen == 9 for one in asked)
        assert any((one.slots[:, 0] != one.slots[:, 1]).any() for one in asked)


def test_without_an_archive_nothing_ever_leaves(decoder, texts, generated):
    model = decoder()
    ids, mask = texts(n=40)
    with kv.enable(model) as memory:
        cache = memory.cache(InfiniGen(4))
        generated(model, ids, mask, cache)
        assert cache.stats.n_evicted == 0
        assert all(layer.keys.shape[2] == 45 for layer in cache.managed)


@pytest.mark.parametrize("leaving", ["drop", "archive"])
@pytest.mark.parametrize("alpha", [0.5, EVERYTHING])
def test_a_row_behind_padding_chooses_what_it_chooses_alone(
    decoder, texts, generated, leaving, alpha
):
    model = decoder(num_hidden_layers=3)
    ids, mask = texts(n=40, pad=(0, 9))
    with kv.enable(model) as memory:
        batch, turned, alone = (
            memory.cache(InfiniGen(24, alpha, ratio=0.5), leaving=leaving, log=True)
            for _ in range(3)
        )
        generated(model, ids, mask, batch)
        generated(model, ids.flip(0), mask.flip(0), turned)
        generated(model, ids[1:, 9:], mask[1:, 9:], alone)
    unequal = False
    for both, other, single in zip(batch.log, turned.log, alone.log, strict=True):
        if both.kind == "retrieve":
            assert (both.slots == other.slots.flip(0)).all()
            for head in range(2):
                chosen = set(both.slots[1, head].tolist()) - {-1}
                assert chosen == {slot + 9 for slot in single.slots[0, head].tolist()}
            unequal |= bool((both.slots == -1).any())
    assert unequal == (alpha == 0.5)


@pytest.mark.parametrize("leaving", ["drop", "archive"])
def test_beams_take_what_is_remembered_with_them(torch, decoder, texts, generated, leaving):
    model = decoder(dtype=torch.float64, num_hidden_layers=3)
    ids, mask = texts(n=30, pad=(7, 0))
    sequences, _ = generated(model, ids, mask, num_beams=3)
    with kv.enable(model) as memory:
        cache = memory.cache(InfiniGen(99, EVERYTHING), leaving=leaving)
        again, _ = generated(model, ids, mask, cache, num_beams=3)
        limited, held = (
            memory.cache(InfiniGen(8, ratio=1.0), leaving=other) for other in ("drop", leaving)
        )
        one, _ = generated(model, ids, mask, limited, num_beams=3)
        other, _ = generated(model, ids, mask, held, num_beams=3)
    assert (again == sequences).all()
    assert (one == other).all()


@pytest.mark.parametrize("leaving", ["drop", "archive"])
def test_a_second_turn_and_forgetting_go_on_from_what_is_stored(
    torch, decoder, texts, fed, leaving
):
    model = decoder(dtype=torch.float64, num_hidden_layers=3)
    ids, _ = texts(n=40)
    with kv.enable(model) as memory:
        cache = memory.cache(InfiniGen(99, EVERYTHING), leaving=leaving)
        plain = memory.cache(None)
        for part in (slice(0, 20), slice(20, 21), slice(21, 30), slice(30, 31)):
            expected = fed(model, ids[:, part], plain)
            assert (fed(model, ids[:, part], cache) - expected).abs().max() < 1e-9
        for held in (plain, cache):
            held.crop(25)
        for i in range(25, 32):
            expected = fed(model, ids[:, i : i + 1], plain)
            assert (fed(model, ids[:, i : i + 1], cache) - expected).abs().max() < 1e-9
        cache.reset()
        plain.reset()
        assert (fed(model, ids, cache) - fed(model, ids, plain)).abs().max() < 1e-9


@pytest.mark.parametrize("leaving", ["drop", "archive"])
def test_a_copy_of_a_cache_goes_on_by_itself(decoder, texts, fed, leaving):
    model = decoder(num_hidden_layers=3)
    ids, _ = texts(n=40)
    with kv.enable(model) as memory:
        cache = memory.cache(InfiniGen(6), leaving=leaving)
        fed(model, ids[:, :30], cache)
        fed(model, ids[:, 30:31], cache)
        twin = deepcopy(cache)
        logits = [fed(model, ids[:, i : i + 1], cache) for i in range(31, 36)]
        for i, expected in enumerate(logits, start=31):
            assert (fed(model, ids[:, i : i + 1], twin) == expected).all()


@pytest.mark.usefixtures("chunks_like_wholes")
def test_prompts_in_chunks_go_to_the_host_at_once_or_at_their_end(decoder, texts, generated):
    model = decoder(num_hidden_layers=3)
    ids, mask = texts(n=40, pad=(7, 0))
    sequences, stock = generated(model, ids, mask)
    with kv.enable(model) as memory:
        for prefill in ("each", "end"):
            policy = InfiniGen(99, EVERYTHING)
            cache = memory.cache(policy, leaving="archive", prefill=prefill)
            again, logits = generated(model, ids, mask, cache, prefill_chunk_size=16)
            assert (again == sequences).all()
            assert (logits - stock).abs().max() < 1e-4
            assert [layer.keys.shape[2] for layer in cache.managed] == [45, 0, 0]


def test_half_precision_guesses_in_single(torch, decoder, texts, generated):
    model = decoder(dtype=torch.bfloat16, num_hidden_layers=3)
    ids, mask = texts(n=40, pad=(7, 0))
    with kv.enable(model) as memory:
        cache = memory.cache(InfiniGen(8), leaving="archive")
        generated(model, ids, mask, cache)
        assert cache.managed[1].state.row["partial"].dtype == torch.float32
        assert cache.managed[1].archive.keys.dtype == torch.bfloat16


def test_what_crop_makes_forgotten_is_learned_anew_from_recent_queries(decoder, texts, fed):
    model = decoder(num_hidden_layers=3)
    ids, mask = texts(n=40, pad=(9, 0))
    places = (mask.cumsum(-1) - 1).clamp(min=0)
    with kv.enable(model) as memory:
        policy = InfiniGen(4, EVERYTHING, ratio=0.5, skew="off")
        cache = memory.cache(policy, leaving="archive", log=True)

        def feed(start, end):
            part = slice(start, end)
            fed(model, ids[:, part], cache, mask[:, :end], position_ids=places[:, part])

        feed(0, 30)
        before = [layer.state.row["channels"] for layer in cache.managed[1:]]
        feed(30, 34)
        cache.crop(30)
        assert all(not layer.state.row for layer in cache.managed)
        feed(30, 31)
        after = [layer.state.row["channels"] for layer in cache.managed[1:]]
        for i in range(31, 36):
            feed(i, i + 1)
    same = [
        len(set(one) & set(other)) / 4
        for a, b in zip(before, after, strict=True)
        for one, other in zip(a.reshape(-1, 4).tolist(), b.reshape(-1, 4).tolist(), strict=True)
    ]
    assert len(same) == 8
    assert sum(same) / 8 > 0.9  # one more query may swap a channel
    chosen = [one.slots for one in cache.log if one.kind == "retrieve"][-4:]
    assert all((slots[0] >= 9).all() for slots in chosen)
    assert all((slots < 36).all() for slots in chosen)


def test_the_basis_of_a_model_is_made_once_from_a_sample(torch, decoder, texts, generated):
    model = decoder(num_hidden_layers=3)
    ids, mask = texts(n=40)
    policy = InfiniGen(8, skew="model")
    with kv.enable(model) as memory, pytest.raises(ParameterError, match="needs skew_model"):
        memory.cache(policy)
    _, before = generated(model, ids, mask)
    skew_model(model, texts(n=200, seed=5)[0])
    _, after = generated(model, ids, mask)
    assert (before == after).all()
    with kv.enable(model) as memory:
        cache = memory.cache(policy)
        generated(model, ids, mask, cache)
        turns = [layer.state.row["skew"] for layer in cache.managed[1:]]
        whole = memory.cache(InfiniGen(99, EVERYTHING, ratio=1.0, skew="model"))
        _, managed = generated(model, ids, mask, whole)
    assert all((t.mT @ t - torch.eye(8)).abs().max() < 1e-5 for t in turns)
    assert (managed - before).abs().max() < 1e-4


def test_the_first_layers_that_are_managed_see_everything(decoder, texts, generated):
    model = decoder(
        "gemma3", num_hidden_layers=6, layer_types=["sliding_attention", "full_attention"] * 3
    )
    ids, mask = texts(n=40)
    for n_full, expected in ((1, {3, 5}), (2, {5})):
        with kv.enable(model) as memory:
            policy = InfiniGen(4, n_full_layers=n_full)
            cache = memory.cache(policy, leaving="archive", log=True)
            generated(model, ids, mask, cache)
        assert {one.layer for one in cache.log if one.kind == "retrieve"} == expected
        assert {layer.index for layer in cache.managed if layer.archive.n} == expected


@pytest.mark.parametrize("family", ["phi3", "gpt_neox", "gpt2", "deepseek_v3"])
def test_refuses_models_whose_queries_it_cannot_foresee(decoder, family):
    model = decoder(family)
    with kv.enable(model) as memory, pytest.raises(ParameterError, match=r"InfiniGen"):
        memory.cache(InfiniGen(8))


def test_refuses_positions_that_are_not_those_of_generate(decoder, texts, fed):
    model = decoder()
    ids, mask = texts(n=30, pad=(7, 0))
    with kv.enable(model) as memory:
        cache = memory.cache(InfiniGen(8))
        with pytest.raises(ParameterError, match=r"cannot foresee the queries of LlamaAttention"):
            fed(model, ids, cache, mask)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": -1.0}, r"InfiniGen\.alpha must be >= 0, got -1\.0"),
        ({"alpha": float("nan")}, r"InfiniGen\.alpha must be >= 0, got nan"),
        ({"ratio": 0.0}, r"InfiniGen\.ratio must be in \(0, 1\], got 0\.0"),
        ({"skew": "svd"}, r"InfiniGen\.skew must be one of .*, got 'svd'"),
        ({"n_full_layers": 0}, r"InfiniGen\.n_full_layers must be >= 1, got 0"),
    ],
)
def test_rejects_options_outside_their_range(options, message):
    with pytest.raises(ParameterError, match=message):
        InfiniGen(8, **options)
