"""StreamingLLM: the first few tokens and the newest ones."""

from __future__ import annotations

from dataclasses import dataclass

from memsieve.kv.extras import Tensor, torch
from memsieve.kv.policy import Step
from memsieve.kv.scored import Scored


@dataclass(frozen=True)
class StreamingLLM(Scored):
    """Keep `n_sink` first tokens and fill the budget with the newest.

    No score is computed. In the paper positions are assigned anew inside the cache: use
    `MemoryCache(..., positions="close")` for that.

    Parameters
    ----------
    budget_tokens
        Sink and window together; the paper's demo has 4 + 512.
    n_sink
        4 in the paper.

    References
    ----------
    Xiao et al., arXiv 2309.17453; mit-han-lab/streaming-llm. Differs: the sink is the first
    real tokens of each row, padding left out.
    """

    budget_tokens: int = 516
    n_sink: int = 4

    def score(self, step: Step) -> Tensor:
        """The newer the better."""
        return -step.age.to(torch.float32)
