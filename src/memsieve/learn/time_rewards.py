"""Whether what was selected lies at the time that a question is about: Memory-T1's R_t.

R_t = 0.5 R_s + 0.5 R_f. R_s looks at the days of the sessions, R_f at the events that they tell
of, which may have happened long before. [P], [C], "ours" and the variants as in
`memsieve.learn.rewards`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import chain, pairwise
from typing import Literal, get_args

from memsieve.errors import ParameterError
from memsieve.types import Interval

Variant = Literal["paper", "code"]
VARIANTS: tuple[str, ...] = get_args(Variant)
Days = tuple[date, date]
"""First and last day, both counted."""

_UNKNOWN: dict[str, Days] = {
    "paper": (date.min, date.max),  # ours: an unknown bound is open
    "code": (date(2020, 1, 1), date(2025, 8, 1)),  # [C]
}
_RELEVANT = 0.2  # [C]: less overlap than this, and an event has nothing to do with the question
_WORD = re.compile(r"\w+")
_SHORTEST = 3  # [C]
# [C]: its list of stop words, without those that are too short anyway.
_STOP = frozenset({"and", "are", "been", "but", "for", "the", "was", "were", "with"})


@dataclass(frozen=True, slots=True)
class Event:
    """What an utterance tells of: a summary and its first and last day, None if unknown.

    An annotation may end before it starts; `event_reward` then counts it as outside.
    """

    summary: str
    first: date | None
    last: date | None

    def __post_init__(self) -> None:
        for name, day in (("first", self.first), ("last", self.last)):
            if day is not None:
                _check_day(f"Event.{name}", day)

    def days(self, variant: Variant = "paper") -> Days:
        """The days with the unknown ones filled in: open in the paper's variant, else as [C]."""
        first, last = _UNKNOWN[checked_variant(variant)]
        return self.first or first, self.last or last


@dataclass(frozen=True, slots=True)
class Session:
    """A conversation: its id, its day, and the events of every utterance that has some."""

    id: str
    day: date
    utterances: tuple[tuple[Event, ...], ...] = ()

    def __post_init__(self) -> None:
        _check_day("Session.day", self.day)


def proximity_reward(
    gap_days: float, variant: Variant = "paper", *, range_days: float = 1.0
) -> float:
    """R_s of one session in [-0.5, 1]: how near its day is to the time asked about.

    c / (1 + exp((gap - m) / s)) - d with c = 1.5, d = 0.5, m = 7 days and s = 1 [P]: nearly 1
    inside, 0.25 a week away. 1 inside and 1.5 / (1 + exp(0.5 gap / max(1, range_days))) - 0.5
    outside [C], which drops to 0.25 at the edge and then falls as slowly as the range is long.

    Parameters
    ----------
    gap_days
        Days from the session to the nearest day of that time, >= 0; 0 inside.
    range_days
        Days from the first to the last day of that time; only [C] looks at it.

    Raises
    ------
    ParameterError
        If the gap is negative or NaN.

    Examples
    --------
    >>> [round(proximity_reward(gap), 5) for gap in (0, 7, 14)]
    [0.99863, 0.25, -0.49863]
    >>> round(proximity_reward(1, "code", range_days=8), 5)
    0.22657
    """
    if not gap_days >= 0:
        raise ParameterError(f"gap_days must be >= 0, got {gap_days!r}")
    if checked_variant(variant) == "paper":
        return 1.5 * _falling(gap_days - 7.0) - 0.5
    if gap_days == 0:
        return 1.0
    return 1.5 * _falling(0.5 * gap_days / max(1.0, range_days)) - 0.5


def event_reward(asked: Days, event: Days) -> float:
    """r_e: 1 if the event lies inside the time asked about, 0.5 if partly, -1 if not [P, C].

    -1 too if either ends before it starts [C]. An event that contains the time asked about lies
    partly inside it.

    Examples
    --------
    >>> april = (date(2020, 4, 1), date(2020, 4, 9))
    >>> event_reward(april, (date(2020, 4, 9), date(2020, 4, 20)))
    0.5
    """
    (start, end), (first, last) = asked, event
    if start > end or first > last or last < start or first > end:
        return -1.0
    return 1.0 if start <= first and last <= end else 0.5


