"""A model measured and a server modelled, with what is needed to do it again."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from memsieve.errors import ParameterError
from memsieve.kv.bench.measuring import Maker, Plan, Report, measure
from memsieve.kv.bench.serving import Load, Served, serve
from memsieve.kv.bench.strategies import Evict, Offload, Paged, Reserve, Shape
from memsieve.kv.checks import facts_of
from memsieve.kv.extras import need_extra, torch
from memsieve.version import __version__


def report(
    model: Any,
    plan: Plan,
    *,
    name: str = "model",
    rates: Sequence[float] = (),
    own: Mapping[str, Maker] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Report:
    """Run the plan on the model, and the serving model at the rates.

    Parameters
    ----------
    name
        What the model is called in tables.
    rates
        Requests per second; each > 0. The serving model is that of an 8B decoder on an H100.
    own, progress
        As in `measure`.
    """
    need_extra()
    for rate in rates:
        if not rate > 0:
            raise ParameterError(f"a rate must be > 0 requests per second, got {rate!r}")
    figures = measure(model, plan, own=own, progress=progress)
    served = tuple(one for rate in rates for one in served_at(rate))
    return Report(name, _setup(model, plan), figures, served)


def served_at(rate_per_s: float, *, kept: float = 0.2, shape: Shape | None = None) -> list[Served]:
    """The four strategies at one rate: 2,000 + 200 tokens, a fifth kept.

    >>> [round(one.tokens_per_s) for one in served_at(4)]
    [703, 703, 704, 652]
    """
    load = Load(rate_per_s)
    return [
        serve(strategy, load, shape=shape)
        for strategy in (Reserve(), Paged(), Evict(kept), Offload(kept))
    ]


def _setup(model: Any, plan: Plan) -> dict[str, Any]:
    import transformers

    facts = facts_of(model.config, model)
    return {
        "family": facts.name,
        "n_layers": facts.n_layers,
        "n_heads": facts.n_heads,
        "n_kv_heads": facts.n_kv_heads,
        "head_dim": facts.head_dim,
        "dtype": str(model.dtype).removeprefix("torch."),
        "device": _device(model),
        "attention": str(facts.config._attn_implementation),
        "threads": torch.get_num_threads(),
        "n_steps": plan.n_steps,
        "n_rows": plan.n_rows,
        "n_chunk": plan.n_chunk,
        "n_full_layers": plan.n_full_layers,
        "interval": plan.interval,
        "n_repeats": plan.n_repeats,
        "seed": plan.seed,
        "memsieve": __version__,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }


def _device(model: Any) -> str:
    if model.device.type == "cuda":
        return str(torch.cuda.get_device_name(model.device))
    return platform.machine() if model.device.type == "cpu" else str(model.device)
