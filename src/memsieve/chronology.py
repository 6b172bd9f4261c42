"""What happened when: the times that items tell of, in order."""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from memsieve.search.words import fold, words
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
        """A line for each entry: its date, who said what, and with which words it names the date.

        For instance '7 May 2023  Ana: I ran yesterday. ("yesterday", said 08 May 2023)'.
        """
        return "\n".join(f"{spell(entry.when)}  {line(entry)}" for entry in self.entries)


def line(entry: Entry) -> str:
    """Who said what, and with which words it named the time."""
    item = entry.item
    name = item.speaker or item.role
    said = spell(Interval.day_of(item.said_local))
    told = f' ("{entry.words}", said {said})' if entry.words else ""
    return f"{name + ': ' if name else ''}{' '.join(item.text.split())}{told}"


def chronology(
    items: Iterable[Item],
    *,
    subject: str | None = None,
    during: Interval | None = None,
    limit: int | None = None,
) -> Chronology:
    """The entries of items, ordered by time; see `Memory.timeline`."""
    wanted = frozenset(words(subject or ""))
    found = (
        entry
        for item in items
        if subject is None or _is_about(item, subject, wanted)
        for entry in entries_of(item)
        if during is None or entry.when.overlaps(during)
    )
    in_order = sorted(found, key=_order) if limit is None else heapq.nsmallest(limit, found, _order)
    return Chronology(tuple(in_order))


def entries_of(item: Item) -> list[Entry]:
    """Every time that an item mentions, or the day it was said if it mentions none."""
    return [
        Entry(one.interval, item, item.text[one.first : one.last]) for one in item.mentions
    ] or [Entry(Interval.day_of(item.said_local), item)]


def _is_about(item: Item, subject: str, wanted: frozenset[str]) -> bool:
    """Whether an item holds all of the words `wanted`, or is spoken by somebody of that name.

    The name is compared as a whole, too, for Will is no word that an index keeps.
    """
    name = item.speaker or ""
    if fold(name) == fold(subject.strip()):
        return True
    return bool(wanted) and wanted <= {*words(name), *words(item.text)}


def _order(entry: Entry) -> tuple[datetime, datetime, int]:
    return entry.begins, entry.item.said_at, entry.item.seq
