"""SnapKV: what the end of the prompt looks at, with its neighbours."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

from memsieve.errors import ParameterError
from memsieve.kv.allocation import Allocation
from memsieve.kv.checks import whole_number
from memsieve.kv.extras import Tensor, torch
from memsieve.kv.policy import ROOM_TOKENS, Step
from memsieve.kv.scored import Scored
from memsieve.kv.scores import of_stored_heads, weights

POOLINGS = ("average", "max")


@dataclass(frozen=True)
class SnapKV(Scored):
    """Compress a prompt to what its last queries attend to; later tokens are all kept.

    score = pool(sum over the last `n_window` queries of softmax(q_i K^T)) along the tokens
    before the window; the window itself is kept. One product of window and prompt for each layer.

    Parameters
    ----------
    budget_tokens
        What is left of a prompt, window counted; the code's default is 2,048.
    n_window
        Queries that judge, and newest tokens that stay; 32 in the code.
    n_pooled
        Width of the pooling, odd; 5 in the code (7 in its LongBench settings), 1 for none.
    pooling
        "average" (code) or "max" (its LongBench settings).

    Raises
    ------
    ParameterError
        If `n_window` < 1, `n_pooled` is not odd, or `pooling` is none of the two.

    References
    ----------
    Li et al., arXiv 2404.14469; FasterDecoding/SnapKV. Differs: one choice for each key-value
    head by the mean of its query heads, where the code repeats keys and stores them repeated.
    After an eviction, tokens are pooled with those that are stored beside them. In a prompt fed
    in chunks the window reaches over their borders.
    """

    budget_tokens: int | Allocation = 2048
    n_sink: int = 0
    _: KW_ONLY
    n_window: int = 32
    n_pooled: int = 5
    pooling: str = "average"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.interval != 1:
            raise ParameterError("SnapKV.interval must be 1: it evicts after prompts alone")
        whole_number("SnapKV.n_window", self.n_window, at_least=1)
        if whole_number("SnapKV.n_pooled", self.n_pooled, at_least=1) % 2 == 0:
            raise ParameterError(f"SnapKV.n_pooled must be odd, got {self.n_pooled}")
        if self.pooling not in POOLINGS:
            raise ParameterError(f"SnapKV.pooling must be one of {POOLINGS}, got {self.pooling!r}")

    @property
    def n_recent(self) -> int:
        """The window."""
        return self.n_window

    @property
    def n_spare(self) -> int:
        """As where nothing leaves: nothing does until the next prompt."""
        return ROOM_TOKENS

    def due(self, step: Step) -> bool:
        """Once for each prompt."""
        return step.is_prefill

    def raw_score(self, step: Step) -> Tensor:
        """[B, Hkv, n]: attention from the window, not pooled."""
        return of_stored_heads(weights(step, step.recent).sum(3), step)

    def score(self, step: Step) -> Tensor:
        """Attention from the window, pooled over the tokens before it."""
        score = self.raw_score(step)
        if self.n_pooled == 1:
            return score
        pool = torch.nn.functional
        run = pool.avg_pool1d if self.pooling == "average" else pool.max_pool1d
        before = score.masked_fill(step.age < self.n_window, 0.0)
        return run(before, self.n_pooled, stride=1, padding=self.n_pooled // 2)
