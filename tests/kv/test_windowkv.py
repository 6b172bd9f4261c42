"""WindowKV: numbers worked by hand, whole windows, choices shared by a group of layers."""

from collections import Counter
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest

from memsieve import kv
from memsieve.errors import ParameterError
from memsieve.kv.policies.windowkv import WindowKV, window_scores
from memsieve.kv.tasks import AGGREGATION, LOCALIZATION, LearnedTasks, RuleTasks

RECEIVED = [0.0, 0, 0, 8, 3, 3, 3, 3, 1, 5]


@pytest.fixture
def asked(torch):
    """A step at the end of a prompt whose last tokens give `received` [B, H, n] to each token."""

    def make(received, *, n_heads=None, n_asking=1, padding=None, **options):
        received = torch.as_tensor(received, dtype=torch.float32)
        n_rows, n_query_heads, n = received.shape
        n_heads = n_heads or n_query_heads
        keys = torch.eye(n).expand(n_rows, n_heads, n, n)
        query = received.clamp(min=1e-9).log()[:, :, None].expand(-1, -1, n_asking, -1)
        given = {"layer": 0, "n_layers": 1, "n_logical": n, "is_prefill": True, **options}
        return kv.Step(
            query=query,
            recent=query,
            keys=keys,
            values=keys,
            slots=torch.arange(n).expand(n_rows, n_heads, n),
            scale=1.0,
            padding=padding,
            **given,
        )

    return make


def kept(policy, step, row=0, head=0):
    """Slots that stay in one head."""
    keep = policy.keep(step)
    if keep is None:
        return list(range(step.n_stored))
    wanted = keep.index[row, head][keep.valid[row, head]]
    return step.slots[row, head][wanted].tolist()


class Given(WindowKV):
    """Takes the queries themselves for what tokens received: ties are exact."""

    def received(self, step):
        """The values handed over."""
        return step.query[:, :, -1]


class Counting(WindowKV):
    """Counts how often scores are computed, by layer."""

    layers: ClassVar = Counter()

    def received(self, step):
        """As ever, and count."""
        self.layers[step.layer] += 1
        return super().received(step)


@pytest.mark.parametrize(
    ("budget", "layers_per_group", "n_layers", "expected"),
    [
        (2048, 8, 32, [2926, 2341, 1756, 1170]),
        (1024, 8, 32, [1463, 1171, 879, 585]),
        (512, 8, 32, [732, 586, 440, 292]),
        (2048, 7, 28, [3072, 2390, 1708, 1024]),
        (1024, 7, 28, [1536, 1195, 854, 512]),
    ],
)
def test_budgets_are_those_of_the_public_code(budget, layers_per_group, n_layers, expected):
    budgets = WindowKV(budget, layers_per_group=layers_per_group).budgets(n_layers)
    assert budgets[::layers_per_group] == expected
    assert budgets == sorted(budgets, reverse=True)
    assert abs(sum(budgets) - n_layers * budget) <= n_layers
    assert abs(sum(expected) - len(expected) * budget) <= len(expected)


def test_layers_that_do_not_fill_a_group_and_single_groups_have_budgets_too():
    assert WindowKV(100, layers_per_group=4).budgets(6) == [172] * 4 + [28] * 2
    assert WindowKV(100, layers_per_group=8).budgets(6) == [100] * 6
    assert WindowKV(100, layers_per_group=20).budgets(40) == [100] * 40


def test_what_is_not_given_follows_from_the_task():
    one, other = WindowKV(64), WindowKV(64, AGGREGATION)
    assert (one.omega, one.n_recent, one.n_counted) == (8, 16, 8)
    assert (other.omega, other.n_recent, other.n_counted) == (16, 32, 8)
    assert WindowKV(64, AGGREGATION, window_tokens=1).n_counted == 1


@pytest.mark.torch
def test_window_scores_worked_by_hand(torch):
    t = torch.tensor([[[*RECEIVED, 0, 0]]])
    n = torch.tensor([[10]])
    assert window_scores(t, n, 4, 4).tolist() == [[2, 3, 3]]
    assert window_scores(t, n, 4, 2).tolist() == [[4, 3, 3]]


@pytest.mark.torch
def test_a_short_last_window_is_divided_by_its_own_length(torch):
    # The paper's formula divides by min(p, omega), which gives 2.5; the code gives 5.
    t = torch.tensor([[[1.0, 1, 1, 1, 5, 0, 0, 0]]])
    assert window_scores(t, torch.tensor([[5]]), 4, 2).tolist() == [[1, 5]]


