"""What stands in for a language model where none is configured: words picked from the texts.

Nothing is written here that was not said: keywords are words of the text, its context is one of its
sentences, an answer quotes. The same texts always give the same words, and nothing is sent
anywhere. `IDENTITY` goes where the name of a model would, so that nobody takes it for one.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from memsieve.errors import ParameterError
from memsieve.search.words import words
from memsieve.timeline import DEFAULT_TIMELINE, from_spec

IDENTITY = "extractive"
"""The name of the stand-in in records of what made an item."""

_READER = from_spec(DEFAULT_TIMELINE)
_ANY_CLOCK = datetime(2000, 1, 1, tzinfo=UTC)  # only where times stand matters, not which they are
_WORD = re.compile(r"[^\W_]+(?:['’][^\W\d_]+)?")
_HAS_DIGIT = re.compile(r"\d")
# A full stop behind a single capital or a title ends no sentence; marks of scripts without spaces
# end one without a space behind.
_END = re.compile(
    r"(?<!\b[A-Z]\.)(?<!\bMr\.)(?<!\bMs\.)(?<!\bDr\.)(?<!\bMrs\.)(?<!\bSt\.)"
    r"(?<=[.!?…])[\"”’')\]]*\s+|(?<=[。！？])|\n+"
)

# A few broad subjects; whatever is none of them gets no tag. Words are compared by their stems.
_SUBJECTS = {
    "education": "school university college class course exam study student teacher degree lesson",
    "family": "mother father mom dad sister brother son daughter parent wife husband baby wedding",
    "food": "cook recipe restaurant dinner lunch breakfast bake meal eat cake coffee vegetarian",
    "friends": "friend party birthday neighbour neighbor roommate",
    "health": "doctor hospital sick medicine therapy diet sleep pain allergy yoga surgery clinic",
    "home": "house apartment rent kitchen garden furniture landlord mortgage",
    "leisure": "book novel movie film game music concert guitar piano paint photography museum",
    "money": "money salary budget bank loan invest tax price debt savings",
    "nature": "mountain beach forest river hike camping weather sunset",
    "pets": "dog cat puppy kitten pet vet parrot hamster",
    "sport": "run marathon gym football soccer tennis swim bike team race match training",
    "technology": "computer software code program phone app website laptop server python",
    "travel": "trip travel flight hotel airport vacation holiday passport train visit tour",
    "work": "job work office boss manager colleague meeting project company career interview",
}
_TAG_OF = {stem: tag for tag, told in _SUBJECTS.items() for stem in words(told)}


def keywords(
    texts: Sequence[str], n: int = 5, *, names: Iterable[str] = ()
) -> tuple[tuple[str, ...], ...]:
    """For each text its `n` words of the highest tf-idf among `texts`, best first.

    tf-idf = occurrences * (1 + ln(n_texts / texts with the word)); ties go to the word that comes
    first. Words are compared by their stems and given as they first stand in the text, in lower
    case. Stop words, numbers and the words of times ("last spring") are left out. O(words).

    Parameters
    ----------
    texts
        Those to describe; what distinguishes one is measured against the others.
    n
        Words for each, >= 0; a short text has fewer.
    names
        Speakers, whose names are left out: who says something is known without keywords.

    Raises
    ------
    ParameterError
        If `n` is negative.

    Examples
    --------
    >>> keywords(["Ana: the sourdough is rising", "Ana: the bus is late"], 2, names=["Ana"])
    (('sourdough', 'rising'), ('bus', 'late'))
    """
    if n < 0:
        raise ParameterError(f"keywords: n must be >= 0, got {n!r}")
    left_out = {stem for name in names for stem in words(name)}
    counted = [_timeless_words(text, left_out) for text in texts]
    holding = Counter(stem for found in counted for stem in found)

    def weight(stem: str, places: list[str]) -> float:
        return len(places) * (1 + math.log(len(texts) / holding[stem]))

    return tuple(
        tuple(found[stem][0] for stem in sorted(found, key=lambda s: -weight(s, found[s]))[:n])
        for found in counted
    )


def sentences(text: str) -> tuple[str, ...]:
    """The sentences of a text, as they stand there.

    Examples
    --------
    >>> sentences("I met Dr. Lind. She said: rest! Fine.")
    ('I met Dr. Lind.', 'She said: rest!', 'Fine.')
    """
    return tuple(part.strip() for part in _END.split(text) if part.strip())


def central_sentence(text: str) -> str:
    """The sentence that shares most words with the others; the first of equals, "" of no text.

    centrality = sum over the other sentences of |a & b| / sqrt(|a| |b|), over sets of stems; the
    degree of LexRank (Erkan and Radev, JAIR 2004) without its idf and threshold. O(words).

    Examples
    --------
    >>> central_sentence("Hi! The garden needs water. The roses in the garden bloom. Roses!")
    'The roses in the garden bloom.'
    """
    told = sentences(text)
    stems = [set(words(one)) for one in told]
    share = [1 / math.sqrt(len(found) or 1) for found in stems]
    common: defaultdict[str, float] = defaultdict(float)
    for found, part in zip(stems, share, strict=True):
        for stem in found:
            common[stem] += part

    def centrality(at: int) -> float:
        # A sentence overlaps with itself by 1, which says nothing.
        return share[at] * sum(common[stem] for stem in sorted(stems[at])) - bool(stems[at])

    best = max(range(len(told)), key=lambda at: (round(centrality(at), 9), -at), default=None)
    return "" if best is None else told[best]


def tags(text: str) -> tuple[str, ...]:
    """The broad subjects that words of a small English list name, most named first, then by name.

    Examples
    --------
    >>> tags("My sister flew to Rome: the flight and the hotel were cheap.")
    ('travel', 'family')
    """
    named = Counter(_TAG_OF[stem] for stem in words(text) if stem in _TAG_OF)
    return tuple(sorted(named, key=lambda tag: (-named[tag], tag)))


def best_sentence(question: str, text: str, *, names: Iterable[str] = ()) -> str:
    """The sentence of a text that shares most words with a question; the first of equals.

    Shared stems over the square root of the sentence's words; `names` of speakers do not count, for
    they stand before lines that they may say nothing in. "" of no text.

    Examples
    --------
    >>> best_sentence("Where does Ana live?", "It rains. I live in Lisbon.", names=["Ana"])
    'I live in Lisbon.'
    """
    asked = set(words(question)) - {stem for name in names for stem in words(name)}

    def overlap(sentence: str) -> float:
        stems = set(words(sentence))
        return len(asked & stems) / math.sqrt(len(stems) or 1)

    return max(sentences(text), key=overlap, default="")


def _timeless_words(text: str, left_out: set[str]) -> dict[str, list[str]]:
    """The words of a text by stem, in order, each as often as it occurs; those of times are not."""
    for mention in reversed(_READER.mentions(text, _ANY_CLOCK)):
        text = f"{text[: mention.first]} {text[mention.last :]}"
    found: dict[str, list[str]] = {}
    for match in _WORD.finditer(text):
        word = match[0].lower()
        stems = [stem for stem in words(word) if not _HAS_DIGIT.search(stem)]
        for stem in stems:
            if stem not in left_out:
                # Scripts without spaces have no words to show but the pairs that are compared.
                found.setdefault(stem, []).append(word if len(stems) == 1 else stem)
    return found
