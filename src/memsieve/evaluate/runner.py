"""Ask a memory system every question of a data set and keep what it returned.

A run has two halves. `evaluate` and `compare` only ask and write down, one `Row` a question;
every figure is worked out afterwards from the rows, in `report.py`, so a figure can be added
without another run and a failure can be looked at turn by turn.

What keeps the figures honest:

- A system is handed the messages of a scope, never its questions or their evidence.
- A context above its budget, a turn returned twice or a turn of another scope ends the run
  with an error: such figures would not compare.
- `now` is the time the question was asked, or the time of the last turn where none is given.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from time import perf_counter_ns
from typing import Protocol

from memsieve.errors import ParameterError
from memsieve.evaluate.report import (
    DEEPEST_K,
    Comparison,
    Packed,
    Ranking,
    Report,
    Row,
)
from memsieve.evaluate.scopes import Dataset, Question, Scope
from memsieve.types import NOTHING

__all__ = [
    "BUDGETS",
    "Comparison",
    "Packed",
    "Progress",
    "Ranking",
    "Report",
    "Row",
    "System",
    "compare",
    "evaluate",
]

BUDGETS = (250, 500, 1000, 2000, 4000)

Progress = Callable[[str, int, int], None]
"""Called after each question with the system's name, questions done, questions in all."""


class System(Protocol):
    """What can be measured: anything that indexes a scope, ranks turns and packs a context.

    `name`, `policy` and `embedder` go into the report as they stand; write "none" where
    there is none. A system may also have `db_bytes() -> int`, the size on disk of the scope
    it holds, and `model_calls`, how often it has called a chat model; without them the report says
    null.
    """

    name: str
    policy: str
    embedder: str

    def load(self, scope: Scope) -> None:
        """Forget any earlier scope and index this one; its questions are withheld."""

    def rank(self, question: str, now: datetime, k: int) -> Ranking:
        """The best `k` turns and the sessions, each best first and each once."""

    def pack(self, question: str, now: datetime, budget_tokens: int) -> Packed:
        """The turns of a context of at most `budget_tokens`, with the tokens it took."""

    def close(self) -> None:
        """Let go of files and memory; harmless when repeated."""


def evaluate(
    system: System,
    dataset: Dataset,
    *,
    categories: Collection[str] | None = None,
    budgets: Sequence[int] = BUDGETS,
    k: int = DEEPEST_K,
    progress: Progress | None = None,
) -> Report:
    """Ask `system` the questions of `dataset`, scope by scope, and report.

    Each question is ranked once, timed, and packed once for each budget. Indexing is timed
    apart. The system stays open: whoever opened it closes it.

    Parameters
    ----------
    categories
        Which categories of questions to ask; None asks all.
    budgets
        Token budgets, each >= 1; given in any order, asked from small to large.
    k
        How many turns to ask for, >= 50 so that recall@50 means what it says.
    progress
        Told after each question.

    Raises
    ------
    ParameterError
        If a category is not in the data set, no question is left, a budget or `k` lies
        outside its range, or the system breaks its contract.
    """
    asked = _chosen(dataset, categories)
    sizes = _checked(budgets, k)
    n_questions = sum(len(scope.questions) for scope in asked)
    run = _Run(system, sizes, k, progress, n_questions)
    for scope in asked:
        run.ask(scope)
    return Report(
        dataset=dataset.name,
        system=system.name,
        policy=system.policy,
        embedder=system.embedder,
        budgets=sizes,
        rows=tuple(run.rows),
        add_per_s=run.n_added / run.load_s if run.load_s > 0 else None,
        db_bytes=run.db_bytes,
        model_calls=getattr(system, "model_calls", None),
    )


def compare(
    systems: Iterable[System],
    dataset: Dataset,
    *,
    baseline: str | None = None,
    categories: Collection[str] | None = None,
    budgets: Sequence[int] = BUDGETS,
    k: int = DEEPEST_K,
    progress: Progress | None = None,
    with_model: Mapping[str, System] = NOTHING,
) -> Comparison:
    """Evaluate several systems in this process, one after another, on the same questions.

    Parameters
    ----------
    baseline
        Name of the system that the others are measured against; None takes the first.
    with_model
        Name of a system -> the same one with a chat model, measured as well: what it adds stands
        in the row of that system.

    Raises
    ------
    ParameterError
        As `evaluate`, and if there is no system, two share a name, or none is called
        `baseline`.
    """

    def measured(system: System) -> Report:
        return evaluate(
            system, dataset, categories=categories, budgets=budgets, k=k, progress=progress
        )

    reports = tuple(
        replace(measured(system), with_model=measured(twin))
        if (twin := with_model.get(system.name)) is not None
        else measured(system)
        for system in _named_apart(systems, baseline)
    )
    return Comparison(reports, baseline=baseline or reports[0].system)