@pytest.mark.torch
def test_the_strongest_are_taken_in_each_head_before_heads_are_averaged(torch):
    t = torch.tensor([[[4.0, 0, 0, 0], [0, 0, 0, 4]]])
    assert window_scores(t, torch.tensor([[4]]), 4, 1).tolist() == [[4]]
    assert window_scores(t, torch.tensor([[4]]), 4, 4).tolist() == [[1]]


@pytest.mark.torch
def test_the_task_decides_which_window_stays(torch, asked):
    # Windows 1 and 2 both have a mean of 3: the earlier stays.
    policy = Given(4, window_tokens=4, n_observed=1)
    step = asked([[[*RECEIVED, 1]]])
    step = replace(step, query=torch.tensor([[[[*RECEIVED, 1]]]]))
    assert kept(policy, step) == [4, 5, 6, 7, 10]
    assert kept(replace(policy, task=AGGREGATION), step) == [0, 1, 2, 3, 10]
    assert kept(policy, step) == [4, 5, 6, 7, 10]  # the code keeps the first prompt's task
    forced = replace(policy, keeps_first=True)
    assert kept(forced, replace(step, shared=kv.State())) == [0, 1, 2, 3, 10]


@pytest.mark.torch
def test_everything_stays_where_the_budget_holds_it_and_the_observed_where_it_holds_no_window(
    asked,
):
    step = asked([[[*RECEIVED, 1]]])
    policy = WindowKV(10, window_tokens=4, n_observed=1)
    assert policy.keep(step) is None
    assert kept(WindowKV(9, window_tokens=4, n_observed=1), step) == [*range(4, 11)]
    nothing = WindowKV(1, window_tokens=4, n_observed=1, layers_per_group=2)
    shared = kv.State()
    for layer in range(2):  # followers of the code go on with the windows of an earlier prompt
        step = asked([[[*RECEIVED, 1]]], layer=layer, n_layers=2, shared=shared)
        assert kept(nothing, step) == [10]


@pytest.mark.torch
@pytest.mark.parametrize("task", [LOCALIZATION, AGGREGATION])
def test_what_stays_are_aligned_runs_and_the_observed_tokens(torch, asked, task):
    generator = torch.Generator().manual_seed(0)
    for n in (50, 67, 96):
        for budget in (8, 20, 33):
            received = torch.rand(2, 4, n, generator=generator)
            policy = WindowKV(budget, task, window_tokens=8, n_observed=6)
            step = asked(received, n_heads=2, n_asking=6)
            for row in range(2):
                slots = kept(policy, step, row, head=1)
                assert slots == sorted(slots) == kept(policy, step, row, head=0)
                assert slots[-6:] == [*range(n - 6, n)]
                reviewed = set(slots[:-6])
                windows = [set(range(start, min(start + 8, n - 6))) for start in range(0, n - 6, 8)]
                whole = [window for window in windows if window <= reviewed]
                assert set().union(*whole) == reviewed
                slack = 8 if windows[-1] in whole and len(windows[-1]) < 8 else 0
                slack += 8 if len(windows[-1]) < 8 else 0
                assert budget - 8 - slack < len(reviewed) <= budget + slack


@pytest.mark.torch
def test_rows_are_scored_each_for_itself_and_without_their_padding(torch, asked):
    generator = torch.Generator().manual_seed(1)
    received = torch.rand(2, 2, 60, generator=generator)
    padding = torch.ones(2, 60, dtype=torch.bool)
    padding[1, :13] = False
    policy = WindowKV(16, window_tokens=8, n_observed=5)
    batch = asked(received, n_asking=5, padding=padding)
    alone = asked(received[1:, :, 13:], n_asking=5)
    assert kept(policy, batch, 0) == kept(policy, asked(received[:1], n_asking=5))
    assert kept(policy, batch, 1) == [slot + 13 for slot in kept(policy, alone)]
    assert kept(policy, batch, 0) != kept(policy, batch, 1)


