"""Policies of memsieve beside those of NVIDIA's kvpress: same model, budget, prompts and process.

kvpress supports a range of transformers of its own, so this runs in an environment made for it:

    python -m venv kvpress-env
    kvpress-env/bin/pip install kvpress
    kvpress-env/bin/pip install --no-deps --editable .
    OMP_NUM_THREADS=1 kvpress-env/bin/python benchmarks/kv_peers.py --length 1024 --length 4096

One random model reads each prompt with the cache of transformers, with memsieve and with kvpress,
in turns. Times are medians; only ratios within one run mean something. kvpress prunes a prompt
once and lets its cache grow with the output; of ours SnapKV does so too, the others evict at every
step, or, in the rows "memsieve @N", every N steps. "KL to peer" compares the next tokens of the
two: 0 where both kept the same.
"""

import argparse
import gc
import importlib
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from typing import Any

from memsieve.errors import MemsieveError
from memsieve.kv import H2O, TOVA, MemoryCache, Policy, Scored, SnapKV, StreamingLLM, enable
from memsieve.kv.bench import Sizes, open_model, table
from memsieve.kv.bench.measuring import compared
from memsieve.kv.extras import Tensor, need_extra, torch

Press = Callable[[Any, float], Any]
# Name -> ours at a budget, theirs at a ratio, the attention theirs needs, and what differs.
PAIRS: dict[str, tuple[Callable[[int], Policy], Press, str | None]] = {
    "snapkv": (
        lambda budget: SnapKV(budget, n_window=min(32, budget // 2)),
        lambda kvpress, ratio: kvpress.SnapKVPress(ratio, window_size=32),
        None,
    ),
    "streaming-llm": (
        lambda budget: StreamingLLM(budget),
        lambda kvpress, ratio: kvpress.StreamingLLMPress(ratio),
        None,
    ),
    "tova": (
        lambda budget: TOVA(budget, n_window=1),
        lambda kvpress, ratio: kvpress.TOVAPress(ratio),
        None,
    ),
    # Theirs divides by the number of queries that could see a token, and has no window.
    "h2o": (
        lambda budget: H2O(budget),
        lambda kvpress, ratio: kvpress.ObservedAttentionPress(ratio),
        "eager",
    ),
}


@dataclass(slots=True)
class Run:
    """What one contender did with a prompt: seconds, bytes, logits [B, steps, V]."""

    first: list[float] = field(default_factory=list)
    steps: list[float] = field(default_factory=list)
    n_bytes: int = 0
    logits: Tensor = None


def main() -> int:
    """Print a table for each length."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--length", type=int, action="append", help="tokens of the prompt (default 1024)")
    add("--budget", type=int, default=256, help="tokens that a head keeps (default 256)")
    add("--steps", type=int, default=16, help="tokens decoded (default 16)")
    add("--interval", type=int, default=64, help="steps between evictions of @N (default 64)")
    add("--repeats", type=int, default=3, help="how often each is timed (default 3)")
    add("--layers", type=int, default=6, help="layers of the model (default 6)")
    add("--seed", type=int, default=0)
    asked = parser.parse_args()
    try:
        need_extra()
        kvpress = importlib.import_module("kvpress")
    except (MemsieveError, ImportError) as error:
        print(f"kv_peers: {error}: see the top of this file", file=sys.stderr)
        return 1
    import transformers

    print(f"torch {torch.__version__}, transformers {transformers.__version__}, "
          f"kvpress {version('kvpress')}, "
          f"{torch.get_num_threads()} threads")  # fmt: skip
    lengths = asked.length or [1024]
    sizes = Sizes(n_layers=asked.layers)
    model = open_model("llama", sizes, n_positions=max(lengths) + asked.steps, seed=asked.seed)
    for n_prompt in lengths:
        draws = torch.Generator().manual_seed(asked.seed)
        words = (1, n_prompt + asked.steps)
        ids = torch.randint(1, sizes.vocabulary, words, generator=draws)
        with torch.no_grad():
            runs = _runs(kvpress, model, ids, n_prompt, asked)
        print(f"\n{n_prompt:,} tokens, budget {asked.budget}")
        print(table.text(HEADING, list(_rows(runs))))
    return 0


HEADING = (
    *("policy", "whose", "first ms", "x full", "token ms", "x full", "device MB"),
    *("KL to full", "top-1", "KL to peer"),
)


def _runs(
    kvpress: Any, model: Any, ids: Tensor, n_prompt: int, asked: argparse.Namespace
) -> dict[tuple[str, str], Run]:
    """(policy, whose) -> what it did."""
    from transformers import DynamicCache

    # Half a token more, since kvpress rounds the number that it keeps down.
    ratio = 1 - (asked.budget + 0.5) / n_prompt
    runs: dict[tuple[str, str], Run] = {}
    for _ in range(asked.repeats):
        stock = runs.setdefault(("full", "transformers"), Run())
        _feed(model, ids, n_prompt, DynamicCache(config=model.config), nullcontext(), stock)
        for name, (ours, theirs, attention) in PAIRS.items():
            for whose, policy in _variants(ours(asked.budget), asked.interval):
                with enable(model) as memory:
                    cache = memory.cache(policy)
                    run = runs.setdefault((name, whose), Run())
                    _feed(model, ids, n_prompt, cache, nullcontext(), run)
            with _attention(model, attention):
                press = theirs(kvpress, ratio)(model)
                cache = DynamicCache(config=model.config)
                run = runs.setdefault((name, "kvpress"), Run())
                _feed(model, ids, n_prompt, cache, press, run)
    return runs


def _variants(policy: Policy, interval: int) -> Iterator[tuple[str, Policy]]:
    yield "memsieve", policy
    if isinstance(policy, Scored) and not isinstance(policy, SnapKV):
        yield f"memsieve @{interval}", replace(policy, interval=interval)


@contextmanager
def _attention(model: Any, name: str | None) -> Iterator[None]:
    before = model.config._attn_implementation
    model.set_attn_implementation(name or before)
    yield
    model.set_attn_implementation(before)


def _feed(model: Any, ids: Tensor, n_prompt: int, cache: Any, press: Any, run: Run) -> None:
    """The prompt at once, under `press`, then token by token at their true positions."""
    places = torch.arange(ids.shape[1])[None]

    def feed(start: int, end: int) -> Tensor:
        # Positions are told, since a pruned cache does not know how many tokens it has seen.
        return model(
            input_ids=ids[:, start:end],
            position_ids=places[:, start:end],
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits[:, -1]

    gc.collect()
    start = time.perf_counter()
    with press:
        feed(0, n_prompt)
    run.first.append(time.perf_counter() - start)
    logits = []
    for at in range(n_prompt, ids.shape[1]):
        start = time.perf_counter()
        logits.append(feed(at, at + 1))
        run.steps.append(time.perf_counter() - start)
    if isinstance(cache, MemoryCache):
        run.n_bytes = cache.stats.bytes_device
    else:
        held = [tensor for layer in cache.layers for tensor in (layer.keys, layer.values)]
        run.n_bytes = sum(int(tensor.numel() * tensor.element_size()) for tensor in held)
    run.logits = torch.stack(logits, 1)


def _rows(runs: dict[tuple[str, str], Run]) -> Iterator[tuple[str, ...]]:
    full = runs["full", "transformers"]
    first, token = statistics.median(full.first), statistics.median(full.steps)
    for (name, whose), run in runs.items():
        kl, top1 = compared(run.logits, full.logits)
        peer = runs.get((name, "kvpress"), run)
        yield (
            name,
            whose,
            f"{1e3 * statistics.median(run.first):,.1f}",
            f"{statistics.median(run.first) / first:.2f}",
            f"{1e3 * statistics.median(run.steps):,.2f}",
            f"{statistics.median(run.steps) / token:.2f}",
            f"{run.n_bytes / 1e6:.2f}",
            f"{kl:.4f}",
            f"{top1:.2f}",
            table.UNKNOWN if peer is run else f"{compared(run.logits, peer.logits)[0]:.4f}",
        )


if __name__ == "__main__":
    sys.exit(main())
