"""What a question asks for, read from its words: names, terms, time, vector."""

import re
from dataclasses import dataclass

import numpy as np

from memsieve.embed import Embedder
from memsieve.search.block import Block
from memsieve.search.names import entities, loosely_named
from memsieve.search.wanted import Wanted, wanted
from memsieve.search.windows import Window
from memsieve.search.words import terms
from memsieve.timeline.asking import Asked

NOT_ASKED = Asked()
_NOTHING_WANTED = Wanted()


@dataclass(frozen=True, slots=True)
class Question:
    """A question made ready for a block.

    terms, name_terms: uint32 word hashes of the question, and of the speakers it names;
    speakers: numbers of those speakers; vector: unit float32 (d,), of the question without
    their names, or None without an embedder; asked: what it says of time; window: the stretches of
    time that it is about, None for none; wanted: the kind of answer that it asks for;
    entities: word hashes of the names in it that are not those of speakers.
    """

    text: str
    terms: np.ndarray
    name_terms: frozenset[int]
    speakers: frozenset[int]
    vector: np.ndarray | None
    asked: Asked = NOT_ASKED
    window: Window | None = None
    wanted: Wanted = _NOTHING_WANTED
    entities: frozenset[int] = frozenset()


def read(
    text: str,
    block: Block,
    embedder: Embedder,
    asked: Asked = NOT_ASKED,
    window: Window | None = None,
) -> Question:
    """Read `text` against the names of those who speak in `block`.

    A speaker is named if one of the words of the name occurs, so "Maria" finds "Maria Lopez", or
    one that stands for it: see `memsieve.search.names.loosely_named`.
    Their names are taken out before embedding: everybody mentions them, so they tell nothing
    about what was said, and a static embedder would spend a good part of the vector on them. The
    words of a relative time go as well: "last month" in a question means another month than in a
    text, and the window knows which.
    """
    whole, text = text, asked.without_relative(text)
    found = terms(text)
    present = set(found.tolist())
    speakers = {n for n, names in block.name_terms.items() if present.intersection(names)}
    named = frozenset(t for n in speakers for t in block.name_terms[n]) & present
    loosely = loosely_named(whole, block.speakers.names, lambda term: block.frequency(term) > 0)
    speakers.update(loosely.values())
    named |= {int(t) for word in loosely for t in terms(word)}
    vector = None
    if embedder.dimensions:
        names = [*(block.speakers.names[n] for n in speakers), *loosely]
        vector = embedder.embed([_without(text, names)])[0]
    return Question(
        whole,
        found,
        named,
        frozenset(speakers),
        vector,
        asked,
        window,
        wanted(whole),
        entities(whole, [*(block.speakers.names[n] for n in speakers), *loosely]),
    )


def _without(text: str, names: list[str]) -> str:
    parts = {part for name in names for part in name.split()} | set(names)
    if not parts:
        return text
    pattern = "|".join(re.escape(part) for part in sorted(parts, key=len, reverse=True))
    left = re.sub(rf"\b(?:{pattern})\b(?:['’]s)?", " ", text, flags=re.IGNORECASE)
    return left if re.search(r"\w", left) else text
