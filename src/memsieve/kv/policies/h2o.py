"""H2O: heavy hitters, the tokens that have received most attention so far, and the newest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from types import MappingProxyType
from typing import ClassVar

from memsieve.kv.allocation import Allocation
from memsieve.kv.extras import Tensor
from memsieve.kv.policy import Step
from memsieve.kv.scored import Scored
from memsieve.kv.scores import column_sums


@dataclass(frozen=True)
class H2O(Scored):
    """Keep the newest tokens and those with the most accumulated attention.

    f[j] = sum over all queries i so far of softmax(q_i K^T)[j], over the tokens stored at the
    time; it travels with the token. A token that leaves the window competes with its own f.

    Parameters
    ----------
    budget_tokens
        Heavy hitters and window together. The paper's 20 % are 0.1 + 0.1 of the prompt.
    n_window
        Of them the newest; None for half of the budget, the paper's split.

    References
    ----------
    Zhang et al., arXiv 2306.14048; FMInference/H2O. Differs: scores are kept for each row, the
    public code sums over the batch in places; heads that share keys count by their mean (the
    paper has no such heads); a budget is a number, not a share of the prompt.
    """

    token_fields: ClassVar[Mapping[str, float]] = MappingProxyType({"mass": 0.0})

    budget_tokens: int | Allocation
    n_sink: int = 0
    _: KW_ONLY
    n_window: int | None = None  # type: ignore[assignment]

    def _check_window(self) -> None:
        if self.n_window is not None:
            super()._check_window()

    def window(self, budget: int) -> int:
        """`n_window`, or half of the budget."""
        return budget // 2 if self.n_window is None else self.n_window

    def observe(self, step: Step) -> None:
        """Add what the queries of this pass give to each token."""
        mass = step.state.token["mass"]
        step.state.token["mass"] = mass + column_sums(step)

    def score(self, step: Step) -> Tensor:
        """The attention received so far."""
        return step.state.token["mass"]
