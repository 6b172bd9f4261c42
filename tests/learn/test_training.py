"""Training: the cases it was made for beside their baselines, when it stops, what it refuses.

Each workload is published or follows one that is; the figures beside the assertions were measured.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from memsieve.errors import ParameterError
from memsieve.evaluate import Dataset, Question, Scope, metrics
from memsieve.learn.bernoulli import Bernoulli
from memsieve.learn.examples import Example, examples
from memsieve.learn.group_relative import (
    BudgetRecall,
    GradedRanking,
    GroupRelative,
    MemoryT1Parts,
    Ranking,
)
from memsieve.learn.nets import Adam, LinearNet
from memsieve.learn.objectives import Listwise, Pairwise, Pointwise
from memsieve.learn.scoring import best, figures, ndcg, recall
from memsieve.learn.svmlight import ndcg as graded_ndcg
from memsieve.learn.svmlight import read_svmlight
from memsieve.learn.training import Recipe, heuristic, train
from memsieve.score.features import NAMES, Features
from memsieve.score.policy import MLP, Linear
from memsieve.types import Message

SHARED_DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
FACTS = ("meaning", "speaker", "said_gap", "length", "ordinal")
"""Stand for similarity, entity, minus age, and two features of noise."""
SIMILARITY = Linear("similarity", {"meaning": 1.0})


def example(scope, names, values, gold):
    """An example of 10 tokens a candidate."""
    return Example(
        scope=scope,
        category="fact",
        question="Which one?",
        names=names,
        values=np.asarray(values, np.float32),
        gold=np.asarray(gold, float),
        n_gold=int(np.count_nonzero(gold)),
        tokens=np.full(len(gold), 10),
    )


def needed_facts(n_questions, seed):
    """24 candidates each: of 3 needed facts a fresh and a stale copy; the fresh ones are right."""
    rng, made = np.random.default_rng(seed), []
    for n in range(n_questions):
        order = rng.permutation(24)
        is_copy, is_stale, gold = order < 6, (order >= 3) & (order < 6), order < 3
        columns = [
            0.6 * is_copy + rng.normal(scale=0.45, size=24),
            rng.random(24) < np.where(is_copy, 0.85, 0.15),
            -(rng.uniform(0, 0.6, 24) + 0.35 * is_stale),
            rng.normal(size=24),
            rng.normal(size=24),
        ]
        made.append(example(f"scope-{n % 4}", FACTS, np.stack(columns, axis=1), gold))
    return made


def scores_by(policy, one):
    return policy.score(Features(one.names, one.values)).values


def mean_recall(many, policy, k):
    return float(np.mean([recall(one, scores_by(policy, one), k) for one in many]))


@pytest.fixture(scope="module")
def workload():
    """Training and test questions of the published workload, and what similarity alone reaches."""
    learned, asked = needed_facts(400, seed=0), needed_facts(1000, seed=99)
    return learned, asked, mean_recall(asked, SIMILARITY, 4)


def four_of_them(method):
    """The share of needed facts among four drawn candidates: 40 tokens hold four."""
    return GroupRelative(BudgetRecall(40), n_kept=4) if method == "group-relative" else method


@pytest.mark.parametrize(
    ("method", "least"),
    # Measured .676, .676 and .673; published: .677 to .679 for group-relative, .679 from labels.
    [("group-relative", 0.64), (Listwise(1.0), 0.64), (Pairwise(), 0.64)],
    ids=["group-relative", "listwise", "pairwise"],
)
def test_finds_fresh_facts_where_similarity_finds_stale_ones(workload, method, least):
    learned, asked, by_similarity = workload
    assert by_similarity == pytest.approx(0.451, abs=0.015)  # as published
    recipe = Recipe(n_steps=200, learning_rate=0.05)
    policy = train(
        learned, four_of_them(method), recipe, start=SIMILARITY, stops_early=False
    ).policy
    reached = mean_recall(asked, policy, 4)
    assert reached >= least
    assert reached >= by_similarity + 0.18
    weights = dict(policy.weights)
    noise = max(abs(weights.pop("length")), abs(weights.pop("ordinal")))
    # All three others rise; the share of the noise was .10 to .24 over four seeds.
    assert noise < 0.3 * min(weights.values())


def test_a_small_network_learns_what_no_linear_scorer_can(workload):
    rng, made = np.random.default_rng(0), []
    for n in range(120):
        signs = rng.choice([-1.0, 1.0], size=(16, 2))
        made.append(example(f"{n % 3}", ("kin", "words"), signs, signs.prod(axis=1) > 0))
    learned, asked = made[:60], made[60:]
    found = {
        kind: mean_recall(
            asked,
            train(
                learned,
                Listwise(1.0),
                Recipe(kind=kind, n_steps=300, learning_rate=0.03),
                stops_early=False,
            ).policy,
            6,
        )
        for kind in ("linear", "mlp")
    }
    assert found["mlp"] > found["linear"] + 0.25


DEEDS = (
    "painted the garden fence", "rowed across the lake", "baked rye bread", "sang with the choir",
    "visited the harbour museum", "repaired the old bicycle", "planted tomatoes",
    "climbed the church tower",
)  # fmt: skip
FRIENDS = ("Ruth", "Omar", "Ines", "Pavel", "Greta", "Hugo")
TIMES = (
    "words", "words_near", "said_inside", "said_gap", "event_inside", "event_overlap",
    "event_gap", "dated", "length",
)  # fmt: skip


def diary(seed):
    """24 dated sessions of three deeds; the same deeds come again and again in other months.

    Three of ten are told a month late, so the day of the session is not enough.
    """
    rng, day = np.random.default_rng(seed), datetime(2025, 1, 5, 10, tzinfo=UTC)
    turns, told = [], {}
    for n in range(24):
        day += timedelta(days=int(rng.integers(8, 16)))
        for deed in rng.choice(DEEDS, 3, replace=False).tolist():
            is_late, friend = rng.random() < 0.3, rng.choice(FRIENDS)
            month = day.replace(day=1) - timedelta(days=1) if is_late else day
            text = f"{friend} and I {deed}{' last month' if is_late else ''}."
            at, key = day + timedelta(minutes=len(turns)), f"t{len(turns)}"
            turns.append(Message(text, key=key, session=f"s{n}", speaker="Ana", at=at))
            told.setdefault((deed, f"{month:%B %Y}"), []).append(key)
    asked = [
        Question(f"Who {deed} with Ana in {month}?", tuple(keys), "time")
        for (deed, month), keys in told.items()
    ]
    return Scope(str(seed), tuple(turns), tuple(asked))


def f1(one, chosen):
    return 2 * one.gold[chosen].sum() / (len(chosen) + one.n_gold)


def test_the_reward_of_memory_t1_beats_bm25_and_its_answer_alone_on_dated_look_alikes():
    learned, asked = (
        [
            one.only(TIMES)
            for one in examples(Dataset("diaries", tuple(map(diary, seeds))), embedder="none")
        ]
        for seeds in (range(4), range(100, 104))
    )
    # The best depth in hindsight: six of about thirty candidates, of which 1.4 are evidence.
    by_words = max(
        np.mean([f1(one, best(one.column("words"), k)) for one in asked]) for k in range(1, 11)
    )

    def trained(reward):
        """F1 of the candidates that the policy would rather take than leave: it may take any."""
        objective = GroupRelative(reward, Bernoulli())
        recipe = Recipe(n_steps=400, n_questions=16, learning_rate=0.1)
        start = Linear("words", {"words": 1.0})
        policy = train(learned, objective, recipe, start=start, stops_early=False).policy
        return np.mean([f1(one, np.flatnonzero(scores_by(policy, one) > 0)) for one in asked])

    whole, answer_alone = trained(MemoryT1Parts()), trained(MemoryT1Parts(1, 0, 0))
    # Measured .50 against .24 and .20: nothing tells the answer alone to leave anything out.
    assert whole >= by_words + 0.15
    assert whole >= answer_alone + 0.15


@pytest.fixture(scope="module")
def graded():
    """LightGBM's training and test questions: standardised features cut at 3, and grades."""
    if not (SHARED_DATA / "lambdarank").is_dir():
        pytest.skip("LightGBM's example (../shared/data/lambdarank) is not here")

    def read(name):
        file = SHARED_DATA / "lambdarank" / name
        questions = read_svmlight(file, file.with_name(f"{name}.query"))
        return [
            (Features((), q.values).standardised(3.0), example("s", (), q.values[:, :0], q.grades))
            for q in questions
        ]

    return read("rank.train"), read("rank.test")


