"""How a budget is spread: over the layers of a model, and over the heads of a layer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from memsieve.errors import ParameterError
from memsieve.kv.archive import highest
from memsieve.kv.extras import Tensor, torch
from memsieve.kv.policy import Keep


class Allocation(ABC):
    """Tokens that each layer may keep, of each head."""

    __slots__ = ()

    @abstractmethod
    def tokens(self, layer: int, n_layers: int) -> int:
        """What layer `layer` of `n_layers` may keep."""

    def least(self, n_layers: int) -> int:
        """What the layer with the least may keep."""
        return min(self.tokens(layer, n_layers) for layer in range(n_layers))


@dataclass(frozen=True, slots=True)
class Uniform(Allocation):
    """The same for every layer."""

    budget_tokens: int

    def tokens(self, layer: int, n_layers: int) -> int:
        """`budget_tokens`."""
        return self.budget_tokens


@dataclass(frozen=True, slots=True)
class PerLayer(Allocation):
    """What is written for each layer.

    Raises
    ------
    ParameterError
        From `tokens`, if there are not as many numbers as layers.
    """

    budget_tokens: Sequence[int]

    def tokens(self, layer: int, n_layers: int) -> int:
        """`budget_tokens[layer]`."""
        if len(self.budget_tokens) != n_layers:
            raise ParameterError(
                f"PerLayer.budget_tokens must have {n_layers} numbers, one for each layer, "
                f"got {len(self.budget_tokens)}"
            )
        return self.budget_tokens[layer]


@dataclass(frozen=True, slots=True)
class Pyramid(Allocation):
    """Much for the first layers and little for the last, falling evenly in groups of layers.

    last = mean * layers_per_group // beta, first = 2 * mean - last, in whole steps between; the
    arithmetic of WindowKV's public code (arXiv 2503.17922; with groups of one layer that of
    PyramidKV, arXiv 2406.02069, but for the division by beta alone).

    Examples
    --------
    >>> [Pyramid(2048, layers_per_group=8).tokens(layer, 32) for layer in (0, 8, 16, 24)]
    [2926, 2341, 1756, 1170]
    """

    budget_tokens: int
    layers_per_group: int = 1
    beta: int = 14

    def __post_init__(self) -> None:
        if self.layers_per_group < 1 or self.beta < 1:
            raise ParameterError("Pyramid.layers_per_group and .beta must be >= 1")

    def tokens(self, layer: int, n_layers: int) -> int:
        """What the layer's group gets."""
        n_groups = -(-n_layers // self.layers_per_group)
        if n_groups < 2:
            return self.budget_tokens
        last = self.budget_tokens * self.layers_per_group // self.beta
        last = min(last, self.budget_tokens)
        first = 2 * self.budget_tokens - last
        group = layer // self.layers_per_group
        return last if group == n_groups - 1 else first - group * ((first - last) // (n_groups - 1))


class HeadMode:
    """How the heads of a layer share its budget."""

    __slots__ = ()

    def joined(self, score: Tensor) -> Tensor:
        """Scores [B, H, n] after the heads have talked to one another."""
        return score

    def pick(self, score: Tensor, budget: int) -> Keep:
        """What stays: `budget` tokens of each head, or on average."""
        return Keep(highest(score, budget))


@dataclass(frozen=True, slots=True)
class EachHead(HeadMode):
    """Every key-value head keeps its own tokens, all the same number."""


@dataclass(frozen=True, slots=True)
class SharedHeads(HeadMode):
    """All heads keep the same tokens, by the mean of their scores."""

    def joined(self, score: Tensor) -> Tensor:
        """The mean, for every head."""
        return score.mean(1, keepdim=True).expand_as(score)


@dataclass(frozen=True, slots=True)
class AdaptiveHeads(HeadMode):
    """Heads compete for one pool of H * budget tokens: the best scores of all heads stay.

    Storage is rectangular: all heads take the memory of the longest, and the places of the
    others are empty. It changes what is attended to, and saves no memory by itself.

    Parameters
    ----------
    safeguard
        Share of the budget that every head keeps whatever its scores, in [0, 1]; 0.2 is the
        paper's.

    References
    ----------
    AdaKV, arXiv 2407.11550. Differs: the paper's kernels store heads of unequal length.
    """

    safeguard: float = 0.2

    def __post_init__(self) -> None:
        if not 0 <= self.safeguard <= 1:
            raise ParameterError(
                f"AdaptiveHeads.safeguard must be in [0, 1], got {self.safeguard!r}"
            )

    def pick(self, score: Tensor, budget: int) -> Keep:
        """The best of all heads, at least a share for each."""
        n_rows, n_heads, n = score.shape
        own = highest(score, int(self.safeguard * budget))
        pool = score.scatter(2, own, torch.inf).reshape(n_rows, n_heads * n)
        kept = torch.zeros_like(pool, dtype=torch.bool)
        kept.scatter_(1, highest(pool, min(budget * n_heads, n_heads * n)), True)
        kept = kept.view(n_rows, n_heads, n)
        longest = int(kept.sum(-1).max())
        index = highest(kept.to(score.dtype), longest)
        return Keep(index, kept.gather(2, index))
