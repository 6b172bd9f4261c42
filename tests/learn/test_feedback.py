"""Learning from use: examples from what people said of recalls, and proof before adoption."""

import json

import numpy as np
import pytest

from memsieve.errors import ParameterError
from memsieve.learn.examples import Example
from memsieve.learn.feedback import FEWEST, WithRewards, from_feedback, train_from_feedback
from memsieve.learn.group_relative import GroupRelative
from memsieve.learn.objectives import Listwise
from memsieve.learn.plackett_luce import PlackettLuce
from memsieve.learn.training import Recipe
from memsieve.score.features import NAMES, Features
from memsieve.score.policy import Linear, load

THINGS = ("kiln", "loom", "canoe", "piano", "stove", "saddle", "lantern", "anvil", "tent", "easel")
QUICK = Recipe(n_steps=100, every=50)
RNG = np.random.default_rng(0)


@pytest.fixture
def memory(opened):
    """Five turns about each of ten things; the third has a number."""
    one = opened(embedder="none", policy="equal")
    for thing in THINGS:
        texts = [
            f"The {thing} came from my aunt.",
            f"I keep the {thing} in the shed.",
            f"The {thing} cost me 340 euros.",
            f"Nobody else may use the {thing}.",
            f"The {thing} is older than I am.",
        ]
        one.add(list(texts), session=thing, at="2026-03-02")
    return one


def use(memory, chooses, n=40):
    """Ask about one thing after another; `chooses` gives the hit of a recall that was used."""
    for i in range(n):
        found = memory.recall(f"What about the {THINGS[i % len(THINGS)]}?", k=5)
        memory.feedback(found.id, [chooses(found).id])


def with_number(found):
    """A user to whom only numbers are an answer."""
    return max(found, key=lambda hit: any(letter.isdigit() for letter in hit.text))


def number_first(found):
    return "340" in found[0].text


def example(gold, *, values=None, reward=None, drawn=(), scope="feedback/0"):
    n = len(gold)
    return Example(
        scope=scope,
        category="feedback",
        question="recall",
        names=NAMES,
        values=np.zeros((n, len(NAMES)), np.float32) if values is None else values,
        gold=np.array(gold, float),
        n_gold=int(sum(gold)),
        tokens=np.zeros(n, np.int64),
        drawn=drawn,
        reward=reward,
    )


def test_a_judged_recall_is_an_example_whose_evidence_is_what_was_used(memory):
    found = memory.recall("What about the canoe?", k=3)
    memory.feedback(found.id, [found[1].id, found.left_out[0].id])
    (one,) = from_feedback(memory)
    (row,) = memory.judged()
    assert (one.question, one.category, one.names) == (found.id, "feedback", NAMES)
    assert one.values == pytest.approx(row.values)
    assert one.gold.tolist() == row.used.astype(float).tolist()
    assert (one.gold.sum(), one.n_gold, one.reward) == (2, 2, None)
    assert one.teaches


def test_a_reward_alone_keeps_what_was_picked_in_its_order(memory):
    found = memory.recall("What about the canoe?", k=3)
    memory.feedback(found.id, reward=-0.5)
    (one,) = from_feedback(memory)
    assert (one.n_gold, one.reward, one.teaches) == (0, -0.5, True)
    (row,) = memory.judged()
    seqs = row.seqs[list(one.drawn)].tolist()
    assert seqs == [hit.item.seq for hit in found]


def test_features_go_by_their_names_in_whatever_order_the_file_has_them(memory, sql):
    found = memory.recall("What about the canoe?")
    memory.feedback(found.id, found[0].id)
    (before,) = from_feedback(memory)
    # As if an older version had written it: another order, "smell" in the place of "length".
    names = ["smell" if name == "length" else name for name in reversed(NAMES)]
    sql("UPDATE recall SET features = ?", json.dumps(names))
    (after,) = from_feedback(memory)
    assert after.names == NAMES
    for name, other in zip(NAMES, reversed(NAMES), strict=True):
        expected = np.zeros(before.gold.size) if name == "length" else before.column(other)
        assert after.column(name) == pytest.approx(expected)


def test_recalls_are_spread_over_five_scopes_and_namespaces_stay_apart(memory):
    memory.add("The kiln of the bank is cold.", namespace="bank")
    use(memory, with_number, n=7)
    found = memory.recall("What about the kiln?", namespace="bank")
    memory.feedback(found.id, found[0].id)
    scopes = [one.scope for one in from_feedback(memory)]
    assert scopes == [f"feedback/{n % 5}" for n in range(8)]
    assert len(from_feedback(memory, namespace="bank")) == 1


def test_rewards_are_followed_by_the_gradient_worked_by_hand():
    scores = np.array([0.3, -0.2, 0.9, 0.0])
    mixed = WithRewards(Listwise(), mean_reward=0.2)
    one = example([0, 0, 0, 0], drawn=(2, 0), reward=0.7)
    expected = -0.5 * PlackettLuce().gradient(scores, [[2, 0]])[0]
    found = mixed.gradient(scores, one, RNG)
    assert found == pytest.approx(expected)
    assert found[2] < 0 < found[1]  # what was picked becomes likelier
    worse = mixed.gradient(scores, example([0, 0, 0, 0], drawn=(2, 0), reward=-0.3), RNG)
    assert worse == pytest.approx(-expected)
    mean = mixed.gradient(scores, example([0, 0, 0, 0], drawn=(2, 0), reward=0.2), RNG)
    assert not mean.any()