@pytest.mark.torch
@pytest.mark.parametrize("per_group", [1, 2, 4])
def test_a_group_computes_scores_once_and_shares_the_choice(torch, asked, per_group):
    policy = Counting(16, window_tokens=4, n_observed=2, layers_per_group=per_group)
    policy.layers.clear()
    shared, chosen = kv.State(), []
    for layer in range(8):
        received = torch.rand(1, 2, 80, generator=torch.Generator().manual_seed(layer))
        step = asked(received, n_asking=2, layer=layer, n_layers=8, shared=shared)
        chosen.append(kept(policy, step))
    assert dict(policy.layers) == dict.fromkeys(range(0, 8, per_group), 1)
    leaders = [tuple(chosen[layer]) for layer in range(0, 8, per_group)]
    assert len(set(leaders)) == len(leaders)
    assert all(tuple(slots) == leaders[i // per_group] for i, slots in enumerate(chosen))


@pytest.mark.torch
def test_another_prompt_is_chosen_for_anew_and_single_tokens_are_not(torch, asked):
    policy = WindowKV(8, window_tokens=4, n_observed=2)
    shared = kv.State()
    first = asked(torch.rand(1, 1, 40), n_asking=2, shared=shared)
    second = asked(torch.rand(1, 1, 40).flip(2), n_asking=2, shared=shared)
    assert kept(policy, first) != kept(policy, second)
    assert policy.keep(replace(first, is_prefill=False)) is None


@pytest.mark.torch
def test_windows_of_one_token_are_snapkv_without_pooling(torch, asked):
    received = torch.rand(1, 4, 80, generator=torch.Generator().manual_seed(2))
    step = asked(received, n_heads=2, n_asking=8)
    own = WindowKV(24, window_tokens=1, n_best=1, n_observed=8)
    other = kv.SnapKV(32, n_window=8, n_pooled=1, heads=kv.SharedHeads())
    assert kept(own, step) == other.keep(step).index[0, 0].tolist()


@pytest.mark.torch
def test_a_phrase_of_which_few_tokens_are_looked_at_stays_whole(torch, asked):
    whole = {"windows": 0, "tokens": 0}
    pieces = []
    for seed in range(40):
        generator = torch.Generator().manual_seed(seed)
        received = torch.rand(1, 2, 272, generator=generator)
        start = 8 * int(torch.randint(2, 30, (1,), generator=generator))
        fact = range(start, start + 8)
        received[..., start + 2] = received[..., start + 5] = 12.0
        step = asked(received, n_asking=16)
        for name, slots in (
            ("windows", kept(WindowKV(32), step)),
            (
                "tokens",
                kv.SnapKV(48, n_window=16, n_pooled=1, heads=kv.SharedHeads())
                .keep(step)
                .index[0, 0]
                .tolist(),
            ),
        ):
            found = len(set(fact) & set(slots))
            whole[name] += found == 8
            if name == "tokens":
                pieces.append(found)
    assert whole == {"windows": 40, "tokens": 0}
    assert 2 <= np.mean(pieces) < 4


@pytest.mark.torch
def test_of_a_phrase_across_two_windows_at_least_the_greater_part_stays(torch, asked):
    received = torch.rand(1, 2, 272, generator=torch.Generator().manual_seed(3))
    for shift in range(1, 8):
        marked = received.clone()
        marked[..., 80 + shift + 2] = marked[..., 80 + shift + 5] = 12.0
        slots = kept(WindowKV(32), asked(marked, n_asking=16))
        assert len(set(range(80 + shift, 88 + shift)) & set(slots)) >= 4


@pytest.mark.torch
def test_a_budget_for_everything_gives_the_stock_logits(decoder, texts, generated):
    model = decoder(num_hidden_layers=4)
    ids, mask = texts(n=40, pad=(7, 0))
    _, stock = generated(model, ids, mask)
    with kv.enable(model) as memory:
        cache = memory.cache(WindowKV(40, layers_per_group=4, n_observed=4))
        _, managed = generated(model, ids, mask, cache)
    assert (managed - stock).abs().max() == 0


@pytest.mark.torch
@pytest.mark.parametrize("options", [{}, {"num_beams": 3}])
def test_evicting_equals_masking_and_generated_tokens_stay(
    torch, decoder, texts, generated, masking, options
):
    model = decoder(dtype=torch.float64, num_hidden_layers=4)
    ids, mask = texts(n=60, pad=(7, 0))
    policy = WindowKV(12, window_tokens=4, n_observed=6, layers_per_group=2, beta=3)
    with kv.enable(model) as memory:
        cache = memory.cache(policy, log=True)
        sequences, logits = generated(model, ids, mask, cache, n_new=8, **options)
        assert policy.budgets(4) == [16, 16, 8, 8]
        sizes = [layer.keys.shape[2] for layer in cache.managed]
        assert sizes == [16 + 6 + 7] * 2 + [8 + 6 + 7] * 2
        assert [one.layer for one in cache.log] == [0, 1, 2, 3]
        assert (cache.log[0].slots == cache.log[1].slots).all()
        assert (cache.log[2].slots == cache.log[3].slots).all()
    with masking(model, cache.log) as stock:
        again, masked = generated(model, ids, mask, stock, n_new=8, **options)
    assert (again == sequences).all()
    assert (masked - logits).abs().max() < 1e-9


@pytest.mark.torch
@pytest.mark.usefixtures("chunks_like_wholes")
def test_a_prompt_in_chunks_is_chosen_from_at_its_end(decoder, texts, generated):
    model = decoder(num_hidden_layers=4)
    ids, mask = texts(n=60, pad=(7, 0))
    policy = WindowKV(12, window_tokens=4, n_observed=6, layers_per_group=2)
    with kv.enable(model) as memory:
        whole, parts = memory.cache(policy, log=True), memory.cache(policy, log=True, prefill="end")
        one, _ = generated(model, ids, mask, whole)
        other, _ = generated(model, ids, mask, parts, prefill_chunk_size=16)
    assert (one == other).all()
    assert len(whole.log) == len(parts.log) == 4
    pairs = zip(whole.log, parts.log, strict=True)
    assert all((a.slots == b.slots).all() for a, b in pairs)


@pytest.mark.torch
def test_layers_with_a_sliding_window_do_not_lead(decoder, texts, generated):
    model = decoder("gemma3", pad_token_id=0)
    ids, mask = texts(n=60)
    policy = WindowKV(12, window_tokens=4, n_observed=6, layers_per_group=4)
    with kv.enable(model) as memory:
        cache = memory.cache(policy, log=True)
        generated(model, ids, mask, cache)
    assert [one.layer for one in cache.log] == [1, 3]
    assert (cache.log[0].slots == cache.log[1].slots).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task": "qa"}, r"WindowKV\.task must be one of .*, got 'qa'"),
        ({"window_tokens": 0}, r"WindowKV\.window_tokens must be >= 1, got 0"),
        ({"n_observed": 0}, r"WindowKV\.n_observed must be >= 1, got 0"),
        ({"n_best": 0}, r"WindowKV\.n_best must be >= 1, got 0"),
        ({"layers_per_group": 0}, r"WindowKV\.layers_per_group must be >= 1, got 0"),
        ({"beta": 0}, r"WindowKV\.beta must be >= 1, got 0"),
    ],
)
def test_rejects_options_outside_their_range(options, message):
    with pytest.raises(ParameterError, match=message):
        WindowKV(8, **options)


