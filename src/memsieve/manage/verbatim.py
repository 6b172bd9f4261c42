"""What a model picked from texts, held against them: quotations stay, everything else goes."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from memsieve.types import Item

_SPACES = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Quote:
    """A stretch of whole words of an item, as it stands there."""

    text: str
    item: Item


@dataclass(frozen=True, slots=True)
class Quotes:
    """Quotations in the order of their items, and what was refused.

    n_invented: parts that stand in no item; n_repeated: parts that were picked before, alone or
    inside a longer one.
    """

    quotes: tuple[Quote, ...] = ()
    n_invented: int = 0
    n_repeated: int = 0


def quotes(parts: Iterable[str], items: Sequence[Item]) -> Quotes:
    """Find each part in the first item that holds it and has not been quoted so; no text twice.

    A part must be whole words of one item; how much white space stands between them does not
    matter, and the speaker's name in front ("Ana: ...") may be there or not. O(parts * text).

    Examples
    --------
    >>> quotes(["blank", "  "], [])
    Quotes(quotes=(), n_invented=2, n_repeated=0)
    """
    found: dict[tuple[int, int, int], None] = {}
    n_invented = n_repeated = 0
    for part in parts:
        places = list(_places(part, items))
        if not places:
            n_invented += 1
        elif (new := next((place for place in places if not _inside(place, found)), None)) is None:
            n_repeated += 1
        else:
            covered = [place for place in found if _inside(place, {new: None})]
            n_repeated += len(covered)
            for place in covered:
                del found[place]
            found[new] = None
    kept = tuple(Quote(items[i].text[a:b], items[i]) for i, a, b in sorted(found))
    return Quotes(kept, n_invented, n_repeated)


def _places(part: str, items: Sequence[Item]) -> Iterable[tuple[int, int, int]]:
    """Where a part stands: the number of an item, and from where to where in its text."""
    for i, item in enumerate(items):
        wanted = part.strip()
        if item.speaker and wanted.casefold().startswith(f"{item.speaker}:".casefold()):
            wanted = wanted[len(item.speaker) + 1 :].strip()
        if not wanted:
            continue
        pattern = r"\s+".join(re.escape(word) for word in _SPACES.split(wanted))
        # Whole words: "art" is no quotation from "a party".
        pattern = (r"(?<!\w)" if wanted[0].isalnum() else "") + pattern
        pattern += r"(?!\w)" if wanted[-1].isalnum() else ""
        for match in re.finditer(pattern, item.text):
            yield i, match.start(), match.end()


def _inside(place: tuple[int, int, int], others: Iterable[tuple[int, int, int]]) -> bool:
    i, a, b = place
    return any(i == j and c <= a and b <= d for j, c, d in others)
