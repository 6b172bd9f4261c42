"""Learning from what people said of recalls, and the proof that it helped before it is adopted."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from memsieve.errors import ParameterError
from memsieve.evaluate.metrics import paired_bootstrap
from memsieve.learn.examples import Example
from memsieve.learn.objectives import Objective
from memsieve.learn.plackett_luce import PlackettLuce
from memsieve.learn.scoring import ndcg
from memsieve.learn.training import Progress, Recipe, Trained, train
from memsieve.memory import Memory
from memsieve.score.features import NAMES, Features
from memsieve.score.policy import Policy
from memsieve.store.recalls import RecallRow

FEWEST = 20
"""Judged recalls below which an interval says nothing and nothing is trained."""
FOLDS = 5


@dataclass(frozen=True, slots=True)
class Comparison:
    """A new policy beside the one in use, on recalls that its training had put aside.

    difference, low, high: of NDCG@10 over the items that were used, with the 95 % interval of a
    paired bootstrap; n_recalls: judged recalls with used items, which it rests on.
    """

    trained: Trained
    difference: float
    low: float
    high: float
    n_recalls: int

    @property
    def wins(self) -> bool:
        """Whether the whole interval lies above zero."""
        return self.low > 0


def from_feedback(memory: Memory, *, namespace: str | None = None) -> list[Example]:
    """Every judged recall as an example: evidence is what was used.

    A feature that an old recall did not have is zero, one that no policy knows any more is left
    out. Recalls that only have a reward keep what was picked, in order.
    """
    return [_example(row, n) for n, row in enumerate(memory.judged(namespace=namespace))]


def _example(row: RecallRow, number: int) -> Example:
    values = np.zeros((row.seqs.size, len(NAMES)), np.float32)
    for at, name in enumerate(NAMES):
        if name in row.names:
            values[:, at] = row.values[:, row.names.index(name)]
    picked = np.flatnonzero(row.ranks > 0)
    drawn = picked[np.argsort(row.ranks[picked])]
    return Example(
        scope=f"feedback/{number % FOLDS}",
        category="feedback",
        question=row.id,
        names=NAMES,
        values=values,
        gold=row.used.astype(float),
        n_gold=int(row.used.sum()),
        tokens=np.zeros(row.seqs.size, np.int64),
        drawn=tuple(drawn.tolist()),
        reward=row.reward,
    )


@dataclass(frozen=True, slots=True)
class WithRewards:
    """`inner` where items were named as used; else the gradient of one rewarded selection.

    loss = -(reward - mean reward) ln p(what was picked, in its order). One selection a question
    and the same rewards for all would teach nothing: the mean over all recalls is the baseline.
    What was picked came from the policy then in use, without noise, so no importance ratio is
    known and none is applied: such feedback moves a policy, it does not estimate one.
    """

    inner: Objective
    mean_reward: float

    def gradient(
        self, scores: np.ndarray, example: Example, rng: np.random.Generator
    ) -> np.ndarray:
        if example.n_gold or example.reward is None:
            return self.inner.gradient(scores, example, rng)
        ascent = PlackettLuce().gradient(scores, np.array([example.drawn[:10]]))[0]
        return -(example.reward - self.mean_reward) * ascent


def train_from_feedback(
    examples: Sequence[Example],
    in_use: Policy,
    objective: Objective,
    recipe: Recipe,
    *,
    start: Policy | None = None,
    name: str = "feedback",
    progress: Progress | None = None,
) -> Comparison:
    """Train on judged recalls and compare with the policy in use on those put aside.

    The comparison leans to the policy in use: people can only name items that they were shown, and
    those are the ones that it ranked high.

    Raises
    ------
    ParameterError
        If fewer than `FEWEST` recalls name what was used.
    """
    named = [example for example in examples if example.n_gold]
    if len(named) < FEWEST:
        raise ParameterError(
            f"{len(named)} recalls say which items were used, training takes {FEWEST}: give more"
            " feedback"
        )
    rewards = [example.reward for example in examples if example.reward is not None]
    mixed = WithRewards(objective, float(np.mean(rewards)) if rewards else 0.0)
    trained = train(examples, mixed, recipe, start=start, name=name, progress=progress)
    pairs = [
        (ndcg(example, scores, 10), ndcg(example, _scores(in_use, example), 10))
        for example, scores in zip(examples, trained.aside, strict=True)
        if example.n_gold
    ]
    new, old = zip(*pairs, strict=True)
    difference, low, high = paired_bootstrap(new, old)
    measured = {
        "feedback": {
            "recalls": len(named),
            "ndcg10_difference": round(difference, 4),
            "interval": [round(low, 4), round(high, 4)],
            "against": in_use.name,
        }
    }
    policy = replace(trained.policy, measured=measured)
    return Comparison(replace(trained, policy=policy), difference, low, high, len(named))


def _scores(policy: Policy, example: Example) -> np.ndarray:
    return policy.score(Features(example.names, example.values)).values
