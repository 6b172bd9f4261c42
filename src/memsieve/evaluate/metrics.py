"""How retrieval is scored: pure functions of what was returned and what would have been right.

Everywhere `ranked` is what a system returned, best first, each key once, and `gold` the keys
that answer the question. Gain is binary. Every figure lies in [0, 1] and higher is better.
A question without gold has no figure: these functions refuse it rather than call it 0 or 1.

    recall            share of the gold among the first k                     turn recall@k
    recall_all        1 if all of the gold is among the first k               session recall_all@3
    ndcg              order inside the first k, ideal cut at k as well        NDCG@10
    reciprocal_rank   1 / place of the first gold key, its mean is MRR        MRR
    budget_recall     share of the gold inside a context of bounded tokens    budget recall
"""

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from memsieve.errors import ParameterError


def recall(ranked: Sequence[str], gold: Collection[str], k: int) -> float:
    """Share of the gold keys among the first `k` returned.

    recall@k = |gold ∩ ranked[:k]| / |gold|. O(k).

    Parameters
    ----------
    k
        Depth, >= 1. A ranking shorter than k is taken as it is.

    Raises
    ------
    ParameterError
        If `k` < 1 or `gold` is empty.

    Examples
    --------
    >>> recall(["a", "x", "b", "c"], gold={"a", "b", "c"}, k=3)
    0.6666666666666666
    """
    wanted = _gold(gold)
    return len(wanted.intersection(ranked[: _depth(k)])) / len(wanted)


def recall_all(ranked: Sequence[str], gold: Collection[str], k: int) -> float:
    """1.0 if every gold key is among the first `k` returned, else 0.0. O(k).

    Raises
    ------
    ParameterError
        If `k` < 1 or `gold` is empty.

    Examples
    --------
    >>> recall_all(["a", "x", "b"], gold={"a", "b"}, k=2), recall_all(["a", "b"], {"a", "b"}, k=2)
    (0.0, 1.0)
    """
    return float(_gold(gold).issubset(ranked[: _depth(k)]))


def ndcg(ranked: Sequence[str], gold: Collection[str], k: int = 10) -> float:
    """Normalised discounted cumulative gain of the first `k`, with binary gain.

    DCG@k = sum over the places i = 1..k that hold a gold key of 1 / log2(i + 1); the ideal
    puts min(|gold|, k) gold keys first, so a question with 30 gold turns can still reach 1
    at k = 10. O(k).

    Raises
    ------
    ParameterError
        If `k` < 1 or `gold` is empty.

    Examples
    --------
    >>> round(ndcg(["x", "a"], gold={"a"}), 4)  # 1 / log2(3)
    0.6309

    References
    ----------
    Järvelin and Kekäläinen, TOIS 2002. Differs: the discount starts at the second place
    (log2(i + 1)), which is how the measure is computed today; theirs leaves it undiscounted.
    """
    wanted = _gold(gold)
    discount = 1.0 / np.log2(np.arange(2, _depth(k) + 2))
    found = sum(float(discount[i]) for i, key in enumerate(ranked[:k]) if key in wanted)
    return found / float(discount[: len(wanted)].sum())


def reciprocal_rank(ranked: Sequence[str], gold: Collection[str]) -> float:
    """1 / place of the first gold key, counting from 1; 0.0 if none was returned. O(|ranked|).

    Its mean over questions is MRR. A ranking cut at 50 cannot tell place 51 from never.

    Raises
    ------
    ParameterError
        If `gold` is empty.

    Examples
    --------
    >>> reciprocal_rank(["x", "a", "b"], gold={"a", "b"}), reciprocal_rank(["x"], gold={"a"})
    (0.5, 0.0)
    """
    wanted = _gold(gold)
    return next((1.0 / place for place, key in enumerate(ranked, 1) if key in wanted), 0.0)


def budget_recall(packed: Collection[str], gold: Collection[str]) -> float:
    """Share of the gold keys inside a context that fits a token budget.

    |gold ∩ packed| / |gold|. Whether `packed` fits is for the runner to check: it refuses a
    system that exceeds its budget.

    Raises
    ------
    ParameterError
        If `gold` is empty.

    Examples
    --------
    >>> budget_recall({"a", "x"}, gold={"a", "b"})
    0.5
    """
    wanted = _gold(gold)
    return len(wanted.intersection(packed)) / len(wanted)


def macro(values: Mapping[str, float | None]) -> float | None:
    """Mean over categories of a figure that is a mean over the questions of each.

    Every category weighs the same, however many questions it has. Categories without the
    figure (None) are left out; None if there are none left.

    Examples
    --------
    >>> macro({"multi-hop": 0.5, "temporal": 1.0, "adversarial": None})
    0.75
    """
    known = [value for value in values.values() if value is not None]
    return float(np.mean(known)) if known else None


def paired_bootstrap(
    a: Sequence[float], b: Sequence[float], n: int = 2000, seed: int = 0
) -> tuple[float, float, float]:
    """How much better `a` is than `b` on the same questions, with a 95 % interval.

    difference = mean(a - b); the interval holds the middle 95 % of that mean over `n`
    resamples of the questions with replacement (percentile bootstrap). Pairing removes what
    both share, the difficulty of a question. O(n |a|).

    Parameters
    ----------
    a, b
        One figure per question, the same questions in the same order.
    n
        Resamples, >= 1. At 2,000 an end of the interval moves by about 2 % of its width
        between seeds.
    seed
        Same seed, same interval.

    Returns
    -------
    (difference, low, high)
        Questions of one conversation resemble one another and are resampled one by one, so
        the interval speaks of these conversations and is too narrow for others.

    Raises
    ------
    ParameterError
        If the lengths differ, there is no question, a figure is not finite, or `n` < 1.

    Examples
    --------
    >>> paired_bootstrap([1, 1, 1, 1], [0, 0, 0, 0])
    (1.0, 1.0, 1.0)

    References
    ----------
    Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
    """
    if len(a) != len(b) or len(a) == 0:
        raise ParameterError(
            "paired_bootstrap needs one figure per question for both systems, "
            f"got {len(a)} and {len(b)}: run both on the same questions"
        )
    if n < 1:
        raise ParameterError(f"paired_bootstrap.n must be >= 1, got {n!r}")
    gaps = np.asarray(a, dtype=float) - np.asarray(b, dtype=float)
    if not np.isfinite(gaps).all():
        raise ParameterError("paired_bootstrap needs finite figures, got NaN or infinity")
    draws = np.random.default_rng(seed)
    # one resample at a time: n * |a| indices at once would take 160 MB at 10,000 questions
    means = [gaps[draws.integers(gaps.size, size=gaps.size)].mean() for _ in range(n)]
    low, high = np.percentile(means, [2.5, 97.5])
    return float(gaps.mean()), float(low), float(high)


def _gold(gold: Collection[str]) -> frozenset[str]:
    if not gold:
        raise ParameterError("gold must hold at least one key, got none: skip the question")
    return frozenset(gold)


def _depth(k: int) -> int:
    if k < 1:
        raise ParameterError(f"k must be >= 1, got {k!r}")
    return k
