"""PackForcing: packs, their scores and their positions, by hand and inside a model."""

from itertools import pairwise
from math import log
from types import SimpleNamespace

import pytest

from memsieve import kv
from memsieve.errors import ParameterError
from memsieve.kv import pooling
from memsieve.kv.policies import packforcing
from memsieve.kv.policies.packforcing import PackForcing

pytestmark = pytest.mark.torch

SMALL = PackForcing(4, 16, block_tokens=8, n_packed=2, n_top=3, n_queries=8)
VIDEO = {"block_tokens": 6240, "n_packed": 182, "n_sink_blocks": 2, "n_top": 16}


def normal(torch, *shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# Counting.


def test_the_token_arithmetic_of_the_paper():
    frame = 30 * 52
    assert (frame, 4 * frame) == (1560, 6240)
    assert (4 // 2) * (30 // 4) * (52 // 4) == 182
    sink, middle, recent, waiting = packforcing.active_tokens(120, n_recent_blocks=1, **VIDEO)
    assert (sink, middle, recent) == (12_480, 2912, 6240)
    assert sink + middle + recent == 21_632
    assert sink + middle + recent + 6240 == 27_872
    assert waiting == 117 * 182
    whole = 480 * frame
    assert whole == 748_800
    assert whole * 30 * 2 * 1536 * 2 / 1e9 == pytest.approx(138.0, abs=0.05)
    held = sink + middle + recent
    assert held * 30 * 2 * 1536 * 2 / 1e9 == pytest.approx(3.99, abs=0.005)
    # Two per cent of the history, and nearly half of what is looked at.
    assert sink / whole == pytest.approx(0.0167, abs=5e-5)
    assert sink / 27_872 == pytest.approx(0.448, abs=5e-4)


def test_what_is_looked_at_is_constant_from_block_19_on_and_packs_go_on_growing():
    counts = [packforcing.active_tokens(n, n_recent_blocks=1, **VIDEO) for n in range(1, 1001)]
    active = [sum(count[:3]) for count in counts]
    assert active[17] < active[18] == 21_632
    assert set(active[18:]) == {21_632}
    assert {later[3] - earlier[3] for earlier, later in pairwise(counts[3:])} == {182}


# Pooling.


def test_pooled_windows_that_are_constant_stand_exactly_for_their_tokens(torch):
    grid, window = (4, 8, 12), (2, 4, 4)
    few = normal(torch, 2, 2 * 2 * 3, 16).double()
    large = few.view(2, 2, 2, 3, 16)
    for axis, size in enumerate(window, 1):
        large = large.repeat_interleave(size, axis)
    keys = large.flatten(1, 3)
    values = torch.cat([keys[..., 8:], keys[..., :8]], -1)
    query = normal(torch, 2, 5, 16, seed=1).double()

    def attended(keys, values, bias=0.0):
        return (query @ keys.transpose(1, 2) + bias).softmax(-1) @ values

    pooled = [pooling.pooled_on_grid(x, grid, window) for x in (keys, values)]
    torch.testing.assert_close(attended(*pooled, log(32)), attended(keys, values))
    # Against other, unpooled entries the bias is what counts.
    beside = normal(torch, 2, 7, 16, seed=2).double()
    bias = torch.cat([torch.full((12,), log(32)), torch.zeros(7)]).double()
    mixed = [torch.cat([x, beside], 1) for x in pooled]
    torch.testing.assert_close(
        attended(*mixed, bias),
        attended(torch.cat([keys, beside], 1), torch.cat([values, beside], 1)),
    )


def test_odd_ends_of_a_grid_are_cut_off(torch):
    x = torch.arange(1560.0).repeat(4)[:, None]
    pooled = pooling.pooled_on_grid(x, (4, 30, 52), (2, 4, 4))
    assert pooled.shape == (182, 1)
    rows = torch.arange(30 * 52).view(30, 52)
    assert float(pooled[-1, 0]) == pytest.approx(rows[24:28, 48:].float().mean().item())
    with pytest.raises(ParameterError, match="does not hold 6240 tokens"):
        pooling.pooled_on_grid(x, (4, 30, 50), (2, 4, 4))


# Turning.


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 5e-6), ("float64", 1e-12)])
def test_turning_twice_is_turning_by_the_sum_and_other_channels_keep_their_bits(
    torch, dtype, tolerance
):
    dtype = getattr(torch, dtype)
    x = normal(torch, 3, 20, 128).to(dtype)
    frequencies = 10_000.0 ** -(torch.arange(22, dtype=dtype) / 22)
    places = torch.arange(20).expand(3, 20)
    by = torch.full_like(places, 12)
    # 44 of 128 channels are time, as a note on models of this kind has it.
    once = pooling.turned_channels(x, places + by, frequencies)
    twice = pooling.turned_channels(
        pooling.turned_channels(x, places, frequencies), by, frequencies
    )
    torch.testing.assert_close(once, twice, atol=tolerance, rtol=tolerance)
    assert torch.equal(twice[..., 44:], x[..., 44:])
    later = pooling.turned_channels(x, by, frequencies, start=44)
    assert torch.equal(later[..., :44], x[..., :44])
    assert torch.equal(later[..., 88:], x[..., 88:])
    assert not torch.equal(later[..., 44:88], x[..., 44:88])


