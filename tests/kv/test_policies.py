"""The policies against numbers worked by hand, the rules of their papers, and one another."""

import pytest

from memsieve import kv
from memsieve.errors import ParameterError

pytestmark = pytest.mark.torch


def randoms(torch, *shapes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator) for shape in shapes]


def weighted(torch, rows):
    """Query and keys [1, 1, n, n] whose causal attention weights are `rows`, at scale 1."""
    n = len(rows)
    query = torch.tensor([[*row, *[1.0] * (n - len(row))] for row in rows]).log()
    return query[None, None], torch.eye(n)[None, None]


def test_streaming_llm_keeps_the_first_and_the_newest(torch, toy):
    (key,) = randoms(torch, (1, 2, 60, 4))
    layer = toy(kv.StreamingLLM(16))
    layer.feed(key[:, :, :40], key[:, :, :40])
    for n in range(40, 60):
        layer.feed(key[:, :, n : n + 1], key[:, :, n : n + 1])
    expected = [*range(4), *range(48, 60)]
    assert layer.kept.tolist() == [[expected, expected]]


def test_the_sink_is_the_first_of_the_text_not_of_the_row(torch, step_of):
    (key,) = randoms(torch, (2, 1, 20, 4))
    padding = torch.ones(2, 20, dtype=torch.bool)
    padding[0, :7] = False
    step = step_of(key, key, padding)
    assert step.positions[0, 0].tolist() == [*[-1] * 7, *range(13)]
    assert step.age[0, 0, 6:].tolist() == [13, *range(12, -1, -1)]
    kept = kv.StreamingLLM(6).keep(step).index
    assert kept[:, 0].tolist() == [[7, 8, 9, 10, 18, 19], [0, 1, 2, 3, 18, 19]]


def test_h2o_sums_the_columns_of_the_worked_example(torch, toy):
    """f = [2.5, .7, .4, .4]; one heavy hitter and one recent token keep {0, 3}."""
    query, key = weighted(torch, [[1], [0.6, 0.4], [0.5, 0.2, 0.3], [0.4, 0.1, 0.1, 0.4]])
    layer = toy(kv.H2O(4, n_window=1))
    layer.feed(query, key, scale=1.0)
    mass = layer.layer.state.token["mass"]
    assert mass.flatten().tolist() == pytest.approx([2.5, 0.7, 0.4, 0.4])
    layer = toy(kv.H2O(2, n_window=1))
    layer.feed(query, key, scale=1.0)
    assert layer.kept.tolist() == [[[0, 3]]]
    assert layer.layer.state.token["mass"].flatten().tolist() == pytest.approx([2.5, 0.4])


def test_a_token_that_is_attended_to_becomes_a_heavy_hitter(torch, toy):
    """Promotion: a generated token with weight near 1 outlives the window and ousts another."""
    (key,) = randoms(torch, (1, 1, 30, 30))
    key = torch.eye(30)[None, None]
    layer = toy(kv.H2O(6, n_window=3))
    layer.feed(torch.zeros(1, 1, 10, 30), key[:, :, :10])
    assert 10 not in layer.kept
    for n in range(10, 22):
        layer.feed(50 * key[:, :, 10:11], key[:, :, n : n + 1], scale=1.0)
    assert layer.kept[0, 0].tolist() == [0, 1, 10, 19, 20, 21]


def test_block_sizes_do_not_matter_to_column_sums(torch, step_of):
    from memsieve.kv.scores import column_sums, weights

    query, key = randoms(torch, (2, 4, 37, 8), (2, 2, 50, 8))
    padding = torch.ones(2, 50, dtype=torch.bool)
    padding[0, :19] = False
    step = step_of(query, key, padding, scale=0.5)
    whole = weights(step, query).sum(3).mean(2)
    for block in (1, 7, 128):
        assert (column_sums(step, block) - whole).abs().max() < 1e-5
    # Every real query gives 1 for each head; padding gives nothing and gets nothing.
    assert whole.sum(-1)[0].tolist() == pytest.approx([31, 31], rel=1e-5)
    assert whole.sum(-1)[1].tolist() == pytest.approx([37, 37], rel=1e-5)
    assert (whole[0, :, :19] == 0).all()


def test_weights_follow_a_softcap(torch, step_of):
    from memsieve.kv.scores import weights

    query, key = randoms(torch, (1, 2, 1, 8), (1, 1, 12, 8))
    logits = 3 * torch.tanh(query @ key.transpose(2, 3) / 3)
    found = weights(step_of(query, key, softcap=3.0), query)
    assert (found[:, 0, :, 0] - logits[:, :, 0].softmax(-1)).abs().max() < 1e-6


def test_snap_kv_over_the_whole_prompt_gives_the_column_sums_of_h2o(torch, step_of):
    from memsieve.kv.scores import column_sums

    query, key = randoms(torch, (2, 4, 24, 8), (2, 2, 24, 8))
    policy = kv.SnapKV(64, n_window=24, n_pooled=1)
    step = step_of(query, key, n_recent=policy.n_recent)
    assert (policy.score(step) - column_sums(step)).abs().max() < 1e-5


