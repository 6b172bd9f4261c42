"""Choosing what to keep under a budget: scores and costs in, indices out.

Every selector takes `Candidates` (relevance, costs and what else the method looks at) and a
`Budget` of items, tokens or bytes, and returns a `Selection`: the picked indices in picking
order, what they cost, never more than the budget, and a `Trace` that says for each candidate
why it was kept or dropped. Higher relevance is better, -inf is never picked; similarity is 1
for candidates that say the same. NumPy and PyTorch arrays take the same path and give the
same answer.
"""

from memsieve.select.base import Greedy, Ranked, Selector
from memsieve.select.budget import Budget, Spent
from memsieve.select.candidates import Candidates
from memsieve.select.distinct import Distinct
from memsieve.select.facility_location import FacilityLocation
from memsieve.select.knapsack import Knapsack
from memsieve.select.mmr import MMR
from memsieve.select.round_robin import RoundRobin
from memsieve.select.threshold import Threshold
from memsieve.select.top_k import TopK
from memsieve.select.trace import Reason, Selection, Trace
from memsieve.select.windows import Windows

__all__ = [
    "MMR",
    "Budget",
    "Candidates",
    "Distinct",
    "FacilityLocation",
    "Greedy",
    "Knapsack",
    "Ranked",
    "Reason",
    "RoundRobin",
    "Selection",
    "Selector",
    "Spent",
    "Threshold",
    "TopK",
    "Trace",
    "Windows",
]
