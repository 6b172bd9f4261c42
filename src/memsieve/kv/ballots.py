"""Many voters, few seats: what heads choose together, and how far they agree (ZoomR)."""

from __future__ import annotations

from memsieve.kv.archive import highest
from memsieve.kv.extras import Tensor, torch


def votes(scores: Tensor, k: int, there: Tensor) -> Tensor:
    """How many of H voters have each candidate among their k best: [B, S] int64.

    `scores` [B, H, S]; `there` [B, S] bool, which candidates stand in the row. Equal ones: the
    lower index. A row's sum is k H, or H times its candidates if they are fewer.
    """
    scores = scores.masked_fill(~there[:, None], -torch.inf)
    return _first(scores, k).long().sum(1) * there


def weights(scores: Tensor, there: Tensor) -> Tensor:
    """The sum over voters of the softmax of their scores: [B, S] from [B, H, S].

    Votes with a degree: a voter without a view spreads its weight, where a vote must fall
    somewhere.
    """
    scores = scores.masked_fill(~there[:, None], -torch.inf)
    return scores.softmax(-1).nan_to_num(0.0).sum(1)


def elected(support: Tensor, c: int, there: Tensor) -> Tensor:
    """[B, S] bool: the c candidates with the most support, none without; ties: lower index."""
    able = there & (support > 0)
    return _first(support.double().masked_fill(~able, -torch.inf), c) & able


def agreement(of_votes: Tensor, chosen: Tensor) -> Tensor:
    """Share of all votes that fell on the chosen: [B] in [0, 1], 0 where nobody voted.

    Noise alone gives about c / S and more: compare with what shuffled scores give.
    """
    return (of_votes * chosen).sum(-1) / of_votes.sum(-1).clamp(min=1)


def _first(scores: Tensor, k: int) -> Tensor:
    """Bool in the shape of `scores`: the k highest of the last axis, ties to the lower index."""
    chosen = torch.zeros_like(scores, dtype=torch.bool)
    return chosen.scatter_(-1, highest(scores, k), True) if k else chosen