def test_many_small_turns_drift_where_one_turn_of_the_original_does_not(torch):
    x = normal(torch, 1, 50, 64)
    frequencies = 10_000.0 ** -(torch.arange(32) / 32)
    exact = 10_000.0 ** -(torch.arange(32).double() / 32)
    by = torch.full((1, 50), 4)
    crept = x
    for _ in range(1000):
        crept = pooling.turned_channels(crept, by, frequencies)
    true = pooling.turned_channels(x.double(), 1000 * by, exact)
    once = pooling.turned_channels(x, 1000 * by, exact).double()
    assert (once - true).abs().max() < 2e-6
    assert (crept - true).abs().max() > 2e-5


def test_positions_of_the_figure(torch):
    # Sinks 0 and 1; M2 .. M7, of which M2 and M6 are left out; 8 and 9 are new.
    chosen = torch.tensor([[False, True, True, True, False, True]])
    packs, sink = packforcing.slides(chosen, torch.tensor([6]))
    assert (torch.tensor([0, 1]) + sink).tolist() == [2, 3]
    assert (torch.arange(2, 8) + packs[0])[chosen[0]].tolist() == [4, 5, 6, 7]


def test_positions_are_gapless_and_in_order_after_any_choice(torch):
    made = torch.Generator().manual_seed(0)
    for _ in range(50):
        n = int(torch.randint(1, 40, (), generator=made))
        chosen = torch.rand(1, n, generator=made) < 0.4
        packs, sink = packforcing.slides(chosen, torch.tensor([n]))
        # In blocks: sinks at 0 and 1, packs from 2 on, the newest at n + 2.
        line = [*(torch.arange(2) + sink).tolist(), *(torch.arange(2, n + 2) + packs[0])[chosen[0]]]
        assert line == list(range(n + 2 - len(line), n + 2))


# Scores.


def test_the_fast_score_is_the_double_sum(torch):
    query, keys = normal(torch, 2, 8, 5, 16), normal(torch, 2, 2, 12 * 7, 16, seed=1)
    sums = keys.unflatten(2, (12, 7)).sum(3)
    found = packforcing.affinity(query, sums, scale=0.25)
    single = torch.einsum("bhid,bhjd->bhij", query, keys.repeat_interleave(4, 1)) * 0.25
    expected = single[:, :4].unflatten(3, (12, 7)).sum((2, 4)).sum(1) / 4
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    assert torch.equal(found.argsort(-1), expected.argsort(-1))


def recalled(torch, strength, n_trials=30):
    """Share of 4 early packs of scene A among the best 16, behind 40 of scene B."""
    found, made = 0, torch.Generator().manual_seed(0)
    scene = torch.tensor([0] * 4 + [1] * 40)
    for _ in range(n_trials):
        scenes = torch.nn.functional.normalize(torch.randn(2, 64, generator=made), dim=-1)
        # The sum of 182 keys with unit noise has noise of length sqrt(182).
        sums = 182 * strength * scenes[scene] + 182**0.5 * torch.randn(44, 64, generator=made)
        query = strength * scenes[0] + torch.randn(64, 64, generator=made)
        score = packforcing.affinity(query[None, None], sums[None, None], 0.125)
        found += int((kv.archive.highest(score, 16) < 4).sum())
    return found / (4 * n_trials)