@pytest.mark.parametrize("pooling", ["average", "max"])
def test_snap_kv_pools_the_tokens_before_its_window(torch, step_of, pooling):
    """As the public code: pooling of the columns before the window, edges filled with zeros."""
    query, key = randoms(torch, (1, 2, 24, 8), (1, 2, 24, 8))
    policy = kv.SnapKV(64, n_window=6, n_pooled=5, pooling=pooling)
    step = step_of(query, key, n_recent=6)
    raw = policy.raw_score(step)[..., :18]
    padded = torch.nn.functional.pad(raw, (2, 2)).unfold(2, 5, 1)
    expected = padded.mean(-1) if pooling == "average" else padded.amax(-1)
    assert (policy.score(step)[..., :18] - expected).abs().max() < 1e-6
    assert torch.equal(kv.SnapKV(64, n_window=6, n_pooled=1).score(step)[..., :18], raw)


def test_snap_kv_chooses_alike_with_and_without_padding(torch, step_of):
    query, key = randoms(torch, (1, 2, 30, 8), (1, 2, 30, 8))
    padding = (torch.arange(30) >= 8)[None]
    policy = kv.SnapKV(12, n_window=4)
    padded = policy.keep(step_of(query, key, padding, n_recent=4)).index
    alone = policy.keep(step_of(query[:, :, 8:], key[:, :, 8:], n_recent=4)).index
    assert torch.equal(padded, alone + 8)


def test_snap_kv_leaves_generated_tokens_alone(torch, toy):
    query, key = randoms(torch, (1, 2, 50, 8), (1, 1, 50, 8))
    layer = toy(kv.SnapKV(16, n_window=4))
    layer.feed(query[:, :, :40], key[:, :, :40])
    for n in range(40, 50):
        layer.feed(query[:, :, n : n + 1], key[:, :, n : n + 1])
    assert layer.kept.shape[2] == 26
    assert layer.kept[0, 0, -14:].tolist() == list(range(36, 50))


def test_tova_keeps_the_same_tokens_in_all_heads(torch, toy):
    query, key = randoms(torch, (2, 8, 50, 8), (2, 4, 50, 8))
    layer = toy(kv.TOVA(16))
    layer.feed(query[:, :, :40], key[:, :, :40])
    for n in range(40, 50):
        layer.feed(query[:, :, n : n + 1], key[:, :, n : n + 1])
    assert torch.equal(layer.kept, layer.kept[:, :1].expand_as(layer.kept))
    assert not torch.equal(layer.kept[0], layer.kept[1])


def test_tova_may_drop_the_newest_token_unless_told_otherwise(torch, toy):
    key, query = torch.eye(6)[None, None], torch.tensor([[[[5.0, 4, 3, 2, 1, 0]]]])
    for policy, expected in ((kv.TOVA(3), [0, 1, 2]), (kv.TOVA(3, n_window=1), [0, 1, 5])):
        layer = toy(policy)
        layer.feed(query.expand(-1, -1, 6, -1), key, scale=1.0)
        assert layer.kept.tolist() == [[expected]]


def test_no_key_of_a_page_exceeds_its_bound_in_quest(torch, step_of):
    query, key = randoms(torch, (2, 6, 1, 16), (2, 3, 70, 16))
    step = step_of(query, key)
    bound = kv.Quest(64, 16).bounds(step)
    logits = (query.unflatten(1, (3, 2)) @ key[:, :, None].transpose(3, 4)).flatten(1, 2)[:, :, 0]
    assert bound.shape == (2, 6, 4)  # of five pages, the newest is looked at in any case
    for page in range(4):
        assert (bound[..., page, None] >= logits[..., 16 * page : 16 * page + 16] - 1e-5).all()
    step = step_of(query, key)
    assert (kv.Quest(64, 1).bounds(step) - logits[..., :-1]).abs().max() < 1e-5


def test_quest_reads_new_pages_only_and_finds_the_same(torch, toy, step_of):
    query, key = randoms(torch, (1, 2, 90, 8), (1, 1, 90, 8))
    layer = toy(kv.Quest(32, 16, n_full_layers=0))
    layer.feed(query[:, :, :60], key[:, :, :60])
    for n in range(60, 90):
        layer.feed(query[:, :, n : n + 1], key[:, :, n : n + 1])
    rows = layer.layer.state.row
    step = step_of(query[:, :, -1:], key)
    kv.Quest(32, 16).bounds(step)
    assert torch.equal(rows["low"], step.state.row["low"])
    assert torch.equal(rows["high"], step.state.row["high"])
    for one in layer.frame.counters.log:
        assert one.slots.shape[2] in range(33, 49)  # three pages, the newest one not yet full
        assert (one.slots[..., -1] == one.n_logical - 1).all()


