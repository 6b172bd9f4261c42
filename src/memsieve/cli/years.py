"""A chronology laid out as people read one: entries under their years and months."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from memsieve.chronology import Entry
from memsieve.formats.when import MONTHS
from memsieve.types import Interval, Item

_YEAR_DAYS = 365
_ENDS_OF_SENTENCES = (". ", "! ", "? ", "… ", "\n")


@dataclass(frozen=True, slots=True)
class Telling:
    """A time that an item tells of, and every place of its text that names this time.

    places: (first, last) in characters, in the order of the text; none where the time is the day
    on which the item was said.
    """

    when: Interval
    item: Item
    places: tuple[tuple[int, int], ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """The words that name the time, each once."""
        return tuple(dict.fromkeys(self.item.text[first:last] for first, last in self.places))

    @property
    def ends(self) -> int:
        """How much of the text one must read to have read the first words that name the time."""
        return self.places[0][1] if self.places else 0

    @property
    def begins(self) -> datetime:
        """Where it stands: at its start, or at its last moment if only the end is known."""
        start, end = self.when.start, self.when.end
        if start is None:
            assert end is not None  # readers give at least one bound
            # "By the end of March" ends with the first moment of April, and stands in March.
            return end if end.year == 1 else end - timedelta(microseconds=1)
        return start

    @property
    def place(self) -> tuple[int, int]:
        """Year and month that it stands under; month 0 where it speaks of a whole year or more."""
        begins = self.begins
        opens_year = (begins.month, begins.day) == (1, 1)
        is_long = self.when.start is not None and _YEAR_DAYS <= self.when.days < float("inf")
        return begins.year, 0 if is_long and opens_year else begins.month

    def from_sentence(self) -> str:
        """The text from the sentence on that first names the time, behind an ellipsis."""
        text, first = self.item.text, self.places[0][0] if self.places else 0
        cut = max(text.rfind(mark, 0, first) for mark in _ENDS_OF_SENTENCES) + 1
        return f"…{text[cut:].lstrip()}" if cut else text


@dataclass(frozen=True, slots=True)
class Month:
    """What is told of a month; number 0 holds what is told of the year as a whole."""

    number: int
    told: tuple[Telling, ...]

    @property
    def name(self) -> str:
        """'March', or nothing for the year as a whole."""
        return MONTHS[self.number - 1].capitalize() if self.number else ""


@dataclass(frozen=True, slots=True)
class Year:
    """The months of a year of which something is told."""

    number: int
    months: tuple[Month, ...]

    @property
    def n_told(self) -> int:
        """How many entries stand under it."""
        return sum(len(month.told) for month in self.months)


def tellings(entries: Iterable[Entry]) -> list[Telling]:
    """Entries in their order; an item that names one time more than once tells of it once."""
    found: dict[tuple[str, Interval], Telling] = {}
    places: dict[str, dict[Interval, list[tuple[int, int]]]] = {}
    for entry in entries:
        item = entry.item
        if item.id not in places:
            of_item = places[item.id] = {}
            for mention in item.mentions:
                of_item.setdefault(mention.interval, []).append((mention.first, mention.last))
        named = tuple(places[item.id].get(entry.when, ())) if entry.words else ()
        found.setdefault((item.id, entry.when), Telling(entry.when, item, named))
    return list(found.values())


def years(told: Sequence[Telling]) -> tuple[Year, ...]:
    """Tellings under their years and months, on the clock of each; else in their order."""
    shelved = sorted(told, key=lambda one: one.place)
    return tuple(
        Year(
            number,
            tuple(
                Month(month, tuple(group))
                for (_, month), group in groupby(of_year, key=lambda one: one.place)
            ),
        )
        for number, of_year in groupby(shelved, key=lambda one: one.place[0])
    )