def test_an_early_scene_comes_back_and_in_a_queue_it_would_not(torch):
    assert recalled(torch, 0.75) >= 0.95
    assert recalled(torch, 0.5) == pytest.approx(0.965, abs=0.05)
    assert recalled(torch, 0.3) == pytest.approx(0.765, abs=0.1)
    assert recalled(torch, 0.05) == pytest.approx(0.405, abs=0.1)
    assert not set(range(4)) & set(range(44 - 16, 44))


def test_the_sum_favours_long_keys_and_taking_off_their_mean_changes_no_order(torch):
    sums, query = normal(torch, 1, 1, 10, 16), normal(torch, 1, 1, 5, 16, seed=1)
    along = torch.nn.functional.normalize(query.sum(2), dim=-1)
    sums[0, 0, 3] = 30 * along[0, 0]
    sums[0, 0, 7] = 3 * along[0, 0]  # points the same way
    plain = packforcing.affinity(query, sums, 1.0)
    assert plain.argsort(descending=True)[0, 0] == 3
    centred = packforcing.affinity(query, sums - sums.mean(2, keepdim=True), 1.0)
    assert torch.equal(centred.argsort(-1), plain.argsort(-1))


# Inside a model.


@pytest.mark.parametrize("leaving", ["drop", "archive"])
@pytest.mark.parametrize("family", ["llama", "glm", "gemma3"])
def test_unpacked_blocks_that_all_come_give_the_logits_of_the_whole_cache(
    torch, decoder, texts, stepped, family, leaving
):
    from transformers import DynamicCache

    model = decoder(family, scale=2.0)
    ids, mask = texts(n=110, pad=(0, 13))
    lengths = (50, 20)
    expected = stepped(model, ids, DynamicCache(config=model.config), mask, lengths)
    policy = PackForcing(4, 16, block_tokens=8, n_packed=8, n_top=99)
    with kv.enable(model) as memory:
        cache = memory.cache(policy, leaving=leaving)
        found = stepped(model, ids, cache, mask, lengths)
    torch.testing.assert_close(found[mask.bool()], expected[mask.bool()], atol=2e-5, rtol=1e-4)
    assert cache.managed[0].slots.shape[2] < 4 + 16 + 8


def looked_at(cache, layer=0):
    """Slots of the last look of a layer, per row and head."""
    return next(one.slots for one in reversed(cache.log) if one.layer == layer)


@pytest.mark.parametrize("closes", [True, False])
def test_positions_close_up_as_in_a_text_without_what_is_left_out(
    torch, decoder, texts, stepped, fed, closes
):
    # One layer: keys and values depend on the token alone, so a short text can say the same.
    model = decoder(num_hidden_layers=1, scale=2.0)
    ids, _ = texts(n=230)
    policy = PackForcing(4, 16, block_tokens=8, n_packed=8, n_top=3, closes=closes)
    with kv.enable(model) as memory:
        cache = memory.cache(policy, log=True)
        logits = stepped(model, ids, cache, None, (100,))
    slots = looked_at(cache)[0, 0].sort().values
    assert len(slots) < 4 + 3 * 8 + 16 + 8 + 1
    closed = torch.arange(230 - len(slots), 230)
    away = closed if closes else slots
    alone = fed(model, ids[:, slots], None, position_ids=away[None])
    torch.testing.assert_close(alone[:, -1], logits[:, -1], atol=2e-5, rtol=1e-4)
    other = fed(model, ids[:, slots], None, position_ids=(slots if closes else closed)[None])
    assert (other[:, -1] - logits[:, -1]).abs().max() > 0.01


def test_alike_tokens_are_packed_without_loss(torch, decoder, stepped, fed):
    from transformers import DynamicCache

    # No positions at all, one layer: a block of one word is four entries that count for it.
    model = decoder("gpt2", num_hidden_layers=1, n_layer=1, scale=2.0)
    with torch.no_grad():
        model.transformer.wpe.weight.zero_()
    ids = torch.tensor([[1, 2, 3, 4, *[9] * 8, *[7] * 8, *[5] * 8, *range(20, 50)]])
    expected = stepped(model, ids, DynamicCache(config=model.config), None, (20,))
    policy = PackForcing(4, 8, block_tokens=8, n_packed=2, n_top=9, closes=False)
    with kv.enable(model) as memory:
        cache = memory.cache(policy)
        found = stepped(model, ids[:, :36], cache, None, (20,))
        assert cache.managed[0].state.row["laid.keys"].shape[2] == 2 * 2
    torch.testing.assert_close(found, expected[:, :36], atol=1e-5, rtol=1e-4)


