"""What a run returned, question by question, and every figure worked out from it.

A `Row` holds raw answers, a `Report` the rows of one system, a `Comparison` the reports of
several systems on the same questions. A figure is named by a measure and a depth, such as
("turn_recall", 10) or ("budget_recall", 1000); `MEASURES` lists them.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from os import PathLike
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from memsieve.errors import NotFoundError, ParameterError
from memsieve.evaluate import metrics
from memsieve.evaluate.scopes import Question

TURN_KS = (1, 3, 5, 10, 20, 50)
SESSION_KS = (3, 5, 10)
DEEPEST_K = max(TURN_KS)
STATED_BUDGET = 1000  # the context whose tokens `tokens_returned_mean` counts
HEADLINES = (
    ("budget_recall", STATED_BUDGET),
    ("turn_recall", 10),
    ("session_recall_all", 3),
    ("ndcg", 10),
    ("mrr", DEEPEST_K),
)


@dataclass(frozen=True, slots=True)
class Ranking:
    """Keys of turns and names of sessions as a system ranked them: best first, each once."""

    turns: tuple[str, ...]
    sessions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Packed:
    """Keys of the turns whose evidence is inside a context, and the tokens it takes.

    The tokens are those of the whole context as a prompt would hold it, dates and ids
    included, counted by the system.
    """

    turns: tuple[str, ...]
    tokens: int


@dataclass(frozen=True, slots=True)
class Row:
    """One question with everything a system returned for it.

    `packed` maps each token budget to the context that fits it; `latency_ms` is the time of
    the call of `rank`.
    """

    scope: str
    question: Question
    now: datetime
    ranking: Ranking
    packed: Mapping[int, Packed]
    latency_ms: float

    def to_json(self) -> dict[str, Any]:
        """The row as plain values, with the place of each gold turn (None: not returned)."""
        places = {turn: place for place, turn in enumerate(self.ranking.turns, 1)}
        gold = self.question.evidence
        return {
            "scope": self.scope,
            "question": self.question.question,
            "category": self.question.category,
            "answer": self.question.answer,
            "now": self.now.isoformat(),
            "evidence": {turn: places.get(turn) for turn in gold},
            "evidence_sessions": list(self.question.evidence_sessions),
            "turns": list(self.ranking.turns),
            "sessions": list(self.ranking.sessions),
            "packed": {
                str(budget): {
                    "recall": metrics.budget_recall(context.turns, gold),
                    "tokens": context.tokens,
                    "turns": list(context.turns),
                }
                for budget, context in self.packed.items()
            },
            "latency_ms": round(self.latency_ms, 4),
        }


Measure = Callable[[Row, int], float | None]


def _session_recall_all(row: Row, k: int) -> float | None:
    gold = row.question.evidence_sessions
    return metrics.recall_all(row.ranking.sessions, gold, k) if gold else None


MEASURES: Mapping[str, Measure] = MappingProxyType(
    {
        "turn_recall": lambda row, k: metrics.recall(row.ranking.turns, row.question.evidence, k),
        "turn_recall_all": lambda row, k: metrics.recall_all(
            row.ranking.turns, row.question.evidence, k
        ),
        "ndcg": lambda row, k: metrics.ndcg(row.ranking.turns, row.question.evidence, k),
        "mrr": lambda row, k: metrics.reciprocal_rank(row.ranking.turns[:k], row.question.evidence),
        "session_recall_all": _session_recall_all,
        "budget_recall": lambda row, budget: metrics.budget_recall(
            row.packed[budget].turns, row.question.evidence
        ),
        "tokens_returned": lambda row, budget: float(row.packed[budget].tokens),
    }
)


@dataclass(frozen=True, slots=True)
class Report:
    """The rows of one system over one data set, and the figures they make.

    `add_per_s` is messages indexed per second of `load`, over all scopes; `db_bytes` the sum
    over scopes of the size on disk after each load; `model_calls` how often a chat model was
    called, for writing and for questions. None where it is not known. `with_model` is the report of
    the same system with a chat model; None where none was configured.
    """

    dataset: str
    system: str
    policy: str
    embedder: str
    budgets: tuple[int, ...]
    rows: tuple[Row, ...]
    add_per_s: float | None = None
    db_bytes: int | None = None
    model_calls: int | None = None
    with_model: "Report | None" = None

    @property
    def write_ms(self) -> float | None:
        """Mean milliseconds that a message takes to be written."""
        return 1000 / self.add_per_s if self.add_per_s else None

    @property
    def categories(self) -> tuple[str, ...]:
        """The categories of the questions asked, in alphabetical order."""
        return tuple(sorted({row.question.category for row in self.rows}))

    @property
    def stated_budget(self) -> int:
        """The budget whose tokens are reported: 1,000, or the largest if that was not asked."""
        return STATED_BUDGET if STATED_BUDGET in self.budgets else max(self.budgets)

    def values(self, measure: str, at: int, category: str | None = None) -> list[float | None]:
        """One figure for each question, in the order asked; None where it has none.

        Raises
        ------
        NotFoundError
            If there is no such measure, or no context of `at` tokens was asked for.
        """
        if measure not in MEASURES:
            raise NotFoundError(f"no measure {measure!r}: choose from {', '.join(MEASURES)}")
        if measure in ("budget_recall", "tokens_returned") and at not in self.budgets:
            raise NotFoundError(f"no context of {at} tokens was asked for, only {self.budgets}")
        of = MEASURES[measure]
        return [of(row, at) for row in self.rows if category in (None, row.question.category)]

    def mean(self, measure: str, at: int, category: str | None = None) -> float | None:
        """Mean of a figure over the questions that have it; None if no question does."""
        known = [value for value in self.values(measure, at, category) if value is not None]
        return float(np.mean(known)) if known else None

    def macro(self, measure: str, at: int) -> float | None:
        """Mean over categories of the mean over the questions of each."""
        return metrics.macro({c: self.mean(measure, at, c) for c in self.categories})

    def latency_ms(self, percentile: float) -> float:
        """Percentile of the time of a `rank` call, between measured values by line."""
        return float(np.percentile([row.latency_ms for row in self.rows], percentile))

    def to_json(self) -> dict[str, Any]:
        """The report of `memsieve bench --json`: means over questions, rounded to 6 places.

        `by_category` and `macro` (means over categories) repeat the figures under the same
        names. `tokens_returned_mean` is the mean over questions of the tokens of the context
        asked with 1,000 tokens (`stated_budget`); `latency_ms` is of calls that rank.
        """
        return {
            "dataset": self.dataset,
            "system": self.system,
            "policy": self.policy,
            "embedder": self.embedder,
            "n_questions": len(self.rows),
            **self._figures(self.mean),
            "by_category": {category: self._of_category(category) for category in self.categories},
            "latency_ms": {f"p{p}": round(self.latency_ms(p), 4) for p in (50, 95)},
            "add_per_s": None if self.add_per_s is None else round(self.add_per_s, 1),
            "db_bytes": self.db_bytes,
            "model_calls": self.model_calls,
            "with_model": self.with_model and self.with_model.to_json(),
            "macro": self._figures(self.macro),
        }

    def write_rows(self, path: str | PathLike[str]) -> None:
        """Write one line of JSON for each question, for a look at the failures."""
        lines = (json.dumps(row.to_json(), ensure_ascii=False) + "\n" for row in self.rows)
        with Path(path).open("w", encoding="utf-8") as file:
            file.writelines(lines)

    def _of_category(self, category: str) -> dict[str, Any]:
        n = sum(row.question.category == category for row in self.rows)
        return {"n": n, **self._figures(lambda measure, at: self.mean(measure, at, category))}

    def _figures(self, mean: Callable[[str, int], float | None]) -> dict[str, Any]:
        def at(measure: str, depth: int) -> float | None:
            value = mean(measure, depth)
            return None if value is None else round(value, 6)

        return {
            "turn": {
                "recall": {str(k): at("turn_recall", k) for k in TURN_KS},
                "recall_all": {str(k): at("turn_recall_all", k) for k in TURN_KS},
                "ndcg10": at("ndcg", 10),
                "mrr": at("mrr", DEEPEST_K),
            },
            "session": {
                "recall_all": {str(k): at("session_recall_all", k) for k in SESSION_KS},
            },
            "budget_recall": {str(b): at("budget_recall", b) for b in self.budgets},
            "tokens_returned_mean": at("tokens_returned", self.stated_budget),
        }


@dataclass(frozen=True, slots=True)
class Difference:
    """How much better a system is than the baseline, with its 95 % interval.

    Worked out over the questions both were asked; an interval that holds 0 shows nothing.
    """

    system: str
    baseline: str
    measure: str
    at: int
    difference: float
    low: float
    high: float

    def to_json(self) -> dict[str, Any]:
        """Difference and interval, rounded to 6 places."""
        return {name: round(getattr(self, name), 6) for name in ("difference", "low", "high")}


@dataclass(frozen=True, slots=True)
class Comparison:
    """Reports of several systems on the same questions, and the one they are held against.

    Raises
    ------
    ParameterError
        If the reports are not of the same questions and budgets, or `baseline` names none.
    """

    reports: tuple[Report, ...]
    baseline: str

    def __post_init__(self) -> None:
        names = [report.system for report in self.reports]
        if self.baseline not in names:
            raise ParameterError(
                f"Comparison.baseline must be one of {', '.join(names) or 'no system'}, "
                f"got {self.baseline!r}"
            )
        asked = {
            (report.budgets, tuple((row.scope, row.question) for row in report.rows))
            for report in self.reports
        }
        if len(asked) > 1:
            raise ParameterError(
                f"Comparison needs the same questions and budgets in every report, got {names} "
                "with different ones: run them with compare()"
            )

    def report(self, system: str) -> Report:
        """The report of one system.

        Raises
        ------
        NotFoundError
            If there is none of that name.
        """
        for report in self.reports:
            if report.system == system:
                return report
        raise NotFoundError(f"no report of {system!r} in this comparison")

    def difference(self, system: str, measure: str, at: int, *, seed: int = 0) -> Difference | None:
        """`system` minus the baseline, by paired bootstrap; None if no question has the figure."""
        pairs = zip(
            self.report(system).values(measure, at),
            self.report(self.baseline).values(measure, at),
            strict=True,
        )
        known = [(a, b) for a, b in pairs if a is not None and b is not None]
        if not known:
            return None
        theirs, its = zip(*known, strict=True)
        gap, low, high = metrics.paired_bootstrap(theirs, its, seed=seed)
        return Difference(system, self.baseline, measure, at, gap, low, high)

    def to_json(self) -> dict[str, Any]:
        """Every report, and the headline differences of each system from the baseline."""
        return {
            "baseline": self.baseline,
            "systems": [report.to_json() for report in self.reports],
            "differences": {
                report.system: self._differences(report)
                for report in self.reports
                if report.system != self.baseline
            },
        }

    def _differences(self, report: Report) -> dict[str, Any]:
        found = (
            (measure, at, self.difference(report.system, measure, at))
            for measure, at in HEADLINES
            if measure != "budget_recall" or at in report.budgets
        )
        return {f"{m}@{at}": gap.to_json() for m, at, gap in found if gap is not None}
