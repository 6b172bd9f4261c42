"""MemGAS on LoCoMo: which sessions it finds, beside BM25 over whole sessions and pairs of turns.

    python benchmarks/memgas.py ../shared/data/locomo/dev.json

R@k is recall_all: every session with evidence is among the first k. N@k is the NDCG of
LongMemEval's evaluator, which the paper uses: it does not discount the second place. All five
categories count; questions without evidence are left out. BM25 has k1 = 1.5, b = 0.75 and an idf of
ln(1 + (n - df + 0.5) / (df + 0.5)).
"""

import argparse
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

import memsieve
from memsieve.evaluate import Dataset, Scope, load
from memsieve.evaluate.metrics import recall_all
from memsieve.search.words import words
from memsieve.systems.memgas import Digest, Linking, MemGAS

DEFAULT_PATH = Path("../shared/data/locomo/dev.json")
DEPTHS = (1, 3, 5, 10)
K1, B = 1.5, 0.75
PUBLISHED = Linking(min_gap=0, otherwise=0, max_degree=None, weighted=False)

Rank = Callable[[str], Sequence[str]]
"""Sessions for a question, best first."""


def ndcg(ranked: Sequence[str], gold: Sequence[str], k: int) -> float:
    """NDCG@k with binary gain whose second place is not discounted, as LongMemEval computes it."""
    discount = 1 / np.log2(np.maximum(np.arange(1, k + 1), 2))
    found = sum(discount[i] for i, session in enumerate(ranked[:k]) if session in gold)
    return float(found / discount[: len(gold)].sum())


def plain(text: str) -> list[str]:
    """Every word as it is written, in lower case."""
    return re.findall(r"[a-z0-9]+", text.lower())


def bm25(texts: Sequence[str], split: Callable[[str], list[str]]) -> Callable[[str], np.ndarray]:
    """A function that scores texts against a question."""
    counts = [Counter(split(text)) for text in texts]
    lengths = np.array([count.total() for count in counts])
    norms = K1 * (1 - B + B * lengths / lengths.mean())
    holding = Counter(word for count in counts for word in count)

    def scores(question: str) -> np.ndarray:
        found = np.zeros(len(texts))
        for word in split(question):
            tf = np.array([count[word] for count in counts])
            idf = np.log(1 + (len(texts) - holding[word] + 0.5) / (holding[word] + 0.5))
            found += idf * tf * (K1 + 1) / (tf + norms)
        return found

    return scores


def by_words(scope: Scope, split: Callable[[str], list[str]], *, pairs: bool) -> Rank:
    """BM25 over whole sessions, or over pairs of turns with a session worth its best."""
    turns: dict[str, list[str]] = {}
    for message in scope.messages:
        turns.setdefault(str(message.session), []).append(f"{message.speaker}: {message.text}")
    names = list(turns)
    texts, of = [], []
    for i, said in enumerate(turns.values()):
        size = 2 if pairs else len(said)
        for at in range(0, len(said), size):
            texts.append("\n".join(said[at : at + size]))
            of.append(i)
    score = bm25(texts, split)

    def rank(question: str) -> Sequence[str]:
        best = np.full(len(names), -np.inf)
        np.maximum.at(best, of, score(question))
        return [names[i] for i in np.argsort(-best, kind="stable")]

    return rank


def by_memgas(scope: Scope, folder: Path, options: Mapping[str, object], *, given: bool) -> Rank:
    """MemGAS over a memory file; with what the data set tells of sessions if it is `given`."""
    digests = {
        session: Digest(view.summary, tuple(text for text, _ in view.statements))
        for session, view in scope.views.items()
    }
    known = {"default": digests} if given else {}
    system = MemGAS(given=known, **options)  # type: ignore[arg-type]
    memory = memsieve.open(folder / f"{scope.id}.db", system=system, timeline="none")
    memory.add([replace(message, namespace=None) for message in scope.messages])
    memory.enrich()

    def rank(question: str) -> Sequence[str]:
        found = memory.recall(question, k=50, now=scope.last_at)
        return [hit.session for hit in found.sessions]

    return rank


def rows(folder: Path) -> Iterator[tuple[str, Callable[[Scope], Rank]]]:
    """Every line of the table: its name and how a scope is ranked."""
    yield "BM25 sessions, plain words", lambda scope: by_words(scope, plain, pairs=False)
    yield "BM25 sessions, stop list, stems", lambda scope: by_words(scope, words, pairs=False)
    yield "BM25 best pair, stop list, stems", lambda scope: by_words(scope, words, pairs=True)
    paper = {"turns": "mean", "temperature": 0.2, "linking": PUBLISHED}
    made: list[tuple[str, dict[str, object], bool]] = [
        ("MemGAS", {}, False),
        ("MemGAS, all as published", paper, False),
        ("MemGAS, normalised weights", {"router": "normalised"}, False),
        ("MemGAS, equal weights, no links", {"router": "equal", "graph": False}, False),
        ("MemGAS, 60 seeds", {"n_seeds": 60}, False),
        ("MemGAS, dense", {"similarity": "meaning"}, False),
        ("MemGAS, words and dense", {"similarity": "both"}, False),
        ("MemGAS, given views", {}, True),
        ("MemGAS, given views, all as published", paper, True),
        ("MemGAS, given views, equal, no links", {"router": "equal", "graph": False}, True),
        ("MemGAS, given views, 60 seeds", {"n_seeds": 60}, True),
        ("MemGAS, given views, dense", {"similarity": "meaning"}, True),
    ]
    for number, (name, options, given) in enumerate(made):
        place = folder / str(number)
        place.mkdir()
        yield name, lambda s, p=place, o=options, g=given: by_memgas(s, p, o, given=g)  # type: ignore[misc]


def line(data: Dataset, name: str, ranker: Callable[[Scope], Rank]) -> str:
    """One line of the table: R@k for all depths, N@k for all but the first."""
    found: dict[str, list[float]] = {}
    for scope in data.scopes:
        rank = ranker(scope)
        for question in scope.questions:
            ranked, gold = rank(question.question), question.evidence_sessions
            for k in DEPTHS:
                found.setdefault(f"R@{k}", []).append(recall_all(ranked, gold, k))
                found.setdefault(f"N@{k}", []).append(ndcg(ranked, gold, k))
    figures = [f"{100 * np.mean(found[f'R@{k}']):6.2f}" for k in DEPTHS]
    figures += [f"{100 * np.mean(found[f'N@{k}']):6.2f}" for k in DEPTHS[1:]]
    return f"{name:40}" + " ".join(figures)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("path", type=Path, nargs="?", default=DEFAULT_PATH)
    options = parser.parse_args(arguments)
    data = load(options.path, dataset="locomo")
    names = [f"R@{k}" for k in DEPTHS] + [f"N@{k}" for k in DEPTHS[1:]]
    print(f"{data.n_questions:,} questions, sessions, in percent\n")
    print(" " * 40 + " ".join(f"{name:>6}" for name in names))
    with tempfile.TemporaryDirectory(prefix="memsieve-memgas-") as folder:
        for name, ranker in rows(Path(folder)):
            print(line(data, name, ranker), flush=True)


if __name__ == "__main__":
    main()
