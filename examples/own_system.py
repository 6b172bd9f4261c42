"""A memory system of one's own, in one file: what was said long ago counts less.

    python examples/own_system.py

Copy it, change the card and the features, and hand the class to `memsieve.open`. A package
registers it for `memsieve bench --system fading` with an entry point of the group
`memsieve.systems`.
"""

import numpy as np

import memsieve
from memsieve.systems import Card, Features, Found, Reading, System


class Fading(System):
    """BM25 on the turn and its neighbours, halved with every `half_life_days` since it was said."""

    CARD = Card(
        name="fading",
        paper="none: an example",
        unit="a turn",
        written="every turn, verbatim",
        scored="BM25 with its neighbours, times a forgetting curve",
        selected="the best that fit the budget",
        managed="nothing",
        learns="nothing",
    )

    def __init__(self, half_life_days: float = 30.0) -> None:
        self.half_life_days = half_life_days

    def features(self, reading: Reading, found: Found) -> Features:
        """What the words are worth, and what time takes away; the score is their sum."""
        words = found.lexical.windows[1][reading.block.lanes.slot[found.docs]].astype(float)
        age_s = reading.request.clock.timestamp() - reading.block.said_at[found.docs] / 1e6
        left = 0.5 ** (age_s / 86_400 / self.half_life_days)
        return Features(("words", "fading"), np.stack([words, words * (left - 1)], axis=1))


if __name__ == "__main__":
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        memory = memsieve.open(f"{folder}/memory.db", system=Fading())
        memory.add("I live in Porto.", speaker="Ana", at="2025-01-10")
        memory.add("I live in Lisbon now.", speaker="Ana", at="2026-02-20")
        for hit in memory.recall("Where does Ana live?", now="2026-03-02"):
            print(f"{hit.score:.2f}  {hit.item.text}  {hit.why}")
