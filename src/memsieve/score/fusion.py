"""Many views into one score."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from memsieve.errors import ParameterError
from memsieve.score.features import NAMES, Features

EQUAL_VIEWS: Mapping[str, float] = MappingProxyType(
    {
        "words_nameless": 1.0,
        "words_near": 1.0,
        "words_around": 1.0,
        "words_session": 1.0,
        "meaning": 1.0,
        "meaning_near": 1.0,
        "speaker": 1.0,
        "said_inside": 1.0,
        "said_gap": 1.0,
        "event_overlap": 1.0,
        "event_gap": 1.0,
        "dated": 1.0,
    }
)
"""All views alike; the plain turn view is left out because the nameless one contains it, and so is
whether an event meets the window, which its overlap says more finely. Those of time tell nothing,
and weigh nothing, unless the question speaks of time."""

EVENT_VIEWS: Mapping[str, float] = MappingProxyType(
    {
        "words_nameless": 2.0,
        "words_near": 1.0,
        "meaning": 1.0,
        "speaker": 0.5,
        "dated": 1.5,
    }
)
"""For the one turn that tells when something happened: its own words count most, a date nearly as
much, the wide views nothing."""


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of n candidates and what each feature gave to them.

    values: (n,) float64, higher is better; parts: (n, n_names) with values = parts.sum(axis=1).
    """

    values: np.ndarray
    names: tuple[str, ...]
    parts: np.ndarray

    def why(self, i: int) -> dict[str, float]:
        """What each feature gave to candidate `i`, the largest share first."""
        parts = self.parts[i]
        order = np.argsort(-np.abs(parts), kind="stable")[: np.count_nonzero(parts)].tolist()
        given = parts.tolist()
        return {self.names[at]: given[at] for at in order}


@dataclass(frozen=True, slots=True)
class StandardisedSum:
    """Weighted sum of features, each standardised over the candidates of its question.

    score[i] = sum over f of weight[f] * (x[i, f] - mean_f) / deviation_f. O(n n_features).

    Parameters
    ----------
    weights
        Feature name to weight; features not named count nothing. Default: all views alike.

    Raises
    ------
    ParameterError
        If a weight names no feature or is not finite.
    """

    weights: Mapping[str, float] = field(default_factory=lambda: EQUAL_VIEWS)

    def __post_init__(self) -> None:
        for name, weight in self.weights.items():
            if name not in NAMES:
                raise ParameterError(
                    f"StandardisedSum.weights: no feature is called {name!r}, there are {NAMES}"
                )
            if not np.isfinite(weight):
                raise ParameterError(f"StandardisedSum.weights[{name!r}] must be finite: {weight}")

    def score(self, features: Features) -> Scores:
        """Score every candidate."""
        weights = np.array([self.weights.get(name, 0.0) for name in features.names])
        parts = features.standardised() * weights
        return Scores(parts.sum(axis=1), features.names, parts)


@dataclass(frozen=True, slots=True)
class RankFusion:
    """Reciprocal rank fusion: score[i] = sum over f of 1 / (depth + rank of i under f).

    Parameters
    ----------
    views
        Names of the features that rank.
    depth
        The paper's k; 60 there. Larger values flatten the top.

    References
    ----------
    Cormack, Clarke and Buettcher, SIGIR 2009. Differs: a candidate is ranked by every view, also
    where that view did not retrieve it; ties share the better rank.
    """

    views: tuple[str, ...] = ("words", "meaning")
    depth: float = 60.0

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.views) - set(NAMES)):
            raise ParameterError(f"RankFusion.views: no feature is called {unknown[0]!r}: {NAMES}")
        if not self.depth > 0:
            raise ParameterError(f"RankFusion.depth must be > 0, got {self.depth!r}")

    def score(self, features: Features) -> Scores:
        """Score every candidate."""
        parts = np.zeros(features.values.shape)
        for name in self.views:
            at = features.names.index(name)
            parts[:, at] = 1 / (self.depth + _ranks(features.values[:, at]))
        return Scores(parts.sum(axis=1), features.names, parts)


def _ranks(values: np.ndarray) -> np.ndarray:
    """Rank from 1, the best value first; equal values share the better rank."""
    ordered = np.sort(-values)
    return np.searchsorted(ordered, -values) + 1
