"""TOVA: the tokens that the newest one looks at."""

from __future__ import annotations

from dataclasses import dataclass, field

from memsieve.kv.allocation import Allocation, HeadMode, SharedHeads
from memsieve.kv.extras import Tensor
from memsieve.kv.policy import Step
from memsieve.kv.scored import Scored
from memsieve.kv.scores import of_stored_heads, weights


@dataclass(frozen=True)
class TOVA(Scored):
    """Keep what the last query attends to most, the same tokens in all heads of a layer.

    score = softmax(q_last K^T), the mean over all query heads.

    Parameters
    ----------
    budget_tokens
        Tokens that stay.
    n_window
        0 is the original, which may evict the newest token itself; 1 forbids that, as NVIDIA's
        kvpress does.

    References
    ----------
    Oren et al., arXiv 2401.06104; schwartz-lab-NLP/TOVA.
    """

    budget_tokens: int | Allocation
    n_sink: int = 0
    heads: HeadMode = field(default_factory=SharedHeads, kw_only=True)

    @property
    def n_recent(self) -> int:
        """The last query."""
        return 1

    def score(self, step: Step) -> Tensor:
        """Attention from the last query."""
        return of_stored_heads(weights(step, step.recent).sum(3), step)