def test_the_device_holds_sink_window_and_less_than_a_block_more(torch, decoder, texts, stepped):
    model = decoder()
    ids, mask = texts(n=150, pad=(0, 13))
    with kv.enable(model) as memory:
        cache = memory.cache(SMALL, log=True)
        stepped(model, ids, cache, mask, (60,))
    for row, pad in enumerate((0, 13)):
        first = 4 + (150 - pad - 4 - 16) // 8 * 8
        kept = cache.managed[0].slots[row, 0]
        assert (kept[kept >= 0] - pad).tolist() == [*range(4), *range(first, 150 - pad)]
    most = 4 + 3 * 2 + 16 + 8
    looks = [int((one.slots >= 0).sum(-1).max()) for one in cache.log if one.kind == "retrieve"]
    # The pass that brings a prompt sees it whole; later ones are bounded.
    assert max(looks[2:]) <= most
    assert max(looks[2:40]) == max(looks[-40:])


def test_packs_stand_before_their_block_leaves_and_never_change(torch, decoder, texts, fed):
    model = decoder()
    ids, _ = texts(n=150)
    seen, choices = {}, []
    with kv.enable(model) as memory:
        cache = memory.cache(SMALL)
        fed(model, ids[:, :60], cache)
        rows = cache.managed[0].state.row
        for end in range(61, 151):
            n_packed = rows["pack.sums"].shape[2]
            fed(model, ids[:, end - 1 : end], cache)
            stored = cache.managed[0].slots[0, 0]
            n_left = (int(stored[stored >= 4].min()) - 4) // 8
            assert n_left <= n_packed  # made in an earlier pass than the one it left in
            for pack in range(n_packed):
                now = rows["pack.keys"][:, :, 2 * pack : 2 * pack + 2]
                assert torch.equal(now, seen.setdefault(pack, now.clone()))
            choices.append(tuple(rows["chosen"][0].nonzero()[:, 0].tolist()))
    sets = list(dict.fromkeys(choices))
    assert all(len(chosen) == 3 for chosen in sets)
    # Anew once for each block that left, and what was out comes in again.
    assert len(sets) <= 90 // 8 + 2
    gone = [pack for old, new in pairwise(sets) for pack in set(old) - set(new)]
    assert any(pack in new for place, new in enumerate(sets) for pack in gone[:place])


def test_few_packs_need_no_choice(torch, decoder, texts, stepped, monkeypatch):
    model = decoder()
    ids, _ = texts(n=60)
    asked = []
    monkeypatch.setattr(packforcing, "affinity", lambda *args: asked.append(args))
    with kv.enable(model) as memory:
        policy = PackForcing(4, 16, block_tokens=8, n_packed=2, n_top=5)
        stepped(model, ids, memory.cache(policy), None, (30,))
    assert not asked


def test_each_row_chooses_when_its_own_block_leaves(torch, decoder, texts, stepped):
    model = decoder()
    ids, mask = texts(n=130, pad=(0, 13))
    looks = {}
    with kv.enable(model) as memory:
        for rows in ([0, 1], [0], [1]):
            cache = memory.cache(SMALL, log=True)
            stepped(model, ids[rows], cache, mask[rows], (60,))
            looks[tuple(rows)] = [
                [sorted({*one.slots[row, 0].tolist()} - {-1}) for row in range(len(rows))]
                for one in cache.log
                if one.kind == "retrieve" and one.layer == 0 and one.n_logical > 61
            ]
    for row in (0, 1):
        assert [look[row] for look in looks[0, 1]] == [look[0] for look in looks[row,]]


