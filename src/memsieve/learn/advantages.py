"""How much better a sample did than the others that were drawn for the same question."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from memsieve.errors import ParameterError
from memsieve.select.arrays import Floats, Mask

Baseline = Literal["group", "mean", "leave-one-out"]
BASELINES: tuple[str, ...] = get_args(Baseline)

GROUP_EPS = 1e-4
"""Keeps a small spread from blowing up; TRL's value, verl adds 1e-6."""


def advantages(rewards: ArrayLike, baseline: Baseline = "leave-one-out") -> Floats:
    """What each sample of a group earned beyond what its group earned: the shape of `rewards`.

    With the G rewards r of a group, std taken over G - 1:

        "group"          (r_i - mean) / (std + 1e-4)        GRPO
        "mean"           r_i - mean                         Dr. GRPO
        "leave-one-out"  r_i - mean of the other G - 1      RLOO

    RLOO is G / (G - 1) times Dr. GRPO and the only unbiased one. The division of GRPO makes
    groups count alike whose rewards hardly differ. The advantages of a group sum to 0; those of
    equal rewards are exactly 0. O(size).

    Parameters
    ----------
    rewards
        (..., G) finite, G >= 2: the last axis runs over the samples of one question.
    baseline
        One of `BASELINES`. The default is the unbiased one; small scorers need no scaling.

    Raises
    ------
    ParameterError
        If G < 2, a reward is not finite or the baseline is unknown.

    Examples
    --------
    >>> [advantages([1, 0, 0, 0], by).round(4).tolist() for by in ("group", "mean")]
    [[1.4997, -0.4999, -0.4999, -0.4999], [0.75, -0.25, -0.25, -0.25]]
    >>> advantages([[1, 0, 0, 1], [1, 1, 1, 1]]).round(4).tolist()
    [[0.6667, -0.6667, -0.6667, 0.6667], [0.0, 0.0, 0.0, 0.0]]

    References
    ----------
    GRPO: arXiv 2402.03300; Dr. GRPO: 2503.20783; RLOO: 2402.14740. Memory-T1 (2512.20092) writes
    r_i - mean and calls it group normalisation in a figure.
    """
    if baseline not in BASELINES:
        raise ParameterError(f"baseline must be one of {', '.join(BASELINES)}, got {baseline!r}")
    values = _checked(rewards)
    n_samples = values.shape[-1]
    # A mean of equal rewards is off by a rounding, which the division by std would enlarge.
    gaps = np.where(_tied(values), 0.0, values - values.mean(axis=-1, keepdims=True))
    if baseline == "mean":
        return gaps
    if baseline == "leave-one-out":
        return gaps * (n_samples / (n_samples - 1))
    return gaps / (values.std(axis=-1, ddof=1, keepdims=True) + GROUP_EPS)


def wasted(rewards: ArrayLike) -> float:
    """Share of the groups whose rewards are all equal and therefore teach nothing, in [0, 1].

    Where it is high, make the reward finer or the groups larger. O(size).

    Raises
    ------
    ParameterError
        If there is no group, G < 2 or a reward is not finite.

    Examples
    --------
    >>> wasted([[1, 0, 0, 1], [1, 1, 1, 1]])
    0.5
    """
    values = _checked(rewards)
    if values.size == 0:
        raise ParameterError("wasted needs at least one group, got none")
    return float(_tied(values).mean())


def _tied(values: Floats) -> Mask:
    """Whether all rewards of a group are the same: (..., 1)."""
    return (values == values[..., :1]).all(axis=-1, keepdims=True)


def _checked(rewards: ArrayLike) -> Floats:
    values = np.asarray(rewards, dtype=np.float64)
    if values.ndim == 0 or values.shape[-1] < 2:
        raise ParameterError(
            f"rewards must have the shape (..., G) with G >= 2, got {values.shape}: "
            "a sample is judged by the others of its group"
        )
    if not np.isfinite(values).all():
        raise ParameterError("rewards must be finite, got NaN or infinity")
    return values
