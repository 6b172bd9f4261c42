"""A limited pool on the host: who gives way, worked by hand, and what is recalled then."""

import pytest

from memsieve import kv
from memsieve.errors import ParameterError
from memsieve.kv.checks import ModelFacts
from memsieve.kv.host_pool import VICTIMS, evicted, moved, places
from memsieve.kv.layer import Frame, MemoryLayer, claim, tell_hidden
from memsieve.kv.policies.infinigen import InfiniGen

pytestmark = pytest.mark.torch

EVERYTHING = float("inf")
RULES = sorted(VICTIMS)


def filled(tokens, n_pool, rule):
    """Slots of the usable (slot, worth) that stay, one token after another in plain Python."""
    pool = []
    for slot, worth in tokens:
        if len(pool) == n_pool:
            oldest = sorted(pool)[: max(1, int(n_pool * rule.share))]
            pool.remove(min(oldest, key=lambda one: (one[1], one[0])))
        pool.append((slot, worth))
    return sorted(slot for slot, _ in pool)


def entries(torch, rule, n, n_new, seed, dead):
    """Worth, slots in any order and usable [2, 2, n]; the newest `n_new` are last, in order."""
    generator = torch.Generator().manual_seed(seed)
    old = torch.rand(2, 2, n - n_new, generator=generator).argsort(-1)
    slots = torch.cat([old, torch.arange(n - n_new, n).expand(2, 2, -1)], 2)
    worth = rule.worth(slots)
    most = 4 if rule.counts else n
    fetches = torch.randint(most, worth[..., : n - n_new].shape, generator=generator)
    worth[..., : n - n_new] = torch.maximum(worth[..., : n - n_new], fetches)
    usable = torch.rand(2, 2, n, generator=generator) >= dead
    return worth, slots, usable


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("dead", [0.0, 0.3])
@pytest.mark.parametrize(
    ("n", "n_new", "n_pool"), [(9, 1, 8), (40, 30, 13), (40, 40, 1), (7, 2, 6)]
)
def test_all_at_once_is_one_after_another(torch, name, dead, n, n_new, n_pool):
    rule = VICTIMS[name]
    for seed in range(5):
        worth, slots, usable = entries(torch, rule, n, n_new, seed, dead)
        gone = evicted(worth, slots, usable, n_pool, rule)
        assert gone.shape == (2, 2, n - n_pool)
        for row, head in ((r, h) for r in range(2) for h in range(2)):
            real = usable[row, head]
            tokens = sorted(torch.stack([slots, worth], -1)[row, head][real].tolist())
            stays = torch.ones(n, dtype=torch.bool)
            stays[gone[row, head]] = False
            assert int(stays.sum()) == n_pool
            left = sorted(slots[row, head][stays & real].tolist())
            assert left == filled(tokens, n_pool, rule)


@pytest.mark.parametrize("n_held", [0, 5, 8])
def test_what_stays_keeps_its_place_and_what_comes_takes_a_free_one(torch, n_held):
    n_all, n_kept = 13, 8
    order = torch.rand(2, 3, n_all, generator=torch.Generator().manual_seed(n_held)).argsort(-1)
    gone, slots = order[..., n_kept:], torch.arange(n_all).expand(2, 3, -1)
    to = places(gone, n_held, n_kept, n_all)
    pool = moved(slots, to, n_kept)
    assert torch.equal(pool.sort(-1).values, order[..., :n_kept].sort(-1).values)
    same = pool[..., :n_held] == slots[..., :n_held]
    still = (slots[..., :n_held, None] != gone[:, :, None]).all(-1)
    assert torch.equal(same, still)
    # The archive, which is told only of places, comes to the same.
    archive = kv.Archive()
    if n_held:
        archive.add(*[slots[..., :n_held, None].float()] * 2, slots[..., :n_held])
    archive.places = to
    archive.add(*[slots[..., n_held:, None].float()] * 2, slots[..., n_held:])
    assert torch.equal(archive.slots, pool)
    assert torch.equal(moved(slots[..., None].float(), to, n_kept), archive.keys)


