"""IceCache: the trees of keys and their pages, and what is looked at, fetched and kept."""

from collections import Counter
from types import SimpleNamespace

import pytest

from memsieve import kv
from memsieve.errors import ParameterError
from memsieve.kv import page_tree
from memsieve.kv.ahead import query_ahead
from memsieve.kv.page_tree import Growth
from memsieve.kv.policies import icecache
from memsieve.kv.policies.icecache import IceCache
from memsieve.kv.resident import brought
from memsieve.kv.rotations import remember

pytestmark = pytest.mark.torch

SMALL_PAGES = IceCache(8, 8, n_sink_pages=1, n_full_layers=0)


def normal(torch, *shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def planted(torch, n, seed=0, **options):
    """A forest over n random keys [1, 2, n, 8] of which all are real."""
    keys = normal(torch, 1, 2, n, 8, seed=seed)
    real = torch.ones(1, 2, n, dtype=torch.bool)
    growth = Growth(first_ratio=0.03, **options)
    return page_tree.grown(None, keys, real, growth), keys, growth


def assert_sound(torch, forest, real, size=16):
    """Every real key on one page, pages in one group, sorted, none too long, all counted."""
    assert torch.equal(forest.page >= 0, real)
    for row, head in [(r, h) for r in range(real.shape[0]) for h in range(real.shape[1])]:
        page, group, place, order = (
            x[row, head] for x in (forest.page, forest.parent, forest.sort, forest.order)
        )
        seen = []
        for number, count in enumerate(forest.page_count[row, head].tolist()):
            start = int(forest.page_start[row, head, number])
            members = order[start : start + count]
            seen += members.tolist()
            assert count <= size
            assert (page[members] == number).all()
            assert len(set(group[members].tolist())) <= 1
        assert sorted(seen) == real[row, head].nonzero()[:, 0].tolist()
        held = order[: len(seen)]
        same = group[held][1:] == group[held][:-1]
        assert (place[held].diff()[same] >= 0).all()


def of_pages(torch, scores, forest, real):
    """Brute force: the best token of each page, by all scores [B, H, g, n]."""
    n_pages = forest.page_count.shape[2]
    page = forest.page.masked_fill(~real, n_pages)[:, :, None].expand_as(scores)
    best = scores.new_full((*scores.shape[:3], n_pages + 1), -torch.inf)
    return best.scatter_reduce(3, page, scores, "amax")[..., :n_pages]


# The space of lifted keys.


def test_lifting_and_dissimilarity_of_the_example_worked_by_hand(torch):
    x, y = torch.tensor([[[3.0, 4.0]], [[1.0, 0.0]]])
    longest = torch.tensor(25.0)
    assert page_tree.lifted(x, longest)[0].tolist() == [3.0, 4.0, 0.0]
    assert page_tree.lifted(y, longest)[0].tolist() == pytest.approx([1, 0, 4.898979])
    # Half of 4 + 16 + 24.
    assert float(page_tree.dissimilarity(x, y, longest)) == pytest.approx(22)
    query = torch.tensor([1.0, 2.0, 0.0]) / 5**0.5
    near = [(page_tree.lifted(z, longest)[0] - query).norm() for z in (x, y)]
    assert near[0] < near[1]


def test_nearest_lifted_keys_are_those_with_the_greatest_product(torch):
    keys, query = normal(torch, 300, 8).double(), normal(torch, 8, seed=1).double()
    lifted = page_tree.lifted(keys, keys.square().sum(-1).amax())
    asked = torch.cat([query / query.norm(), query.new_zeros(1)])
    distance = (lifted - asked).norm(dim=-1)
    assert torch.equal(distance.argsort(), (-(keys @ query)).argsort())


# Levels, parents, pages.


@pytest.mark.parametrize(
    ("n", "ratios", "sizes"),
    [
        (12, (0.5, 0.5), [6, 3, 2, 1]),
        (1000, (0.03, 0.2), [963, 29, 6, 2]),
        (1000, (0.01, 0.2), [987, 10, 3]),
        (10_000, (0.03, 0.2), [9636, 290, 59, 12, 3]),
    ],
)
def test_levels_have_the_sizes_of_the_published_code(torch, n, ratios, sizes):
    found = Counter(page_tree.levels(n, *ratios))
    assert [found[level] for level in range(len(found))] == sizes


def test_the_first_levels_come_in_the_order_of_the_published_code(torch):
    assert page_tree.levels(7, 0.5, 0.5) == (0, 0, 1, 0, 1, 2, 0)


def test_a_parent_is_the_least_dissimilar_key_of_the_level_above(torch):
    forest, keys, _ = planted(torch, 500)
    for head in range(2):
        level, parent = forest.level[0, head], forest.parent[0, head]
        apart = page_tree.dissimilarity(keys[0, head], keys[0, head], forest.longest[0, head])
        for height in range(int(level.max())):
            apart_above = apart.masked_fill(level != height + 1, torch.inf)
            here = level == height
            assert torch.equal(parent[here], apart_above.argmin(-1)[here])
        assert (parent[level == level.max()] == page_tree.ROOT).all()


def test_a_group_of_forty_is_cut_into_13_13_14(torch):
    # A ratio so low that nothing rises: all keys are one group.
    keys, real = normal(torch, 1, 1, 40, 4), torch.ones(1, 1, 40, dtype=torch.bool)
    forest = page_tree.grown(None, keys, real, Growth(first_ratio=0.001))
    assert forest.page_count[0, 0].tolist() == [13, 13, 14]


def test_pages_of_a_group_differ_by_one_key_at_most(torch):
    forest, _, _ = planted(torch, 900, page_size=4)
    for head in range(2):
        sizes = {}
        for page in range(forest.page_count.shape[2]):
            count, start = forest.page_count[0, head, page], forest.page_start[0, head, page]
            if count:
                member = forest.order[0, head, start]
                sizes.setdefault(int(forest.parent[0, head, member]), []).append(int(count))
        assert max(max(counts) - min(counts) for counts in sizes.values()) == 1


def test_every_key_is_on_one_page_after_any_growth(torch):
    keys = normal(torch, 2, 2, 400, 8)
    keys[1, 1, 333] *= 6  # longer than all before
    real = torch.ones(2, 2, 400, dtype=torch.bool)
    real[0, :, :37] = False
    growth, forest, ends = Growth(8, 0.1, 0.3), None, (1, 2, 60, 61, 77, 200, 333, 334, 400)
    for end in ends:
        forest = page_tree.grown(forest, keys[:, :, :end], real[:, :, :end], growth)
        assert_sound(torch, forest, real[:, :, :end], size=8)
    once = page_tree.grown(None, keys, real, growth)
    assert torch.equal(forest.level, once.level)


def test_growth_leaves_other_pages_as_they_were(torch):
    forest, keys, growth = planted(torch, 500)
    keys = torch.cat([keys, 0.1 * normal(torch, 1, 2, 1, 8, seed=5)], 2)
    later = page_tree.grown(forest, keys, torch.ones(1, 2, 501, dtype=torch.bool), growth)
    # At most one page is cut: half of it moves to a new one.
    moved = (later.page[..., :500] != forest.page).sum(-1)
    assert moved.max() <= 8


# Searching.


def test_search_with_a_wide_view_scores_every_page_by_its_best_key(torch):
    forest, keys, growth = planted(torch, 700)
    query = normal(torch, 1, 2, 3, 8, seed=2)
    real = torch.ones(1, 2, 700, dtype=torch.bool)
    found = page_tree.search(forest, keys, query, growth, field_of_view=699)
    expected = of_pages(torch, query @ keys.transpose(2, 3), forest, real)
    torch.testing.assert_close(found, expected)
    # A wider view takes no walk, and finds the same.
    every = page_tree.search(forest, keys, query, growth, field_of_view=700)
    torch.testing.assert_close(every, expected)


def test_search_after_a_key_longer_than_all_before_equals_brute_force(torch):
    forest, keys, growth = planted(torch, 300)
    keys = torch.cat([keys, 9 * normal(torch, 1, 2, 20, 8, seed=4)], 2)
    real = torch.ones(1, 2, 320, dtype=torch.bool)
    later = page_tree.grown(forest, keys, real, growth)
    assert (later.longest > 10 * forest.longest).all()
    assert not later.sort.isnan().any()
    query = normal(torch, 1, 2, 2, 8, seed=2)
    found = page_tree.search(later, keys, query, growth, field_of_view=319)
    torch.testing.assert_close(found, of_pages(torch, query @ keys.transpose(2, 3), later, real))


def test_keys_of_upper_levels_are_found_as_data(torch):
    forest, keys, growth = planted(torch, 400)
    upper = (forest.level[0, 0] > 0).nonzero()[:, 0]
    assert len(upper) > 10
    query = keys[:, :1, upper] * 5
    scores = page_tree.search(forest, keys, query.expand(-1, 2, -1, -1), growth, field_of_view=399)
    for place, key in enumerate(upper.tolist()):
        own = float(query[0, 0, place] @ keys[0, 0, key])
        assert scores[0, 0, place, forest.page[0, 0, key]] > own - 1e-3


def test_the_scanned_share_is_what_lies_nearest_on_the_sorting_direction(torch):
    places = torch.tensor([-3.0, -1.0, 0.0, 0.5, 2.0, 9.0])[None, None]
    whole, taken = torch.tensor([[[[6]]]]), torch.tensor([[[[3]]]])
    for to, first in ((0.2, 1), (-9.0, 0), (99.0, 3), (1.5, 2)):
        asked = torch.full((1, 1, 1), to)
        moved = page_tree._nearest(places, whole * 0, whole - taken, taken, asked)
        assert moved.item() == first


def test_page_lists_of_heads_are_read_in_turn(torch):
    lists = torch.tensor([[5, 5, 2, 7], [2, 9, 5, -1]])
    assert page_tree.interleaved(lists, 3).tolist() == [5, 2, 9]
    # Joined end to end they would give 5, 2, 7: nothing of the second head's own.
    assert page_tree.interleaved(lists, 9).tolist()[:4] == [5, 2, 9, 7]


def recalled(torch, clustered, seed):
    """Share of attention mass on 12 pages: by clusters, by the best and by Quest's positions.

    4,096 keys in 64 channels around 64 centres, spread 0.5, 64 queries near a centre; queries
    are twice as long as keys, so that the best 192 tokens hold 0.9997.
    """
    n, size, k = 4096, 16, 12
    centre = normal(torch, 64, 64, seed=seed)
    label = torch.randint(64, (n,), generator=torch.Generator().manual_seed(seed))
    label = label.sort().values if clustered == "in order" else label
    keys = normal(torch, n, 64, seed=seed + 100) * 0.5 + centre[label]
    if clustered == "noise":
        keys = normal(torch, n, 64, seed=seed + 100) * 1.118
    query = 2 * (centre + 0.1 * normal(torch, 64, 64, seed=seed + 200))
    mass = (query @ keys.T / 8).softmax(-1)
    growth = Growth(first_ratio=0.03)
    forest = page_tree.grown(None, keys[None, None], torch.ones(1, 1, n).bool(), growth)
    scores = page_tree.search(forest, keys[None, None], query[None, None], growth, field_of_view=30)
    pages = page_tree.best_pages(scores, k)[0, 0]
    held = (forest.page[0, 0] == pages[..., None]).any(1)
    by_page = mass.view(64, -1, size).sum(-1)
    low, high = (f(keys.view(-1, size, 64), 1) for f in (torch.amin, torch.amax))
    bound = query.clamp(min=0) @ high.T + query.clamp(max=0) @ low.T
    return {
        "tokens": mass.topk(k * size).values.sum(-1).mean().item(),
        "clusters": (mass * held).sum(-1).mean().item(),
        "n": held.sum(-1).float().mean().item(),
        "fill": forest.page_count[0, 0].float().mean().item(),
        "oracle": by_page.topk(k).values.sum(-1).mean().item(),
        "quest": by_page.gather(1, bound.topk(k).indices).sum(-1).mean().item(),
    }


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_pages_of_alike_keys_hold_what_pages_of_neighbours_miss(torch, seed):
    found = recalled(torch, "scattered", seed)
    assert found["tokens"] == pytest.approx(0.9997, abs=4e-4)
    assert found["clusters"] == pytest.approx(0.99, abs=0.015)
    assert found["oracle"] == pytest.approx(0.585, abs=0.03)
    assert found["quest"] == pytest.approx(0.265, abs=0.03)
    assert 130 < found["n"] < 165  # of 192 places
    assert 11.5 < found["fill"] < 13.5


def test_where_alike_keys_are_neighbours_positions_do_as_well(torch):
    found = recalled(torch, "in order", 0)
    assert found["oracle"] > found["clusters"] - 0.01


def test_among_noise_nobody_wins(torch):
    found = recalled(torch, "noise", 0)
    assert found["clusters"] < found["tokens"] - 0.1
    assert found["clusters"] < found["oracle"] + 0.1


# The policy.


def fed_layer(torch, policy, keys, values, query):
    """A layer after a prompt [1, H, n, D] and a last token; what attention got at the end."""
    from memsieve.kv.checks import ModelFacts
    from memsieve.kv.layer import Frame, MemoryLayer, claim

    facts = ModelFacts(None, 1, query.shape[1], keys.shape[1], keys.shape[3])
    layer = MemoryLayer(Frame(policy, False, True, False, facts), 0)
    module, seen = SimpleNamespace(layer_idx=0), []

    def attention(module, query, key, value, mask, **kwargs):
        seen.append((key, value, mask))

    n = keys.shape[2]
    for start, end in ((0, n - 1), (n - 1, n)):
        layer.update(keys[:, :, start:end], values[:, :, start:end])
        claim(module)
        asked = query.expand(-1, -1, end - start, -1)
        layer.attention(attention, module, asked, layer.keys, layer.values, None, scaling=1.0)
    return layer, seen[-1]


def test_a_late_needle_is_found_in_every_trial(torch):
    # 512 tokens, 64 attended: what a late query asks for lies anywhere, and no earlier query did.
    found = 0
    for trial in range(20):
        keys = normal(torch, 1, 2, 512, 16, seed=trial)
        values = torch.zeros(1, 2, 512, 1)
        needle = 40 + 20 * trial
        values[:, :, needle] = 1
        query = 3 * keys[:, :, needle].repeat_interleave(2, 1)[:, :, None]
        _, (key, value, _) = fed_layer(torch, SMALL_PAGES, keys, values, query)
        assert key.shape[2] <= 64
        found += int(bool((value == 1).any(2).all()))
    assert found == 20


def test_padding_and_empty_places_of_the_archive_are_no_keys(torch):
    archive = kv.Archive()
    slots = torch.tensor([[[-1, 0, 1, 2]], [[0, 1, 2, 3]]])
    archive.add(torch.zeros(2, 1, 4, 8), torch.zeros(2, 1, 4, 8), slots)
    padding = torch.tensor([[False, True, True, True], [True] * 4])
    real = icecache.real_entries(archive, padding)
    assert real[:, 0].tolist() == [[False, False, True, True], [True] * 4]
    assert icecache.real_entries(archive, None)[0, 0].tolist() == [False, True, True, True]


def test_heads_find_pages_of_their_own(torch):
    keys, values = normal(torch, 1, 2, 300, 16), torch.zeros(1, 2, 300, 1)
    values[0, 0, 100] = values[0, 1, 200] = 1
    query = 3 * torch.stack([keys[0, 0, 100], keys[0, 1, 200]])[None, :, None]
    _, (_, value, _) = fed_layer(torch, SMALL_PAGES, keys, values, query)
    assert value.sum(2).flatten().tolist() == [1, 1]


@pytest.mark.parametrize(
    ("family", "options"),
    [("llama", {}), ("qwen3", {"prefetches": True}), ("gemma3", {"n_reuse_layers": 2})],
)
def test_room_for_every_page_gives_the_logits_of_the_whole_cache(
    torch, decoder, texts, stepped, family, options
):
    from transformers import DynamicCache

    # Weights are doubled only, so that a last bit does not grow to a difference.
    model = decoder(family, scale=2.0, num_hidden_layers=4)
    ids, mask = texts(n=90, pad=(0, 13))
    expected = stepped(model, ids, DynamicCache(config=model.config), mask, lengths=(50,))
    policy = IceCache(99, 4, n_full_layers=1, **options)
    with kv.enable(model) as memory:
        cache = memory.cache(policy, leaving="archive")
        found = stepped(model, ids, cache, mask, lengths=(50,))
    real = mask.bool()
    torch.testing.assert_close(found[real], expected[real], atol=2e-5, rtol=1e-4)
    assert cache.stats.bytes_host > 0


def test_a_second_prompt_sees_all_that_is_on_the_host(torch, decoder, texts, stepped):
    from transformers import DynamicCache

    model = decoder(scale=2.0)
    ids, mask = texts(n=120, pad=(0, 13))
    lengths = (50, 30, 40)
    expected = stepped(model, ids, DynamicCache(config=model.config), mask, lengths)
    with kv.enable(model) as memory:
        cache = memory.cache(IceCache(5, 8, n_full_layers=0), leaving="archive")
        found = stepped(model, ids, cache, mask, lengths)
    torch.testing.assert_close(found[mask.bool()], expected[mask.bool()], atol=2e-5, rtol=1e-4)


def test_the_device_holds_sink_window_and_at_most_the_budget(torch, decoder, texts, stepped):
    model = decoder()
    ids, mask = texts(n=160, pad=(0, 13))
    policy = IceCache(8, 4, n_full_layers=1)
    with kv.enable(model) as memory:
        cache = memory.cache(policy, leaving="archive", log=True)
        stepped(model, ids, cache, mask, lengths=(100,))
    full, managed = cache.managed
    assert full.slots.shape[2] == 160
    # 2 sink pages; one whole page and what is written of the newest, in positions of the row.
    for row, pad in enumerate((0, 13)):
        n = 160 - pad
        first = 8 + (n - 8) // 4 * 4 - 4
        kept = managed.slots[row, 0][managed.slots[row, 0] >= 0] - pad
        assert kept.tolist() == [*range(8), *range(first, n)]
    looks = [one.slots for one in cache.log if one.kind == "retrieve"]
    assert looks
    assert max(int((slots >= 0).sum(-1).max()) for slots in looks) <= 8 * 4


def test_what_is_here_is_not_fetched_again(torch):
    keys, values = normal(torch, 1, 2, 200, 16), normal(torch, 1, 2, 200, 16, seed=1)
    query = normal(torch, 1, 2, 1, 16, seed=2)
    layer, _ = fed_layer(torch, SMALL_PAGES, keys, values, query)
    archive, state = layer.archive, layer.state
    choice = SMALL_PAGES.choice(state, archive, query, None, 200)
    brought(state, archive, *choice)
    before = archive.bytes_fetched
    again = brought(state, archive, *choice)
    assert archive.bytes_fetched == before
    # A page that gains a key costs that key: two heads, K and V, 16 channels of 4 bytes.
    index, valid = choice
    absent = [int((~torch.isin(torch.arange(archive.n), index[0, h])).nonzero()[0]) for h in (0, 1)]
    index = torch.cat([index, torch.tensor(absent)[None, :, None]], 2)
    valid = torch.cat([valid, torch.ones(1, 2, 1, dtype=torch.bool)], 2)
    more = brought(state, archive, index, valid)
    assert archive.bytes_fetched - before == 2 * 2 * 16 * 4
    for extra in (again, more):
        there = extra.slots >= 0
        for head in (0, 1):
            slots = extra.slots[0, head][there[0, head]]
            assert torch.equal(extra.keys[0, head][there[0, head]], keys[0, head, slots])
            assert torch.equal(extra.values[0, head][there[0, head]], values[0, head, slots])


def test_beams_and_rows_in_another_order_take_their_trees_along(torch, decoder, texts, generated):
    model = decoder(scale=2.0)
    ids, mask = texts(n=60, pad=(0, 9))
    policy = IceCache(6, 4, n_full_layers=0)
    with kv.enable(model) as memory:
        both, other = (
            generated(model, ids[rows], mask[rows], memory.cache(policy, leaving="archive"), 30)[0]
            for rows in ([0, 1], [1, 0])
        )
        assert torch.equal(both, other[[1, 0]])
        wide = IceCache(99, 4, n_full_layers=0)
        found = generated(model, ids, mask, memory.cache(wide, leaving="archive"), 20, num_beams=3)
    assert torch.equal(found[0], generated(model, ids, mask, None, 20, num_beams=3)[0])


def test_reused_choices_fetch_the_same_tokens_in_every_layer_of_a_group(
    torch, decoder, texts, stepped
):
    model = decoder(num_hidden_layers=4)
    ids, mask = texts(n=120)
    with kv.enable(model) as memory:
        policy = IceCache(8, 4, n_full_layers=0, n_reuse_layers=2)
        cache = memory.cache(policy, leaving="archive")
        stepped(model, ids, cache, mask, lengths=(100,))
    index = [layer.state.row["resident.index"] for layer in cache.managed]
    assert torch.equal(index[0], index[1])
    assert torch.equal(index[2], index[3])
    assert not torch.equal(index[1], index[2])
    assert ["tree.level" in layer.state.row for layer in cache.managed] == [True, False] * 2


def test_the_predicted_query_is_that_of_the_next_layer_on_the_same_input(
    torch, decoder, texts, fed
):
    model = decoder("qwen3")
    ids, mask = texts(n=40, pad=(0, 9))
    seen = {}

    class Watching(kv.Policy):
        needs = frozenset({"hidden"})

        def bind(self, facts):
            remember(facts, "Watching")

        def observe(self, step):
            seen[step.layer] = (step.query, query_ahead(step.module, step, step.hidden))

    with kv.enable(model) as memory:
        positions = (mask.cumsum(-1) - 1).clamp(min=0)  # as generate gives them
        fed(model, ids, memory.cache(Watching()), mask, position_ids=positions)
    for query, predicted in seen.values():
        real = mask[:, None, :, None]
        torch.testing.assert_close(predicted * real, query * real)


def test_nothing_leaves_without_an_archive(torch, decoder, texts, stepped):
    model = decoder()
    ids, mask = texts(n=100)
    with kv.enable(model) as memory:
        cache = memory.cache(IceCache(5, 4, n_full_layers=0))
        stepped(model, ids, cache, mask)
    assert cache.stats.n_evictions == cache.stats.n_retrievals == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_pages": 4}, r"IceCache\.n_pages must be >= 5, got 4"),
        ({"n_window_pages": 1}, r"IceCache\.n_window_pages must be >= 2, got 1"),
        ({"share": 0}, r"IceCache\.share must be in \(0, 1\], got 0"),
        ({"ratio": 1.0}, r"Growth\.ratio must be in \(0, 1\), got 1\.0"),
        ({"page_size": 0}, r"Growth\.page_size must be >= 1, got 0"),
        ({"field_of_view": 0}, r"IceCache\.field_of_view must be >= 1, got 0"),
    ],
)
def test_rejects_options_outside_their_ranges(options, message):
    with pytest.raises(ParameterError, match=message):
        IceCache(**options)


def test_refuses_models_it_cannot_work_with(torch, decoder):
    latent, other = decoder("deepseek_v3"), decoder("gpt_neox")
    with (
        kv.enable(latent) as memory,
        pytest.raises(ParameterError, match="IceCache needs keys of each head"),
    ):
        memory.cache(IceCache(), leaving="archive")
    with (
        kv.enable(other) as memory,
        pytest.raises(ParameterError, match="needs layers with a q_proj, gpt_neox has none"),
    ):
        memory.cache(IceCache(prefetches=True), leaving="archive")
