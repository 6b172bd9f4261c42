"""The packing of ranked turns, for systems that are measured without a memory file."""

from collections.abc import Callable, Sequence
from datetime import date, datetime
from functools import lru_cache

import numpy as np

from memsieve.evaluate.report import Packed
from memsieve.recollection import day_line, voice
from memsieve.select import Candidates, TopK
from memsieve.types import Message


class Lines:
    """Packs ranked turns as lines of a context, each session and day under one heading.

    The costs are those of memsieve's own context, so that a budget means the same to every system:
    the text, who said it, and the heading once for each session and day.

    Parameters
    ----------
    count
        Length of a text in tokens.
    """

    def __init__(self, count: Callable[[str], int]) -> None:
        self._count = lru_cache(maxsize=100_000)(count)

    def pack(self, turns: Sequence[Message], now: datetime, budget_tokens: int) -> Packed:
        """Turns, best first, while they fit; one that does not is skipped.

        Every turn has a key. One without a time was said `now`.
        """
        places: dict[tuple[str | None, date], int] = {}
        group: list[int] = []
        headings: list[int] = []
        for turn in turns:
            said = turn.at or now
            place = (turn.session, said.date())
            if place not in places:
                places[place] = len(headings)
                headings.append(self._count(day_line(said)))
            group.append(places[place])
        candidates = Candidates(
            relevance=-np.arange(len(turns), dtype=float),
            tokens=np.array([self._cost(turn) for turn in turns], dtype=np.int64),
            group=np.array(group, dtype=np.int64),
            group_tokens=np.array(headings, dtype=np.int64),
        )
        chosen = TopK().select(candidates, budget_tokens=budget_tokens)
        keys = tuple(str(turns[i].key) for i in chosen.picked)
        return Packed(keys, int(chosen.spent.tokens or 0))

    def _cost(self, turn: Message) -> int:
        return self._count(turn.text) + self._count(voice(turn.speaker, turn.role))