def test_the_linear_policy_ranks_the_questions_of_lightgbm_as_published(graded):
    learned, asked = graded

    def trained(seed):
        """NDCG@3 after five passes, a step a question."""
        rng, net = np.random.default_rng(seed), LinearNet(np.zeros(learned[0][0].shape[1]))
        adam = Adam(net.parameters, learning_rate=5e-3)
        objective = GroupRelative(GradedRanking(), n_kept=3, baseline="group")
        for at in np.concatenate([rng.permutation(len(learned)) for _ in range(5)]):
            z, one = learned[at]
            (gradient,) = net.gradients(z, objective.gradient(net.scores(z), one, rng))
            adam.step(net.parameters, [gradient + 1e-3 * net.parameters[0]])
        return np.mean([graded_ndcg(net.scores(z), one.gold, 3) for z, one in asked])

    # Measured .692 on average, .676 to .710; published .70, gradient boosted trees .65, random .43.
    assert np.mean([trained(seed) for seed in range(3)]) >= 0.66


def agreeing(sign_of_scope, n_questions=12):
    """Scopes whose evidence lies at one end of a feature or, by its sign, at the other."""
    rng, made = np.random.default_rng(0), []
    for scope, sign in sign_of_scope.items():
        for _ in range(n_questions):
            values = rng.normal(size=(12, 2))
            made.append(example(scope, ("kin", "words"), values, values[:, 0] * sign > 1))
    return [one for one in made if one.teaches]


