"""What a time window is worth to plain BM25 on sessions, and where the parsed windows land.

    python benchmarks/time_windows.py ../shared/data/locomo/dev.json

The windows of the Memory-T1 card (section 7) are made from the dates of the gold sessions, widened
by some days, and hold what may be recalled: an oracle. Beside them the windows that memsieve reads
from the words of the question, against the time of the last turn; where a question names no time
there is no window. `hard` drops what lies outside (all sessions if nothing is left), `soft` moves
it behind, both after widening by two days as LongMemEval's code does. Figures are recall_all: all
evidence sessions among the first k.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import methodcaller
from pathlib import Path

import numpy as np

from memsieve.evaluate import Question, Scope, load
from memsieve.evaluate.baselines import BM25
from memsieve.search.lexical import bm25
from memsieve.search.windows import DAY, Window
from memsieve.search.words import terms
from memsieve.timeline import from_spec
from memsieve.timeline.asking import ask
from memsieve.timeline.reading import TableReader

DEFAULT_PATH = Path("../shared/data/locomo/dev.json")
ORACLES = (30, 14, 7, 3)  # days, those of the card
SLACK_DAYS = 2
DEPTHS = (1, 3, 5)


@dataclass(frozen=True, slots=True)
class Asked:
    """A question against the sessions of its conversation.

    scores, days: (n_sessions,) BM25 and days since 1970; gold: indices of the evidence sessions;
    begins, ends: the window read from the question in days, None where it names no time.
    """

    scores: np.ndarray
    days: np.ndarray
    gold: tuple[int, ...]
    begins: np.ndarray | None
    ends: np.ndarray | None

    @property
    def states_a_time(self) -> bool:
        return self.begins is not None

    def found(self, depth: int, inside: np.ndarray | None, *, hard: bool) -> bool:
        """Whether all evidence is among the first; `inside` (n_sessions,) bool or None."""
        scores = self.scores.astype(float)
        if inside is not None and (inside.any() or not hard):
            outside = -np.inf if hard else scores - scores.max() - 1
            scores = np.where(inside, scores, outside)
        first = np.argsort(-scores, kind="stable")[:depth]
        kept = first[np.isfinite(scores[first])]
        return set(self.gold) <= set(kept.tolist())

    def oracle(self, days: int) -> np.ndarray:
        """Sessions no more than so many days before or after an evidence session."""
        gold = self.days[list(self.gold)]
        return np.logical_and(self.days >= gold.min() - days, self.days <= gold.max() + days)

    def parsed(self) -> np.ndarray | None:
        """Sessions inside the window of the question's words, widened."""
        if self.begins is None or self.ends is None:
            return None
        day = self.days[:, None]
        meets = np.logical_and(day + 1 + SLACK_DAYS > self.begins, day - SLACK_DAYS < self.ends)
        return np.any(meets, axis=1)


def asked_of(scope: Scope) -> list[Asked]:
    """Every question of a conversation with BM25 of its sessions."""
    baseline, reader = BM25(), from_spec("english")
    assert isinstance(reader, TableReader)
    baseline.load(scope)
    block = baseline._block
    names, session = block.sessions.names, block.session
    days = np.array([block.said_at[session == n].min() // DAY for n in range(len(names))])
    clock = scope.last_at
    assert clock is not None
    return [
        _asked(question, bm25(block, terms(question.question)).session, days, names, clock, reader)
        for question in scope.questions
    ]


def _asked(
    question: Question,
    scores: np.ndarray,
    days: np.ndarray,
    names: Sequence[str],
    clock: datetime,
    reader: TableReader,
) -> Asked:
    times = ask(question.question, clock, reader).times
    window = Window.of(times) if times else None
    return Asked(
        scores,
        days,
        tuple(names.index(name) for name in question.evidence_sessions),
        None if window is None else window.begins / DAY,
        None if window is None else window.ends / DAY,
    )


def rows(asked: Sequence[Asked]) -> dict[str, dict[int, float]]:
    """Share of questions with all evidence among the first k, by the window used."""
    ways: dict[str, tuple[Callable[[Asked], np.ndarray | None], bool]] = {
        "no window": (lambda one: None, False),
        "words of the question, soft": (Asked.parsed, False),
        "words of the question, hard": (Asked.parsed, True),
    }
    for days in ORACLES:
        ways[f"gold dates +-{days} days"] = (methodcaller("oracle", days), True)
    return {
        name: {
            depth: float(np.mean([one.found(depth, window(one), hard=hard) for one in asked]))
            for depth in DEPTHS
        }
        for name, (window, hard) in ways.items()
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("path", type=Path, nargs="?", default=DEFAULT_PATH)
    parser.add_argument("--json", type=Path, default=None, help="also write the figures here")
    options = parser.parse_args(arguments)
    asked = [one for scope in load(options.path).scopes for one in asked_of(scope)]
    stating = [one for one in asked if one.states_a_time]
    figures = {}
    for title, group in (("all questions", asked), ("questions that name a time", stating)):
        if not group:
            continue
        figures[title] = {"n": len(group), "rows": rows(group)}
        print(f"\n{title}: {len(group):,}\n")
        print(f"{'window':<30}" + "".join(f"{f'@{depth}':>8}" for depth in DEPTHS))
        for name, by_depth in rows(group).items():
            print(f"{name:<30}" + "".join(f"{value:>8.3f}" for value in by_depth.values()))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