class _Run:
    """The running sums of one evaluation."""

    def __init__(
        self,
        system: System,
        budgets: tuple[int, ...],
        k: int,
        progress: Progress | None,
        n_questions: int,
    ) -> None:
        self.system, self.budgets, self.k = system, budgets, k
        self.progress, self.n_questions = progress, n_questions
        self.rows: list[Row] = []
        self.n_added = 0
        self.load_s = 0.0
        self.db_bytes: int | None = None

    def ask(self, scope: Scope) -> None:
        """Load one scope and ask its questions."""
        self._load(scope)
        keys = scope.keys
        for question in scope.questions:
            self.rows.append(self._row(scope, question, keys))
            if self.progress is not None:
                self.progress(self.system.name, len(self.rows), self.n_questions)

    def _load(self, scope: Scope) -> None:
        blind = replace(scope, questions=())
        start_ns = perf_counter_ns()
        self.system.load(blind)
        self.load_s += (perf_counter_ns() - start_ns) / 1e9
        self.n_added += len(scope.messages)
        size = getattr(self.system, "db_bytes", None)
        if size is not None:
            self.db_bytes = (self.db_bytes or 0) + int(size())

    def _row(self, scope: Scope, question: Question, keys: frozenset[str]) -> Row:
        now = question.asked_at or scope.last_at or datetime.now(UTC)
        start_ns = perf_counter_ns()
        ranking = self.system.rank(question.question, now, self.k)
        latency_ms = (perf_counter_ns() - start_ns) / 1e6
        self._check_turns("rank", ranking.turns, keys)
        if len(ranking.turns) > self.k:
            raise self._broken("rank", f"return at most k={self.k} turns", len(ranking.turns))
        if len(set(ranking.sessions)) < len(ranking.sessions):
            raise self._broken("rank", "return a session once", ranking.sessions)
        packed = {b: self._packed(question.question, now, b, keys) for b in self.budgets}
        return Row(scope.id, question, now, ranking, packed, latency_ms)

    def _packed(
        self, question: str, now: datetime, budget_tokens: int, keys: frozenset[str]
    ) -> Packed:
        packed = self.system.pack(question, now, budget_tokens)
        self._check_turns("pack", packed.turns, keys)
        if not 0 <= packed.tokens <= budget_tokens:
            rule = f"stay within budget_tokens={budget_tokens}"
            raise self._broken("pack", rule, f"{packed.tokens} tokens")
        return packed

    def _check_turns(self, call: str, turns: tuple[str, ...], keys: frozenset[str]) -> None:
        if len(set(turns)) < len(turns):
            twice = next(turn for i, turn in enumerate(turns) if turn in turns[:i])
            raise self._broken(call, "return a turn once", f"{twice!r} twice")
        if not keys.issuperset(turns):
            strange = next(turn for turn in turns if turn not in keys)
            raise self._broken(call, "return turns of the loaded scope only", repr(strange))

    def _broken(self, call: str, rule: str, got: object) -> ParameterError:
        return ParameterError(
            f"{self.system.name}.{call} must {rule}, got {got}: "
            "mend the system, its figures would not compare"
        )


def _chosen(dataset: Dataset, categories: Collection[str] | None) -> list[Scope]:
    """The scopes with the questions to ask; scopes without any are not even indexed."""
    known = dataset.categories
    unknown = sorted(set(categories or ()) - set(known))
    if unknown:
        raise ParameterError(
            f"categories must be among {', '.join(known)}, got {', '.join(unknown)}"
        )
    wanted = set(known if categories is None else categories)
    scopes = [
        replace(scope, questions=tuple(q for q in scope.questions if q.category in wanted))
        for scope in dataset.scopes
    ]
    chosen = [scope for scope in scopes if scope.questions]
    if not chosen:
        raise ParameterError(
            f"{dataset.name} must hold at least one question with evidence, got none "
            f"({len(dataset.skipped)} skipped): name other categories or another data set"
        )
    return chosen


def _checked(budgets: Sequence[int], k: int) -> tuple[int, ...]:
    if not budgets or min(budgets) < 1:
        raise ParameterError(f"budgets must be one or more numbers >= 1, got {tuple(budgets)!r}")
    if k < DEEPEST_K:
        raise ParameterError(f"k must be >= {DEEPEST_K}, the deepest recall reported, got {k!r}")
    return tuple(sorted(set(budgets)))


def _named_apart(systems: Iterable[System], baseline: str | None) -> list[System]:
    listed = list(systems)
    names = [system.name for system in listed]
    if not listed or len(set(names)) < len(names):
        raise ParameterError(f"compare needs systems with names of their own, got {names!r}")
    if baseline is not None and baseline not in names:
        raise ParameterError(f"baseline must be one of {', '.join(names)}, got {baseline!r}")
    return listed
