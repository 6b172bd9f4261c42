"""Memory inside a model: key-value caches of Hugging Face decoders, bounded or searched.

`enable(model)` lets a decoder's attention look at a `MemoryCache`; the cache's policy says which
tokens each head keeps and which it attends to. Scores are of tokens, higher stays. Needs the
extra `kv` (PyTorch, transformers) where something is used, not to be imported.
"""

from memsieve.kv.allocation import (
    AdaptiveHeads,
    Allocation,
    EachHead,
    HeadMode,
    PerLayer,
    Pyramid,
    SharedHeads,
    Uniform,
)
from memsieve.kv.archive import Archive
from memsieve.kv.cache import MemoryCache
from memsieve.kv.enabling import Enabled, enable
from memsieve.kv.policies import (
    H2O,
    TOVA,
    IceCache,
    InfiniGen,
    Keyformer,
    PackForcing,
    Quest,
    SnapKV,
    StreamingLLM,
    WindowKV,
    ZoomR,
    skew_model,
)
from memsieve.kv.policy import Attend, Extra, Keep, Policy, State, Step
from memsieve.kv.scored import Scored
from memsieve.kv.stats import Decision, Stats
from memsieve.kv.tasks import LearnedTasks, RuleTasks, TaskClassifier
from memsieve.kv.units import Cluster, Page, Token, Unit

__all__ = [
    "H2O",
    "TOVA",
    "AdaptiveHeads",
    "Allocation",
    "Archive",
    "Attend",
    "Cluster",
    "Decision",
    "EachHead",
    "Enabled",
    "Extra",
    "HeadMode",
    "IceCache",
    "InfiniGen",
    "Keep",
    "Keyformer",
    "LearnedTasks",
    "MemoryCache",
    "PackForcing",
    "Page",
    "PerLayer",
    "Policy",
    "Pyramid",
    "Quest",
    "RuleTasks",
    "Scored",
    "SharedHeads",
    "SnapKV",
    "State",
    "Stats",
    "Step",
    "StreamingLLM",
    "TaskClassifier",
    "Token",
    "Uniform",
    "Unit",
    "WindowKV",
    "ZoomR",
    "enable",
    "skew_model",
]
