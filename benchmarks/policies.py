"""What learning is worth on LoCoMo: policies that never saw the conversation they are measured on.

    python benchmarks/policies.py dev.json                   # policies beside the untrained sum
    python benchmarks/policies.py dev.json --ablations       # each family of features, each reward
    python benchmarks/policies.py dev.json --cost            # milliseconds for 500 candidates

Every conversation is recalled from by policies trained on the others (categories 1 to 4), through
the same calls as `memsieve bench`; the shipped `default` has seen none of them. Differences are
paired, question by question, with 95 % bootstrap intervals.
"""

import argparse
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np

from memsieve.embed import NoEmbedder
from memsieve.evaluate import compare, load
from memsieve.evaluate.baselines import BM25
from memsieve.evaluate.memory_system import MemorySystem
from memsieve.evaluate.metrics import paired_bootstrap, recall
from memsieve.evaluate.report import Comparison, Report
from memsieve.evaluate.runner import System
from memsieve.evaluate.scopes import Dataset, Scope
from memsieve.learn.choice import reward_named
from memsieve.learn.examples import Example, examples
from memsieve.learn.group_relative import GroupRelative, MemoryT1Parts
from memsieve.learn.objectives import Listwise, Objective, Pairwise, Pointwise
from memsieve.learn.scoring import Figures, figures
from memsieve.learn.training import Recipe, Trained, train
from memsieve.memory import Memory
from memsieve.request import Request
from memsieve.score.features import FAMILIES, NAMES, features
from memsieve.score.policy import Policy
from memsieve.score.policy import load as load_policy
from memsieve.stages import Weighed

ADVERSARIAL = "adversarial"
N_COST = 500
LINEAR = Recipe(n_steps=800, every=800)
SUPERVISED = Recipe(n_steps=250, every=250)
MLP = Recipe(kind="mlp", n_steps=450, every=450, learning_rate=0.01, pull=0.02)
VARIANTS: tuple[tuple[str, Objective, Recipe, bool], ...] = (
    ("group-relative", GroupRelative(), LINEAR, False),
    ("group-relative + corpus", GroupRelative(), LINEAR, True),
    ("group-relative mlp", GroupRelative(), MLP, False),
    ("listwise", Listwise(1.5), SUPERVISED, False),
    ("listwise mlp", Listwise(1.5), MLP, False),
    ("listwise mlp + corpus", Listwise(1.5), MLP, True),
    ("pairwise", Pairwise(), SUPERVISED, False),
    ("pointwise", Pointwise(), SUPERVISED, False),
)
"""Name, objective, recipe, and whether `corpus/conversations` is learned from, too. The numbers of
steps are fixed beforehand: nothing is stopped by what it is measured on."""
CORPUS = Path(__file__).resolve().parents[1] / "corpus" / "conversations"


class Folded(MemorySystem):
    """A memory whose policy is, for each scope, one that has not seen it."""

    def __init__(self, name: str, policies: Mapping[str, Policy]) -> None:
        self.policies = policies
        super().__init__(name=name)

    def load(self, scope: Scope) -> None:
        """Write a scope, to be recalled from by the policy trained without it."""
        self._policy = self.policies[scope.id]
        super().load(scope)


def folded(name: str, trained: Trained) -> Folded:
    """A system of the policies that a training had put aside."""
    return Folded(name, {s.partition("/")[2]: p for s, p in trained.by_scope.items()})


def measured(data: Dataset, known: Sequence[Example]) -> Iterator[System]:
    """Every policy, and what it is to beat."""
    yield BM25(NoEmbedder())
    yield MemorySystem(name="untrained", policy="equal")
    yield MemorySystem(name="default")
    ours = [e for e in examples(load(CORPUS)) if e.category != ADVERSARIAL]
    for name, objective, recipe, is_helped in VARIANTS:
        begin = perf_counter()
        trained = train(known, objective, recipe, besides=ours if is_helped else ())
        print(f"trained {name}: {perf_counter() - begin:.0f} s with its folds", flush=True)
        yield folded(name, trained)


def row(report: Report, plain: Report) -> list[str]:
    """One line of the table: `plain` leaves out the adversarial questions."""
    turn, several = plain.to_json()["turn"], plain.to_json()["by_category"]["multi-hop"]["turn"]
    session, budget = report.to_json()["session"]["recall_all"], plain.to_json()["budget_recall"]
    return [
        *(f"{turn['recall'][k]:.3f}" for k in ("1", "5", "10", "20")),
        f"{turn['ndcg10']:.3f}",
        f"{several['recall']['10']:.3f}",
        *(f"{session[k]:.3f}" for k in ("3", "10")),
        *(f"{budget[b]:.3f}" for b in ("250", "500", "1000", "2000", "4000")),
    ]


HEAD = ("", "R@1", "R@5", "R@10", "R@20", "NDCG@10", "multi-hop", "S@3", "S@10", "250", "500",
        "1,000", "2,000", "4,000")  # fmt: skip


