"""Documents that others lead to: the nearest earlier ones, and hits followed by what they link."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from memsieve.search.block import Block


class Step(NamedTuple):
    """A document on the way along hits and links.

    hit: which of the hits led to it, from 0; place: 0 for that hit itself, then its links from 1.
    """

    doc: int
    hit: int
    place: int


def expand(
    hits: Sequence[int],
    linked: Callable[[int], Iterable[int]],
    at_most: int,
    *,
    each: int | None = None,
) -> list[Step]:
    """Each hit followed by what it links, no document twice, `at_most` in all.

    `linked` gives the links of a document, the best first; of those that are not there yet a hit
    brings `each`, None for all. A hit that came as a link already stays there, and its own links
    follow in its turn. O(at_most + links looked at).

    Examples
    --------
    >>> links = {7: [3, 8], 3: [7, 1], 9: [8, 2, 4]}
    >>> [step.doc for step in expand([7, 3, 9], links.__getitem__, 6, each=2)]
    [7, 3, 8, 1, 9, 2]
    >>> expand([7, 3], links.__getitem__, 2)
    [Step(doc=7, hit=0, place=0), Step(doc=3, hit=0, place=1)]
    """
    seen: set[int] = set()
    steps: list[Step] = []
    for number, hit in enumerate(hits):
        if len(steps) >= at_most:
            break
        if hit not in seen:
            seen.add(hit)
            steps.append(Step(hit, number, 0))
        brought = 0
        for doc in linked(hit) if each != 0 else ():
            if brought == each or len(steps) >= at_most:
                break
            if doc not in seen:
                seen.add(doc)
                brought += 1
                steps.append(Step(doc, number, brought))
    return steps


def nearest(scores: np.ndarray, among: np.ndarray, k: int, above: float = -np.inf) -> list[int]:
    """The `k` best documents of a mask (n,) bool that score `above`, ties to the later one.

    Of equals the later was said closer to whatever comes next.

    Examples
    --------
    >>> nearest(np.array([0.5, 0.9, 0.5, 0.7]), np.array([True, True, True, False]), 2)
    [1, 2]
    """
    docs = np.flatnonzero(among & (scores > above))[::-1]
    best: list[int] = docs[np.argsort(-scores[docs], kind="stable")[:k]].tolist()
    return best


def beside(block: Block, doc: int, reach: int = 1) -> list[int]:
    """The turns around a living one, nearest first, the earlier one of two equally near."""
    here = np.array([doc])
    steps = [step for n in range(1, reach + 1) for step in (-n, n)]
    around = [int(block.lanes.beside(here, step)[0]) for step in steps]
    return [one for one in around if one >= 0]
