"""Training the policy that selects memories: from evidence, from rewards, from feedback.

`examples.examples` weighs the questions of a data set as a recall would; `train` follows an
objective and stops by the conversations that it had put aside. Supervised objectives look at which
candidates were evidence, `GroupRelative` only at what whole selections were worth.
"""

from memsieve.learn.bernoulli import Bernoulli
from memsieve.learn.conditional_bernoulli import ConditionalBernoulli
from memsieve.learn.examples import Example
from memsieve.learn.group_relative import (
    BudgetRecall,
    GradedRanking,
    GroupRelative,
    MemoryT1Parts,
    Ranking,
)
from memsieve.learn.objectives import Listwise, Pairwise, Pointwise
from memsieve.learn.plackett_luce import PlackettLuce
from memsieve.learn.rewards import MemoryT1Reward
from memsieve.learn.training import Recipe, Trained, train

__all__ = [
    "Bernoulli",
    "BudgetRecall",
    "ConditionalBernoulli",
    "Example",
    "GradedRanking",
    "GroupRelative",
    "Listwise",
    "MemoryT1Parts",
    "MemoryT1Reward",
    "Pairwise",
    "PlackettLuce",
    "Pointwise",
    "Ranking",
    "Recipe",
    "Trained",
    "train",
]
