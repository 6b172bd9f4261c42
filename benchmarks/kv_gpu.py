"""Decoding of an 8B-shaped model on a GPU: each policy against full attention at its fastest.

    PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True \\
        python benchmarks/kv_gpu.py --json kv_gpu.json
    OMP_NUM_THREADS=1 python benchmarks/kv_gpu.py --device cpu --small

The first takes six minutes (`--minutes`), the second tries the script in seconds. Caches that grow
by copying ask for larger pieces at every step: without the setting they leave holes in memory.

A Llama of the sizes of Llama 3 8B with random weights in bfloat16 decodes random tokens one by one,
after 32k and after 128k tokens. Weights decide nothing about speed; nothing is downloaded.

**Full attention** is measured with each kernel that is there, in a cache that is written in place
(no copy at all), in the stock cache, which copies everything to append a token, and in StaticCache;
the fastest is what ratios are to. "frame" is a managed cache without a policy. Policies run with
the same kernel before others.

**Batches.** At batch 1 the processor mostly needs longer to launch the thousand and more kernels of
a step than the GPU needs to run them, whatever the cache holds: no policy can show there. "busy ms"
is the part of a step in which the GPU computed. "fit" is therefore the largest power of two of rows
whose full cache fits (8 rows of 32k, 34 GB, on a GPU of 80 GB; 16 on one of 141 GB), where reading
keys and values is most of a step; it gives "x lower latency". "max" is as many rows as fit each
contender, and gives "x higher throughput": what the saved memory is worth to a server.

A contender is filled once at batch 1, then its rows are repeated. Every row is printed and written
to `--json` when it is there, the most important ones first; what does not fit into the memory or
the time is named. "formula MB" is layers * 2 * rows * heads * budget * channels * bytes; what
comes between two evictions (`--interval`) stands beside it, SnapKV adds what it has decoded since,
and WindowKV and policies with archives have no such figure.
"""

import argparse
import signal
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from itertools import product
from pathlib import Path
from typing import Any

import kv_decoding as kvd
from kv_record import FULL, Record, Row, print_tables

from memsieve.errors import MemsieveError
from memsieve.kv.bench import Setting, names, setting
from memsieve.kv.bench.models import DTYPES, usable_device
from memsieve.kv.enabling import enable
from memsieve.kv.extras import need_extra, torch
from memsieve.version import __version__

POLICIES = (
    *("streaming-llm", "snapkv", "h2o", "tova", "quest-shared", "keyformer", "quest", "windowkv"),
    *("icecache", "infinigen"),
)
FRAME = "frame"
FIT, MAX = "fit", "max"
SMALL = kvd.Decoder(
    n_layers=3, hidden=64, n_heads=4, n_kv_heads=2, n_inner=96, vocabulary=97, dtype="float32"
)
# Without a GPU there is no memory to fill: rows of "fit" and "max".
ROWS_ON_CPU = {FIT: 2, MAX: 4}
# What stays free beside keys and values: logits, hidden states, what a kernel needs.
SPARE_BYTES = 2_000_000_000
SHRINKING = (1.0, 0.85, 0.7)
"""What share of the rows that should fit is tried, one after another."""
N_WARM = 3
"""Steps before the timed ones."""
N_KERNELS = 8
"""How many kernels of a step are printed."""