def fidelity_reward(
    sessions: Sequence[Session], question: str, asked: Days, variant: Variant = "paper"
) -> float:
    """R_f in [-1, 1]: whether what the sessions tell of happened at the time asked about.

    Paper's variant: the mean of r_e over the events of each relevant utterance, then the mean
    over these utterances [P]; relevant is one with an event whose summary has an overlap of 0.2
    with the question (ours: the measure of [C], as the paper gives none). Code's variant: per
    session the sum of overlap * r_e over the events with an overlap of 0.2, divided by their
    number, then the mean over sessions [C]. Events without any date are passed over [C]. 0 if
    nothing is relevant [P, C].

    Examples
    --------
    >>> april = (date(2020, 4, 1), date(2020, 4, 9))
    >>> hike = Event("went hiking in the park", date(2020, 4, 8), date(2020, 4, 20))
    >>> fidelity_reward([Session("s1", date(2020, 5, 1), ((hike,),))], "Who went hiking?", april)
    0.5
    """
    dated = [
        [[event for event in events if event.first or event.last] for events in one.utterances]
        for one in sessions
    ]
    if checked_variant(variant) == "paper":
        relevant = [
            events
            for utterances in dated
            for events in utterances
            if any(word_overlap(event.summary, question) >= _RELEVANT for event in events)
        ]
        return _mean([_mean([event_reward(asked, e.days()) for e in one]) for one in relevant])
    return _mean([_weighted(chain(*utterances), question, asked) for utterances in dated])


def temporal_reward(proximity: float, fidelity: float) -> float:
    """R_t: half of each [P, C].

    Examples
    --------
    >>> temporal_reward(1.0, -0.5)
    0.25
    """
    return 0.5 * proximity + 0.5 * fidelity


def word_overlap(summary: str, question: str) -> float:
    """How much of a summary a question repeats, in [0, 1] [C].

    Share of the summary's words that the question has; plus 0.3 times the longest run of such
    words in the question over the words of the summary, if it has two such words, at most 0.3;
    plus 0.2 times one minus the mean place of such words in the question, places from 0 to 1;
    cut at 1. Words are lower-cased, those of one or two letters and a few stop words left out.

    Examples
    --------
    >>> word_overlap("a trip to Rome", "Where did Ana go in Rome?")  # words: where did ana rome
    0.55
    """
    words, asked = _words(summary), _words(question)
    kinds = set(words)
    places = [place for place, word in enumerate(asked) if word in kinds]
    if not places:
        return 0.0
    shared = len(kinds.intersection(asked)) / len(kinds)
    in_a_row = min(0.3, 0.3 * _longest_run(places) / len(words)) if len(places) > 1 else 0.0
    early = 0.2 * (1 - sum(places) / len(places) / len(asked))
    return min(1.0, shared + in_a_row + early)


def days_of(asked: Interval, variant: Variant = "paper") -> Days:
    """First and last day of an interval, on the clock that it was read in.

    An unknown bound is open, or 2020-01-01 and 2025-08-01 [C], where they may come out inverted.

    Examples
    --------
    >>> from datetime import UTC
    >>> first, last = days_of(Interval(datetime(2020, 4, 1, tzinfo=UTC), None), "code")
    >>> first.isoformat(), last.isoformat()
    ('2020-04-01', '2025-08-01')
    """
    first, last = _UNKNOWN[checked_variant(variant)]
    if asked.start is not None:
        first = asked.start.date()
    if asked.end is not None:  # half-open: midnight ends the day before, unless nothing is left
        behind = asked.end
        is_empty = behind == asked.start
        last = (behind if is_empty else behind - timedelta(microseconds=1)).date()
    return first, last


def gap_days(day: date, asked: Days) -> int:
    """Days from `day` to the nearest day of the time asked about, 0 inside.

    Examples
    --------
    >>> gap_days(date(2020, 4, 12), (date(2020, 4, 1), date(2020, 4, 9)))
    3
    """
    return max((asked[0] - day).days if day < asked[0] else (day - asked[1]).days, 0)


def _weighted(events: Iterable[Event], question: str, asked: Days) -> float:
    pairs = [(word_overlap(event.summary, question), event) for event in events]
    return _mean([w * event_reward(asked, e.days("code")) for w, e in pairs if w >= _RELEVANT])


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _words(text: str) -> list[str]:
    found = _WORD.findall(text.lower())
    return [word for word in found if len(word) >= _SHORTEST and word not in _STOP]


def _longest_run(places: list[int]) -> int:
    longest = run = 1
    for before, place in pairwise(places):
        run = run + 1 if place == before + 1 else 1
        longest = max(longest, run)
    return longest


def _falling(x: float) -> float:
    """1 / (1 + exp(x)), which would overflow some years away."""
    return 0.5 * (1.0 - math.tanh(0.5 * x))


def _check_day(name: str, day: object) -> None:
    if not isinstance(day, date) or isinstance(day, datetime):  # the two cannot be compared
        raise ParameterError(f"{name} must be a date without a time, got {day!r}")


def checked_variant(variant: Variant) -> Variant:
    if variant not in VARIANTS:
        raise ParameterError(f"variant must be paper or code, got {variant!r}")
    return variant
