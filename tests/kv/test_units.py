"""Windows, pages and clusters; budgets over layers; heads that share; ranking with ties."""

from dataclasses import dataclass

import pytest

from memsieve import kv
from memsieve.errors import ParameterError
from memsieve.kv.scored import Scored
from memsieve.select import Candidates, TopK

pytestmark = pytest.mark.torch


@dataclass(frozen=True)
class Given(Scored):
    """Scores that were written down before."""

    given: object = None

    def score(self, step):
        return self.given


def kept(torch, step_of, scores, budget, padding=None, **options):
    given = torch.tensor(scores, dtype=torch.float32)
    key = torch.zeros(*given.shape, 2)
    keep = Given(budget, given=given, **options).keep(step_of(key, key, padding))
    return None if keep is None else keep


def test_equal_scores_go_by_slot_as_in_select(torch):
    from memsieve.kv.archive import highest

    generator = torch.Generator().manual_seed(0)
    scores = torch.randint(0, 5, (3, 4, 40), generator=generator).float()
    scores[0, 0] = -torch.inf
    for k in (0, 1, 7, 39, 40, 50):
        found = highest(scores, k)
        for row in range(12):
            one = scores.flatten(0, 1)[row]
            if (one > -torch.inf).all():  # `select` never picks what must not be picked
                expected = TopK().select(Candidates(relevance=one), budget_items=k).picked
                assert found.flatten(0, 1)[row].tolist() == sorted(expected)
    assert highest(scores, 3)[0, 0].tolist() == [0, 1, 2]


# The worked windows of WindowKV's card: tokens of three windows of four, the last one short.
WINDOWS = [[[0, 0, 0, 8, 3, 3, 3, 3, 1, 5]]]


@pytest.mark.parametrize(("n_best", "expected"), [(None, [4, 5, 6, 7]), (2, [0, 1, 2, 3])])
def test_the_rule_of_a_window_changes_which_one_is_kept(torch, step_of, n_best, expected):
    """Means 2, 3, 3: the first of the tied pair. Means of the two best: 4, 3, 3."""
    unit = kv.Page(4, n_best=n_best)
    assert kept(torch, step_of, WINDOWS, 4, unit=unit).index.tolist() == [[expected]]


@pytest.mark.parametrize(("n_best", "of_five"), [(None, 1), (2, 1)])
def test_a_short_last_window_counts_by_its_own_length(torch, step_of, n_best, of_five):
    scores = [[[1, 1, 1, 1, 4, 4, 4, 4, 5]]]
    index = kept(torch, step_of, scores, of_five, unit=kv.Page(4, n_best=n_best)).index
    assert index.tolist() == [[[8]]]


def test_the_last_page_is_cut_to_the_budget(torch, step_of):
    index = kept(torch, step_of, WINDOWS, 6, unit=kv.Page(4)).index
    assert index.tolist() == [[[4, 5, 6, 7, 8, 9]]]
    index = kept(torch, step_of, WINDOWS, 7, unit=kv.Page(4)).index
    assert index.tolist() == [[[0, 4, 5, 6, 7, 8, 9]]]


@pytest.mark.parametrize(("reduce", "expected"), [("max", [0, 1]), ("sum", [2, 3]), ("mean", [4])])
def test_pages_may_count_by_mean_maximum_or_sum(torch, step_of, reduce, expected):
    scores = [[[9, 0, 5, 6, 7, 0]]]
    padding = torch.tensor([[True] * 5 + [False]])
    index = kept(torch, step_of, scores, len(expected), padding, unit=kv.Page(2, reduce=reduce))
    assert index.index.tolist() == [[expected]]


def test_pages_begin_where_the_text_does(torch, step_of):
    scores = [[[9, 9, 9, 0, 0, 5, 5]], [[0, 0, 5, 5, 0, 0, 0]]]
    padding = torch.tensor([[False] * 3 + [True] * 4, [True] * 7])
    index = kept(torch, step_of, scores, 2, padding, unit=kv.Page(2)).index
    assert index.tolist() == [[[5, 6]], [[2, 3]]]


def test_clusters_stay_together(torch, step_of):
    step_state = kv.State(token={"cluster": torch.tensor([[[0, 1, 0, 2, 1, 2]]])})
    given = torch.tensor([[[9.0, 1, 0, 4, 1, 4]]])
    key = torch.zeros(1, 1, 6, 2)
    policy = Given(4, given=given, unit=kv.Cluster("cluster", 3))
    index = policy.keep(step_of(key, key, state=step_state)).index
    assert index.tolist() == [[[0, 2, 3, 5]]]


def test_protected_tokens_come_first_and_belong_to_no_page(torch, step_of):
    keep = kept(torch, step_of, WINDOWS, 5, n_sink=1, n_window=2, unit=kv.Page(4))
    assert keep.index.tolist() == [[[0, 4, 5, 8, 9]]]


def test_padding_stays_only_where_nothing_else_is_left(torch, step_of):
    scores = [[[9, 9, 9, 1, 2, 3]], [[9, 9, 9, 1, 2, 3]]]
    padding = torch.tensor([[False] * 3 + [True] * 3, [True] * 6])
    for heads in (kv.EachHead(), kv.SharedHeads(), kv.AdaptiveHeads()):
        keep = kept(torch, step_of, scores, 4, padding, heads=heads)
        assert keep.index.tolist() == [[[0, 3, 4, 5]], [[0, 1, 2, 5]]]
    assert kept(torch, step_of, scores, 6, padding) is None


def test_heads_may_choose_alone_together_or_compete(torch, step_of):
    scores = [[[9, 8, 7, 6, 0], [1, 0, 0, 0, 2]]]
    assert kept(torch, step_of, scores, 2).index.tolist() == [[[0, 1], [0, 4]]]
    keep = kept(torch, step_of, scores, 2, heads=kv.SharedHeads())
    assert keep.index.tolist() == [[[0, 1], [0, 1]]]
    keep = kept(torch, step_of, scores, 2, heads=kv.AdaptiveHeads(0.5))
    assert [row.tolist() for row in keep.index[keep.valid].split([3, 1])] == [[0, 1, 2], [4]]
    keep = kept(torch, step_of, scores, 2, heads=kv.AdaptiveHeads(0))
    assert keep.index[keep.valid].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("budget", "n_layers", "group", "expected"),
    [
        (2048, 32, 8, [2926, 2341, 1756, 1170]),
        (1024, 32, 8, [1463, 1171, 879, 585]),
        (512, 32, 8, [732, 586, 440, 292]),
        (2048, 28, 7, [3072, 2390, 1708, 1024]),
    ],
)
def test_a_pyramid_has_the_steps_of_the_card(budget, n_layers, group, expected):
    pyramid = kv.Pyramid(budget, layers_per_group=group)
    found = [pyramid.tokens(layer, n_layers) for layer in range(n_layers)]
    assert found == [step for step in expected for _ in range(group)]
    assert abs(sum(found) - n_layers * budget) <= n_layers


def test_a_budget_written_for_each_layer_needs_every_layer(decoder):
    model = decoder(num_hidden_layers=2)
    with pytest.raises(ParameterError, match="must have 2 numbers, one for each layer, got 3"):
        kv.MemoryCache(model.config, kv.TOVA(kv.PerLayer((8, 8, 8))))
    with pytest.raises(ParameterError, match=r"n_sink \+ n_window = 4, got 3"):
        kv.MemoryCache(model.config, kv.TOVA(kv.PerLayer((8, 3)), 4))