class TooLongError(Exception):
    """The time of a contender, or of everything, is over."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Raise TooLongError in here after so many seconds, where signals can."""
    if seconds <= 0:
        raise TooLongError
    if not hasattr(signal, "SIGALRM"):
        yield
        return

    def ring(number: int, frame: Any) -> None:
        raise TooLongError

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be measured: a setting at a budget and length, in which cache, by which kernel."""

    made: Setting
    budget_tokens: int | None
    n_prompt: int
    cache: str = "managed"
    kernel: str = "sdpa"

    @property
    def title(self) -> str:
        """As it is called on the screen."""
        budget = "" if self.budget_tokens is None else f" {self.budget_tokens:,}"
        return f"{self.n_prompt:,} {self.made.name}{budget} ({self.cache}, {self.kernel})"


@dataclass
class Bench:
    """One model, and what is measured on it.

    Parameters
    ----------
    decoder, filler
        The model's sizes, and how caches are filled.
    batches
        "fit", "max" and numbers of rows, in this order.
    n_steps, n_warm
        Timed steps, and those before them.
    profiles
        Whether to print the longest kernels of a step.
    preferred, fit
        By length, once the full cache is measured: the kernel that managed caches prefer, and
        the rows of "fit".
    """

    decoder: kvd.Decoder
    filler: kvd.Filler
    record: Record
    batches: Sequence[str]
    n_steps: int
    n_warm: int
    profiles: bool
    preferred: dict[int, str] = field(default_factory=dict)
    fit: dict[int, int] = field(default_factory=dict)

    @property
    def model(self) -> Any:
        """The model."""
        return self.filler.model

    @property
    def n_spare(self) -> int:
        """Tokens that one batch adds to a cache, the profiled one among them."""
        return self.n_warm + self.n_steps + 1

    def full(self, n_prompt: int, kernels: Sequence[str]) -> None:
        """Every kernel in place, the fastest in the other layouts; the best at every batch."""
        first, *others = self.batches
        rows = [self._stock(n_prompt, first, "in place", kernel) for kernel in kernels]
        best = _fastest(rows)
        if best is None:
            return
        rows += [
            self._stock(n_prompt, first, layout, kernel)
            for layout, kernel in dict.fromkeys(
                (("dynamic", best.kernel), ("dynamic", "sdpa"), ("static", best.kernel))
            )
        ]
        best = _fastest(rows) or best
        # Managed caches call PyTorch's attention, which can be told which kernel to prefer.
        theirs = [row for row in rows if row and kvd.KERNELS[row.kernel][0] == "sdpa"]
        self.preferred[n_prompt] = getattr(_fastest(theirs), "kernel", "sdpa")
        for batch in others:
            self._stock(n_prompt, batch, best.cache, best.kernel)

    def _stock(self, n_prompt: int, batch: str, layout: str, kernel: str) -> Row | None:
        asked = Asked(setting(FULL, 1), None, n_prompt, layout, kernel)
        made = kvd.Stock(self.filler, layout, n_prompt, self.n_spare)
        room = kvd.free_bytes(self.model.device)
        row_bytes = self.decoder.token_bytes * (n_prompt + self.n_spare)
        return self._measured(asked, batch, self._rows(batch, n_prompt, room, row_bytes, 0), made)

    def managed(self, made: Setting, budget: int | None, n_prompt: int) -> None:
        """A managed cache at every batch, filled once if memory lasts."""
        asked = Asked(made, budget, n_prompt, kernel=self.preferred.get(n_prompt, "sdpa"))
        device = self.model.device
        room, before = kvd.free_bytes(device), kvd.allocated_bytes(device)
        with enable(self.model) as memory:
            filled = kvd.Managed(self.filler, memory, made, n_prompt)
            with kvd.preferring(asked.kernel):
                # What one row takes while a step runs tells how many fit.
                cache = filled.at(1)
                with kvd.peak(device) as found:
                    kvd.steps_s(self.model, cache, kvd.words(self.model, 1, 2, 0), 0)
            row_bytes, on_host = found[0] - before if found else 0, cache.stats.bytes_host
            del cache
            for batch in self.batches:
                n_rows = self._rows(batch, n_prompt, room, row_bytes, on_host)
                self._measured(asked, batch, n_rows, filled)

    def _rows(
        self, batch: str, n_prompt: int, room: int | None, row_bytes: int, host_bytes: int
    ) -> int:
        """How many rows a batch has, at least one."""
        if batch == MAX and room is not None:
            n_rows = max(1, (room - SPARE_BYTES) // row_bytes)
        elif batch == FIT and room is not None:
            full = self.decoder.token_bytes * (n_prompt + self.n_spare)
            largest = max(1, (room - SPARE_BYTES) // full)
            # The same for all at a length, whatever little they left behind.
            n_rows = self.fit.setdefault(n_prompt, 1 << (largest.bit_length() - 1))
        else:
            n_rows = ROWS_ON_CPU.get(batch) or int(batch)
        # Archives grow by doubling, and a machine whose memory is gone ends the run.
        return min(n_rows, max(1, kvd.host_bytes() // 3 // host_bytes)) if host_bytes else n_rows

    def _measured(
        self, asked: Asked, batch: str, n_rows: int, filled: kvd.Stock | kvd.Managed
    ) -> Row | None:
        """A row; with "max" of fewer rows where memory does not last, and a note if none."""
        tries = [n_rows]
        if batch == MAX:
            tries = sorted({max(1, int(n_rows * share)) for share in SHRINKING}, reverse=True)
        why = ""
        for n_rows in tries:
            try:
                row = self._row(asked, batch, n_rows, filled)
            except torch.cuda.OutOfMemoryError:
                why = "out of memory"
            except (MemsieveError, RuntimeError) as error:
                why = _first_line(error)
            else:
                self.record.add(row)
                return row
            filled.drop()
            kvd.clear()
            if why != "out of memory":
                break
        self.record.note(f"{asked.title}, {batch} {n_rows}: {why}")
        return None

    def _row(self, asked: Asked, batch: str, n_rows: int, filled: kvd.Stock | kvd.Managed) -> Row:
        """The steps of one batch, timed, and what is held after them."""
        model, device = self.model, self.model.device
        cache = filled.at(n_rows)
        ids = kvd.words(model, n_rows, self.n_spare, seed=1)
        is_full = asked.made.name == FULL
        with kvd.only(model, asked.kernel) if is_full else kvd.preferring(asked.kernel):
            with kvd.peak(device) as found:
                seconds = kvd.steps_s(model, cache, ids[:, :-1], self.n_warm)
            held, n_seen = kvd.held_bytes(cache), int(cache.get_seq_length())
            ran = []
            if self.profiles or device.type == "cuda":
                ran = kvd.kernels_of(model, cache, ids[:, -1:])
        if self.profiles:
            self._print_kernels(asked, n_rows, ran)
        p10, *_, p90 = statistics.quantiles(seconds, n=10, method="inclusive")
        return Row(
            policy=asked.made.name,
            cache=asked.cache,
            kernel=asked.kernel,
            budget_tokens=asked.budget_tokens,
            n_prompt=asked.n_prompt,
            batch=batch,
            n_rows=n_rows,
            fill_s=filled.fill_s,
            step_s=statistics.median(seconds),
            step_p10_s=p10,
            step_p90_s=p90,
            tokens_per_s=n_rows / statistics.median(seconds),
            busy_s=sum(one[1] for one in ran) if ran and device.type == "cuda" else None,
            bytes_device=held.device,
            bytes_formula=kvd.formula_bytes(self.decoder, asked.made, n_seen, n_rows),
            bytes_state=held.state,
            bytes_host=held.host,
            peak_bytes=found[0] if found else None,
        )

    def _print_kernels(self, asked: Asked, n_rows: int, ran: list[tuple[str, float, int]]) -> None:
        print(f"  {asked.title}, {n_rows} rows, one step: {sum(c for *_, c in ran):,} calls")
        for name, seconds, n_calls in ran[:N_KERNELS]:
            print(f"  {1e3 * seconds:8.2f} ms {n_calls:6,} x {name[:72]}")


def _fastest(rows: Sequence[Row | None]) -> Row | None:
    return max((r for r in rows if r), key=lambda row: row.tokens_per_s, default=None)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and print a table for each length."""
    asked = _parser().parse_args(argv)
    start = time.perf_counter()
    try:
        need_extra()
        decoder = _decoder(asked)
        lengths = asked.length or ([256] if asked.small else [32_768, 131_072])
        shares = asked.budget or [_share(text) for text in ("50%", "25%", "2048")]
        batches = asked.batch or [FIT, MAX, "1"]
        n_positions = max(lengths) + (len(batches) + 2) * (asked.steps + N_WARM + 1)
        model = decoder.build(n_positions, usable_device(asked.device), asked.seed)
    except MemsieveError as error:
        print(f"kv_gpu: {error}", file=sys.stderr)
        return 1
    record = Record(_setup(asked, decoder, model, time.perf_counter() - start), asked.json)
    print(" ".join(f"{name} {value}" for name, value in record.setup.items()), flush=True)
    filler = kvd.Filler(model, asked.fill == "prompt", asked.chunk, asked.seed)
    bench = Bench(decoder, filler, record, batches, asked.steps, N_WARM, asked.profile)
    here = kvd.kernels_here()
    kernels = [name for name in asked.kernel or here if name in here]
    tasks = [
        *_full_tasks(bench, lengths, kernels),
        *_policy_tasks(bench, lengths, shares, asked),
    ]
    with torch.no_grad():
        _run(tasks, record, start + 60 * asked.minutes, asked.contender_seconds)
    print_tables(record)
    return 0