QUESTIONS = (
    "{} Where did the {} go?",
    "Read the passage and answer.\n{}\nQuestion: who met the {}?\nAnswer:",
    "{}\nWhat is the special number of the {}?",
    "{} When was the {} sold for the first time?",
    "Context: {}\nBased on it, which year names the {}?",
    "{}\n\nQ: How many days did the {} take?\nA:",
)
GATHERINGS = (
    "Summarize the report.\n{} The {} is discussed.",
    "{} The {} was there.\n\nSummary:",
    "Translate the text into French: {} The {}.",
    "{}\nPlease list all that is said about the {}.",
    "Input: {}\nOutput: a\nInput: {}\nOutput: b\nInput: c\nOutput: d\nInput: e\nOutput:",
    "```python\n# {}\ndef {}():\n```\nComplete the function.",
)
WORDS = ("harbour", "letter", "winter", "engine", "garden", "treaty", "violin", "market")


def prompts(seed, n):
    """Prompts with filling between, and their tasks."""
    draw = np.random.default_rng(seed)
    texts, tasks = [], []
    for i in range(n):
        task = (LOCALIZATION, AGGREGATION)[i % 2]
        shape = draw.choice(QUESTIONS if task == LOCALIZATION else GATHERINGS)
        filling = " ".join(draw.choice(WORDS, size=int(draw.integers(20, 700)))) + "."
        texts.append(shape.format(filling, draw.choice(WORDS)))
        tasks.append(task)
    return texts, tasks


def test_rules_tell_questions_from_the_rest():
    texts, tasks = prompts(seed=0, n=120)
    assert [RuleTasks().task(text) for text in texts] == tasks
    assert RuleTasks().task("Could you summarise what he asked?") == AGGREGATION
    assert RuleTasks().task("") == AGGREGATION
    assert RuleTasks(otherwise=LOCALIZATION).task("Ana lives here.") == LOCALIZATION
    middle = "word " * 300 + "Summarise this. " + "word " * 300 + "Who was it?"
    assert RuleTasks().task(middle) == LOCALIZATION


def test_a_learned_classifier_tells_prompts_that_it_has_not_seen():
    texts, tasks = prompts(seed=1, n=160)
    learned = LearnedTasks.fit(texts, tasks)
    others, wanted = prompts(seed=2, n=100)
    right = np.mean([learned.task(t) == task for t, task in zip(others, wanted, strict=True)])
    assert right >= 0.95
    again = LearnedTasks.fit(texts, tasks)
    assert (again.weights == learned.weights).all()
    assert WindowKV.of_text(others[0], 64, classifier=learned).task == learned.task(others[0])


def test_learning_refuses_what_is_no_sample():
    with pytest.raises(ParameterError, match="one task for each of at least one text"):
        LearnedTasks.fit(["a"], [])
    with pytest.raises(ParameterError, match="tasks must be one of"):
        LearnedTasks.fit(["a"], ["qa"])
