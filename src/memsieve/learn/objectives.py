"""What a step of training follows: the gradient of a loss by the scores of one question.

Supervised objectives look at which candidates were right; `group_relative` only at the rewards of
whole selections.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from memsieve.learn.examples import Example


class Objective(Protocol):
    """A loss over the candidates of one question; lower is better."""

    def gradient(
        self, scores: np.ndarray, example: Example, rng: np.random.Generator
    ) -> np.ndarray:
        """The derivative of the loss by each score: shape (n,)."""


@dataclass(frozen=True, slots=True)
class Listwise:
    """Softmax over the candidates against the evidence.

    loss = -n_gold^(power - 1) times the mean over evidence of log softmax(scores). `power` 1 gives
    every question the same weight, 2 every piece of evidence; between them questions with much
    evidence are neither lost nor rule.

    References
    ----------
    Cao et al., Learning to Rank: From Pairwise Approach to Listwise Approach (ListNet), 2007.
    Differs: grades are shares of one whole, not exponentials.
    """

    power: float = 2.0

    def gradient(
        self, scores: np.ndarray, example: Example, rng: np.random.Generator
    ) -> np.ndarray:
        mass = np.exp(scores - scores.max())
        wanted = example.gold / example.gold.sum()
        weight = float(np.count_nonzero(example.gold)) ** (self.power - 1)
        return weight * (mass / mass.sum() - wanted)


@dataclass(frozen=True, slots=True)
class Pairwise:
    """Logistic loss over every pair of a better and a worse candidate, their mean.

    References
    ----------
    Burges et al., Learning to Rank using Gradient Descent (RankNet), 2005.
    """

    def gradient(
        self, scores: np.ndarray, example: Example, rng: np.random.Generator
    ) -> np.ndarray:
        better = example.gold[:, None] > example.gold
        # Beyond +-30 the share is 0 or 1 to the last digit, and exp would overflow.
        gap = np.clip(scores[:, None] - scores, -30, 30)
        share = better / (1 + np.exp(gap))
        n_pairs = max(int(np.count_nonzero(better)), 1)
        return (share.sum(axis=0) - share.sum(axis=1)) / n_pairs


@dataclass(frozen=True, slots=True)
class Pointwise:
    """Logistic regression on single candidates, whatever question they belong to.

    Evidence weighs as much as all other candidates of its question together, which stands for an
    intercept: standardised scores have none.
    """

    def gradient(
        self, scores: np.ndarray, example: Example, rng: np.random.Generator
    ) -> np.ndarray:
        right = example.gold > 0
        weight = np.where(right, 1 / right.sum(), 1 / max((~right).sum(), 1)) / 2
        return weight * (1 / (1 + np.exp(-np.clip(scores, -30, 30))) - right)
