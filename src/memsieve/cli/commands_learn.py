"""train and feedback: a policy of one's own, from evidence or from use."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from memsieve.cli.door import Door
from memsieve.cli.files import require_room
from memsieve.errors import ParameterError

if TYPE_CHECKING:
    from memsieve.learn.examples import Example
    from memsieve.learn.feedback import Comparison
    from memsieve.learn.training import Recipe, Trained

METHODS = ("group-relative", "listwise", "pairwise", "pointwise")
REWARDS = ("ranking", "budget", "memory-t1", "answer", "grounding")


def train(
    door: Door,
    what: Annotated[str, typer.Argument(metavar="policy", help="What to train: policy.")],
    data: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[DATA]...",
            help="Data sets with known evidence, as 'memsieve bench' takes them. None with"
            " --from-feedback.",
        ),
    ] = None,
    out: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write the policy here, as JSON.")
    ] = None,
    method: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help=f"{', '.join(METHODS)}. The first learns from rewards of whole selections, the"
            " others from which candidate was right.",
        ),
    ] = METHODS[0],
    reward: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="For group-relative: ranking (NDCG@10, recall@5 and @10), budget (evidence inside"
            " --budget tokens), memory-t1 (.6 answer, .2 grounding, .2 time), answer or grounding.",
        ),
    ] = REWARDS[0],
    budget: Annotated[int, typer.Option(metavar="N", help="Tokens of the reward budget.")] = 500,
    kind: Annotated[
        str,
        typer.Option(metavar="KIND", help="linear: a weight a feature; mlp: a small network."),
    ] = "linear",
    start: Annotated[
        str | None,
        typer.Option(
            metavar="POLICY", help="A linear policy to start from. Default: the untrained sum."
        ),
    ] = None,
    steps: Annotated[int, typer.Option(metavar="N", help="Steps at most.")] = 800,
    folds: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Parts of the conversations to put aside in turn. Default: one conversation each.",
        ),
    ] = None,
    categories: Annotated[
        str | None,
        typer.Option(metavar="A,B", help="Learn from these categories only. Default: all."),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Same seed, same policy.")] = 0,
    from_feedback: Annotated[
        bool,
        typer.Option("--from-feedback", help="Learn from 'memsieve feedback' of this memory."),
    ] = False,
    adopt: Annotated[
        bool,
        typer.Option(
            "--adopt",
            help="With --from-feedback: use the new policy for this memory from now on, if it wins"
            " on the recalls that were put aside.",
        ),
    ] = False,
) -> None:
    """Train what scores memories, on two processors in minutes.

    Whole conversations are put aside in turn: they say after how many steps to stop, and the
    figures printed are theirs. The file can be read, and used with 'memsieve bench --policy FILE'
    or memsieve.open(path, policy=FILE).
    """
    from memsieve.learn.training import Recipe

    if what != "policy":
        raise ParameterError(f"only a policy can be trained, got {what!r}")
    _check(data or [], out, from_feedback=from_feedback, adopt=adopt)
    rate = 0.03 if kind == "linear" else 0.01
    recipe = Recipe(kind=kind, n_steps=steps, learning_rate=rate, every=100, seed=seed)
    options = {"method": method, "reward": reward, "budget": budget, "start": start}
    if from_feedback:
        _feedback(door, recipe, options, out=out, adopt=adopt)
    else:
        _data(door, data or [], recipe, options, out=out, folds=folds, categories=categories)


def feedback(
    door: Door,
    recall: Annotated[
        str, typer.Argument(metavar="RECALL", help="The id that 'memsieve recall --track' gave.")
    ],
    used: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="An item that answered; repeatable."),
    ] = None,
    reward: Annotated[
        float | None,
        typer.Option(metavar="R", help="How good the selection was as a whole, from -1 to 1."),
    ] = None,
) -> None:
    """Say which items of a recall answered; 'memsieve train policy --from-feedback' learns from it.

    Numbers are stored, never the question. Saying it again replaces what was said before.
    """
    from memsieve.cli import records, show

    with door.memory() as memory:
        memory.feedback(recall, used or (), reward=reward)
        total = len(memory.judged())
    if door.json:
        records.as_json({"recall": recall, "judged": total})
    else:
        show.line(f"kept; {total:,} recalls of {door.path} have feedback")


def _check(data: list[Path], out: str | None, *, from_feedback: bool, adopt: bool) -> None:
    if from_feedback and data:
        raise ParameterError("--from-feedback learns from the memory: name no data beside it")
    if not from_feedback and not data:
        raise ParameterError("name data sets to learn from, or --from-feedback")
    if adopt and not from_feedback:
        raise ParameterError(
            "--adopt goes with --from-feedback: use a policy file with memsieve.open(policy=FILE)"
        )
    if out == "-":
        raise ParameterError("--out must name a file: a policy is not written to the screen")
    if out is None and not adopt:
        raise ParameterError("say where to write the policy: --out FILE")
    require_room(files=[out])


def _data(
    door: Door,
    paths: list[Path],
    recipe: "Recipe",
    options: dict[str, Any],
    *,
    out: str | None,
    folds: int | None,
    categories: str | None,
) -> None:
    from memsieve import evaluate
    from memsieve.cli.progress import bar, bar_for_each
    from memsieve.learn import choice
    from memsieve.learn.examples import examples
    from memsieve.learn.training import train as train_policy

    objective, start = choice.objective(**options)
    datasets = [evaluate.load(path) for path in paths]
    choice.checked(datasets, folds, categories)
    found: list[Example] = []
    embedder = door.named_embedder(door.embedder)
    for path, data in zip(paths, datasets, strict=True):
        with bar(f"weighing {path.name}") as progress:
            found += examples(data, embedder=embedder, progress=progress)
    found = choice.of_categories(found, categories)
    name = Path(out).stem if out else "trained"
    with bar_for_each() as moved:
        trained = train_policy(
            found, objective, recipe, start=start, name=name, n_folds=folds, progress=moved
        )
    policy = choice.described(trained, found, [path.name for path in paths], recipe, options)
    if out is not None:
        policy.save(out)
    _show_training(door, trained, found, out)


def _feedback(
    door: Door, recipe: "Recipe", options: dict[str, Any], *, out: str | None, adopt: bool
) -> None:
    from memsieve.cli.progress import bar_for_each
    from memsieve.learn import choice
    from memsieve.learn.feedback import from_feedback, train_from_feedback
    from memsieve.score.policy import Policy

    objective, start = choice.objective(**options)
    with door.memory() as memory, bar_for_each() as moved:
        in_use = memory.scorer
        if not isinstance(in_use, Policy):
            raise ParameterError(f"{in_use!r} is no policy to compare with")
        judged = from_feedback(memory, namespace=door.namespace)
        found = train_from_feedback(judged, in_use, objective, recipe, start=start, progress=moved)
        if out is not None:
            found.trained.policy.save(out)
        adopted = adopt and found.wins
        if adopted:
            memory.adopt(found.trained.policy)
    _show_comparison(door, found, in_use.name, adopt=adopt, adopted=adopted, out=out)


def _show_training(door: Door, trained: "Trained", found: "list[Example]", out: str | None) -> None:
    from memsieve.cli import records, show
    from memsieve.learn.scoring import FIGURES

    before, after = trained.curve[0], trained.curve[trained.n_steps]
    size = Path(out).stat().st_size if out else None
    if door.json:
        records.as_json(
            {
                "policy": out,
                "bytes": size,
                "questions": len(found),
                "steps": trained.n_steps,
                "seconds": round(trained.seconds, 1),
                "start": records.record(before),
                "trained": records.record(after),
            }
        )
        return
    show.line(f"{len(found):,} questions, {trained.n_steps:,} steps, {trained.seconds:.0f} s")
    rows = [
        (name, *(f"{getattr(figures, figure):.3f}" for figure in FIGURES))
        for name, figures in (("start", before), ("trained, put aside", after))
    ]
    show.table(("", *FIGURES.values()), rows)
    if not trained.n_steps:
        show.line("no step was better than the start on what was put aside: it is the start")
    if out:
        show.line(f"wrote {out}, {size:,} bytes")


def _show_comparison(
    door: Door, found: "Comparison", in_use: str, *, adopt: bool, adopted: bool, out: str | None
) -> None:
    from memsieve.cli import records, show

    if door.json:
        records.as_json(
            {
                "recalls": found.n_recalls,
                "in_use": in_use,
                "ndcg10_difference": found.difference,
                "interval": [found.low, found.high],
                "wins": found.wins,
                "adopted": adopted,
                "policy": out,
            }
        )
        return
    show.line(
        f"NDCG@10 on {found.n_recalls:,} recalls put aside: {found.difference:+.3f}"
        f" [{found.low:+.3f}, {found.high:+.3f}] against {in_use}"
    )
    if adopted:
        show.line(f"adopted: {door.path} goes by it from now on")
    elif adopt:
        show.line(f"not adopted: {in_use} stays, the interval does not lie above zero")
    if out:
        show.line(f"wrote {out}")
