"""The reward of Memory-T1: right answer, right evidence, right time.

    R = 0.6 R_a + 0.2 R_g + 0.2 R_t,  R_t = 0.5 R_s + 0.5 R_f

R_a: the answer; R_g: the selected sessions against the gold; R_s: how far their dates lie from the
time that the question is about; R_f: whether the events that they tell of lie inside it. Paper and
public code disagree on most of them. `variant` chooses: "paper" unless told otherwise, "code" for
numbers that match the published training. In the docstrings [P] marks what the paper states, [C]
what the public code does, "ours" what both leave open.

References
----------
Du et al., Memory-T1, arXiv 2512.20092, ICLR 2026; repository Elvin-Yiming-Du/Memory-T1.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from memsieve.errors import ParameterError
from memsieve.learn.time_rewards import (
    Session,
    Variant,
    checked_variant,
    days_of,
    fidelity_reward,
    gap_days,
    proximity_reward,
    temporal_reward,
)
from memsieve.types import Interval

_PARSE_FAILURE = {"paper": -0.5, "code": -1.0}  # [P], [C]


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a question beforehand: the annotations that only the reward sees.

    asked: the time that it is about, bounds None if unknown; gold: ids of the sessions that hold
    the evidence.
    """

    question: str
    asked: Interval
    sessions: tuple[Session, ...]
    gold: frozenset[str]


@dataclass(frozen=True, slots=True)
class Drawn:
    """What one sample did: the ids that it selected, its answer's score in [0, 1], if it parsed."""

    selected: tuple[str, ...]
    answer_score: float = 0.0
    parsed: bool = True


@dataclass(frozen=True, slots=True)
class Parts:
    """The reward of one sample and what it is made of; all parts are 0 if it did not parse."""

    answer: float
    grounding: float
    proximity: float
    fidelity: float
    temporal: float
    total: float


@dataclass(frozen=True, slots=True)
class MemoryT1Reward:
    """Weighted sum of answer, grounding and temporal reward, or a penalty for what did not parse.

    Paper's variant: R_s is the mean over the selected sessions (ours, as [C]), R_f over the
    relevant utterances of all of them [P]. A selected id that does not exist counts 0 in R_s
    (ours, as [C]) and as wrong in R_g; an id named twice counts once. Code's variant: both are
    means over the selected ids as named, doubles and inventions included [C]. Nothing selected:
    R_t = 0 [C]. O(events of the selected sessions). Left out of the code's variant: answers that
    it fails to score get -0.5, which are all that name a moment.

    Parameters
    ----------
    weights
        Of answer, grounding and time, each >= 0; (0.6, 0.2, 0.2) [P, C], the best of the paper's
        ablation.
    variant
        "paper" or "code".
    parse_failure
        The reward of a sample that did not parse; None: -0.5 [P] or -1.0 [C] by variant.

    Raises
    ------
    ParameterError
        If there are not three weights >= 0, the variant is unknown or a number is not finite.

    Examples
    --------
    >>> from datetime import UTC, date, datetime
    >>> from memsieve.learn.time_rewards import Event
    >>> asked = Interval(datetime(2020, 4, 1, tzinfo=UTC), datetime(2020, 4, 10, tzinfo=UTC))
    >>> hike = Event("went hiking in the park", date(2020, 4, 1), date(2020, 4, 1))
    >>> known = Known("Who went hiking?", asked, (Session("s1", date(2020, 4, 2), ((hike,),)),),
    ...               gold=frozenset({"s1"}))
    >>> round(MemoryT1Reward().parts(Drawn(("s1",), answer_score=1.0), known).total, 4)
    0.9999
    >>> MemoryT1Reward().parts(Drawn((), parsed=False), known).total
    -0.5
    """

    weights: tuple[float, float, float] = (0.6, 0.2, 0.2)
    variant: Variant = "paper"
    parse_failure: float | None = None

    def __post_init__(self) -> None:
        checked_variant(self.variant)
        if len(self.weights) != 3 or not all(0 <= w < math.inf for w in self.weights):
            raise ParameterError(
                f"MemoryT1Reward.weights must be three numbers >= 0, got {self.weights!r}"
            )
        if self.parse_failure is not None and not math.isfinite(self.parse_failure):
            raise ParameterError(
                f"MemoryT1Reward.parse_failure must be finite, got {self.parse_failure!r}"
            )

    def parts(self, drawn: Drawn, known: Known) -> Parts:
        """The reward of one sample with its parts."""
        if not drawn.parsed:
            penalty = self.parse_failure
            total = _PARSE_FAILURE[self.variant] if penalty is None else penalty
            return Parts(0.0, 0.0, 0.0, 0.0, 0.0, total)
        answer = answer_reward(drawn.answer_score, self.variant)
        grounding = grounding_reward(drawn.selected, known.gold, self.variant)
        proximity, fidelity = self._time(drawn.selected, known)
        temporal = temporal_reward(proximity, fidelity)
        of_answer, of_grounding, of_time = self.weights
        total = of_answer * answer + of_grounding * grounding + of_time * temporal
        return Parts(answer, grounding, proximity, fidelity, temporal, total)

    def _time(self, selected: Sequence[str], known: Known) -> tuple[float, float]:
        named = selected if self.variant == "code" else tuple(dict.fromkeys(selected))
        by_id = {session.id: session for session in known.sessions}
        found = [by_id[id_] for id_ in named if id_ in by_id]
        if not found:
            return 0.0, 0.0
        asked = days_of(known.asked, self.variant)
        length = (asked[1] - asked[0]).days
        proximity = sum(
            proximity_reward(gap_days(one.day, asked), self.variant, range_days=length)
            for one in found
        )
        fidelity = fidelity_reward(found, known.question, asked, self.variant)
        if self.variant == "code":
            fidelity *= len(found) / len(named)
        return proximity / len(named), fidelity


def answer_reward(score: float, variant: Variant = "paper") -> float:
    """R_a: the score of the answer, but -1 for 0 [P]; the score as it is [C].

    Raises
    ------
    ParameterError
        If the score lies outside [0, 1].

    Examples
    --------
    >>> answer_reward(0.5), answer_reward(0.0), answer_reward(0.0, "code")
    (0.5, -1.0, 0.0)
    """
    if not 0 <= score <= 1:
        raise ParameterError(f"score must be in [0, 1], got {score!r}")
    return -1.0 if score == 0 and checked_variant(variant) == "paper" else float(score)


def grounding_reward(
    selected: Collection[str], gold: Collection[str], variant: Variant = "paper"
) -> float:
    """R_g in [-1, 1]: how well the selected sessions are the gold ones.

    2 |selected ∩ gold| / |selected ∪ gold| - 1 [P]; 1.0 for the same set, 0.5 if they share one,
    else -1.0 [C], which pays for selecting everything. Two empty sets are the same set. (An
    appendix of the paper uses F1 instead of the Jaccard index.)

    Examples
    --------
    >>> grounding_reward(["s16", "s3", "s1"], ["s3"])
    -0.33333333333333337
    >>> grounding_reward(["s16", "s3", "s1"], ["s3"], "code")
    0.5
    """
    chosen, right = set(selected), set(gold)
    if chosen == right:
        return 1.0
    if checked_variant(variant) == "code":
        return 0.5 if chosen & right else -1.0
    return 2 * len(chosen & right) / len(chosen | right) - 1