Task = tuple[str, Callable[[], None]]
Share = Callable[[int], int]


def _full_tasks(bench: Bench, lengths: Sequence[int], kernels: Sequence[str]) -> Iterator[Task]:
    for n_prompt in lengths:
        yield f"{n_prompt:,} {FULL}", partial(bench.full, n_prompt, kernels)
        made = setting(FRAME, 1)
        yield f"{n_prompt:,} {FRAME}", partial(bench.managed, made, None, n_prompt)


def _policy_tasks(
    bench: Bench,
    lengths: Sequence[int],
    shares: Sequence[Share],
    asked: argparse.Namespace,
) -> Iterator[Task]:
    """All at the first budget, then at the others; those that wait for the host come last."""
    policies = asked.policy or POLICIES
    options = {"n_full_layers": asked.full_layers, "interval": asked.interval}
    slow = [name for name in policies if setting(name, 1_000_000).leaving == "archive"]
    fast = [name for name in policies if name not in slow]
    for group, share, n_prompt in product((fast, slow), shares, lengths):
        budget = share(n_prompt)
        for name in group if budget < n_prompt else ():
            run = partial(_one_policy, bench, name, budget, n_prompt, options)
            yield f"{n_prompt:,} {name} {budget:,}", run


def _run(tasks: Sequence[Task], record: Record, ends: float, longest_s: float) -> None:
    """One after another, until `ends` of the clock; a note for what is not done."""
    for title, run in tasks:
        left = ends - time.perf_counter()
        try:
            with within(min(left, longest_s)):
                run()
        except TooLongError:
            record.note(f"{title}: {'cut off' if left > 0 else 'left out'}, out of time")
        except (MemsieveError, RuntimeError) as error:
            record.note(f"{title}: {_first_line(error)}")
        # What was cut off is held by its traceback until here.
        kvd.clear()


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _one_policy(
    bench: Bench, name: str, budget: int, n_prompt: int, options: dict[str, int]
) -> None:
    bench.managed(setting(name, budget, **options), budget, n_prompt)


