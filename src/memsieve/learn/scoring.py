"""How good an order of candidates is: the figures that training stops by and reports."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from memsieve.learn.examples import Example

FIGURES = {"recall1": "R@1", "recall5": "R@5", "recall10": "R@10", "ndcg10": "NDCG@10"}
"""The fields of `Figures` as tables head them."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Means over questions, each in [0, 1]; gain is 2^grade - 1."""

    recall1: float
    recall5: float
    recall10: float
    ndcg10: float

    @property
    def goal(self) -> float:
        """What training stops by: the mean of recall@5, recall@10 and NDCG@10."""
        return (self.recall5 + self.recall10 + self.ndcg10) / 3


def figures(examples: Sequence[Example], scores: Sequence[np.ndarray]) -> Figures:
    """The figures of scores, one array an example; questions without evidence do not count."""
    rows = [
        (*(recall(example, given, k) for k in (1, 5, 10)), ndcg(example, given, 10))
        for example, given in zip(examples, scores, strict=True)
        if example.n_gold
    ]
    means = np.mean(rows, axis=0) if rows else np.zeros(4)
    return Figures(*(float(mean) for mean in means))


def per_question(
    examples: Sequence[Example],
    scores: Sequence[np.ndarray],
    figure: Callable[[Example, np.ndarray, int], float],
    k: int,
) -> list[float]:
    """One figure for each example: what paired intervals are made of."""
    return [figure(e, s, k) for e, s in zip(examples, scores, strict=True)]


def best(scores: np.ndarray, k: int) -> np.ndarray:
    """The first `k` by score; of equal ones the earlier."""
    return np.argsort(-scores, kind="stable")[:k]


def recall(example: Example, scores: np.ndarray, k: int) -> float:
    """Share of all evidence among the first `k`; 0.0 for a question without any."""
    found = np.count_nonzero(example.gold[best(scores, k)] > 0)
    return found / example.n_gold if example.n_gold else 0.0


def ndcg(example: Example, scores: np.ndarray, k: int) -> float:
    """NDCG@k with gain 2^grade - 1; in the ideal, evidence that is no candidate has grade 1."""
    discount = 1 / np.log2(np.arange(2, k + 2))
    gain = np.exp2(example.gold) - 1
    missing = example.n_gold - np.count_nonzero(example.gold > 0)
    ideal = np.sort(np.append(gain, np.ones(max(int(missing), 0))))[::-1][:k]
    got = gain[best(scores, k)]
    whole = float(ideal @ discount[: ideal.size])
    return float(got @ discount[: got.size]) / whole if whole else 0.0
