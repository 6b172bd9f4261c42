"""bench: memsieve beside the baselines on conversations with known evidence."""

import json as json_text
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from memsieve.cli.door import Door
from memsieve.cli.files import require_room
from memsieve.cli.options import KeyEnv, ModelSpec
from memsieve.errors import MissingExtraError, ParameterError

if TYPE_CHECKING:
    from memsieve.embed import Embedder
    from memsieve.evaluate import Comparison, Dataset, Report, System
    from memsieve.llm import Model

BASELINES = (
    "memsieve-untrained",
    "memsieve-timeless",
    "random",
    "recency",
    "bm25",
    "bm25+dense",
)
_BUDGETS = "250,500,1000,2000,4000"


def bench(
    door: Door,
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The data set, a file or folder.")],
    dataset: Annotated[
        str, typer.Option(metavar="NAME", help="auto, bfcl, conversations, locomo or tau2.")
    ] = "auto",
    system: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="What to measure: a system that 'memsieve systems' lists, or one of"
            f" {', '.join(BASELINES)}; repeatable. Default: all.",
        ),
    ] = None,
    policy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="POLICY",
            help="What scores in memsieve: a shipped policy or a file; repeatable, each is measured"
            " as a system of its own. Default: default.",
        ),
    ] = None,
    model: ModelSpec = None,
    key_env: KeyEnv = None,
    categories: Annotated[
        str | None,
        typer.Option(metavar="A,B", help="Ask these categories of questions only. Default: all."),
    ] = None,
    k: Annotated[
        int, typer.Option("--k", metavar="N", help="Turns asked of each system, at least 50.")
    ] = 50,
    budgets: Annotated[
        str, typer.Option(metavar="N,N", help="Token budgets of the contexts.")
    ] = _BUDGETS,
    json: Annotated[
        str | None,
        typer.Option("--json", metavar="OUT", help="Write the figures here; - is stdout."),
    ] = None,
    rows: Annotated[
        str | None,
        typer.Option(metavar="OUT", help="Write each question with what was returned for it."),
    ] = None,
    plot: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER", help="Write budget_recall.html and budget_recall.png into it."
        ),
    ] = None,
) -> None:
    """Measure recall on conversations whose evidence is known.

    Every system answers the same questions in this process: which turns hold the evidence, and
    how much of it a context of so many tokens contains. Nothing but what is asked for is written.
    """
    from memsieve import evaluate
    from memsieve.cli.progress import bar_for_each

    out = json or ("-" if door.json else None)
    sizes = _numbers("--budgets", budgets)
    names = _chosen(system)
    require_room(files=[out, rows], folder=plot)
    data = evaluate.load(path, dataset)
    with ExitStack() as stack:
        embedder = door.named_embedder(door.embedder)
        systems = [
            stack.enter_context(closing(one))
            for name in names
            for one in _systems(name, embedder, policy or [])
        ]
        asked = stack.enter_context(door.model(model, key_env))
        twins = {
            name: stack.enter_context(closing(_twin(name, embedder, asked)))
            for name in names
            if asked is not None and name not in BASELINES
        }
        comparison = evaluate.compare(
            systems,
            data,
            categories=None if categories is None else _listed(categories),
            budgets=sizes,
            k=k,
            progress=stack.enter_context(bar_for_each()),
            with_model=twins,
        )
    _write(comparison, data, out=out, rows=rows)
    if out != "-":
        _show(comparison, data)
    if plot is not None:
        _plot(comparison, Path(plot))


def _chosen(given: Sequence[str] | None) -> list[str]:
    """Names without repeats: memsieve, what it is held against, the other systems."""
    from memsieve import registry

    asked, first = set(given or ["all"]), registry.names()[0]
    known = (first, *BASELINES, *(name for name in registry.names() if name != first))
    for name in sorted(asked - {*known, "all"}):
        raise ParameterError(f"--system must be one of {', '.join(known)}, all; got {name!r}")
    return [name for name in known if name in asked or "all" in asked]