@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_the_same_seed_gives_the_same_policy_and_another_seed_another(kind):
    many = agreeing({"a": 1, "b": 1})
    recipe = Recipe(kind=kind, n_steps=30, every=10, n_questions=4)
    first, again, other = (
        train(many, GroupRelative(), replace(recipe, seed=seed)).policy.to_json()
        for seed in (1, 1, 2)
    )
    assert first == again
    assert first["weights"] != other["weights"]


def test_what_holds_in_no_other_conversation_is_not_learned_at_all():
    # Whichever scope is put aside, those that are left say the opposite more often.
    many = agreeing({"a": 1, "b": -1, "c": 1, "d": -1})
    start = Linear("start", {"kin": 0.0, "words": 0.5})
    trained = train(many, Listwise(), Recipe(n_steps=60, every=20), start=start)
    assert trained.n_steps == 0
    assert dict(trained.policy.weights) == {"kin": 0.0, "words": 0.5}
    for one, aside in zip(many, trained.aside, strict=True):
        assert aside == pytest.approx(scores_by(start, one), abs=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_labels_that_are_noise_give_never_less_than_the_start(seed):
    rng = np.random.default_rng(seed)
    many = [
        example(f"{n % 4}", NAMES, rng.normal(size=(20, len(NAMES))), np.eye(20)[n % 20])
        for n in range(40)
    ]
    trained = train(many, Listwise(), Recipe(n_steps=60, every=20))
    assert trained.curve[trained.n_steps].goal >= trained.curve[0].goal


@pytest.mark.parametrize(
    "options", [{}, {"kind": "mlp", "n_members": 3, "learning_rate": 0.01}], ids=["linear", "mlp"]
)
def test_what_is_put_aside_is_scored_by_policies_that_did_not_see_it(options):
    many = agreeing({"a": 1, "b": 1, "c": 1})
    trained = train(many, Listwise(), Recipe(n_steps=50, every=20, **options), name="mine")
    assert list(trained.curve) == [0, 20, 40, 50]
    assert trained.n_steps == max(trained.curve, key=lambda step: trained.curve[step].goal) > 0
    assert trained.curve[trained.n_steps].recall5 > trained.curve[0].recall5 + 0.2
    assert trained.curve[trained.n_steps] == figures(many, trained.aside)
    assert set(trained.by_scope) == {"a", "b", "c"}
    for one, aside in zip(many, trained.aside, strict=True):
        assert scores_by(trained.by_scope[one.scope], one) == pytest.approx(aside, abs=1e-5)
    assert (trained.policy.name, trained.by_scope["a"].name) == ("mine", "mine, without a")
    # The policy itself was trained on everything, so it is none of them.
    assert trained.policy.weights != trained.by_scope["a"].weights


def test_the_members_of_a_network_are_trained_from_seeds_of_their_own():
    many, recipe = agreeing({"a": 1}), Recipe(kind="mlp", n_steps=20, n_hidden=4)
    whole = train(many, Listwise(), replace(recipe, n_members=2), stops_early=False).policy
    apart = [
        train(many, Listwise(), replace(recipe, seed=seed), stops_early=False).policy
        for seed in (0, 1)
    ]
    assert apart[0].hidden.tolist() != apart[1].hidden.tolist()
    assert whole.hidden == pytest.approx(np.hstack([one.hidden for one in apart]))
    mean = np.mean([scores_by(one, many[0]) for one in apart], axis=0)
    assert scores_by(whole, many[0]) == pytest.approx(mean)


def test_without_early_stopping_all_steps_are_taken_and_nothing_is_put_aside():
    told = []
    trained = train(
        agreeing({"a": 1}),
        Pointwise(),
        Recipe(n_steps=7),
        stops_early=False,
        progress=lambda *done: told.append(done),
    )
    assert (trained.n_steps, trained.aside, trained.by_scope, trained.curve) == (7, (), {}, {})
    assert told == [("all", step, 7) for step in range(1, 8)]
    assert trained.seconds > 0


def test_progress_names_the_fold_and_the_last_training():
    told = []
    train(
        agreeing({"a": 1, "b": 1, "c": 1}),
        Listwise(),
        Recipe(n_steps=2, every=1),
        n_folds=2,
        progress=lambda what, step, total: told.append(what),
    )
    assert list(dict.fromkeys(told)) == ["fold 1 of 2", "fold 2 of 2", "all"]


def test_training_starts_at_the_untrained_sum_and_is_pulled_back_to_its_start():
    assert heuristic(("words", "meaning", "dated")).tolist() == [0, 0.5, 0.5]
    many, start = agreeing({"a": 1}), Linear("start", {"words": 2.0})
    found = [
        train(
            many, Listwise(), Recipe(n_steps=200, pull=pull), start=start, stops_early=False
        ).policy.weights
        for pull in (0, 0.1, 1)
    ]
    free, light, heavy = (weights["kin"] for weights in found)
    assert free > light > heavy > 0
    free, light, heavy = (weights["words"] for weights in found)  # which say nothing here
    assert free < light < heavy < 2


def test_questions_that_teach_nothing_change_nothing_but_the_figures():
    many = agreeing({"a": 1, "b": 1})
    silent = example("b", ("kin", "words"), np.zeros((3, 2)), [0, 0, 0])
    recipe = Recipe(n_steps=20, every=10)
    plain, more = train(many, Listwise(), recipe), train([*many, silent], Listwise(), recipe)
    assert more.policy.weights == plain.policy.weights
    assert more.curve == plain.curve  # without evidence it counts in no figure
    assert more.aside[-1].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("many", "options", "rule"),
    [
        ([], {}, "there is nothing to learn"),
        ([example("a", ("kin",), [[1.0]], [1])], {}, "there is nothing to learn"),
        (agreeing({"a": 1}), {}, "takes at least 2 and at most 1 folds"),
        (agreeing({"a": 1, "b": 1}), {"n_folds": 3}, "at most 2 folds of 2 conversations, got 3"),
        (
            [*agreeing({"a": 1}), example("b", ("kin", "words"), [[1.0, 0.0]], [1])],
            {},
            "nothing is left to learn from without a",
        ),
        (
            [*agreeing({"a": 1}), example("b", ("words", "kin"), np.eye(2), [1, 0])],
            {},
            "the same features in the same order",
        ),
        (
            agreeing({"a": 1, "b": 1}),
            {"start": Linear("other", {"kin": 1.0, "dated": 1.0})},
            "the start weighs 'dated', which the examples do not have",
        ),
        (
            agreeing({"a": 1, "b": 1}),
            {"start": MLP("net", {"kin": 1.0}, np.zeros((1, 1)), np.zeros(1), np.zeros(1))},
            "only a linear policy can be started from, got mlp",
        ),
    ],
)
def test_what_cannot_be_trained_on_is_refused(many, options, rule):
    with pytest.raises(ParameterError, match=rule):
        train(many, Listwise(), Recipe(n_steps=1), **options)


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"kind": "tree"}, r"Recipe\.kind must be linear or mlp, got 'tree'"),
        *[
            ({name: value}, rf"Recipe\.{name} must be a whole number >= 1, got {value}")
            for name in ("n_steps", "n_questions", "n_hidden", "n_members", "every")
            for value in (0, -3, 2.0, True)
        ],
        ({"n_members": 2}, r"Recipe\.n_members is for an mlp"),
        *[({"learning_rate": rate}, r"must be in \(0, 1\]") for rate in (0, -1, 1.1, np.nan)],
        *[({"pull": pull}, r"must be in \[0, 1\]") for pull in (-0.1, 1.1, np.nan)],
    ],
)
def test_a_recipe_outside_its_rules_is_refused(options, rule):
    with pytest.raises(ParameterError, match=rule):
        Recipe(**options)