# The policy, on two layers without a model.


class Unchanged:
    """An attention module whose queries are what goes into it."""

    def __init__(self, layer):
        self.layer_idx = layer

    @staticmethod
    def q_proj(hidden):
        """The same."""
        return hidden


class TwoLayers:
    """Layer 1 looks at what layer 0 guesses: hidden = query. One head, values = keys."""

    def __init__(self, policy, n_channels):
        frame = Frame(policy, False, True, False, ModelFacts(None, 2, 1, 1, n_channels))
        self.layers = [MemoryLayer(frame, layer) for layer in (0, 1)]
        self.modules = [Unchanged(layer) for layer in (0, 1)]

    def feed(self, query, key):
        """Slots [B, 1, m] that layer 1 looks at; both [B, n, D]."""
        for layer, module in zip(self.layers, self.modules, strict=True):
            keys, values = layer.update(key[:, None], key[:, None])
            assert claim(module) is layer
            if query.shape[1] == 1:
                tell_hidden(layer.index, query)
            layer.attention(self._attention, module, query[:, None], keys, values, None, scaling=1)
        return self.seen

    def _attention(self, module, query, key, value, mask, **kwargs):
        self.seen = key

    @property
    def pool(self):
        """Slots on the host, of the first row."""
        return self.layers[1].archive.slots[0, 0].tolist()


@pytest.mark.parametrize(
    ("victim", "expected"),
    [
        # The first four ask for 0, 2, 2 and 2.
        ("counter", [[0, 2, 3, 4], [2, 3, 4, 5], [2, 4, 5, 6], [2, 5, 6, 7]]),
        ("lru", [[0, 2, 3, 4], [0, 2, 4, 5], [2, 4, 5, 6], [2, 5, 6, 7]]),
        ("fifo", [[1, 2, 3, 4], [2, 3, 4, 5], [3, 4, 5, 6], [4, 5, 6, 7]]),
    ],
)
def test_victims_of_the_example_worked_by_hand(torch, victim, expected):
    # Token t has the t-th unit vector as its key; each step fetches the one it asks for.
    # counter: of the older two the one fetched less often; at token 5 both once: the older, 0.
    # lru: token 5 finds 0, 2, 3, 4 last wanted at 4, 5, 3, 4; token 6 finds 4, 6, 4, 5.
    unit = torch.eye(8)[None]
    policy = InfiniGen(1, EVERYTHING, ratio=1.0, skew="off", n_pool=4, victim=victim)
    two = TwoLayers(policy, 8)
    two.feed(unit[:, :4], unit[:, :4])
    found = []
    for token, wanted in ((4, 0), (5, 2), (6, 2), (7, 2)):
        two.feed(unit[:, wanted : wanted + 1], unit[:, token : token + 1])
        found.append(sorted(two.pool))
    assert found == expected


def test_a_new_token_stands_where_its_victim_stood(torch):
    unit = torch.eye(8)[None]
    two = TwoLayers(InfiniGen(1, EVERYTHING, ratio=1.0, skew="off", n_pool=4), 8)
    two.feed(unit[:, :4], unit[:, :4])
    for token, wanted in ((4, 0), (5, 2), (6, 2), (7, 2)):
        two.feed(unit[:, wanted : wanted + 1], unit[:, token : token + 1])
    archive, row = two.layers[1].archive, two.layers[1].state.row
    assert two.pool == [5, 7, 2, 6]
    assert torch.equal(archive.keys[0, 0], unit[0, archive.slots[0, 0]])
    assert torch.equal(row["slots"], archive.slots)
    assert row["worth"].tolist() == [[[0, 0, 3, 0]]]
    assert torch.equal(row["partial"], archive.keys[..., row["channels"][0, 0]])


@pytest.mark.parametrize("victim", RULES)
def test_of_a_first_prompt_longer_than_the_pool_the_newest_stay(torch, victim):
    keys = torch.randn(1, 50, 8, generator=torch.Generator().manual_seed(0))
    two = TwoLayers(InfiniGen(4, n_pool=20, victim=victim), 8)
    assert two.feed(keys, keys).shape[2] == 50  # the prompt itself sees all
    assert sorted(two.pool) == list(range(30, 50))
    assert two.feed(keys[:, :1], keys[:, :1]).shape[2] == 5


