"""The reward of Memory-T1 in the shape that TRL's GRPOTrainer calls.

Nothing of TRL or PyTorch is imported: a reward is a function of text. A row of the data set holds
what is known of a question as plain columns, made by `columns`:

    question        text
    asked_from      first day that it is about, ISO, None if unknown
    asked_to        last day, counted
    session_ids     the sessions that the prompt shows
    session_days    their days, ISO
    session_events  of each session, of each utterance, its events {summary, first, last}
    gold_sessions   the ids of those that hold the evidence
    gold_answer     text, or None
    task            which score of `SCORES` grades the answer; another name: "options"
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime, time
from types import MappingProxyType
from typing import Any

from memsieve.errors import ParameterError
from memsieve.learn.rewards import Drawn, Known, MemoryT1Reward, Parts
from memsieve.learn.task_scores import duration_f1, options_exact, order_f1, timestamp_score
from memsieve.learn.time_rewards import Event, Session, days_of
from memsieve.systems.memory_t1 import read_choice
from memsieve.types import Interval

Completion = str | Sequence[Mapping[str, Any]]
"""Text, or the messages of a chat, of which the last is what the policy wrote."""
Score = Callable[[str, str], float]
"""Of an answer and the gold one, in [0, 1]."""

COLUMNS = (
    "question",
    "asked_from",
    "asked_to",
    "session_ids",
    "session_days",
    "session_events",
    "gold_sessions",
    "gold_answer",
    "task",
)
PARTS = tuple(part.name for part in fields(Parts))
_ARTICLES = frozenset({"a", "an", "the", "and"})


def words_f1(answer: str, gold: str) -> float:
    """F1 of the words of two texts, each as often as it stands there.

    As LoCoMo grades free answers, but without stemming: lower case, no marks, no articles.

    Examples
    --------
    >>> words_f1("The 7th of May", gold="7th May, 2023")
    0.6666666666666666
    """
    said, right = (
        Counter(word for word in re.findall(r"\w+", text.lower()) if word not in _ARTICLES)
        for text in (answer, gold)
    )
    shared = (said & right).total()
    return 2 * shared / (said.total() + right.total()) if shared else 0.0


SCORES: Mapping[str, Score] = MappingProxyType(
    {
        "options": options_exact,
        "localization": timestamp_score,
        "computation": duration_f1,
        "timeline": order_f1,
        "words": words_f1,
    }
)
"""Task -> score, the tasks of Time-Dialog in lower case; "words" is for free answers."""


@dataclass(frozen=True, slots=True)
class GRPOReward:
    """A reward function for `GRPOTrainer(reward_funcs=...)`: one number for each completion.

    A completion is read as `MemoryT1` reads its policy, so training grades what serving would use.
    The number is None, which TRL leaves out, where an answer is to be graded and none is known.
    Given TRL's `log_metric`, the total also logs the mean of each part and the share of completions
    that could be read.

    Parameters
    ----------
    reward
        Weights, variant and penalty.
    part
        "total", or one part of it ("answer", "grounding", "proximity", "fidelity", "temporal"), to
        train with weights of TRL's own; a part is 0 where the completion could not be read.
    scores
        Task -> score of an answer.

    Raises
    ------
    ParameterError
        If there is no such part; from a call, if a column is missing.

    Examples
    --------
    >>> shown = tuple(Session(f"session_{n}", date(2020, n, 2)) for n in (1, 2))
    >>> known = Known("Who went hiking?", Interval(None, None), shown, frozenset({"session_1"}))
    >>> row = columns(known, answer="A", task="options")
    >>> wrote = ['{"selected_memory": ["session_1"], "answer": "A"}', "I do not know."]
    >>> batch = {name: [value] * 2 for name, value in row.items()}
    >>> [round(r, 2) for r in GRPOReward()(prompts=["", ""], completions=wrote, **batch)]
    [0.9, -0.5]

    References
    ----------
    Du et al., Memory-T1, ICLR 2026, arXiv 2512.20092. Differs: prose around the JSON object is not
    punished, as the public evaluation reads it; the public reward takes it for a failure to parse.
    An object without a list "selected_memory" is such a failure, for the public reward an empty
    selection.
    """

    reward: MemoryT1Reward = field(default_factory=MemoryT1Reward)
    part: str = "total"
    scores: Mapping[str, Score] = field(default_factory=lambda: SCORES, repr=False)

    def __post_init__(self) -> None:
        if self.part not in PARTS:
            raise ParameterError(
                f"GRPOReward.part must be one of {', '.join(PARTS)}, got {self.part!r}"
            )

    @property
    def __name__(self) -> str:
        """What TRL calls it in its logs."""
        return f"memory_t1_{self.part}"

    def __call__(
        self,
        prompts: Sequence[Any],
        completions: Sequence[Completion],
        completion_ids: Sequence[Any] | None = None,
        *,
        log_metric: Callable[[str, float], None] | None = None,
        **data: Any,
    ) -> list[float | None]:
        """The rewards of completions, in their order; `data` are the columns of their rows."""
        missing = [name for name in COLUMNS if name not in data]
        if missing:
            raise ParameterError(
                f"GRPOReward needs the columns {', '.join(COLUMNS)}: the data set lacks "
                f"{', '.join(missing)}"
            )
        rows = [{name: data[name][i] for name in COLUMNS} for i in range(len(completions))]
        drawn = [self._drawn(text_of(c), row) for c, row in zip(completions, rows, strict=True)]
        parts = [
            self.reward.parts(one, known_of(row)) for one, row in zip(drawn, rows, strict=True)
        ]
        if log_metric is not None and parts and self.part == "total":
            log_metric("memory_t1/parsed", sum(one.parsed for one in drawn) / len(drawn))
            for name in PARTS:
                log_metric(f"memory_t1/{name}", sum(getattr(p, name) for p in parts) / len(parts))
        return [
            None if self._lacks_answer(row) else float(getattr(part, self.part))
            for part, row in zip(parts, rows, strict=True)
        ]

    def _drawn(self, written: str, row: Mapping[str, Any]) -> Drawn:
        choice = read_choice(written, row["session_ids"])
        score = 0.0
        if choice.answer is not None and row["gold_answer"] is not None:
            grade = self.scores.get(str(row["task"]).lower(), options_exact)
            score = grade(choice.answer, row["gold_answer"])
        return Drawn(choice.named, score, parsed=not choice.parse_failed)

    def _lacks_answer(self, row: Mapping[str, Any]) -> bool:
        is_graded = self.part == "answer" or (self.part == "total" and self.reward.weights[0] > 0)
        return is_graded and row["gold_answer"] is None


def text_of(completion: Completion) -> str:
    """What the policy wrote.

    Examples
    --------
    >>> text_of([{"role": "assistant", "content": "A"}]), text_of("A")
    ('A', 'A')
    """
    if isinstance(completion, str):
        return completion
    return str(completion[-1].get("content") or "") if completion else ""


def columns(known: Known, answer: str | None, task: str) -> dict[str, Any]:
    """A row of the data set, without its prompt; `known.sessions` are those of the prompt."""
    first, last = days_of(known.asked)
    return {
        "question": known.question,
        "asked_from": None if known.asked.start is None else first.isoformat(),
        "asked_to": None if known.asked.end is None else last.isoformat(),
        "session_ids": [session.id for session in known.sessions],
        "session_days": [session.day.isoformat() for session in known.sessions],
        "session_events": [
            [[_written(event) for event in events] for events in session.utterances]
            for session in known.sessions
        ],
        "gold_sessions": sorted(known.gold),
        "gold_answer": answer,
        "task": task,
    }


def known_of(row: Mapping[str, Any]) -> Known:
    """What `columns` made a row of; whole days of UTC."""
    days = map(date.fromisoformat, row["session_days"])
    told = row["session_events"] or [[]] * len(row["session_ids"])
    sessions = [
        Session(id_, day, tuple(tuple(map(_event, events)) for events in utterances))
        for id_, day, utterances in zip(row["session_ids"], days, told, strict=True)
    ]
    start, last = _midnight(row["asked_from"]), _midnight(row["asked_to"])
    asked = Interval(start, last and Interval.day_of(last).end)
    return Known(row["question"], asked, tuple(sessions), frozenset(row["gold_sessions"]))


def _written(event: Event) -> dict[str, str | None]:
    first, last = event.first, event.last
    return {
        "summary": event.summary,
        "first": None if first is None else first.isoformat(),
        "last": None if last is None else last.isoformat(),
    }


def _event(written: Mapping[str, str | None]) -> Event:
    first, last = _midnight(written["first"]), _midnight(written["last"])
    return Event(written["summary"] or "", first and first.date(), last and last.date())


def _midnight(day: str | None) -> datetime | None:
    return None if day is None else datetime.combine(date.fromisoformat(day), time.min, UTC)