def table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows as a table in Markdown."""
    for n, cells in enumerate(rows):
        print("| " + " | ".join(cells) + " |")
        if n == 0:
            print("|" + "---|" * len(cells))


def without_adversarial(report: Report) -> Report:
    """The same report of the questions of categories 1 to 4."""
    kept = tuple(row for row in report.rows if row.question.category != ADVERSARIAL)
    return replace(report, rows=kept)


def main(path: str, out: str | None) -> None:
    """Train, measure, print."""
    data = load(path)
    known = [e for e in examples(data) if e.category != ADVERSARIAL]
    whole = compare(list(measured(data, known)), data, baseline="untrained")
    plain = Comparison(tuple(map(without_adversarial, whole.reports)), baseline="untrained")
    pairs = zip(whole.reports, plain.reports, strict=True)
    table([HEAD, *([a.system, *row(a, b)] for a, b in pairs)])
    print(
        "\nR, NDCG, multi-hop (R@10) and tokens: categories 1 to 4; S, recall_all of sessions: all"
    )
    lines: dict[str, Any] = {"systems": [report.to_json() for report in whole.reports]}
    for against in ("untrained", "bm25", "group-relative"):
        for name in (r.system for r in plain.reports if r.system != against):
            given = {r.system: r for r in plain.reports}
            gaps = {k: gap(given[name], given[against], k) for k in (5, 10)}
            shown = [f"R@{k} {d:+.3f} [{lo:+.3f}, {hi:+.3f}]" for k, (d, lo, hi) in gaps.items()]
            print(f"{name} against {against}: {', '.join(shown)}")
            lines[f"{name} against {against}"] = gaps
    if out is not None:
        Path(out).write_text(json.dumps(lines, indent=1) + "\n", encoding="utf-8")


def gap(a: Report, b: Report, k: int) -> tuple[float, float, float]:
    """Difference of turn recall@k with its interval."""
    first, second = (
        [recall(row.ranking.turns, row.question.evidence, k) for row in one.rows] for one in (a, b)
    )
    return paired_bootstrap(first, second)


def ablations(path: str) -> None:
    """Each family of features off, and each part of the reward."""
    known = [e for e in examples(load(path)) if e.category != ADVERSARIAL]
    rows: list[tuple[str, ...]] = [("features", "R@1", "R@5", "R@10", "NDCG@10", "multi-hop")]
    rows.append(("all", *aside(known, GroupRelative(), LINEAR)))
    for family, inside in FAMILIES.items():
        kept = [name for name in NAMES if name not in inside]
        fewer = [example.only(kept) for example in known]
        rows.append((f"without {family}", *aside(fewer, GroupRelative(), LINEAR)))
        print(rows[-1], flush=True)
    table(rows)
    rows = [("reward", *rows[0][1:])]
    parts = {
        "Memory-T1: .6 answer, .2 grounding, .2 time": MemoryT1Parts(),
        "without answer": MemoryT1Parts(0.0, 0.2, 0.2),
        "without grounding": MemoryT1Parts(0.6, 0.0, 0.2),
        "without time": MemoryT1Parts(0.6, 0.2, 0.0),
        "answer alone": MemoryT1Parts(1.0, 0.0, 0.0),
        "budget of 500 tokens": reward_named("budget", 500),
        "ranking": reward_named("ranking", 500),
    }
    for name, reward in parts.items():
        rows.append((name, *aside(known, GroupRelative(reward), LINEAR)))
        print(rows[-1], flush=True)
    table(rows)


def aside(known: Sequence[Example], objective: Objective, recipe: Recipe) -> tuple[str, ...]:
    """The figures of a training on what it had put aside."""
    trained = train(known, objective, recipe)
    several = [i for i, example in enumerate(known) if example.category == "multi-hop"]
    found: Figures = figures(known, trained.aside)
    hops = figures([known[i] for i in several], [trained.aside[i] for i in several])
    values = (found.recall1, found.recall5, found.recall10, found.ndcg10, hops.recall10)
    return tuple(f"{value:.3f}" for value in values)


def cost(path: str) -> None:
    """Median milliseconds that features and policies take for 500 candidates, 200 questions."""
    scope = load(path).scopes[-1]
    with TemporaryDirectory() as folder, Memory(Path(folder) / "cost.db") as memory:
        memory.add([replace(message, namespace=None) for message in scope.messages])
        # A recall asked for many hits takes more from each ranking.
        weighed = [
            memory._recaller.weigh("default", Request(one.question, k=N_COST))
            for one in scope.questions[:200]
        ]
    first = [_cut(one) for one in weighed if one.found.docs.size >= N_COST]
    print(f"{len(first)} questions with {N_COST} candidates, {len(NAMES)} features")
    took = [_ms(partial(features, one.block, one.question, one.found)) for one in first]
    print(f"features: {np.median(took):.2f} ms")
    for name in ("equal", "default"):
        policy = load_policy(name)
        took = [_ms(partial(policy.score, one.features)) for one in first]
        print(f"{name} ({policy.kind}): {np.median(took):.2f} ms")


def _cut(weighed: Weighed) -> Weighed:
    """The same with `N_COST` candidates."""
    found = weighed.found
    kept = replace(
        found,
        docs=found.docs[:N_COST],
        cosine=found.cosine[:N_COST],
        cosine_window=found.cosine_window[:N_COST],
    )
    values = features(weighed.block, weighed.question, kept)
    return replace(weighed, found=kept, features=values)


def _ms(call: Callable[[], object]) -> float:
    begin = perf_counter()
    call()
    return (perf_counter() - begin) * 1000


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", help="LoCoMo samples, or conversations in the open format")
    parser.add_argument("--ablations", action="store_true")
    parser.add_argument("--cost", action="store_true")
    parser.add_argument("--json", metavar="OUT", help="write all figures here")
    given = parser.parse_args()
    if given.cost:
        cost(given.path)
    elif given.ablations:
        ablations(given.path)
    else:
        main(given.path, given.json)
