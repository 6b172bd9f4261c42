"""What stays or goes together: single tokens, pages, windows, clusters.

A unit turns scores of tokens into priorities of tokens: those of one unit stand together in the
ranking, so that taking the first `budget` keeps whole units, the last one cut to fit.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from memsieve.errors import ParameterError
from memsieve.kv.extras import Tensor, torch
from memsieve.kv.policy import Step

REDUCTIONS = ("mean", "max", "sum")


class Unit(ABC):
    """What stays or goes together."""

    __slots__ = ()

    @abstractmethod
    def priority(self, step: Step, score: Tensor, free: Tensor) -> Tensor:
        """Priorities [B, H, n], higher stays, of tokens with `score`; `free` are to be ranked.

        Tokens that are not free (protected or padding) belong to no unit.
        """


@dataclass(frozen=True, slots=True)
class Token(Unit):
    """Every token for itself."""

    def priority(self, step: Step, score: Tensor, free: Tensor) -> Tensor:
        """The score itself."""
        return score


@dataclass(frozen=True, slots=True)
class Page(Unit):
    """Runs of `n_tokens` neighbours, aligned to the first real token of the row.

    A short page (the last one, or one that lost tokens) counts by what it holds. Equal pages
    stay in the order of their positions, the earlier first.

    Parameters
    ----------
    n_tokens
        Tokens of a page, >= 1.
    reduce
        Score of a page: "mean", "max" or "sum" over its tokens.
    n_best
        Only the strongest of its tokens count; None for all. With "mean" this is WindowKV's
        rule for aggregation, without it the rule for localization (arXiv 2503.17922).
    """

    n_tokens: int = 16
    reduce: str = "mean"
    n_best: int | None = None

    def __post_init__(self) -> None:
        if self.n_tokens < 1 or (self.n_best is not None and self.n_best < 1):
            raise ParameterError("Page.n_tokens and .n_best must be >= 1")
        _check_reduction("Page", self.reduce)

    def priority(self, step: Step, score: Tensor, free: Tensor) -> Tensor:
        """Of each token, the rank of its page."""
        labels = step.positions.clamp(min=0) // self.n_tokens
        n_units = step.n_logical // self.n_tokens + 1
        return _by_label(score, labels.expand_as(score), n_units, free, self.reduce, self.n_best)


@dataclass(frozen=True, slots=True)
class Cluster(Unit):
    """Tokens with one label, which the policy keeps as `state.token[name]`.

    Parameters
    ----------
    name
        Where the labels are: [B, Hkv, n], whole numbers in [0, n_clusters).
    n_clusters
        How many labels there may be, >= 1.
    reduce
        Score of a cluster: "mean", "max" or "sum" over its tokens.
    """

    name: str
    n_clusters: int
    reduce: str = "mean"

    def __post_init__(self) -> None:
        if self.n_clusters < 1:
            raise ParameterError(f"Cluster.n_clusters must be >= 1, got {self.n_clusters}")
        _check_reduction("Cluster", self.reduce)

    def priority(self, step: Step, score: Tensor, free: Tensor) -> Tensor:
        """Of each token, the rank of its cluster."""
        labels = step.state.token[self.name].long()
        return _by_label(score, labels, self.n_clusters, free, self.reduce, None)


def _check_reduction(who: str, reduce: str) -> None:
    if reduce not in REDUCTIONS:
        raise ParameterError(f"{who}.reduce must be one of {list(REDUCTIONS)}, got {reduce!r}")


def _by_label(
    score: Tensor, labels: Tensor, n_units: int, free: Tensor, reduce: str, n_best: int | None
) -> Tensor:
    """Priorities by the score of each token's unit: minus its rank, equal ones by label."""
    counted = free if n_best is None else free & (_place_in_unit(score, labels, free) < n_best)
    zeros = score.new_zeros((*score.shape[:2], n_units))
    if reduce == "max":
        of_units = torch.full_like(zeros, -torch.inf).scatter_reduce(
            2, labels, score.masked_fill(~counted, -torch.inf), "amax"
        )
    else:
        of_units = zeros.scatter_add(2, labels, score.masked_fill(~counted, 0.0))
        sizes = zeros.scatter_add(2, labels, counted.to(score.dtype))
        if reduce == "mean":
            of_units = of_units / sizes.clamp(min=1)
        of_units = of_units.masked_fill(sizes == 0, -torch.inf)
    order = of_units.argsort(dim=-1, descending=True, stable=True)
    rank = torch.empty_like(order).scatter_(
        2, order, torch.arange(n_units, device=score.device).expand_as(order)
    )
    return -rank.gather(2, labels).to(score.dtype)


def _place_in_unit(score: Tensor, labels: Tensor, free: Tensor) -> Tensor:
    """[B, H, n]: 0 for the strongest free token of a unit, 1 for the next."""
    by_score = score.masked_fill(~free, -torch.inf).argsort(dim=-1, descending=True, stable=True)
    order = by_score.gather(2, labels.gather(2, by_score).argsort(dim=-1, stable=True))
    ordered = labels.gather(2, order)
    here = torch.arange(score.shape[2], device=score.device).expand_as(order)
    starts = torch.where(ordered != ordered.roll(1, -1), here, 0)
    starts[..., 0] = 0
    return torch.empty_like(order).scatter_(2, order, here - starts.cummax(-1).values)
