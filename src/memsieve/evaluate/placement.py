"""Where a quoted source sentence stands: from a quotation to the message that holds it.

BFCL gives for each question the sentence that answers it, not the message: cut short with
"...", put in quotation marks, or with a label such as "Monday:" moved before it. The words
decide: a quotation is cut at its dots into fragments, each fragment into runs of three
consecutive words, and the message that holds most of the runs is the source.
"""

import re
import unicodedata
from collections.abc import Mapping

_ELLIPSIS = re.compile(r"\.{2,}|…")
_WORD = re.compile(r"[^\W_]+")
_RUN = 3  # words; two occur by chance ("I was"), four miss short quotations
ENOUGH = 0.5  # share of the runs that the message must hold


def place(quotation: str, texts: Mapping[str, str]) -> str | None:
    """Key of the one text that holds the quotation, or None if that is not beyond doubt.

    share(text) = runs of three words of the quotation found in the text / runs of the
    quotation; a fragment of one or two words is one run. Letters are compared without case,
    marks of punctuation and apostrophes do not count. The best text wins if its share is at
    least 0.5 and no other reaches the same; a tie places nothing, since either text would be
    a guess. O(words of all texts).

    Parameters
    ----------
    quotation
        A sentence, possibly cut short with dots.
    texts
        Key to text, the candidates.

    Examples
    --------
    >>> texts = {"t1": "I'm 35 years old, live in Seattle, and draw.", "t2": "Seattle is wet."}
    >>> place("...I’m 35 years old... live in Seattle...", texts)
    't1'
    >>> place("I moved to Lisbon last spring.", texts) is None
    True
    """
    wanted = runs(quotation)
    if not wanted:
        return None
    found = {key: len(wanted & _runs_of(text, wanted)) for key, text in texts.items()}
    best = max(found.values(), default=0)
    holders = [key for key, n in found.items() if n == best]
    return holders[0] if best >= ENOUGH * len(wanted) and len(holders) == 1 else None


def runs(quotation: str) -> set[tuple[str, ...]]:
    """The runs of three words inside the fragments of a quotation.

    Examples
    --------
    >>> sorted(runs("My dog... is called Archie now"))
    [('called', 'archie', 'now'), ('is', 'called', 'archie'), ('my', 'dog')]
    """
    fragments = (_words(part) for part in _ELLIPSIS.split(quotation))
    return {run for words in fragments if words for run in _consecutive(words, _RUN)}


def _runs_of(text: str, wanted: set[tuple[str, ...]]) -> set[tuple[str, ...]]:
    words = _words(text)
    lengths = {len(run) for run in wanted}
    return {run for length in lengths for run in _consecutive(words, length)}


def _consecutive(words: list[str], length: int) -> list[tuple[str, ...]]:
    return [tuple(words[i : i + length]) for i in range(max(1, len(words) - length + 1))]


def _words(text: str) -> list[str]:
    plain = unicodedata.normalize("NFKC", text).casefold()
    return _WORD.findall(plain.replace("’", "").replace("'", ""))
