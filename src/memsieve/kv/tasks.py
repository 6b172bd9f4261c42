"""What a prompt asks for: to find one place in a text, or to gather from all of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from zlib import crc32

import numpy as np

from memsieve.errors import ParameterError
from memsieve.kv.checks import whole_number

LOCALIZATION = "localization"
AGGREGATION = "aggregation"
TASKS = (LOCALIZATION, AGGREGATION)

N_ENDS = 256
"""Words that are read at either end of a prompt; WindowKV's classifier reads as many tokens."""

_WORD = re.compile(r"\w+(?:'\w+)?|\?|->|=>|```")
_GATHERS = re.compile(
    r"(?:^|[.!?:;\n]\s*|\b(?:please|then|and|to|you)\s+)"
    r"(?:briefly\s+)?(?:summari[sz]e|translate|complete|continue|list|classify|count|write|"
    r"rewrite|paraphrase|extract all|enumerate)\b|\bsummary\s*:|\btl;?dr\b|```",
    re.IGNORECASE,
)
_EXAMPLE = re.compile(r"^\s*(?:input|example|q|question|text|source)\s*\d*\s*:", re.I | re.M)
_ASKS = re.compile(
    r"\?\s*(?:\W*\b(?:answer|a|response)\b\W*)?$|"
    r"(?:^|[.!?:\n]\s*)(?:who|whom|whose|what|which|where|when|why|how)\b[^.!\n]*$",
    re.IGNORECASE,
)


class TaskClassifier(Protocol):
    """Says what a prompt asks for."""

    def task(self, text: str) -> str:
        """One of `TASKS`."""
        ...


@dataclass(frozen=True, slots=True)
class RuleTasks:
    """By rules on the instruction, English alone, without weights.

    The first and last 256 words are read. Several examples of input and output, a code fence or
    a verb of gathering where a sentence begins ("summarise", "translate", "list", ...) make
    "aggregation"; else a question at the very end makes "localization"; else `otherwise`.

    Examples
    --------
    >>> RuleTasks().task("Ana moved to Lisbon. Where does Ana live?")
    'localization'
    >>> RuleTasks().task("Translate the text into French.")
    'aggregation'

    References
    ----------
    Not WindowKV's (arXiv 2503.17922): it trains bert-base-cased on 9,551 prompts (accuracy 92.69
    on LongBench), and neither weights nor prompts are public. How well these rules do there:
    UNCONFIRMED.
    """

    otherwise: str = AGGREGATION

    def __post_init__(self) -> None:
        _check_task("RuleTasks.otherwise", self.otherwise)

    def task(self, text: str) -> str:
        """By the rules."""
        start, end = _ends(text.strip())
        both = f"{start}\n{end}"
        if len(_EXAMPLE.findall(both)) > 2 or _GATHERS.search(both):
            return AGGREGATION
        return LOCALIZATION if _ASKS.search(end) else self.otherwise


@dataclass(frozen=True, slots=True, eq=False)
class LearnedTasks:
    """Logistic regression over hashed words of both ends of a prompt; made by `fit`.

    Parameters
    ----------
    weights
        Float array (n_features + 1,): of each bucket of words, and a constant; positive speaks
        for localization.

    References
    ----------
    Stands where WindowKV (arXiv 2503.17922) has a trained bert-base-cased; a drop-in for people
    with labelled prompts of their own, in any language.
    """

    weights: np.ndarray

    @classmethod
    def fit(
        cls,
        texts: Sequence[str],
        tasks: Sequence[str],
        *,
        n_features: int = 4096,
        n_steps: int = 300,
        rate: float = 1.0,
        decay: float = 1e-3,
    ) -> LearnedTasks:
        """Learn from prompts and their tasks, by gradient descent on all at once; no randomness.

        Raises
        ------
        ParameterError
            If there is no prompt, not one task for each, a task is unknown, or a number is < 1.
        """
        whole_number("n_features", n_features, at_least=1)
        whole_number("n_steps", n_steps, at_least=1)
        if not texts or len(texts) != len(tasks):
            raise ParameterError(
                f"one task for each of at least one text is needed, got {len(texts)} texts and "
                f"{len(tasks)} tasks"
            )
        for task in tasks:
            _check_task("tasks", task)
        seen = np.stack([_features(text, n_features) for text in texts])
        wanted = np.array([task == LOCALIZATION for task in tasks], dtype=float)
        weights = np.zeros(n_features + 1)
        for _ in range(n_steps):
            error = _probability(seen @ weights) - wanted
            weights -= rate * (seen.T @ error / len(texts) + decay * weights)
        return cls(weights)

    def probability(self, text: str) -> float:
        """That the prompt asks for one place, in [0, 1]."""
        return float(_probability(_features(text, len(self.weights) - 1) @ self.weights))

    def task(self, text: str) -> str:
        """The likelier of the two."""
        return LOCALIZATION if self.probability(text) >= 0.5 else AGGREGATION


def _ends(text: str) -> tuple[str, str]:
    """The first and the last words; the whole text twice where it is short."""
    spans = [match.span() for match in re.finditer(r"\S+", text)]
    if len(spans) <= N_ENDS:
        return text, text
    return text[: spans[N_ENDS - 1][1]], text[spans[-N_ENDS][0] :]


def _features(text: str, n_features: int) -> np.ndarray:
    """Which buckets the words of either end fall into, as a unit vector, and a constant 1."""
    found = np.zeros(n_features + 1)
    for place, end in zip("se", _ends(text), strict=True):
        for word in _WORD.findall(end.lower()):
            found[crc32(f"{place}{word}".encode()) % n_features] = 1
    found /= max(1.0, float(np.linalg.norm(found)))
    found[-1] = 1
    return found


def _probability(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(x, -30, 30)))


def _check_task(who: str, task: str) -> None:
    if task not in TASKS:
        raise ParameterError(f"{who} must be one of {list(TASKS)}, got {task!r}")
