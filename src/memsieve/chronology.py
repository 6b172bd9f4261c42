"""What happened when: the times that items tell of, in order."""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from memsieve.search.words import words
from memsieve.timeline import spell
from memsieve.types import Interval, Item


@dataclass(frozen=True, slots=True)
class Entry:
    """One time that an item tells of.

    when: the interval, on the speaker's clock; words: the words of the text that name it, empty
    where it is the day on which the item was said.
    """

    when: Interval
    item: Item
    words: str = ""

    @property
    def begins(self) -> datetime:
        """Where it stands in the order: its start, or its end if that alone is known."""
        begins = self.when.start or self.when.end
        assert begins is not None  # readers give at least one bound
        return begins


@dataclass(frozen=True, slots=True)
class Chronology:
    """Entries from the earliest to the latest."""

    entries: tuple[Entry, ...]

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    def __getitem__(self, at: int) -> Entry:
        return self.entries[at]

    def text(self) -> str:
        """A line for each entry under its date: '8 May 2023  Ana: We met ("yesterday")'."""
        return "\n".join(f"{spell(entry.when)}  {line(entry)}" for entry in self.entries)


def line(entry: Entry) -> str:
    """Who said what, and with which words it named the time."""
    item = entry.item
    name = item.speaker or item.role
    told = f' ("{entry.words}", said {item.said_local:%d %b %Y})' if entry.words else ""
    return f"{name + ': ' if name else ''}{' '.join(item.text.split())}{told}"


def chronology(
    items: Iterable[Item],
    *,
    subject: str | None = None,
    during: Interval | None = None,
    limit: int | None = None,
) -> Chronology:
    """The entries of items, ordered by time; see `Memory.timeline`."""
    wanted = None if subject is None else set(words(subject))
    found = (
        entry
        for item in items
        if wanted is None or _is_about(item, wanted)
        for entry in entries_of(item)
        if during is None or _meets(entry.when, during)
    )
    in_order = sorted(found, key=_order) if limit is None else heapq.nsmallest(limit, found, _order)
    return Chronology(tuple(in_order))


def entries_of(item: Item) -> list[Entry]:
    """Every time that an item mentions, or the day it was said if it mentions none."""
    if item.mentions:
        return [Entry(one.interval, item, item.text[one.first : one.last]) for one in item.mentions]
    return [Entry(item.happened, item)] if item.happened is not None else []


def _is_about(item: Item, wanted: set[str]) -> bool:
    """Whether an item holds all of the words, or is spoken by somebody of that name."""
    by_name = set(words(item.speaker)) if item.speaker else set()
    return bool(wanted) and (wanted <= by_name or wanted <= set(words(item.text)) | by_name)


def _meets(when: Interval, during: Interval) -> bool:
    return when.overlaps(during) or (
        (when.start is None or when.end is None) and (when.gap_days(during) == 0)
    )


def _order(entry: Entry) -> tuple[datetime, datetime, int]:
    return entry.begins, entry.item.said_at, entry.item.seq
