"""Questions of time in two steps: first find the events that they name, then use their dates."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Protocol

import numpy as np

from memsieve.recollection import SURE, Computed
from memsieve.search import Block
from memsieve.search.windows import Window
from memsieve.search.words import terms_of, words
from memsieve.timeline import Mention, Reader, spell
from memsieve.timeline.asking import Asked, HowLong
from memsieve.timeline.lengths import Length
from memsieve.timeline.verbs import forms, with_forms
from memsieve.timeline.wall import add
from memsieve.types import Interval, Item

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)
_CLAUSE = re.compile(
    r"[.!?;\n]+|\b(?=(?:that|which|who) (?:i|you|he|she|we|they|it)\b)", re.IGNORECASE
)
_TURNS = re.compile(r"\W*(?:that|this) (?!was\b|is\b|were\b|happened\b)", re.IGNORECASE)
"""How a clause begins that draws a consequence ("That changes your train on Monday")."""
_NEXT = 2
ENOUGH = 0.3
"""An event counts as found if the best turn and its neighbours have this share of its words."""
_UNIT_OF = {
    "month": "month", "season": "quarter", "year": "year", "decade": "decade", "century": "century",
}  # fmt: skip
_COUNTED_IN = {
    "month": "month", "season": "month", "year": "year", "decade": "year", "century": "year",
}  # fmt: skip
"""Precision -> the unit of a length between events that are known no better, "day" for others."""
_WEEKS = {(0, 7), (5, 2)}
"""Weekday and number of days of a calendar week and of a weekend."""
_WHOLE = 0.6
"""A phrase is a date itself, not an event, if a date takes up this share of it."""


@dataclass(frozen=True, slots=True)
class Found:
    """An event found: the item that tells of it, and the share of its words that are there."""

    item: Item
    support: float


@dataclass(frozen=True, slots=True)
class Event:
    """When an event of a question happened; `item` and `words` say how that is known.

    words: the time words of the item's text, empty if it is the day on which it was said; item:
    None where the question gives the date itself.
    """

    when: Interval
    item: Item | None = None
    words: str = ""
    support: float = 0.0

    @property
    def day(self) -> date:
        """The first day, on the clock of whoever told of it."""
        start = self.when.start or self.when.end
        assert start is not None  # readers give at least one bound
        return start.date()

    @property
    def began(self) -> Interval:
        """The stretch in which it began: its day, or its week or month if no more is known.

        A stretch that begins on a stated day ("for two weeks from 2 August") began on that day.
        """
        start, end, unit = self.when.start, self.when.end, self._known_to
        if start is None or unit is None:
            known = start or end
            assert known is not None  # readers give at least one bound
            return Interval.day_of(known)
        try:
            behind = add(start, unit, 1)
        except ValueError:  # the calendar ends before
            return self.when
        return Interval(start, behind if end is None else min(behind, end), self.when.precision)

    @property
    def last_day(self) -> date:
        """The last day on which it may have begun."""
        end = self.began.end
        return self.day if end is None else max(self.day, (end - timedelta(microseconds=1)).date())

    @property
    def _known_to(self) -> str | None:
        """The unit of the calendar in which it happened; None if its day is known."""
        start, end = self.when.start, self.when.end
        if self.when.precision != "week":
            return _UNIT_OF.get(self.when.precision)
        if start is None or end is None:
            return None
        days = (end.date() - start.date()).days
        return "week" if (start.weekday(), days) in _WEEKS else None


class Find(Protocol):
    """Finds the item that tells best of an event, leaving out one; None if none does."""

    def __call__(self, phrase: str, besides: Item | None = None) -> Found | None: ...


@dataclass(frozen=True, slots=True)
class Timing:
    """What the times and events of a question come to.

    window: the stretches that the question is about, None for none; computed: the lengths that it
    asks for, with their working; evidence: `seq` of the items that these rest on.
    """

    window: Window | None = None
    computed: tuple[Computed, ...] = ()
    evidence: tuple[int, ...] = ()


NO_TIMING = Timing()


def timing(asked: Asked, block: Block, clock: datetime, find: Find, reader: Reader) -> Timing:
    """Work out the window of a question and the lengths that it asks for."""
    if asked.lengths:
        return _length(asked.lengths, clock, find, reader)
    if asked.times:
        return Timing(Window.of(asked.times))
    if asked.session is not None:
        session = session_interval(block, asked.session, clock)
        return NO_TIMING if session is None else Timing(Window.of([(session, 1.0)]))
    if asked.anchor is not None:
        event = event_of(asked.anchor.phrase, clock, find, reader)
        if event is not None and event.support >= SURE:
            return Timing(Window.of([(_beside(event.when, asked.anchor.relation), 1.0)]))
    return NO_TIMING


def session_interval(block: Block, which: int | str, clock: datetime) -> Interval | None:
    """When a conversation went on: -1 the last before the clock, -2 the one before, "first".

    0 is the conversation that is going on: the last one too. None if there is no such.
    """
    now = (clock - _EPOCH) // timedelta(microseconds=1)
    heard = block.alive & (block.session >= 0) & (block.said_at <= now)
    sessions, at = block.session[heard], block.said_at[heard]
    n_sessions = len(block.sessions.names)
    begins = np.full(n_sessions, np.iinfo(np.int64).max)
    ends = np.full(n_sessions, np.iinfo(np.int64).min)
    np.minimum.at(begins, sessions, at)
    np.maximum.at(ends, sessions, at)
    order = np.argsort(begins, kind="stable")[: np.unique(sessions).size]
    place = 0 if which == "first" else min(int(which), -1)
    if not -order.size <= place < order.size:
        return None
    one = order[place]
    start, end = (
        _EPOCH + timedelta(microseconds=int(moment))
        for moment in (begins[one], min(ends[one] + 1, _LAST))
    )
    return Interval(start, end, "minute")


def event_of(
    phrase: str, clock: datetime, find: Find, reader: Reader, besides: Item | None = None
) -> Event | None:
    """When the event of a phrase happened: the phrase's own date, or that of the best item.

    `besides` is an item that does not count.
    """
    own = max(
        reader.mentions(phrase, clock, looks_back=True),
        key=lambda one: one.last - one.first,
        default=None,
    )
    if own is not None and own.last - own.first >= _WHOLE * len(phrase):
        return Event(own.interval, words=phrase[own.first : own.last], support=1.0)
    found = find(phrase) if besides is None else find(phrase, besides)
    if found is None:
        return None
    mention = mention_of(found.item, phrase)
    if mention is None:
        return Event(Interval.day_of(found.item.said_local), found.item, support=found.support)
    told = found.item.text[mention.first : mention.last]
    return Event(mention.interval, found.item, told, found.support)


def mention_of(item: Item, phrase: str) -> Mention | None:
    """The time in an item that belongs to an event.

    That of the clause with most of the event's words; without one there, the nearest before it, for
    people set the time and then tell; then the first in the next two that go on with the story.
    "By Friday" and "until Friday" tell when nothing begins. None if no time is left: it happened
    when it was told.
    """
    known = [one for one in item.mentions if one.interval.start is not None]
    if not known:
        return None
    wanted = set(words(with_forms(phrase)))
    clauses = _clauses(item.text)
    shares = [len(wanted.intersection(words(item.text[first:last]))) for first, last in clauses]
    best = int(np.argmax(shares))
    at = [_clause_of(one.first, clauses) for one in known]
    going_on = {
        clause
        for clause in range(best + 1, min(best + 1 + _NEXT, len(clauses)))
        if not _TURNS.match(item.text, clauses[clause][0])
    }
    for fits in (
        [i for i, clause in enumerate(at) if clause == best],
        [i for i, clause in reversed(list(enumerate(at))) if clause < best],
        [i for i, clause in enumerate(at) if clause in going_on],
    ):
        if fits:
            return known[fits[0]]
    return None


def _clause_of(position: int, clauses: Sequence[tuple[int, int]]) -> int:
    return next(i for i, (first, last) in enumerate(clauses) if first <= position < last)


def covered(phrase: str, texts: Sequence[str], names: Sequence[str], block: Block) -> float:
    """Share of the words of an event that texts hold, rare words counting more (by their idf).

    A verb counts in any form; `names` of speakers do not count. 0.0 for a phrase without words.
    """
    said = {stem for text in texts for stem in words(text)}
    known = {stem for name in names for stem in words(name)}
    total = found = 0.0
    for word in phrase.split():
        stems = {stem for form in forms(word) for stem in words(form)}
        if not stems or stems <= known:
            continue
        docs = (block.postings.find(int(term))[0] for term in terms_of(stems))
        df = max(int(np.count_nonzero(block.alive[held])) for held in docs)
        worth = float(np.log(1 + (block.n_alive - df + 0.5) / (df + 0.5)))
        total += worth
        found += worth * bool(stems & said)
    return found / total if total else 0.0


def _clauses(text: str) -> list[tuple[int, int]]:
    """Stretches between the ends of sentences; together they are the whole text."""
    edges = [0, *(match.end() for match in _CLAUSE.finditer(text)), len(text) + 1]
    return [(a, b) for a, b in pairwise(edges) if a < b]


def _beside(when: Interval, relation: str) -> Interval:
    """What lies after, before or during an event, the event itself included."""
    if relation == "after":
        return Interval(when.start, None, when.precision)
    return Interval(None, when.end, when.precision) if relation == "before" else when


def _length(ways: Sequence[HowLong], clock: datetime, find: Find, reader: Reader) -> Timing:
    """The length between two events, by the reading that the memory supports best."""
    known: dict[str, Event | None] = {}
    best: tuple[float, HowLong, list[Event]] | None = None
    for way in ways:
        events = []
        for phrase in (way.first, way.last):
            if phrase is None:
                events.append(Event(Interval(clock, clock, "minute")))
                continue
            if phrase not in known:
                known[phrase] = event_of(phrase, clock, find, reader)
            if (event := known[phrase]) is not None:
                events.append(event)
        support = sum(event.support for event in events)
        if len(events) == 2 and (best is None or support > best[0]):
            best = support, way, events
    if best is None:
        return NO_TIMING
    _, way, events = best
    events = _apart(way, events, clock, find, reader)
    length = Length(*(event.day for event in events))
    first, last = in_order = sorted(events, key=lambda event: event.day)
    line = Computed(
        _spelled(length, first, last, way.unit),
        f"from {_told(first)} to {_told(last)}",
        length.days,
        length.count(way.unit or "day"),
        min((event.support for event in events if event.item is not None), default=1.0),
    )
    return Timing(None, (line,), tuple(e.item.seq for e in in_order if e.item is not None))


def _spelled(length: Length, first: Event, last: Event, unit: str | None) -> str:
    """A length, or the shortest and the longest that it may be."""
    if (first.last_day, last.last_day) == (first.day, last.day):
        return length.spelled(unit)
    longest = max(
        Length(first.day, last.last_day), Length(first.last_day, last.day), key=lambda one: one.days
    )
    shortest = Length(min(first.last_day, last.day), last.day)
    if unit is None:
        units = {_COUNTED_IN.get(event.when.precision, "day") for event in (first, last)}
        unit = next(unit for unit in ("year", "month", "day") if unit in units)
    return shortest.spelled_to(longest, unit)


def _apart(
    way: HowLong, events: list[Event], clock: datetime, find: Find, reader: Reader
) -> list[Event]:
    """Two events that are one and the same, with the next best item for the less supported."""
    first, last = events
    if first.item is None or last.item is None or first.item.seq != last.item.seq:
        return events
    if first.when != last.when:
        return events
    at = 0 if first.support < last.support else 1
    phrase = (way.first, way.last)[at] or ""
    other = event_of(phrase, clock, find, reader, first.item)
    if other is None:
        return events
    return [other, last] if at == 0 else [first, other]


def _told(event: Event) -> str:
    """When it was and how that is known: '8 March 2025 ("last Saturday", said on 13 March 2025)'.

    "Some day of March 2025" if no more is known.
    """
    shown = spell(event.began)
    if event.last_day != event.day:
        shown = f"some day of {shown}"
    if event.item is None:
        return shown
    if not event.words:
        return f"{shown} (said that day)"
    said = spell(Interval.day_of(event.item.said_local))
    return f'{shown} ("{event.words}", said on {said})'
