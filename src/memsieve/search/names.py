"""Whom a question means: speakers by their names, short names and misspelt ones included."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import SequenceMatcher

from memsieve.search.words import STOP_WORDS, fold, term, terms, words

SHORTEST = 3
"""Letters from which the beginning of a name may stand for it: "Mel" for "Melanie"."""
_SHORTEST_MISSPELT = 5
_ALIKE = 0.8
_CAPITALISED = re.compile(r"\b[^\W\d_a-z][^\W\d_]+")


def entities(question: str, speakers: Iterable[str]) -> frozenset[int]:
    """Index terms of the names in a question that are not those of speakers.

    Capitalised words behind the first one, and that too unless it is a stop word: in a question
    they name people, places and things.

    Examples
    --------
    >>> from memsieve.search.words import term
    >>> entities("Did Ana see the Louvre in Paris?", ["Ana"]) == {term("louvr"), term("pari")}
    True
    """
    own = {part for name in speakers for part in fold(name).split()}
    named = (word for word in _CAPITALISED.findall(question) if fold(word) not in own)
    return frozenset(int(found) for word in named for found in terms(word))


def loosely_named(
    question: str, speakers: Sequence[str], is_said: Callable[[int], bool]
) -> Mapping[str, int]:
    """Words of a question that mean a speaker without being the name: word -> speaker.

    A capitalised word of three letters or more that begins a part of one speaker's name, or a word
    of five that is spelt nearly like one and that nobody has ever said: `is_said` tells that of an
    index term. A word that could mean two speakers means none.

    Examples
    --------
    >>> dict(loosely_named("Did Mel meet Carolien?", ["Melanie", "Caroline"], lambda term: False))
    {'Mel': 0, 'Carolien': 1}
    """
    parts = [(part, n) for n, name in enumerate(speakers) for part in fold(name).split()]
    exact = {part for part, _ in parts}
    found = {}
    for word in dict.fromkeys(_CAPITALISED.findall(question)):
        asked = fold(word)
        if len(asked) < SHORTEST or asked in exact or asked in STOP_WORDS:
            continue
        meant = {n for part, n in parts if part.startswith(asked)}
        if not meant and len(asked) >= _SHORTEST_MISSPELT and not _is_known(word, is_said):
            meant = {n for part, n in parts if _is_near(asked, part)}
        if len(meant) == 1:
            found[word] = meant.pop()
    return found


def _is_known(word: str, is_said: Callable[[int], bool]) -> bool:
    return any(is_said(term(index_word)) for index_word in words(word))


def _is_near(asked: str, part: str) -> bool:
    """Whether two words share their first letter and four fifths of all."""
    if part[0] != asked[0] or len(part) < _SHORTEST_MISSPELT:
        return False
    return SequenceMatcher(None, asked, part, autojunk=False).ratio() >= _ALIKE
