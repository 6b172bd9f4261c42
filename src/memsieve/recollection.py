"""The answer to a recall: what was found, why, what was left out, and the text for a prompt."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import overload

from memsieve.errors import NotFoundError
from memsieve.types import Hit, Item, SessionHit


def day_line(moment: datetime) -> str:
    """The heading of a day in a context: 'Monday 8 May 2023'."""
    return f"{moment:%A} {moment.day} {moment:%B %Y}"


def spoken(item: Item) -> str:
    """One item as a line of a context: speaker or role, then its text, verbatim."""
    return f"{voice(item.speaker, item.role)}{item.text}"


def voice(speaker: str | None, role: str | None) -> str:
    """What stands before a text: 'Ana: ', or nothing if nobody is known to have said it."""
    name = speaker or role
    return f"{name}: " if name else ""


def reference(rank: int) -> str:
    """The number in brackets by which an answer may cite a hit: '[3] '."""
    return f"[{rank}] "


def render(hits: Sequence[Hit], *, cite: bool = False) -> str:
    """Hits as text for a prompt: in the order of time, each day and session under its date."""
    lines: list[str] = []
    place: object = None
    for hit in in_time(hits):
        item = hit.item
        if (item.session, item.said_at.date()) != place:
            place = (item.session, item.said_at.date())
            lines += ([""] if lines else []) + [day_line(item.said_at)]
        lines.append((reference(hit.rank) if cite else "") + spoken(item))
    return "\n".join(lines)


def in_time(hits: Sequence[Hit]) -> list[Hit]:
    """Hits by time; those of one session and day stay together, in the order they were said."""
    begins: dict[object, datetime] = {}
    for hit in hits:
        place = (hit.item.session, hit.item.said_at.date())
        begins[place] = min(begins.get(place, hit.item.said_at), hit.item.said_at)

    def when(hit: Hit) -> tuple[datetime, str, datetime, int]:
        item = hit.item
        place = (item.session, item.said_at.date())
        return begins[place], item.session or "", item.said_at, item.ordinal

    return sorted(hits, key=when)


@dataclass(frozen=True, slots=True)
class Recollection:
    """What a question recalled.

    hits: best first; sessions: whole conversations, best first; left_out: the best candidates
    that were not picked, `reasons` saying why, in the same order; n_candidates: how many were
    weighed; tokens: length of `context()` as `count_tokens` counts.
    """

    question: str
    hits: tuple[Hit, ...]
    sessions: tuple[SessionHit, ...]
    left_out: tuple[Hit, ...]
    reasons: tuple[str, ...]
    n_candidates: int
    budget_tokens: int | None
    cite: bool
    count_tokens: Callable[[str], int] = field(repr=False)

    def context(self) -> str:
        """The hits as text for a prompt: in time order, dated, never over the token budget."""
        return render(self.hits, cite=self.cite)

    @property
    def tokens(self) -> int:
        """Length of `context()` in tokens."""
        return self.count_tokens(self.context())

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of the hits, best first."""
        return tuple(hit.id for hit in self.hits)

    def cited(self, number: int) -> Hit:
        """The hit that `[number]` in a citing context stands for.

        Raises
        ------
        NotFoundError
            If there is none.
        """
        for hit in self.hits:
            if hit.rank == number:
                return hit
        raise NotFoundError(f"no hit is cited as [{number}]: there are 1 to {len(self.hits)}")

    def __len__(self) -> int:
        return len(self.hits)

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)

    @overload
    def __getitem__(self, at: int) -> Hit: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[Hit, ...]: ...
    def __getitem__(self, at: int | slice) -> Hit | tuple[Hit, ...]:
        return self.hits[at]