def _systems(name: str, embedder: "Embedder | None", policies: Sequence[str]) -> "Iterator[System]":
    """Fresh systems under a name: memsieve once for each policy."""
    from memsieve.evaluate.memory_system import MemorySystem
    from memsieve.score.policy import load

    if name != "memsieve" or not policies:
        yield _system(name, embedder)
        return
    for given in dict.fromkeys(policies):
        policy = load(given)
        shown = name if len(policies) == 1 else f"{name}:{policy.name}"
        yield MemorySystem(name=shown, embedder=embedder, policy=policy)


def _system(name: str, embedder: "Embedder | None") -> "System":
    """A fresh system; only those that use an embedder are given one."""
    from memsieve.embed import NoEmbedder
    from memsieve.evaluate import baselines
    from memsieve.evaluate.memory_system import MemorySystem

    words_only = NoEmbedder()
    made: dict[str, Callable[[], System]] = {
        "memsieve": lambda: MemorySystem(embedder=embedder),
        "memsieve-untrained": lambda: MemorySystem(
            name="memsieve-untrained", embedder=embedder, policy="equal"
        ),
        "memsieve-timeless": lambda: MemorySystem(
            name="memsieve-timeless", embedder=embedder, timeline="none"
        ),
        "random": lambda: baselines.Random(words_only),
        "recency": lambda: baselines.Recency(words_only),
        "bm25": lambda: baselines.BM25(words_only),
        "bm25+dense": lambda: baselines.BM25Dense(embedder),
    }
    return made[name]() if name in made else MemorySystem(name=name, embedder=embedder, system=name)


def _twin(name: str, embedder: "Embedder | None", model: "Model") -> "System":
    """The same system with a chat model."""
    from memsieve.evaluate.memory_system import MemorySystem

    return MemorySystem(
        name=f"{name} with {model.identity}", embedder=embedder, system=name, model=model
    )


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _numbers(option: str, text: str) -> list[int]:
    try:
        return [int(part) for part in _listed(text)]
    except ValueError:
        raise ParameterError(
            f"{option} must be whole numbers with commas between, got {text!r}"
        ) from None


def _show(comparison: "Comparison", data: "Dataset") -> None:
    from memsieve.cli import show
    from memsieve.evaluate import table

    first = comparison.reports[0]
    show.line(
        f"{data.name}: {len(first.rows):,} questions about {data.n_messages:,} messages in"
        f" {len(data.scopes):,} conversations"
    )
    for skipped in data.skipped[:1]:
        example = f"such as {show.one_line(skipped.question, 60)!r}: {skipped.why}"
        show.line(f"skipped: {len(data.skipped):,} questions, {example}")
    embedders = dict.fromkeys(r.embedder for r in comparison.reports if r.embedder != "none")
    show.line(f"embedder: {', '.join(embedders) or 'none'}")
    show.figures(table.heading(comparison.reports), table.rows(comparison.reports))


def _figures(comparison: "Comparison", data: "Dataset") -> dict[str, Any]:
    """The report of the first system; beside it those of all, where there are several."""
    from memsieve.cli.records import record

    first: Report = comparison.reports[0]
    figures = {**first.to_json(), "skipped": [record(skipped) for skipped in data.skipped]}
    return figures if len(comparison.reports) == 1 else {**figures, **comparison.to_json()}


def _write(comparison: "Comparison", data: "Dataset", *, out: str | None, rows: str | None) -> None:
    from memsieve.cli.records import as_json

    if out == "-":
        as_json(_figures(comparison, data))
    elif out is not None:
        text = json_text.dumps(_figures(comparison, data), ensure_ascii=False, indent=2)
        Path(out).write_text(f"{text}\n", encoding="utf-8")
    if rows is not None:
        with Path(rows).open("w", encoding="utf-8") as file:
            for report in comparison.reports:
                for row in report.rows:
                    line = {"system": report.system, **row.to_json()}
                    file.write(json_text.dumps(line, ensure_ascii=False) + "\n")


def _plot(comparison: "Comparison", folder: Path) -> None:
    from memsieve.evaluate import budget_plot_html, budget_plot_png

    folder.mkdir(exist_ok=True)
    budget_plot_html(comparison, folder / "budget_recall.html")
    try:
        budget_plot_png(comparison, folder / "budget_recall.png")
    except MissingExtraError as error:  # the page shows the same, so this is no failure
        print(f"memsieve: no budget_recall.png: {error}", file=sys.stderr)
