"""What a question asks for, read from its words: names, terms, calendar words, vector."""

import re
from dataclasses import dataclass

import numpy as np

from memsieve.embed import Embedder
from memsieve.search.block import Block
from memsieve.search.words import terms

_MONTHS = [
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
]  # fmt: skip
# "May" and "March" are months where a capital stands inside the sentence or a number follows.
_UNSURE = {"may", "march"}
_YEAR = re.compile(r"\b(1[89]\d\d|20\d\d)\b")
_DAY = re.compile(r"\b([12]?\d|3[01])(?:st|nd|rd|th)?\b(?!\s*(?:%|am|pm))", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Calendar:
    """Months (1-12), years and days of the month that a text names; empty sets for none."""

    months: frozenset[int]
    years: frozenset[int]
    days: frozenset[int]

    def __bool__(self) -> bool:
        return bool(self.months or self.years)


@dataclass(frozen=True, slots=True)
class Question:
    """A question made ready for a block.

    terms, name_terms: uint32 word hashes of the question, and of the speakers it names;
    speakers: numbers of those speakers; vector: unit float32 (d,), of the question without
    their names, or None without an embedder.
    """

    text: str
    terms: np.ndarray
    name_terms: frozenset[int]
    speakers: frozenset[int]
    vector: np.ndarray | None
    calendar: Calendar


def read(text: str, block: Block, embedder: Embedder) -> Question:
    """Read `text` against the names of those who speak in `block`.

    A speaker is named if one of the words of the name occurs, so "Maria" finds "Maria Lopez".
    Their names are taken out before embedding: everybody mentions them, so they tell nothing
    about what was said, and a static embedder would spend a good part of the vector on them.
    """
    found = terms(text)
    present = set(found.tolist())
    speakers = {n for n, names in block.name_terms.items() if present.intersection(names)}
    named = frozenset(t for n in speakers for t in block.name_terms[n]) & present
    vector = None
    if embedder.dimensions:
        vector = embedder.embed([_without(text, [block.speakers.names[n] for n in speakers])])[0]
    return Question(text, found, named, frozenset(speakers), vector, calendar(text))


def calendar(text: str) -> Calendar:
    """The calendar words of `text`.

    >>> calendar("What happened on 8 May 2023, and may I ask why?")
    Calendar(months=frozenset({5}), years=frozenset({2023}), days=frozenset({8}))
    """
    months = frozenset(
        _MONTHS.index(word.lower()) + 1
        for at, word in enumerate(re.findall(r"[^\W\d_]+", text))
        if word.lower() in _MONTHS and _is_month(word, at, text)
    )
    years = frozenset(int(year) for year in _YEAR.findall(text))
    days = frozenset(int(day) for day in _DAY.findall(text)) if months else frozenset()
    return Calendar(months, years, days - {0})


def _is_month(word: str, at: int, text: str) -> bool:
    if word.lower() not in _UNSURE:
        return True
    if re.search(rf"\d\s*{word}\b|\b{word},?\s*\d", text, re.IGNORECASE):
        return True
    return at > 0 and word[0].isupper()


def _without(text: str, names: list[str]) -> str:
    parts = {part for name in names for part in name.split()} | set(names)
    if not parts:
        return text
    pattern = "|".join(re.escape(part) for part in sorted(parts, key=len, reverse=True))
    left = re.sub(rf"\b(?:{pattern})\b(?:['’]s)?", " ", text, flags=re.IGNORECASE)
    return left if re.search(r"\w", left) else text
