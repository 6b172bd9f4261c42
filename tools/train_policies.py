"""Train the policies that ship with the package, and write them into it.

    python tools/train_policies.py DATA

DATA holds `bfcl_memory`, `tau2_banking` and `locomo/dev.json`. `default` learns from what may ship,
that is `corpus/`, `examples/`, BFCL memory (Apache-2.0) and tau2-bench banking (MIT).
`locomo` learns from LoCoMo as well, which is for non-commercial use: it is never used unless it is
named.
`equal` is the untrained sum of views. The same data give the same files.
"""

import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from memsieve.evaluate import load
from memsieve.learn.examples import Example, examples
from memsieve.learn.objectives import Listwise, Objective
from memsieve.learn.scoring import figures
from memsieve.learn.training import Recipe, Trained, train
from memsieve.score.fusion import EQUAL_VIEWS
from memsieve.score.policy import SHIPPED, Linear, Policy

ROOT = Path(__file__).resolve().parents[1]
PARTS = 5
"""A data set of one scope is cut into so many, by questions, so that some can be put aside."""
Source = tuple[list[Example], dict[str, str]]
OBJECTIVE: Objective = Listwise(1.5)
RECIPE = Recipe(kind="mlp", n_steps=600, learning_rate=0.01, pull=0.02, every=50)


def named(
    data: Path, licence: str, *, prefix: str, times: int = 1
) -> tuple[list[Example], dict[str, str]]:
    """The questions of a data set that a policy may learn from, and where they come from.

    Those that ask of one person what another did teach to overlook names, and are left out. Each
    counts so many `times`: data of a kind that is rare among the rest would be outvoted.
    """
    found = [one for one in examples(load(data)) if one.category != "adversarial"]
    scopes = {one.scope for one in found}
    found = [
        replace(one, scope=f"{prefix}/{n % PARTS if len(scopes) == 1 else one.scope}")
        for n, one in enumerate(found)
    ]
    print(f"{prefix}: {len(found)} questions", flush=True)
    about = {"source": prefix, "licence": licence, "questions": str(len(found))}
    return found * times, {**about, "times": str(times)}


def learn(name: str, sources: Sequence[Source], *, besides: Sequence[Source] = ()) -> Policy:
    """Train on all sources, stopped by what was put aside in eight parts or scope by scope.

    Nothing of `besides` is put aside.
    """
    known = [one for found, _ in sources for one in found]
    more = [one for found, _ in besides for one in found]
    scopes = {one.scope for one in known}
    trained = train(
        known,
        OBJECTIVE,
        RECIPE,
        besides=more,
        name=name,
        n_folds=min(8, len(scopes)),
        progress=_progress,
    )
    print(f"\n{name}: {trained.n_steps} steps, {trained.seconds:.0f} s")
    return replace(
        trained.policy,
        trained_on={"sources": [about for _, about in (*sources, *besides)]},
        recipe={"objective": repr(OBJECTIVE), **asdict(RECIPE), "n_steps": trained.n_steps},
        measured={"put_aside": _by_source(trained, known)},
    )


def _by_source(trained: Trained, known: Sequence[Example]) -> dict[str, Any]:
    """Figures on what was put aside, for each source."""
    found = {}
    for prefix in dict.fromkeys(one.scope.partition("/")[0] for one in known):
        at = [i for i, one in enumerate(known) if one.scope.startswith(f"{prefix}/")]
        got = figures([known[i] for i in at], [trained.aside[i] for i in at])
        found[prefix] = {field: round(value, 4) for field, value in asdict(got).items()}
        print(f"  {prefix}: {found[prefix]}")
    return found


def _progress(what: str, done: int, total: int) -> None:
    if done == total:
        print(f"{what} ", end="", flush=True)


def main(data: Path) -> None:
    """Write the three files."""
    SHIPPED.mkdir(exist_ok=True)
    ours = "Apache-2.0, written for this project"
    conversations = named(ROOT / "corpus" / "conversations", ours, prefix="conversations")
    learn(
        "default",
        [
            conversations,
            named(ROOT / "corpus" / "monologues", ours, prefix="monologues"),
            named(
                ROOT / "corpus" / "dated", "Apache-2.0, generated for this project", prefix="dated"
            ),
            named(ROOT / "examples" / "conversations", ours, prefix="examples"),
            named(data / "bfcl_memory", "Apache-2.0", prefix="bfcl", times=2),
            named(data / "tau2_banking", "MIT", prefix="tau2"),
        ],
    ).save(SHIPPED / "default.json")
    licence = "CC BY-NC 4.0: not for commercial use"
    learn(
        "locomo",
        [named(data / "locomo" / "dev.json", licence, prefix="locomo")],
        besides=[conversations],
    ).save(SHIPPED / "locomo.json")
    weights = {name: float(weight) for name, weight in EQUAL_VIEWS.items()}
    recipe = {"objective": "none: every view weighs the same"}
    Linear("equal", weights, recipe=recipe).save(SHIPPED / "equal.json")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