def test_what_padding_asks_counts_nothing(torch):
    query, sums = normal(torch, 2, 4, 6, 16), normal(torch, 2, 2, 9, 16, seed=1)
    padding = torch.ones(2, 50, dtype=torch.bool)
    padding[1, :48] = False
    state = SimpleNamespace(row={"pack.sums": sums})
    step = SimpleNamespace(state=state, recent=query, padding=padding, n_logical=50, scale=1.0)
    found = PackForcing().scores(step)
    for row, recent in ((0, query[:1]), (1, query[1:, :, 4:])):
        alone = packforcing.affinity(recent, sums[row : row + 1], 1.0)
        torch.testing.assert_close(found[row : row + 1], alone)


def test_keys_of_one_word_are_packed_at_one_place(torch, decoder, fed):
    ids = torch.tensor([[1, 2, 3, 4, *[9] * 64, 5]])
    model = decoder(num_hidden_layers=1)
    with kv.enable(model) as memory:
        cache = memory.cache(PackForcing(4, 16, block_tokens=32, n_packed=1))
        fed(model, ids, cache)
    packs, key = cache.managed[0].state.row["pack.keys"], cache.managed[0].keys[:, :, -2]
    # Turned to their middle they are as long as one, and the two packs 32 places apart.
    torch.testing.assert_close(packs.norm(dim=-1), key.norm(dim=-1)[..., None].expand(1, 2, 2))
    assert not torch.allclose(packs[:, :, 0], packs[:, :, 1])


@pytest.mark.parametrize("options", [{}, {"on_host": True}, {"closes": False}])
def test_rows_in_another_order_give_the_same(torch, decoder, texts, generated, options):
    from dataclasses import replace

    model = decoder(scale=2.0)
    ids, mask = texts(n=90, pad=(0, 13))
    policy = replace(SMALL, **options)
    with kv.enable(model) as memory:
        both, other, beams = (
            generated(model, ids[rows], mask[rows], memory.cache(policy), 20, num_beams=beams)[0]
            for rows, beams in (([0, 1], 1), ([1, 0], 1), ([0, 1], 3))
        )
    assert torch.equal(both, other[[1, 0]])
    assert beams.shape == both.shape


def test_packs_that_wait_on_the_host_are_the_same(torch, decoder, texts, stepped):
    from dataclasses import replace

    model = decoder()
    ids, mask = texts(n=120, pad=(0, 13))
    with kv.enable(model) as memory:
        found = [
            stepped(model, ids, memory.cache(replace(SMALL, on_host=host)), mask, (60,))
            for host in (False, True)
        ]
    assert torch.equal(*found)


def test_after_a_crop_packs_are_made_anew_from_the_archive(torch, decoder, texts, stepped, fed):
    model = decoder(scale=2.0)
    ids, _ = texts(n=100)
    policy = PackForcing(4, 16, block_tokens=8, n_packed=8, n_top=99)
    with kv.enable(model) as memory:
        whole, cropped, lossy = (
            memory.cache(policy, leaving=leaving) for leaving in ("archive", "archive", "drop")
        )
        stepped(model, ids[:, :90], whole, None, (60,))
        expected = fed(model, ids[:, 90:91], whole)
        for cache in (cropped, lossy):
            stepped(model, ids[:, :92], cache, None, (60,))
            cache.crop(-4)
            stepped(model, ids[:, 88:90], cache, None, (1,))
        found = fed(model, ids[:, 90:91], cropped)
        lost = fed(model, ids[:, 90:91], lossy)
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-4)
    assert lost.isfinite().all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_packed": 5}, r"n_packed must divide block_tokens = 64, got 5"),
        ({"block_tokens": 0}, r"block_tokens must be >= 1, got 0"),
        ({"n_top": -1}, r"n_top must be >= 0, got -1"),
        ({"n_queries": 1.5}, r"n_queries must be a whole number, got 1\.5"),
    ],
)
def test_rejects_options_outside_their_ranges(options, message):
    with pytest.raises(ParameterError, match=r"PackForcing\." + message):
        PackForcing(**options)


def test_refuses_to_close_positions_it_does_not_know(torch, decoder):
    latent, other = decoder("deepseek_v3"), decoder("gpt2")
    with kv.enable(latent) as memory, pytest.raises(ParameterError, match="caches latents"):
        memory.cache(PackForcing())
    with kv.enable(other) as memory:
        with pytest.raises(ParameterError, match=r"PackForcing\.closes turns keys"):
            memory.cache(PackForcing())
        memory.cache(PackForcing(closes=False))