def _share(text: str) -> Share:
    """Tokens of a length, of "50%" or "2048"."""
    number = float(text.removesuffix("%"))
    if not number > 0:
        raise ValueError
    if text.endswith("%"):
        return lambda n_prompt: max(1, int(n_prompt * number / 100))
    return lambda n_prompt: int(number)


def _batch(text: str) -> str:
    """ "fit", "max" or a number of rows."""
    if text not in (FIT, MAX) and not int(text) > 0:
        raise ValueError
    return text


def _decoder(asked: argparse.Namespace) -> kvd.Decoder:
    """The sizes of a preset, with what was given instead."""
    preset = SMALL if asked.small else kvd.Decoder()
    given = {
        name: getattr(asked, name) for name in (*SIZES, "dtype") if getattr(asked, name) is not None
    }
    return replace(preset, **given)


SIZES = ("n_layers", "hidden", "n_heads", "n_kv_heads", "n_inner", "vocabulary")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--device", default="cuda")
    add("--small", action="store_true", help="a small model and short prompts, for a CPU")
    add("--minutes", type=float, default=6.0, help="what no longer fits is left out (default 6)")
    add("--contender-seconds", type=float, default=45.0, help="at most for each (default 45)")
    add("--json", type=Path, help="where to write the figures, after every row")
    add("--length", type=int, action="append", help="tokens before (default 32768 and 131072)")
    add("--budget", type=_share, action="append",
        help="tokens or a share (default 50%%, 25%%, 2048)")  # fmt: skip
    add("--batch", type=_batch, action="append", help="rows, fit or max (default fit, max, 1)")
    add("--policy", action="append", choices=names()[2:], help=f"default {', '.join(POLICIES)}")
    add("--kernel", action="append", choices=list(kvd.KERNELS), help="of full attention")
    add("--full-layers", type=int, default=2, help="left alone by retrieving policies (default 2)")
    add("--interval", type=int, default=64, help="tokens between evictions (default 64)")
    add("--steps", type=int, default=16, help="timed tokens of each row (default 16)")
    add("--fill", choices=("drawn", "prompt"), default="drawn", help="how caches are filled")
    add("--chunk", type=int, help="with --fill prompt: pieces of so many tokens")
    add("--profile", action="store_true", help="print the longest kernels of a step")
    add("--seed", type=int, default=0)
    for name in SIZES:
        add(f"--{name.removeprefix('n_').replace('_', '-')}", type=int, dest=name)
    add("--dtype", choices=DTYPES)
    return parser


def _setup(
    asked: argparse.Namespace, decoder: kvd.Decoder, model: Any, build_s: float
) -> dict[str, Any]:
    device = model.device
    found = {name: _version(name) for name in ("torch", "transformers", "triton")}
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        **found,
        "memsieve": __version__,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "token_bytes": decoder.token_bytes,
        "model_s": round(build_s, 1),
        "fill": asked.fill,
        "steps": asked.steps,
        "interval": asked.interval,
        **asdict(decoder),
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"


if __name__ == "__main__":
    sys.exit(main())