def test_heads_that_share_keys_may_share_the_pages_of_quest(torch, step_of):
    """A page is as good as the query head of its group finds it that likes it most."""
    draws = torch.Generator().manual_seed(0)
    query, keys = (torch.randn(2, heads, n, 8, generator=draws) for heads, n in ((4, 1), (2, 64)))
    step = step_of(query, keys)
    policy = kv.Quest(12, 4, n_full_layers=0, shares=True)
    best = policy.bounds(step).unflatten(1, (2, 2)).amax(2)
    pages = best.topk(2).indices.sort().values
    chosen = policy.attend(step).index
    assert chosen.shape == (2, 2, 12)
    assert torch.equal(chosen[..., :8:4] // 4, pages)
    assert chosen[..., 8:].tolist() == [[[60, 61, 62, 63]] * 2] * 2


def test_quest_chooses_at_least_three_pages_and_no_more_than_there_are(torch, step_of):
    query, key = randoms(torch, (1, 2, 1, 8), (1, 1, 64, 8))
    assert kv.Quest(1, 16, n_full_layers=0).attend(step_of(query, key)).index.shape == (1, 2, 48)
    assert kv.Quest(64, 16, n_full_layers=0).attend(step_of(query, key)) is None
    assert kv.Quest(32, 16).attend(step_of(query, key)) is None  # layer 0 sees everything


N_SEEDS, NEEDLE, NEEDED = 200, 200, 24
EVICTING = {
    "StreamingLLM": kv.StreamingLLM(64),
    "H2O": kv.H2O(64),
    "SnapKV": kv.SnapKV(64),
    "TOVA": kv.TOVA(64),
}


def needle_found(torch, toy, policy):
    """Share of seeds in which a needle is there at the step that asks for it first.

    512 tokens of 32 channels, the needle at 200 in a channel that no query looks into until
    decode step 24; one row for each seed.
    """
    query, key = randoms(torch, (N_SEEDS, 1, 512 + NEEDED, 32), (N_SEEDS, 1, 512 + NEEDED, 32))
    query[..., 0] = key[..., 0] = 0
    key[:, :, NEEDLE, 0], query[:, :, -1, 0] = 8, 8
    layer = toy(policy)
    layer.feed(query[:, :, :512], key[:, :, :512])
    for n in range(512, 512 + NEEDED - 1):
        layer.feed(query[:, :, n : n + 1], key[:, :, n : n + 1])
    held = layer.kept
    layer.feed(query[:, :, -1:], key[:, :, -1:])
    last = layer.frame.counters.log[-1]
    held = last.slots if last.kind == "retrieve" else held
    return (held == NEEDLE).any(-1).double().mean().item()


@pytest.mark.parametrize("name", sorted(EVICTING))
def test_what_was_evicted_is_not_there_when_it_is_needed_late(torch, toy, name):
    found = needle_found(torch, toy, EVICTING[name])
    assert found == pytest.approx({"SnapKV": 0.07, "TOVA": 0.1}.get(name, 0), abs=0.07)


def test_what_is_retrieved_is(torch, toy):
    assert needle_found(torch, toy, kv.Quest(64, 16, n_full_layers=0)) >= 0.95


def test_a_needle_that_is_seen_from_the_start_stays_with_h2o(torch, toy):
    query, key = randoms(torch, (20, 1, 512, 32), (20, 1, 512, 32))
    query[..., 0], key[..., 0] = 4, 0
    key[:, :, NEEDLE, 0] = 8
    for policy, share in ((kv.H2O(64), 1.0), (kv.StreamingLLM(64), 0.0)):
        layer = toy(policy)
        layer.feed(query, key)
        assert (layer.kept == NEEDLE).any(-1).double().mean() == share


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (lambda: kv.StreamingLLM(3, n_sink=4), "budget_tokens must be >= n_sink"),
        (lambda: kv.H2O(8, n_window=9), r"n_sink \+ n_window = 9, got 8"),
        (lambda: kv.SnapKV(31), r"n_sink \+ n_window = 32, got 31"),
        (lambda: kv.SnapKV(64, n_pooled=4), "n_pooled must be odd, got 4"),
        (lambda: kv.SnapKV(64, pooling="sum"), "pooling must be one of"),
        (lambda: kv.TOVA(0), "budget_tokens must be >= 1, got 0"),
        (lambda: kv.TOVA(2.5), r"budget_tokens must be a whole number, got 2\.5"),
        (lambda: kv.Quest(64, 0), "page_tokens must be >= 1, got 0"),
        (lambda: kv.H2O(8, heads="each"), "heads must be a HeadMode, got 'each'"),
        (lambda: kv.H2O(8, unit=16), "unit must be a Unit, got 16"),
        (lambda: kv.AdaptiveHeads(1.5), r"safeguard must be in \[0, 1\], got 1\.5"),
        (lambda: kv.Page(0), "n_tokens and .n_best must be >= 1"),
        (lambda: kv.Page(4, reduce="median"), "reduce must be one of"),
    ],
)
def test_wrong_options_are_refused_at_once(make, rule):
    with pytest.raises(ParameterError, match=rule):
        make()


@pytest.mark.parametrize("policy", [*EVICTING.values(), kv.Quest(64)], ids=repr)
def test_the_text_of_a_policy_builds_it_again(policy):
    assert eval(repr(policy), vars(kv)) == policy
