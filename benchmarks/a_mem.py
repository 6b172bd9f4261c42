"""What links are worth to A-MEM at equal budget, without a model, turn by turn.

    python benchmarks/a_mem.py ../shared/data/locomo/dev.json

Every row is `memsieve.open(path, system=AMem(...))` over the same file. Figures are the share of
the evidence turns among the first 10 and 20 turns, linked ones included, and in as many turns as a
budget of words holds, best first, those that do not fit left out. Rows named "content" search
nothing but the texts, as the measurements of the A-MEM card do.
"""

import argparse
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np

import memsieve
from memsieve.evaluate import Dataset, Question, Scope, load
from memsieve.systems.a_mem import AMem

DEFAULT_PATH = Path("../shared/data/locomo/dev.json")
DEPTHS = (10, 20)
WORDS = (250, 500, 1_000, 2_000, 4_000)
K = 250  # turns that are asked for: more than 4,000 words hold

SYSTEMS: Mapping[str, AMem] = MappingProxyType(
    {
        "content: tf-idf": AMem(links=None, match="tf-idf", who_and_when=False),
        "content: BM25": AMem(links=None, who_and_when=False),
        "content: BM25 + similarity": AMem(links="similarity", expansion=None, who_and_when=False),
        "content: BM25 + adjacency": AMem(links="adjacency", who_and_when=False),
        "dense": AMem(links=None, match="dense"),
        "dense + adjacency": AMem(links="adjacency", match="dense"),
        "BM25": AMem(links=None),
        "BM25 + entity": AMem(links="entity", expansion=None),
        "default": AMem(),
    }
)


def recalls(ranked: Sequence[str], gold: frozenset[str], words: Mapping[str, int]) -> list[float]:
    """The share of the gold turns at each of `DEPTHS`, then at each of `WORDS`."""
    found = [len(gold.intersection(ranked[:depth])) / len(gold) for depth in DEPTHS]
    for budget in WORDS:
        left, kept = budget, set()
        for key in ranked:
            if words[key] <= left:
                left -= words[key]
                kept.add(key)
        found.append(len(gold & kept) / len(gold))
    return found


def asked_of(scope: Scope, folder: Path, names: Sequence[str]) -> dict[str, list[list[float]]]:
    """`recalls` of every question of a conversation, by system."""
    path = folder / "memory.db"
    words = {message.key or "": len(message.text.split()) for message in scope.messages}
    with memsieve.open(path) as memory:
        memory.add([replace(message, namespace=None) for message in scope.messages])
    rows: dict[str, list[list[float]]] = {}
    for name in names:
        with memsieve.open(path, system=SYSTEMS[name]) as memory:
            rows[name] = [
                recalls(_ranked(memory, scope, question), frozenset(question.evidence), words)
                for question in scope.questions
            ]
    path.unlink()
    return rows


def _ranked(memory: memsieve.Memory, scope: Scope, question: Question) -> list[str]:
    found = memory.recall(question.question, k=K, now=question.asked_at or scope.last_at)
    return [hit.item.key or "" for hit in found]


def measure(data: Dataset, names: Sequence[str]) -> dict[str, dict[str, list[float]]]:
    """Means over questions by system, then "all" and by category; columns as `recalls` gives."""
    rows: dict[str, list[list[float]]] = {name: [] for name in names}
    categories = [question.category for scope in data.scopes for question in scope.questions]
    for scope in data.scopes:
        with tempfile.TemporaryDirectory(prefix="memsieve-a-mem-") as folder:
            for name, found in asked_of(scope, Path(folder), names).items():
                rows[name] += found
    of = np.array(categories)
    means = {}
    for name, each in rows.items():
        values = np.array(each)
        means[name] = {"all": values.mean(axis=0).tolist()} | {
            category: values[of == category].mean(axis=0).tolist() for category in data.categories
        }
    return means


def table(means: Mapping[str, Mapping[str, Sequence[float]]], group: str) -> str:
    """The figures of all questions or of a category, in percent."""
    heads = [*(f"@{depth}" for depth in DEPTHS), *(f"{n:,}w" for n in WORDS)]
    lines = [f"{group:<30}" + "".join(f"{head:>8}" for head in heads)]
    for name, groups in means.items():
        lines.append(f"{name:<30}" + "".join(f"{100 * value:>8.1f}" for value in groups[group]))
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("path", type=Path, nargs="?", default=DEFAULT_PATH)
    parser.add_argument("--systems", default=",".join(SYSTEMS), help=", ".join(SYSTEMS))
    parser.add_argument("--json", type=Path, default=None, help="also write the figures here")
    options = parser.parse_args(arguments)
    names = options.systems.split(",")
    if strange := [name for name in names if name not in SYSTEMS]:
        parser.error(f"no system is called {strange[0]!r}; there are: {', '.join(SYSTEMS)}")
    data = load(options.path)
    means = measure(data, names)
    print(f"{data.name}: {sum(len(scope.questions) for scope in data.scopes):,} questions")
    for group in ("all", *data.categories):
        print("\n" + table(means, group))
    if options.json:
        options.json.write_text(json.dumps(means, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