def test_the_figures_are_those_that_retrieval_is_measured_by():
    rng = np.random.default_rng(4)
    for _ in range(20):
        gold = rng.random(30) < 0.2
        one = example("s", ("kin",), np.zeros((30, 1)), gold)
        beyond = int(rng.integers(3)) + (not gold.any())  # evidence that is no candidate
        one = replace(one, n_gold=one.n_gold + beyond)
        scores = rng.normal(size=30)
        ranked = [str(i) for i in np.argsort(-scores)]
        right = {*map(str, np.flatnonzero(gold)), *(f"lost {n}" for n in range(beyond))}
        for k in (1, 5, 10):
            assert recall(one, scores, k) == pytest.approx(metrics.recall(ranked, right, k))
            assert ndcg(one, scores, k) == pytest.approx(metrics.ndcg(ranked, right, k))


def test_of_equal_scores_the_earlier_candidate_comes_first():
    assert best(np.array([1.0, 2.0, 2.0, 1.0]), 3).tolist() == [1, 2, 0]
    assert best(np.arange(300) % 3.0, 100).tolist() == list(range(2, 300, 3))
    graded = example("s", ("kin",), np.zeros((2, 1)), [1, 3])
    assert ndcg(graded, np.zeros(2), 2) == pytest.approx(
        (1 + 7 / np.log2(3)) / (7 + 1 / np.log2(3))
    )


def test_figures_are_means_over_the_questions_with_evidence():
    right, wrong = (example("s", ("kin",), np.zeros((2, 1)), gold) for gold in ([1, 0], [0, 1]))
    none = example("s", ("kin",), np.zeros((2, 1)), [0, 0])
    found = figures([right, wrong, none], [np.array([1.0, 0.0])] * 3)
    second = 1 / np.log2(3)
    assert (found.recall1, found.recall5) == (0.5, 1)
    assert found.ndcg10 == pytest.approx((1 + second) / 2)
    assert found.goal == pytest.approx((2 + (1 + second) / 2) / 3)
    assert figures([none], [np.zeros(2)]).goal == 0


def test_the_default_objective_is_the_ranking_of_ten():
    assert GroupRelative() == GroupRelative(Ranking(), n_kept=10, n_samples=8)