def test_memory_is_taken_for_no_more_than_the_pool(torch):
    keys = torch.randn(1, 30, 8, generator=torch.Generator().manual_seed(0))
    two = TwoLayers(InfiniGen(4, n_pool=11), 8)
    two.feed(keys[:, :3], keys[:, :3])
    for token in range(3, 30):
        one = keys[:, token : token + 1]
        two.feed(one, one)
        held = two.layers[1].archive.keys
        assert held.shape[2] == min(token + 1, 11)
        assert held.untyped_storage().nbytes() <= 11 * 8 * 4


@pytest.mark.parametrize(
    ("victim", "asked", "expected"),
    [
        # A pool of 64, and 300 tokens after it; every 5th asks for token 10, or none. Asked for
        # every 20th time it is fetched no more often than others, and counters let it go.
        ("counter", True, 1.0),
        ("lru", True, 1.0),
        ("fifo", True, 3 / 60),  # by tokens 64, 69 and 74, which takes its place
        ("counter", False, 0.0),
        ("lru", False, 0.0),
        ("fifo", False, 0.0),
    ],
)
def test_a_needle_that_is_asked_for_often_survives_unless_the_oldest_goes(
    torch, victim, asked, expected
):
    generator = torch.Generator().manual_seed(3)
    keys, queries = (torch.randn(1, 364, 16, generator=generator) for _ in range(2))
    keys[..., 0] = queries[..., 0] = 0.0
    keys[:, 10] = torch.eye(16)[0]
    if asked:
        queries[:, 64::5, 0] = 100.0
    policy = InfiniGen(4, EVERYTHING, ratio=1.0, n_pool=64, victim=victim)
    two, n_found = TwoLayers(policy, 16), 0
    two.feed(queries[:, :64], keys[:, :64])
    for token in range(64, 364):
        one = slice(token, token + 1)
        seen = two.feed(queries[:, one], keys[:, one])
        assert len(two.pool) == 64
        if token % 5 == 4:
            n_found += int((seen[..., 0] == 1).any())
    assert n_found / 60 == pytest.approx(expected)
    assert (10 in two.pool) == (expected == 1.0)


# The policy, in a model.


@pytest.mark.parametrize("victim", RULES)
def test_room_for_all_changes_nothing(torch, decoder, texts, generated, victim):
    model = decoder(num_hidden_layers=3)
    ids, mask = texts(n=40, pad=(7, 0))
    with kv.enable(model) as memory:
        free = memory.cache(InfiniGen(8), leaving="archive", log=True)
        ample = memory.cache(InfiniGen(8, n_pool=45, victim=victim), leaving="archive", log=True)
        one, other = (generated(model, ids, mask, cache) for cache in (free, ample))
    assert torch.equal(one[0], other[0])
    assert torch.equal(one[1], other[1])
    for a, b in zip(free.log, ample.log, strict=True):
        assert torch.equal(a.slots, b.slots)
    assert free.stats.bytes_fetched == ample.stats.bytes_fetched


@pytest.mark.parametrize("prefill", ["each", "end"])
@pytest.mark.parametrize("victim", RULES)
def test_what_is_seen_is_what_masking_the_rest_gives(
    torch, decoder, texts, stepped, masking, victim, prefill
):
    # Prompts in two parts, then tokens one by one, behind padding; the pool is full in the first.
    model = decoder(dtype=torch.float64, num_hidden_layers=3)
    ids, mask = texts(n=60)
    policy = InfiniGen(6, ratio=0.5, n_pool=17, victim=victim)
    with kv.enable(model) as memory:
        cache = memory.cache(policy, leaving="archive", prefill=prefill, log=True)
        found = stepped(model, ids, cache, mask, lengths=(20, 12))
        looks = [one for one in cache.log if one.kind == "retrieve"]
        with masking(model, looks) as stock:
            expected = stepped(model, ids, stock, mask, lengths=(20, 12))
    assert (found - expected).abs().max() < 1e-9
    token = 2 * 2 * 8 * 8  # heads, keys and values, channels, bytes
    assert cache.stats.bytes_host == 2 * 17 * token
    for layer in cache.managed[1:]:
        assert layer.archive.n == layer.state.row["partial"].shape[2] == 17
        assert torch.equal(layer.archive.slots, layer.state.row["slots"])
    late = [one for one in looks if one.n_logical > 34]
    assert late
    assert all(one.slots.shape[2] <= 7 for one in late)


