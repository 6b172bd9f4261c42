"""ZoomR: segments read off token ids, votes of heads, and what is looked at between refreshes."""

from itertools import pairwise
from types import SimpleNamespace

import pytest

from memsieve import kv
from memsieve.errors import InputError, ParameterError
from memsieve.kv import ballots, segments
from memsieve.kv.policies import zoomr
from memsieve.kv.policies.zoomr import ZoomR
from memsieve.kv.segments import Marking

pytestmark = pytest.mark.torch

BEGIN, END, STOP = 90, 91, 50
PAPER = ZoomR(BEGIN, END, n_window=10, ends_sentence=(STOP,), n_refresh=1000)
HEADS = [
    [[0.5, 0.3, 0.1, 0.1]],
    [[0.1, 0.6, 0.2, 0.1]],
    [[0.1, 0.5, 0.3, 0.1]],
    [[0.4, 0.1, 0.3, 0.2]],
]


def normal(torch, *shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def cast(torch, rows, k):
    """Votes over heads given as [H, S]."""
    scores = torch.tensor(rows)
    there = torch.ones(1, scores.shape[-1], dtype=torch.bool)
    return ballots.votes(scores.transpose(0, 1), k, there), there


# Votes.


def test_votes_of_the_example_worked_by_hand(torch):
    given, there = cast(torch, HEADS, k=2)
    assert given.tolist() == [[2, 3, 3, 0]]
    chosen = ballots.elected(given, 2, there)
    assert chosen.tolist() == [[False, True, True, False]]
    assert ballots.agreement(given, chosen).tolist() == [0.75]
    level, _ = zoomr.choice(given, given, 2, voted_share=0.0)
    assert level.tolist() == [[zoomr.IN_SHORT, zoomr.IN_FULL, zoomr.IN_FULL, zoomr.OUT]]
    # One and two are level: the earlier is taken.
    assert ballots.elected(given, 1, there).tolist() == [[False, True, False, False]]


def test_votes_add_up_and_agreement_keeps_its_bounds(torch):
    scores = normal(torch, 3, 40, 12)
    there = torch.ones(3, 12, dtype=torch.bool)
    there[1, 7:] = False
    for k in range(15):
        given = ballots.votes(scores, k, there)
        assert given.sum(-1).tolist() == [40 * min(k, n) for n in (12, 7, 12)]
        assert not given[1, 7:].any()
        if k:
            shares = [ballots.agreement(given, ballots.elected(given, c, there)) for c in range(13)]
            assert all((later >= earlier).all() for earlier, later in pairwise(shares))
            for c, share in enumerate(shares):
                assert (share >= c / 12 - 1e-6).all()
            assert shares[12].tolist() == [1, 1, 1]


def elections(torch, rho, trials=300):
    """How often each way to elect 2 of 24 finds what a share rho of 64 heads asks for.

    Their queries are 0.7 times the summary's key and noise, those of others noise; all have a
    length of their own, exp(N(0, 1)).
    """
    found, n_found = torch.Generator().manual_seed(0), [0, 0, 0, 0]
    there, agreed = torch.ones(1, 24, dtype=torch.bool), 0.0
    for _ in range(trials):
        keys, query = (torch.randn(64, n, 32, generator=found) for n in (24, 1))
        true = int(torch.randint(24, (), generator=found))
        asks = torch.rand(64, 1, 1, generator=found) < rho
        query = query + 0.7 * asks * keys[:, true : true + 1]
        query = query * torch.randn(64, 1, 1, generator=found).exp()
        scores = (query @ keys.transpose(1, 2) / 32**0.5).transpose(0, 1)
        given, mass = ballots.votes(scores, 2, there), ballots.weights(scores, there)
        mean = scores.mean(1) - scores.mean(1).min() + 1
        sets = [ballots.elected(support, 2, there) for support in (given, mean, mass)]
        sets.append(ballots.votes(scores[:, :1], 2, there) > 0)
        n_found = [n + int(chosen[0, true]) for n, chosen in zip(n_found, sets, strict=True)]
        agreed += float(ballots.agreement(given, sets[0]))
    return [n / trials for n in n_found], agreed / trials


def test_votes_find_what_a_fifth_of_the_heads_asks_for(torch):
    (vote, mean, softmax, one), agreed = elections(torch, 0.2)
    assert vote >= 0.95
    assert mean < vote
    assert vote > one + 0.5
    assert softmax >= 0.98
    # Agreement rises with the share of heads that ask, from a chance level that is not 0.
    (few, _, few_softmax, _), low = elections(torch, 0.1)
    _, high = elections(torch, 0.3)
    _, chance = elections(torch, 0.0, trials=100)
    assert 0.1 < chance < low < agreed < high
    assert few_softmax > few  # where few ask, degrees say more than votes


# Segments.


def read(torch, ids, marking, passes=None):
    ids = torch.tensor(ids)
    found = segments.unread(ids.shape[0], 0, "cpu")
    ends = passes or [ids.shape[1]]
    for start, end in zip([0, *ends], ends, strict=False):
        found = found.read(ids[:, start:end], ids[:, start:end] > 0, marking)
    return found


def test_segments_are_read_off_the_marks(torch):
    ids = [[0, 1, 2, 3, 4, 90, 5, 6, 91, 7, 8, 90, 9], [1, 2, 90, 5, 91, 90, 6, 91, 7, 91, 8, 9, 9]]
    found = read(torch, ids, Marking(BEGIN, END, n_question=2))
    assert found.part.tolist() == [
        [-1, 0, 0, 1, 1, 3, 2, 2, 3, 1, 1, 3, 2],
        [0, 0, 3, 2, 3, 3, 2, 3, 1, 1, 1, 1, 1],  # an end without a begin is a word
    ]
    assert found.number.tolist() == [
        [-1, -1, -1, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1],
        [-1, -1, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 2],
    ]
    assert found.n_closed.tolist() == [1, 2]


def test_the_question_ends_where_thinking_begins(torch):
    found = read(torch, [[1, 2, 90, 3, 77, 4, 90, 5, 91, 77]], Marking(BEGIN, END, think=77))
    assert found.part.tolist() == [[0, 0, 0, 0, 0, 1, 3, 2, 3, 1]]


def test_a_summary_that_never_comes_is_replaced_by_the_last_tokens(torch):
    marking = Marking(BEGIN, END, n_question=0, longest=6, n_last=2)
    found = read(torch, [[1, 2, 3, 4, 5, 6, 7, 8, 90, 91, 9]], marking)
    assert found.part.tolist() == [[1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 1]]  # an empty one as well
    assert found.number.tolist() == [[0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2]]


def test_reading_in_pieces_is_reading_at_once(torch):
    ids = [[0, 0, *range(1, 40), 90, 3, 91, *range(1, 30)], [*range(1, 70), 90, 5, 91, 7]]
    marking = Marking(BEGIN, END, n_question=3, longest=20, n_last=4)
    whole, pieces = read(torch, ids, marking), read(torch, ids, marking, [1, 2, 30, 31, 50, 73])
    for name in ("part", "number", "cursor"):
        assert torch.equal(getattr(whole, name), getattr(pieces, name))


def trace(torch, n_segments, n_open):
    """4 tokens of question, segments of 175 + 25 tokens, and an open thought."""
    segment = [1] * 175 + [BEGIN, *[2] * 23, END]
    return read(torch, [[1] * 4 + segment * n_segments + [1] * n_open], Marking(BEGIN, END))


def test_sixteen_thousand_tokens_become_2610(torch):
    found = trace(torch, n_segments=80, n_open=256)
    judged = torch.tensor([80])
    for n_voted, expected in ((80, 4 + 256 + 2 * 200 + 78 * 25), (10, 860), (2, 660)):
        level = torch.zeros(1, 80, dtype=torch.int64)
        level[0, :n_voted] = zoomr.IN_SHORT
        level[0, :2] = zoomr.IN_FULL
        assert zoomr.looked_at(found, level, judged, 256).sum() == expected


def test_more_votes_and_more_restored_never_show_less(torch):
    found, scores = trace(torch, 12, 30), normal(torch, 1, 16, 12)
    there, judged = torch.ones(1, 12, dtype=torch.bool), torch.tensor([12])
    counts = {}
    for k in range(1, 6):
        given = ballots.votes(scores, k, there)
        for c in range(6):
            level, _ = zoomr.choice(given, given, c, voted_share=0.0)
            counts[k, c] = int(zoomr.looked_at(found, level, judged, 30).sum())
    for (k, c), count in counts.items():
        assert count >= counts.get((k, c - 1), 0)
        # More votes may elect others, never fewer segments.
        assert count >= counts.get((k - 1, c), 0)


def test_with_many_heads_every_summary_is_voted_for_unless_a_share_is_asked(torch):
    scores, there = normal(torch, 1, 1024, 80), torch.ones(1, 80, dtype=torch.bool)
    scores[:, :300, 7] += 9
    given = ballots.votes(scores, 2, there)
    assert (zoomr.choice(given, given, 2, voted_share=0.0)[0] > zoomr.OUT).all()
    level, _ = zoomr.choice(given, given, 1, voted_share=2.0)
    assert level.nonzero().tolist() == [[0, 7]]


# Mean keys.


class Fed:
    """One layer under a policy; keys, values and queries are given token by token."""

    def __init__(self, torch, policy, archives=True):
        from memsieve.kv.checks import ModelFacts
        from memsieve.kv.layer import Frame, MemoryLayer

        facts = ModelFacts(None, 1, 1, 1, 8)
        self.layer = MemoryLayer(Frame(policy, False, archives, False, facts), 0)
        self.torch, self.out = torch, None

    def __call__(self, ids, keys, values, query=None):
        """Attend with one query for all tokens, 0 if none is given: what the last token got."""
        from memsieve.kv.layer import claim

        layer, n = self.layer, len(ids)
        layer.frame.input_ids = self.torch.tensor([ids])
        query = keys.new_zeros(8) if query is None else query
        layer.update(keys[None, None], values[None, None])
        claim(SimpleNamespace(layer_idx=0))
        asked = query.expand(1, 1, n, 8)
        layer.attention(self._attention, None, asked, layer.keys, layer.values, None, scaling=1.0)
        return self.out

    def _attention(self, module, query, key, value, mask, **kwargs):
        logits = (query @ key.transpose(2, 3))[:, :, -1]
        if mask is not None:
            logits = logits + (0 if mask.dtype == self.torch.bool else mask[:, :, -1])
            if mask.dtype == self.torch.bool:
                logits = logits.masked_fill(~mask[:, :, -1], -self.torch.inf)
        self.n_seen = key.shape[2]
        self.out = (logits.softmax(-1) @ value[0, 0]).item()


def test_the_mean_key_is_that_of_the_words_of_a_summary(torch):
    ids = [1, 1, 1, 1, 5, 90, 6, 91, 5, 90, 6, 7, 8, 91, 9]
    keys = normal(torch, 15, 8)
    means = {}
    for order in ([*range(15)], [*range(10), 12, 10, 11, 13, 14]):
        fed = Fed(torch, PAPER)
        fed(ids, keys[order], keys[:, :1])
        means[order[10]] = fed.layer.state.row["summaries"][0, 0]
    torch.testing.assert_close(means[10][0], keys[6])  # one word: its key
    torch.testing.assert_close(means[10][1], keys[10:13].mean(0))
    torch.testing.assert_close(means[10], means[12])


def test_turned_keys_do_not_blur_in_a_long_summary(torch, decoder, fed):
    ids = torch.tensor([[1, 1, 1, 1, 5, 90, *[6] * 60, 91, 9]])
    norms = {}
    for turns in (False, True):
        model = decoder(num_hidden_layers=1)
        with kv.enable(model) as memory:
            cache = memory.cache(ZoomR(BEGIN, END, turns=turns))
            fed(model, ids, cache)
        norms[turns] = cache.managed[0].state.row["summaries"][0, :, 0].norm(dim=-1)
        key = cache.managed[0].keys[0, :, 6].norm(dim=-1)
    # Sixty times the same word: turned to one place, its mean is as long as each.
    torch.testing.assert_close(norms[True], key)
    assert (norms[False] < 0.95 * key).all()


# What is looked at.


def scripted(torch, policy, archives=True):
    """A fact in the thought of segment 3, its cue in the summary alone; the window has passed.

    Seven segments of 12 tokens; the cue is on channel 0, the fact on channel 1, where the
    question asks for both. Values are 1 at the fact and 0 elsewhere.
    """
    fed = Fed(torch, policy, archives)
    words = [5] * 8 + [BEGIN, 6, 6, END]
    ids = [1] * 4 + words * 7 + [5] * 20
    keys = 0.1 * normal(torch, len(ids), 8)
    values = torch.zeros(len(ids), 1)
    start = 4 + 3 * 12
    keys[start + 9 : start + 11, 0] += 1
    keys[start + 2, 1] += 2
    values[start + 2] = 1
    fed(ids, keys, values)
    asks = torch.zeros(8)
    asks[:2] = 9
    nothing = (torch.zeros(1, 8), torch.zeros(1, 1))
    # The prompt's last query asked for nothing. Ask twice in mid-sentence, then end it.
    return [fed([word], *nothing, asks) for word in (5, 5, STOP, 5, 5)]


@pytest.mark.parametrize("archives", [False, True])
def test_a_fact_that_only_the_summary_hints_at_is_zoomed_to_after_the_sentence(torch, archives):
    got = scripted(
        torch,
        ZoomR(
            BEGIN, END, n_votes=1, n_restored=1, n_window=10, ends_sentence=(STOP,), n_refresh=1000
        ),
        archives,
    )
    assert max(got[:3]) < 0.1  # needed in mid-sentence, and not there yet
    assert min(got[3:]) > 0.9


@pytest.mark.parametrize(
    "options", [{"n_votes": 9, "n_restored": 0}, {"n_votes": 0, "n_restored": 0}]
)
def test_summaries_alone_and_sink_with_window_miss_that_fact(torch, options):
    policy = ZoomR(BEGIN, END, n_window=10, ends_sentence=(STOP,), n_refresh=1000, **options)
    assert max(scripted(torch, policy)) < 0.1


def test_the_choice_changes_only_where_a_sentence_ends(torch):
    policy = ZoomR(BEGIN, END, n_window=4, ends_sentence=(STOP,), n_refresh=30, n_restored=1)
    fed = Fed(torch, policy)
    words = [5] * 6 + [BEGIN, 6, 6, END]
    ids = [1] * 4 + words * 9
    fed(ids, normal(torch, len(ids), 8), torch.zeros(len(ids), 1))
    rows, refreshes, before = fed.layer.frame.shared.row, [], None
    later = [STOP if place in (7, 20, 21) else 5 for place in range(70)]
    for place, word in enumerate(later):
        fed(
            [word], normal(torch, 1, 8, seed=place), torch.zeros(1, 1), normal(torch, 8, seed=place)
        )
        level = rows["level"].clone()
        if before is not None and not torch.equal(level, before):
            refreshes.append(place)
        before = level
    # The prompt's choice, then the pass behind each sentence end, or behind 30 tokens without.
    assert refreshes == [8, 21, 22, 52]


def test_a_segment_that_closed_since_the_choice_stays_until_the_next_one(torch):
    policy = ZoomR(BEGIN, END, n_restored=0, n_votes=0, n_window=2, ends_sentence=(STOP,))
    fed, nothing = Fed(torch, policy), (torch.zeros(1, 8), torch.zeros(1, 1))
    words = [5] * 6 + [BEGIN, 6, 6, END]
    fed([1] * 4 + words, normal(torch, 14, 8), torch.zeros(14, 1))
    for word in [*words, 5, 5, 5]:
        fed([word], *nothing)
    assert fed.layer.slots[0, 0].tolist() == [0, 1, 2, 3, *range(14, 27)]
    for word in (STOP, 5):
        fed([word], *nothing)
    # The second segment has left as the first did; behind it stands an open thought.
    assert fed.layer.slots[0, 0].tolist() == [0, 1, 2, 3, *range(24, 29)]


def test_sink_and_window_are_what_streaming_keeps(torch):
    policy = ZoomR(BEGIN, END, n_votes=0, n_restored=0, n_window=6, n_refresh=1)
    fed = Fed(torch, policy)
    ids = [1] * 4 + ([5] * 6 + [BEGIN, 6, 6, END]) * 3
    fed(ids, normal(torch, len(ids), 8), torch.zeros(len(ids), 1))
    fed([5], normal(torch, 1, 8), torch.zeros(1, 1))
    fed([5], normal(torch, 1, 8), torch.zeros(1, 1))
    assert fed.layer.slots[0, 0].tolist() == [0, 1, 2, 3, *range(30, 36)]


# With a model.


@pytest.fixture
def marked(torch, texts):
    """Two rows of tokens with a summary in every 25, and a sentence end here and there."""

    def make(n=120, pad=(0, 13)):
        ids, mask = texts(n=n, pad=pad)
        ids = torch.where(ids >= STOP, ids % STOP, ids).clamp(min=1)
        ids[:, 47::11], ids[:, 30::25], ids[:, 34::25] = STOP, BEGIN, END
        return ids * mask, mask

    return make


@pytest.mark.parametrize("leaving", ["drop", "archive"])
def test_all_voted_and_restored_gives_the_logits_of_the_whole_cache(
    torch, decoder, marked, stepped, leaving
):
    from transformers import DynamicCache

    model = decoder(scale=2.0)
    ids, mask = marked()
    lengths = (70, 12, 1, 9)  # a second and a third prompt
    expected = stepped(model, ids, DynamicCache(config=model.config), mask, lengths)
    policy = ZoomR(BEGIN, END, n_votes=9, n_restored=9, n_window=5, ends_sentence=(STOP,))
    with kv.enable(model) as memory:
        cache = memory.cache(policy, leaving=leaving)
        found = stepped(model, ids, cache, mask, lengths)
    torch.testing.assert_close(found[mask.bool()], expected[mask.bool()], atol=2e-5, rtol=1e-4)
    assert cache.frame.shared.row["agreement"].tolist() == [1, 1]
    assert (cache.stats.bytes_host > 0) == (leaving == "archive")


def test_gathering_from_the_host_is_masking_what_is_not_looked_at(torch, decoder, marked, stepped):
    model = decoder(dtype=torch.float64)
    ids, mask = marked()
    found = {}
    with kv.enable(model) as memory:
        for leaving in ("drop", "archive"):
            policy = ZoomR(BEGIN, END, n_votes=1, n_restored=1, n_window=5, ends_sentence=(STOP,))
            cache = memory.cache(policy, leaving=leaving)
            found[leaving] = stepped(model, ids, cache, mask, (70,))
        looked = cache.frame.shared.row["seen"].sum(-1).tolist()
    real = mask.bool()
    torch.testing.assert_close(found["drop"][real], found["archive"][real], atol=1e-9, rtol=0)
    assert max(looked) < 100


def test_layers_share_one_choice_and_the_sum_of_votes_is_theirs(torch, decoder, marked, stepped):
    model = decoder(num_hidden_layers=3)
    ids, mask = marked(pad=(0,))
    ids[:, -1] = STOP
    with kv.enable(model) as memory:
        cache = memory.cache(PAPER)
        stepped(model, ids, cache, mask, (70,))
    rows = cache.frame.shared.row
    assert rows["votes"].sum() == 2 * 3 * 8  # k, layers, query heads
    assert rows["voted_on"].tolist() == [4]


def test_each_row_has_segments_votes_and_sentence_ends_of_its_own(torch, decoder, marked, stepped):
    model = decoder()
    ids, _ = marked(pad=(0, 0))
    ids[1] = ids[1].roll(9)
    ids[1, 28:48] = 5  # a segment less
    policy = ZoomR(BEGIN, END, n_votes=1, n_restored=1, n_window=5, ends_sentence=(STOP,))
    seen = {}
    with kv.enable(model) as memory:
        for rows in ([0, 1], [0], [1]):
            cache, masks = memory.cache(policy), []
            stepped(model, ids[rows, :70], cache, None, (70,))
            for place in range(70, 120):
                stepped(model, ids[rows, place : place + 1], cache, None, (1,))
                masks.append(cache.frame.shared.row["seen"])
            seen[tuple(rows)] = masks
    for row in (0, 1):
        assert all(
            torch.equal(both[row], alone[0])
            for both, alone in zip(seen[0, 1], seen[row,], strict=True)
        )


def test_rows_in_another_order_and_beams_take_their_segments_along(
    torch, decoder, marked, generated
):
    model = decoder(scale=2.0)
    ids, mask = marked(n=90)
    policy = ZoomR(BEGIN, END, n_votes=1, n_restored=1, n_window=5, n_refresh=3)
    with kv.enable(model) as memory:
        both, other = (
            generated(model, ids[rows], mask[rows], memory.cache(policy, leaving="archive"), 12)[0]
            for rows in ([0, 1], [1, 0])
        )
        assert torch.equal(both, other[[1, 0]])
        wide = ZoomR(BEGIN, END, n_votes=9, n_restored=9, n_window=5, n_refresh=3)
        cache = memory.cache(wide, leaving="archive")
        found = generated(model, ids, mask, cache, 12, num_beams=3)[0]
    assert torch.equal(found, generated(model, ids, mask, None, 12, num_beams=3)[0])


def test_a_cropped_cache_goes_on_with_what_is_left(torch, decoder, marked, stepped, fed):
    model = decoder()
    ids, _ = marked(pad=(0,))
    with kv.enable(model) as memory:
        cache = memory.cache(PAPER, leaving="archive")
        stepped(model, ids[:, :80], cache, None, (70,))
        cache.crop(-5)
        assert fed(model, ids[:, 75:76], cache).isfinite().all()
        assert cache.get_seq_length() == 76


def test_embeddings_without_ids_are_refused(torch, decoder, fed):
    model = decoder()
    with kv.enable(model) as memory, pytest.raises(InputError, match="give input_ids"):
        fed(model, None, memory.cache(PAPER), inputs_embeds=torch.zeros(1, 5, 64))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_votes": -1}, r"ZoomR\.n_votes must be >= 0, got -1"),
        ({"end": BEGIN}, r"ZoomR\.begin and \.end must differ, got 90 twice"),
        ({"elect": "lot"}, r"ZoomR\.elect must be one of \('votes', 'softmax'\), got 'lot'"),
        ({"voted_share": float("nan")}, r"ZoomR\.voted_share must be >= 0, got nan"),
        ({"longest_segment": 3}, r"ZoomR\.longest_segment must be >= 25, got 3"),
        ({"n_refresh": 0}, r"ZoomR\.n_refresh must be >= 1, got 0"),
    ],
)
def test_rejects_options_outside_their_ranges(options, message):
    with pytest.raises(ParameterError, match=message):
        ZoomR(**{"begin": BEGIN, "end": END, **options})


def test_refuses_models_that_cache_latents(torch, decoder):
    model = decoder("deepseek_v3")
    with kv.enable(model) as memory, pytest.raises(ParameterError, match="caches latents"):
        memory.cache(PAPER)
