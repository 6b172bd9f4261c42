"""What a policy learns from: the candidates of a question, and which of them were right."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import numpy as np

from memsieve.embed import Embedder
from memsieve.errors import ParameterError
from memsieve.evaluate.scopes import Dataset, Question, Scope
from memsieve.memory import Memory
from memsieve.score.features import CLIP, Features

Progress = Callable[[int, int], None]
"""Called with how much is done, and how much there is."""


_CLOCK = datetime(2024, 1, 1, tzinfo=UTC)
"""When what has no date was said and asked: the same at every training."""


@dataclass(frozen=True)
class Example:
    """One question with n candidates, d features, and what is known of the answer.

    scope: the conversation that it belongs to, for folds that share none; category: as the data set
    names it; names: (d,) features; values: (n, d) float32, in their own units; gold: (n,) grades,
    1.0 for evidence and 0.0 for the rest where there are no others; n_gold: evidence in all, that
    which is not among the candidates included; tokens: (n,) what each candidate costs.
    """

    scope: str
    category: str
    question: str
    names: tuple[str, ...]
    values: np.ndarray = field(repr=False)
    gold: np.ndarray = field(repr=False)
    n_gold: int
    tokens: np.ndarray = field(repr=False)
    drawn: tuple[int, ...] = field(default=(), repr=False)
    reward: float | None = None

    def __post_init__(self) -> None:
        n = len(self.gold)
        if self.values.shape != (n, len(self.names)) or self.tokens.shape != (n,):
            raise ParameterError(
                f"Example of {n} candidates and {len(self.names)} features got values"
                f" {self.values.shape} and tokens {self.tokens.shape}"
            )

    @cached_property
    def z(self) -> np.ndarray:
        """The features standardised and cut as a policy reads them: (n, d) float32."""
        return Features(self.names, self.values).standardised(CLIP).astype(np.float32)

    @property
    def teaches(self) -> bool:
        """Whether candidates differ in what is known of them: else no order is better."""
        differ = self.gold.size > 0 and bool(self.gold.min() < self.gold.max())
        return differ or (bool(self.drawn) and self.reward is not None)

    def column(self, name: str) -> np.ndarray:
        """One feature in its own unit: (n,)."""
        return self.values[:, self.names.index(name)]

    def only(self, names: Sequence[str]) -> "Example":
        """The same with these features alone."""
        at = [self.names.index(name) for name in names]
        return replace(self, names=tuple(names), values=self.values[:, at])


def examples(
    dataset: Dataset, *, embedder: Embedder | str | None = None, progress: Progress | None = None
) -> list[Example]:
    """Every question of a data set with the candidates that a memory of its scope weighs.

    Each scope is written into a real memory in a temporary file, and each question goes the way of
    `Memory.recall` up to its features.
    """
    found: list[Example] = []
    with tempfile.TemporaryDirectory(prefix="memsieve-train-") as folder:
        for n, scope in enumerate(dataset.scopes):
            path = Path(folder) / f"{n}.db"
            with Memory(path, namespace="scope", embedder=embedder, policy="equal") as memory:
                clock = scope.last_at or _CLOCK
                memory.add([replace(m, namespace=None, at=m.at or clock) for m in scope.messages])
                for example in _of_scope(memory, dataset.name, scope):
                    found.append(example)
                    if progress is not None:
                        progress(len(found), dataset.n_questions)
    return found


def _of_scope(memory: Memory, dataset: str, scope: Scope) -> Iterator[Example]:
    seqs = {item.key: item.seq for item in memory.list(limit=None)}
    for question in scope.questions:
        now = question.asked_at or scope.last_at or _CLOCK
        yield _example(memory, f"{dataset}/{scope.id}", question, now, seqs)


def _example(
    memory: Memory, scope: str, question: Question, now: datetime, seqs: dict[str | None, int]
) -> Example:
    weighed = memory.weigh(question.question, now=now)
    block, docs = weighed.block, weighed.found.docs
    return Example(
        scope=scope,
        category=question.category,
        question=question.question,
        names=weighed.features.names,
        values=weighed.features.values.astype(np.float32),
        gold=np.isin(block.seq[docs], [seqs[key] for key in question.evidence]).astype(float),
        n_gold=len(question.evidence),
        tokens=block.tokens[docs],
    )


def folds(examples: Sequence[Example], n_folds: int | None = None) -> list[frozenset[str]]:
    """Scopes put aside together, one set a fold: no conversation is ever on both sides.

    Parameters
    ----------
    n_folds
        None leaves one scope out at a time.

    Raises
    ------
    ParameterError
        If there are fewer than two scopes, or fewer than folds.
    """
    scopes = list(dict.fromkeys(example.scope for example in examples))
    count = checked_folds(len(scopes), n_folds)
    return [frozenset(scopes[i::count]) for i in range(count)]


def checked_folds(n_scopes: int, n_folds: int | None) -> int:
    """The number of folds, or the error that there are too few scopes for it."""
    count = n_scopes if n_folds is None else n_folds
    if not 2 <= count <= n_scopes:
        raise ParameterError(
            f"to put conversations aside takes at least 2 and at most {n_scopes} folds of"
            f" {n_scopes} conversations, got {count}"
        )
    return count