@pytest.mark.parametrize("victim", RULES)
def test_a_row_behind_padding_forgets_what_it_forgets_alone(
    torch, decoder, texts, generated, victim
):
    model = decoder(num_hidden_layers=3)
    ids, mask = texts(n=40, pad=(0, 9))
    policy = InfiniGen(10, 1.0, ratio=0.5, n_pool=24, victim=victim)
    with kv.enable(model) as memory:
        batch, turned, alone = (memory.cache(policy, leaving="archive") for _ in range(3))
        generated(model, ids, mask, batch, n_new=20)
        generated(model, ids.flip(0), mask.flip(0), turned, n_new=20)
        generated(model, ids[1:, 9:], mask[1:, 9:], alone, n_new=20)
    for layer in (1, 2):
        both, other, single = (
            cache.managed[layer].archive.slots.sort(-1).values for cache in (batch, turned, alone)
        )
        assert torch.equal(both, other.flip(0))
        assert torch.equal(both[1], single[0] + 9)


def test_beams_take_their_pools_along(torch, decoder, texts, generated):
    model = decoder(dtype=torch.float64, num_hidden_layers=3)
    ids, mask = texts(n=30, pad=(7, 0))
    sequences, _ = generated(model, ids, mask, n_new=12, num_beams=3)
    with kv.enable(model) as memory:
        for n_pool in (41, 20):
            policy = InfiniGen(99, EVERYTHING, ratio=1.0, skew="off", n_pool=n_pool)
            cache = memory.cache(policy, leaving="archive")
            again, _ = generated(model, ids, mask, cache, n_new=12, num_beams=3)
            assert torch.equal(again, sequences) or n_pool == 20
            for layer in cache.managed[1:]:
                assert layer.archive.n == n_pool
                assert torch.equal(layer.state.row["slots"], layer.archive.slots)
                assert torch.equal(layer.state.row["partial"], layer.archive.keys)


@pytest.mark.parametrize("prefill", ["each", "end"])
def test_crop_empties_places_which_are_filled_first(torch, decoder, texts, fed, prefill):
    model = decoder(num_hidden_layers=3)
    ids, _ = texts(n=50)
    with kv.enable(model) as memory:
        cache = memory.cache(InfiniGen(6, n_pool=16), leaving="archive", prefill=prefill)
        fed(model, ids[:, :30], cache)
        cache.crop(25)  # with "end" the prompt still waits: nothing has left
        fed(model, ids[:, 25:26], cache)
        before = {"each": range(14, 26), "end": range(10, 26)}[prefill]
        for layer in cache.managed[1:]:
            assert layer.archive.n == 16
            held = layer.archive.slots[0].sort(-1).values
            assert all(head[head >= 0].tolist() == [*before] for head in held)
        for i in range(26, 30):
            fed(model, ids[:, i : i + 1], cache)
        for layer in cache.managed[1:]:
            held = layer.archive.slots[0]
            assert ((held >= 0).all(), layer.archive.n) == (True, 16)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_pool": 0}, r"InfiniGen\.n_pool must be >= 1, got 0"),
        ({"n_pool": 1.5}, r"InfiniGen\.n_pool must be a whole number, got 1\.5"),
        ({"victim": "mru"}, r"InfiniGen\.victim must be one of .*'fifo'.*, got 'mru'"),
    ],
)
def test_rejects_pools_that_cannot_be(options, message):
    with pytest.raises(ParameterError, match=message):
        InfiniGen(8, **options)
