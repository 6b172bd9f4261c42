"""The form of a text: whether it asks, whom it speaks of, what kinds of things it names.

What a text looks like tells what it can answer: a name answers "who", a question answers nothing,
"I" makes it a story of whoever speaks. Traits are read once, when a text is written, and kept as
one whole number.
"""

import re
import unicodedata

import numpy as np

MOST = 15
"""Counts stop here."""

FLAGS = ("asks", "has_question", "has_number", "has_quote")
"""Ends with a question mark; holds one; holds a number, in digits or as a word; quotes."""
COUNTS = ("proper", "first_person", "second_person")
"""Capitalised words inside sentences; words of the first person, and of the second."""

_BITS_OF_COUNT = 4
# English and German; in other languages the counts of persons stay zero. German writes every noun
# with a capital, so there `proper` counts nouns.
_FIRST = frozenset(
    """
    i me my mine myself i'm i've i'll i'd we us our ours ich mich mir mein meine meinen meiner
    meinem meines wir uns unser unsere unseren unserem unserer
    """.split()  # noqa: SIM905
)
_SECOND = frozenset(
    """
    you your yours yourself you're you've you'll you'd du dich dir dein deine deinen deiner deinem
    deines ihr euch euer eure euren eurem eurer
    """.split()  # noqa: SIM905
)
_WORD = re.compile(r"[^\W\d_]+(?:'(?:m|ve|ll|d|re)\b)?")
_NUMBER = re.compile(
    r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|(?:thir|four|fif|six"
    r"|seven|eigh|nine)teen|(?:twen|thir|for|fif|six|seven|eigh|nine)ty|dozen|hundred|thousand"
    r"|million|twice|couple|zwei|drei|vier|fünf|sechs|sieben|acht|neun|zehn|elf|zwölf"
    r"|zwanzig|dreißig|vierzig|fünfzig|hundert|tausend)\b",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"(?:^|[.!?…][\"”’')\]]*\s+|\n)\s*[\"“„‘'(\[*-]*")
_QUOTE = re.compile(r"[\"“„«»][^\"”“»«]{2,80}[\"”“»«]")


def traits(text: str) -> int:
    """The traits of a text as one number, for `flag` and `count`.

    Examples
    --------
    >>> bits = np.array([traits("I told Ana that you read \\"Dune\\" twice.")])
    >>> [int(count(bits, name)[0]) for name in COUNTS], [int(flag(bits, name)[0]) for name in FLAGS]
    ([2, 1, 1], [0, 0, 1, 1])
    """
    text = unicodedata.normalize("NFC", text)
    flags = (
        text.rstrip().endswith(("?", "？")),
        "?" in text or "？" in text,
        _NUMBER.search(text) is not None,
        _QUOTE.search(text) is not None,
    )
    bits = sum(flag << at for at, flag in enumerate(flags))
    for n, counted in enumerate(_counts(text)):
        bits |= min(counted, MOST) << (len(FLAGS) + n * _BITS_OF_COUNT)
    return bits


def _counts(text: str) -> tuple[int, int, int]:
    """The numbers of `COUNTS`."""
    begins = {match.end() for match in _SENTENCE.finditer(text)}
    proper = first = second = 0
    for match in _WORD.finditer(text.replace("’", "'")):
        word = match[0]
        if len(word) > 1 and word[0].isupper():
            if word[1] == "'":  # I'm
                first += 1
                continue
            if word[1].isupper():  # the US
                continue
            proper += match.start() not in begins
        first += word.lower() in _FIRST
        second += word.lower() in _SECOND
    return proper, first, second


def flag(bits: np.ndarray, name: str) -> np.ndarray:
    """One of `FLAGS` for each of (n,) traits: (n,) 0.0 or 1.0."""
    return ((bits >> FLAGS.index(name)) & 1).astype(float)


def count(bits: np.ndarray, name: str) -> np.ndarray:
    """One of `COUNTS` for each of (n,) traits: (n,) from 0.0 to `MOST`."""
    at = len(FLAGS) + COUNTS.index(name) * _BITS_OF_COUNT
    return ((bits >> at) & MOST).astype(float)
