"""Which days a question is about: read by rules, or asked of a chat model."""

import math
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Protocol

from memsieve.errors import ParameterError
from memsieve.llm import Chat, json_object
from memsieve.timeline import DEFAULT_TIMELINE, Reader, from_spec
from memsieve.types import Interval

FIRST_DAY = date(1900, 1, 1)
"""What stands for an unknown beginning, as in the public code of Memory-T1."""


@dataclass(frozen=True, slots=True)
class DateRange:
    """Days from `start` to `end`, both included; None is an open end.

    Raises
    ------
    ParameterError
        If it ends before it starts.

    Examples
    --------
    >>> april = DateRange(date(2024, 4, 1), date(2024, 4, 9))
    >>> april.holds(date(2024, 4, 9)), april.holds(date(2024, 4, 11)), DateRange().is_open
    (True, False, True)
    >>> april.holds(date(2024, 4, 11), margin_days=2)
    True
    """

    start: date = FIRST_DAY
    end: date | None = None

    def __post_init__(self) -> None:
        if self.end is not None and self.end < self.start:
            raise ParameterError(f"DateRange must not end before it starts, got {self!r}")

    @property
    def is_open(self) -> bool:
        """Whether neither end is known."""
        return (self.start, self.end) == (FIRST_DAY, None)

    def holds(self, day: date, margin_days: int = 0) -> bool:
        """Whether a day lies inside, or no further outside than the margin."""
        at = day.toordinal()
        last = math.inf if self.end is None else self.end.toordinal()
        return self.start.toordinal() - margin_days <= at <= last + margin_days


class RangeFinder(Protocol):
    """Tells which days a question is about."""

    def range_of(self, question: str, now: datetime) -> DateRange | None:
        """The days; an open range if it names none, None if they could not be told."""
        ...


class RuleRange:
    """The days that a question names, read by rules.

    From the first day of the earliest time in the question to the last of the latest, each in its
    likeliest reading against `now`. Events ("after the wedding") and conversations ("last time we
    talked") set no range.

    Parameters
    ----------
    reader
        None reads English.

    Examples
    --------
    >>> from datetime import UTC
    >>> asked = datetime(2024, 5, 1, tzinfo=UTC)
    >>> RuleRange().range_of("What did Ana do between 1 and 9 April?", asked)
    DateRange(start=datetime.date(2024, 4, 1), end=datetime.date(2024, 4, 9))
    """

    def __init__(self, reader: Reader | None = None) -> None:
        self._reader = reader or from_spec(DEFAULT_TIMELINE)

    def range_of(self, question: str, now: datetime) -> DateRange:
        """The days from the first to the last named."""
        mentions = self._reader.mentions(question, now, looks_back=True)
        if not mentions:
            return DateRange()
        starts = [one.interval.start and one.interval.start.date() for one in mentions]
        ends = [_last_day(one.interval) for one in mentions]
        return _between(
            None if None in starts else min(start for start in starts if start),
            None if None in ends else max(end for end in ends if end),
        )


def _last_day(interval: Interval) -> date | None:
    """The last day that an interval touches: that of 9 April ends with the midnight behind it."""
    start, end = interval.start, interval.end
    if end is None:
        return None
    return (end if end == start else end - timedelta(microseconds=1)).date()


def _between(start: date | None, end: date | None) -> DateRange:
    """The days between two bounds, None for an unknown one."""
    if start is None:
        start = FIRST_DAY if end is None else min(FIRST_DAY, end)
    return DateRange(start, end)


class ModelRange:
    """The days that a question is about, asked of a chat model at temperature 0.

    Parameters
    ----------
    chat
        Any chat model; what it charges is its own affair.

    References
    ----------
    Memory-T1 lets a model predict the range and does not state the prompt: this one is ours.
    """

    def __init__(self, chat: Chat) -> None:
        self._chat = chat

    def range_of(self, question: str, now: datetime) -> DateRange | None:
        """The days, or None where the model's answer cannot be read.

        Raises
        ------
        EndpointError
            From the chat model.
        """
        messages = [{"role": "user", "content": range_prompt(question, now)}]
        written = self._chat.complete(messages, max_tokens=64, temperature=0.0, top_p=1.0).text
        return _range_in(written)


def range_prompt(question: str, now: datetime) -> str:
    """What `ModelRange` asks."""
    return (
        "A question is asked about past conversations. Which days is it about?\n"
        'Write one JSON object and nothing else: {"start": "YYYY-MM-DD", "end": "YYYY-MM-DD"}.\n'
        "Both days belong to the period. Work relative times out from the time of the question. "
        'Write "unknown" for a bound that the question does not set.\n\n'
        f"Asked on {now:%A, %Y-%m-%d %H:%M:%S}: {question}"
    )


def _range_in(written: str) -> DateRange | None:
    found = json_object(written)
    if found is None or not {"start", "end"} <= found.keys():
        return None
    bounds = [found["start"], found["end"]]
    try:
        start, end = (None if bound in (None, "", "unknown") else _day(bound) for bound in bounds)
        return _between(start, end)
    except (TypeError, ValueError):
        return None


def _day(written: str) -> date:
    return date.fromisoformat(written[:10])
