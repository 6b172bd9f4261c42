"""kv: what a policy of key-value caches costs and loses, measured on a model."""

import json as json_text
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from memsieve.cli.door import Door
from memsieve.cli.files import require_room
from memsieve.errors import MissingExtraError, ParameterError

if TYPE_CHECKING:
    from memsieve.kv.bench import Report


def kv(
    door: Door,
    what: Annotated[str, typer.Argument(metavar="bench", help="What to do: bench.")],
    model: Annotated[
        str,
        typer.Argument(
            metavar="[MODEL]",
            help="The folder of a model, or a family of transformers such as llama, mistral or"
            " qwen3, of which a small model with random weights is made. Nothing is downloaded.",
        ),
    ] = "llama",
    policy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="What to measure: a policy, frame (a managed cache without one) or all;"
            " repeatable. The full cache is always there. Default: all.",
        ),
    ] = None,
    budget: Annotated[
        list[int] | None,
        typer.Option(
            metavar="N",
            help="Tokens that a head keeps, or looks at; repeatable. Default: 256.",
        ),
    ] = None,
    length: Annotated[
        list[int] | None,
        typer.Option(metavar="N", help="Tokens of the prompt; repeatable. Default: 1024."),
    ] = None,
    steps: Annotated[int, typer.Option(metavar="N", help="Tokens decoded after it.")] = 16,
    rows: Annotated[int, typer.Option(metavar="N", help="Rows of the batch.")] = 1,
    chunk: Annotated[
        int | None,
        typer.Option(metavar="N", help="Feed prompts in pieces of N tokens. Default: at once."),
    ] = None,
    full_layers: Annotated[
        int,
        typer.Option(metavar="N", help="First layers that retrieving policies leave alone."),
    ] = 2,
    interval: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="Decoded tokens from one eviction to the next; in between up to N - 1 more than"
            " the budget are held.",
        ),
    ] = 1,
    repeats: Annotated[
        int, typer.Option(metavar="N", help="Time each so often, in turns; the median counts.")
    ] = 1,
    needles: Annotated[
        bool, typer.Option("--needles/--no-needles", help="Ask for needles in made-up keys too.")
    ] = True,
    rate: Annotated[
        list[float] | None,
        typer.Option(
            metavar="N",
            help="Run the serving model of an 8B decoder on an H100 at N requests per second too;"
            " repeatable.",
        ),
    ] = None,
    layers: Annotated[int, typer.Option(metavar="N", help="Layers of a random model.")] = 6,
    hidden: Annotated[int, typer.Option(metavar="N", help="Its hidden size.")] = 256,
    heads: Annotated[int, typer.Option(metavar="N", help="Its query heads.")] = 8,
    kv_heads: Annotated[int, typer.Option(metavar="N", help="Its key-value heads.")] = 2,
    head_dim: Annotated[int, typer.Option(metavar="N", help="Channels of each head.")] = 64,
    dtype: Annotated[
        str, typer.Option(metavar="NAME", help="float32, float16, bfloat16 or float64.")
    ] = "float32",
    device: Annotated[
        str, typer.Option(metavar="NAME", help="Where to run, as PyTorch names it: cpu, cuda.")
    ] = "cpu",
    seed: Annotated[
        int, typer.Option(metavar="N", help="Same seed, same weights, prompts and needles.")
    ] = 0,
    json: Annotated[
        str | None,
        typer.Option("--json", metavar="OUT", help="Write the figures here; - is stdout."),
    ] = None,
    plot: Annotated[
        str | None,
        typer.Option(metavar="FOLDER", help="Write kv_bench.html and kv_bench.png into it."),
    ] = None,
) -> None:
    """Measure policies of a model's key-value cache beside the full cache.

    Bytes on device and host, time to the first token and of each, the share of attention that
    falls on what a policy looks at, how far its next-token distribution is from the full cache's,
    and whether it finds needles that nobody looked at before. Random weights say nothing about the
    quality of answers; the folder of a trained model does. Needs the extra kv.
    """
    from memsieve.kv import bench
    from memsieve.kv.extras import need_extra

    if what != "bench":
        raise ParameterError(f"'memsieve kv' knows bench only, got {what!r}")
    out = json or ("-" if door.json else None)
    require_room(files=[out], folder=plot)
    need_extra()
    from memsieve.cli.progress import bar_for_each

    lengths = length or [1024]
    plan = bench.Plan(
        policies=_chosen(policy, bench.names()),
        budgets=budget or [256],
        lengths=lengths,
        n_steps=steps,
        n_rows=rows,
        n_chunk=chunk,
        n_full_layers=full_layers,
        interval=interval,
        n_repeats=repeats,
        needles=needles,
        seed=seed,
    )
    sizes = bench.Sizes(layers, heads, kv_heads, head_dim, hidden)
    made = bench.open_model(
        model, sizes, n_positions=max(lengths) + steps, dtype=dtype, device=device, seed=seed
    )
    with bar_for_each() as progress:
        report = bench.report(made, plan, name=model, rates=rate or [], progress=progress)
    _write(report, out)
    if out != "-":
        _show(report)
    if plot is not None:
        _plot(report, Path(plot))


def _chosen(given: list[str] | None, known: tuple[str, ...]) -> list[str]:
    """Names without repeats, in the order of `known`."""
    asked = set(given or ["all"])
    for name in sorted(asked - {*known, "all"}):
        raise ParameterError(f"--policy must be one of {', '.join(known)}, all; got {name!r}")
    return [name for name in known if name in asked or "all" in asked]


def _show(report: "Report") -> None:
    from memsieve.cli import show
    from memsieve.kv.bench import table

    told = (f"{name} {value}" for name, value in report.setup.items() if value is not None)
    show.line(f"{report.model}: {', '.join(told)}")
    show.line(table.text(table.HEADING, table.rows(report)))
    for one in report.figures:
        if one.refused is not None:
            show.line(f"{one.policy} at {one.budget_tokens}: {one.refused}")
    if report.served:
        show.line("serving model, 8B decoder on an H100, 2,000 + 200 tokens, a fifth kept:")
        show.line(table.text(table.SERVED_HEADING, table.served_rows(report.served)))


def _write(report: "Report", out: str | None) -> None:
    if out is None:
        return
    text = json_text.dumps(report.to_json(), ensure_ascii=False, indent=2)
    if out == "-":
        print(text)
    else:
        Path(out).write_text(f"{text}\n", encoding="utf-8")


def _plot(report: "Report", folder: Path) -> None:
    from memsieve.kv.bench import plots

    folder.mkdir(exist_ok=True)
    plots.write_html(report, folder / "kv_bench.html")
    try:
        plots.write_png(report, folder / "kv_bench.png")
    except MissingExtraError as error:  # the page shows the same, so this is no failure
        print(f"memsieve: no kv_bench.png: {error}", file=sys.stderr)
