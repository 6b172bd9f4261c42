"""What a policy costs and what it loses: measured on a model, and modelled for a server.

`measure` runs policies beside the full cache on one model: bytes, times, attention mass recalled,
divergence and agreement of logits, needles. `serve` is a model of serving under request rates, and
needs neither PyTorch nor a model. `report` does both and gives what tables and plots are made of.
"""

from memsieve.kv.bench.measuring import Figures, Plan, Report, measure
from memsieve.kv.bench.models import Sizes, open_model, random_model, shape_of
from memsieve.kv.bench.needles import Needle, found
from memsieve.kv.bench.paging import BlockPool, Table
from memsieve.kv.bench.reporting import report
from memsieve.kv.bench.serving import Load, Served, serve
from memsieve.kv.bench.settings import Setting, names, setting
from memsieve.kv.bench.strategies import (
    Evict,
    Machine,
    Offload,
    Paged,
    Reserve,
    Shape,
    Strategy,
)

__all__ = [
    "BlockPool",
    "Evict",
    "Figures",
    "Load",
    "Machine",
    "Needle",
    "Offload",
    "Paged",
    "Plan",
    "Report",
    "Reserve",
    "Served",
    "Setting",
    "Shape",
    "Sizes",
    "Strategy",
    "Table",
    "found",
    "measure",
    "names",
    "open_model",
    "random_model",
    "report",
    "serve",
    "setting",
    "shape_of",
]
