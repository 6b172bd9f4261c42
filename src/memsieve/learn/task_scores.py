"""How right an answer about time is: the scores of Time-Dialog, one per form of answer.

Every score lies in [0, 1] and higher is better. The formulas are those of the public code of
Memory-T1, marked [C]; what differs is said at each.

    options_f1, options_exact   "A C E"                             all tasks of choice
    timestamp_score             "02:30:00 pm, March 22, 2024"       Localization
    duration_f1                 "1 year 2 months"                   Computation
    order_f1                    "(1)(3)(2)"                         Timeline
"""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import datetime, timedelta

_DAYS_OF = {
    "year": 365.0,
    "month": 30.0,
    "week": 7.0,
    "day": 1.0,
    "hour": 1 / 24,
    "minute": 1 / 1440,
    "second": 1 / 86400,
}
"""[C]; the week is ours."""
_NEAR_DAYS = 1.0
"""[C] How far a duration or a moment may be off."""
_LENGTH = re.compile(rf"(\d+(?:\.\d+)?)\s*({'|'.join(_DAYS_OF)})s?\b", re.IGNORECASE)
_NO_MARKS = str.maketrans(dict.fromkeys("().,;", " "))
_PLACE = re.compile(r"\(([^()]*)\)")
# What is filled into gaps. The two moments share no field, so a gap shows as two readings.
_FILL, _OTHER_FILL = datetime(2000, 1, 1), datetime(2004, 12, 28)
_MAX_CHARS = 100


def options_f1(answer: str, gold: str) -> float:
    """F1 of two sets of options; the order does not count.

    2 |answer ∩ gold| / (|answer| + |gold|) [C]; 0 if nothing is shared. Differs: commas, full
    stops and brackets around an option are dropped, so "A, C" is "A C".

    Examples
    --------
    >>> options_f1("A C", gold="A C E"), options_f1("(1)(2)", gold="(2)(1)")
    (0.8, 1.0)
    """
    return _f1_of_sets(_options(answer), _options(gold))


def options_exact(answer: str, gold: str) -> float:
    """1.0 if both name the same set of options, else 0.0: the paper's answer score [P].

    Examples
    --------
    >>> options_exact("C A", gold="A C"), options_exact("A", gold="A C")
    (1.0, 0.0)
    """
    return float(_options(answer) == _options(gold))


def timestamp_score(answer: str, gold: str) -> float:
    """1.0 if both name moments at most a day apart, else 0.0 [C].

    Differs: a text that leaves out year, month or day, names no moment or is longer than 100
    characters counts as wrong, where the public code fills in today's date. Moments of which
    only one states its offset are compared by the clock.

    Examples
    --------
    >>> timestamp_score("March 22, 2024", gold="02:30:00 pm, March 22, 2024")
    1.0
    >>> timestamp_score("March 2024", gold="March 22, 2024")
    0.0
    """
    said, right = _moment(answer), _moment(gold)
    if said is None or right is None:
        return 0.0
    if (said.tzinfo is None) != (right.tzinfo is None):
        said, right = said.replace(tzinfo=None), right.replace(tzinfo=None)
    return float(abs(said - right) <= timedelta(days=_NEAR_DAYS))


def duration_f1(answer: str, gold: str) -> float:
    """F1 over pairs of number and unit: "1 year 2 months" holds two.

    A pair of the answer is right if it lies within a day of a pair of the gold that no earlier
    one has taken; a year is 365 days, a month 30 [C]. O(pairs of both). Differs: pairs are found
    wherever they stand and may have decimals, weeks are known, and words that are no pair count
    for nothing, where the public code cuts the text at every second blank and takes what it
    cannot read for 0 days.

    Examples
    --------
    >>> duration_f1("1 year 2 months", gold="1 year 3 months")
    0.5
    >>> duration_f1("365 days", gold="1 year")
    1.0
    """
    said, right = _lengths(answer), _lengths(gold)
    untaken, n_right = list(right), 0
    for length in said:
        match = next((one for one in untaken if abs(one - length) <= _NEAR_DAYS), None)
        if match is not None:
            untaken.remove(match)
            n_right += 1
    return 2 * n_right / (len(said) + len(right)) if n_right else 0.0


def order_f1(answer: str, gold: str) -> float:
    """Share of the places that hold the right item, "(1)(3)(2)".

    2 n_right / (places of answer + places of gold) [C], which is the paper's Hamming accuracy
    [P] where both are equally long.

    Examples
    --------
    >>> order_f1("(1)(3)(2)", gold="(1)(2)(3)"), order_f1("(1)", gold="(1)(2)(3)")
    (0.3333333333333333, 0.5)
    """
    said, right = ([item.strip() for item in _PLACE.findall(text)] for text in (answer, gold))
    n_right = sum(a == b for a, b in zip(said, right, strict=False))
    return 2 * n_right / (len(said) + len(right)) if n_right else 0.0


def _options(text: str) -> frozenset[str]:
    return frozenset(text.translate(_NO_MARKS).split())


def _f1_of_sets(said: Collection[str], right: Collection[str]) -> float:
    shared = len(set(said) & set(right))
    return 2 * shared / (len(said) + len(right)) if shared else 0.0


def _lengths(text: str) -> list[float]:
    """The lengths that a text names, in days."""
    return [float(number) * _DAYS_OF[unit.lower()] for number, unit in _LENGTH.findall(text)]


def _moment(text: str) -> datetime | None:
    """The moment that a text names in full; None if it does not."""
    from dateutil import parser

    if not text.strip() or len(text) > _MAX_CHARS:
        return None
    try:
        # A zone by name is ambiguous, and dateutil would warn of it: it counts as none stated.
        first, second = (
            parser.parse(text, default=fill, tzinfos=lambda _, offset: offset)
            for fill in (_FILL, _OTHER_FILL)
        )
    except (ValueError, OverflowError):
        return None
    return first if first == second else None
