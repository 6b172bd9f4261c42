"""Group-relative policy gradient: learning from what whole selections turned out to be worth.

For each question several selections are drawn from the policy, each gets a reward, and those above
their group's baseline are made likelier. The reward may be anything that can be computed: nothing
is differentiated through it.
"""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from memsieve.errors import ParameterError
from memsieve.learn.advantages import Baseline, advantages
from memsieve.learn.examples import Example
from memsieve.learn.plackett_luce import PlackettLuce
from memsieve.learn.recall_rewards import budget_reward, ranking_reward
from memsieve.learn.subsets import Subsets
from memsieve.learn.time_rewards import proximity_reward
from memsieve.score.policy import Linear


class Reward(Protocol):
    """What selections of one question are worth, higher is better."""

    def of(self, example: Example, chosen: np.ndarray) -> np.ndarray:
        """What each row of `chosen` is worth: (n_samples,); -1 stands behind a row's last."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """How well a drawn order ranks, in [0, 1]: see `ranking_reward`.

    Ours: dense, so that few groups are all alike, and it rewards the top as well as the rest.
    """

    def of(self, example: Example, chosen: np.ndarray) -> np.ndarray:
        return ranking_reward(_drawn(example.gold > 0, chosen) > 0, example.n_gold)


@dataclass(frozen=True, slots=True)
class GradedRanking:
    """NDCG@k of a drawn order with gain 2^grade - 1, in [0, 1]: for graded relevance."""

    def of(self, example: Example, chosen: np.ndarray) -> np.ndarray:
        gain = np.exp2(example.gold) - 1
        discount = 1 / np.log2(np.arange(2, chosen.shape[1] + 2))
        ideal = np.sort(gain)[::-1][: discount.size]
        return _drawn(gain, chosen) @ discount / max(float(ideal @ discount[: ideal.size]), 1e-9)


@dataclass(frozen=True, slots=True)
class BudgetRecall:
    """Share of the evidence inside a token budget, in [0, 1]: see `budget_reward`.

    Headings are not counted here.
    """

    budget_tokens: int = 500

    def __post_init__(self) -> None:
        if self.budget_tokens < 1:
            got = self.budget_tokens
            raise ParameterError(f"BudgetRecall.budget_tokens must be >= 1, got {got}")

    def of(self, example: Example, chosen: np.ndarray) -> np.ndarray:
        gold = example.gold > 0
        return budget_reward(chosen, example.tokens, gold, self.budget_tokens, example.n_gold)


@dataclass(frozen=True, slots=True)
class MemoryT1Parts:
    """The reward of Memory-T1 for a selection of turns, without a language model that answers.

    R = answer * R_a + grounding * R_g + time * R_t, in [-1, 1] with the paper's weights. R_a is 1
    if all evidence was selected and -1 otherwise: a reader could answer, or could not. R_g is
    2 Jaccard - 1. R_t is the mean of R_s over the selected turns, by the days between the day a
    turn was said and the time of the question, and of R_f, +1, +0.5 or -1 for a time mentioned
    inside, overlapping or outside it; 0 where the question names no time.

    Parameters
    ----------
    answer, grounding, time
        Weights; .6, .2 and .2 in the paper. (1, 0, 0) is its ablation with the answer alone.

    References
    ----------
    Du et al., Memory-T1, 2025, arXiv 2512.20092. Differs: the unit is a turn, not a session, and
    whether the answer is right is replaced by whether its evidence is there.
    """

    answer: float = 0.6
    grounding: float = 0.2
    time: float = 0.2

    def of(self, example: Example, chosen: np.ndarray) -> np.ndarray:
        right = _drawn(example.gold > 0, chosen).sum(axis=1)
        sizes = (chosen >= 0).sum(axis=1)
        n_gold = max(example.n_gold, 1)
        answer = np.where(right >= n_gold, 1.0, -1.0)
        grounding = 2 * right / np.maximum(sizes + n_gold - right, 1) - 1
        total = self.answer * answer + self.grounding * grounding
        return total + self.time * _temporal(example, chosen) if self.time else total


def _temporal(example: Example, chosen: np.ndarray) -> np.ndarray:
    """R_t of each selection; features say how turns lie to the time of the question."""
    inside, overlap = example.column("event_inside"), example.column("event_overlap")
    if not (example.column("said_gap").any() or example.column("said_inside").any()):
        return np.zeros(len(chosen))
    gaps = np.expm1(-example.column("said_gap")).tolist()
    proximity = np.array([proximity_reward(gap) for gap in gaps])
    fidelity = np.where(inside <= 0, -1.0, np.where(overlap >= 0.999, 1.0, 0.5))
    sizes = np.maximum((chosen >= 0).sum(axis=1), 1)
    both = 0.5 * _drawn(proximity, chosen) + 0.5 * _drawn(fidelity, chosen)
    return both.sum(axis=1) / sizes


def _drawn(values: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """What each place of each row holds, 0 behind the last: the shape of `chosen`, float."""
    return np.append(values, 0).astype(float)[chosen]  # -1 is the zero at the end


@dataclass(frozen=True, slots=True)
class GroupRelative:
    """The objective: loss = -mean over samples of advantage * ln p(selection) + kl * divergence.

    One step is taken per drawn group, so the importance ratio of the clipped objective is 1 and
    clipping has nothing to do.

    Parameters
    ----------
    reward
        What a selection is worth.
    subsets
        How selections are drawn from scores.
    n_kept, n_samples
        Items in a selection, and selections per question; 8 as published.
    baseline
        "leave-one-out" (unbiased), "mean" (Dr. GRPO), or "group" (GRPO, divided by the deviation).
    kl, reference
        Weight of the divergence from a linear policy, and that policy; 0 leaves it out. The paper
        of Memory-T1 uses .1 for its language model.

    References
    ----------
    GRPO, arXiv 2402.03300; Dr. GRPO, 2503.20783; leave-one-out, 2402.14740.
    """

    reward: Reward = field(default_factory=Ranking)
    subsets: Subsets = field(default_factory=PlackettLuce)
    n_kept: int = 10
    n_samples: int = 8
    baseline: Baseline = "leave-one-out"
    kl: float = 0.0
    reference: Linear | None = None

    def __post_init__(self) -> None:
        if not self.kl >= 0:
            raise ParameterError(f"GroupRelative.kl must be >= 0, got {self.kl!r}")
        if self.kl and self.reference is None:
            raise ParameterError("GroupRelative.kl needs the policy to stay near: reference=...")

    def gradient(
        self, scores: np.ndarray, example: Example, rng: np.random.Generator
    ) -> np.ndarray:
        """The gradient of the loss by the scores, from one group of draws: (n,)."""
        chosen = self.subsets.sample(scores, self.n_kept, self.n_samples, rng)
        worth = advantages(self.reward.of(example, chosen), self.baseline)
        gradient = -(worth @ self.subsets.gradient(scores, chosen)) / self.n_samples
        if self.kl and self.reference is not None:
            at = [example.names.index(name) for name in self.reference.features]
            home = example.z[:, at] @ np.array(list(self.reference.weights.values()))
            gradient += self.kl * self.subsets.divergence_gradient(scores, home, chosen).mean(
                axis=0
            )
        return gradient