def test_of_a_long_selection_only_the_first_ten_are_followed():
    scores = np.linspace(1, 0, 15)
    found = WithRewards(Listwise(), 0.0).gradient(
        scores, example([0] * 15, drawn=tuple(range(12)), reward=1.0), RNG
    )
    assert found == pytest.approx(-PlackettLuce().gradient(scores, [list(range(10))])[0])


def test_where_items_were_named_their_objective_is_followed_instead():
    scores, one = np.array([0.3, -0.2, 0.9]), example([0, 1, 0], drawn=(2, 0), reward=0.7)
    found = WithRewards(Listwise(), mean_reward=0.2).gradient(scores, one, RNG)
    assert found == pytest.approx(Listwise().gradient(scores, one, RNG))


@pytest.mark.parametrize("objective", [Listwise(1.5), GroupRelative(n_kept=5)], ids=["list", "gr"])
def test_what_users_always_use_comes_first_and_is_adopted_by_the_file(memory, opened, objective):
    use(memory, with_number)
    asked = [f"Tell me of the {thing}." for thing in THINGS]
    assert not all(number_first(memory.recall(question)) for question in asked)
    found = train_from_feedback(from_feedback(memory), memory.scorer, objective, QUICK)
    assert found.wins
    assert 0 < found.low <= found.difference <= found.high
    assert found.n_recalls == 40
    policy = found.trained.policy
    assert policy.measured["feedback"] == {
        "recalls": 40,
        "ndcg10_difference": round(found.difference, 4),
        "interval": [round(found.low, 4), round(found.high, 4)],
        "against": memory.policy,
    }
    memory.adopt(policy)
    assert memory.policy == policy.name == "feedback"
    assert all(number_first(memory.recall(question)) for question in asked)
    again = opened()
    assert again.policy == again.stats()["policy"] == "feedback"
    assert all(number_first(again.recall(question)) for question in asked)
    assert opened(policy="equal").policy == "equal"  # whoever names one gets that
    assert again.check() == []


def test_the_policy_in_use_never_wins_against_itself(memory):
    use(memory, lambda found: found[0], n=FEWEST)
    judged = from_feedback(memory)
    found = train_from_feedback(judged, memory.scorer, Listwise(), QUICK)
    assert not found.wins
    assert found.difference <= 0  # what it put first was used: nothing can be better


@pytest.mark.parametrize("seed", range(3))
def test_users_who_choose_at_random_among_what_they_see_change_nothing(seed):
    in_use, rng, judged = load("equal"), np.random.default_rng(seed), []
    for n in range(40):
        values = rng.normal(size=(40, len(NAMES))).astype(np.float32)
        shown = np.argsort(-in_use.score(Features(NAMES, values)).values)[:10]
        gold = np.eye(40)[rng.choice(shown)]
        judged.append(example(gold, values=values, scope=f"feedback/{n % 5}"))
    found = train_from_feedback(judged, in_use, Listwise(1.5), QUICK)
    assert not found.wins
    assert found.low <= 0


def test_rewards_teach_what_nobody_named():
    rng, in_use = np.random.default_rng(0), Linear("words", {"words": 1.0})
    named, rewarded = [], []
    for n in range(100):
        values = rng.normal(size=(12, len(NAMES))).astype(np.float32)
        # Items with numbers are named, selections with questions are praised.
        numbers, questions = (values[:, NAMES.index(name)] for name in ("has_number", "asks"))
        gold, drawn = np.eye(12)[numbers.argmax()], tuple(rng.permutation(12)[:4].tolist())
        praise = float(np.clip(questions[list(drawn)].mean(), -1, 1))
        scope = f"feedback/{n % 5}"
        named.append(example(gold, values=values, scope=scope))
        rewarded.append(example([0] * 12, values=values, drawn=drawn, reward=praise, scope=scope))
    recipe = Recipe(n_steps=100, every=100)
    without, together = (
        train_from_feedback(many, in_use, Listwise(1.0), recipe, start=in_use)
        for many in (named, named + rewarded)
    )
    assert without.wins
    assert together.wins
    assert without.n_recalls == together.n_recalls == 100
    assert abs(without.trained.policy.weights["asks"]) < 0.1
    assert together.trained.policy.weights["asks"] > 0.2


@pytest.mark.parametrize("n_rewards", [0, 30])
def test_too_few_recalls_that_name_what_was_used_are_refused(n_rewards):
    named = [example([1, 0], scope=f"feedback/{n % 5}") for n in range(FEWEST - 1)]
    rewards = [example([0, 0], reward=1.0, drawn=(0,)) for _ in range(n_rewards)]
    with pytest.raises(ParameterError, match="19 recalls say which items were used, training tak"):
        train_from_feedback(named + rewards, load("equal"), Listwise(), QUICK)
    assert FEWEST == 20


def test_a_forgotten_item_teaches_nothing_any_more(memory):
    use(memory, with_number, n=10)
    numbers = [item.id for item in memory.list() if "340" in item.text]
    memory.forget(numbers)
    judged = from_feedback(memory)
    assert len(judged) == 10
    assert not any(one.teaches or one.n_gold for one in judged)
    assert memory.check() == []
