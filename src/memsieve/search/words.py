"""From text to index terms: Unicode words, stop list, Snowball stems, character bigrams.

A term is kept as a 32-bit hash, never as a string: the index needs no vocabulary table that
processes would have to agree on, and forgetting a text leaves no word of it behind. Two of
10^5 distinct words share a hash about once; they are then counted as one word.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

import numpy as np
import Stemmer

# Closed-class English words and the contractions' stumps that the word pattern leaves. Question
# words are here because every question has one and few answers do.
STOP_WORDS = frozenset(  # one word list reads better than two hundred quoted words
    """
    a about above after again against ain all am an and any are aren as at be because been before
    being below between both but by can cannot could couldn d did didn do does doesn doing don down
    during each else ever few for from further get gets getting got had hadn has hasn have haven
    having he her here hers herself him himself his how i if in into is isn it its itself just ll
    m ma me might mightn more most must mustn my myself needn no nor not now o of off on once only
    or other our ours ourselves out over own re really s same shan she should shouldn so some such
    t than that the their theirs them themselves then there these they this those through to too
    under until up us ve very was wasn we were weren what when where which while who whom whose why
    will with won would wouldn y you your yours yourself yourselves
    """.split()  # noqa: SIM905
)
# Scripts written without spaces between words (and Hangul, whose endings are glued on): Thai,
# Lao, Burmese, Khmer, Hangul, kana, CJK ideographs and their supplementary planes.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u1100-\u11ff\u3040-\u30ff\u3130-\u318f"
    "\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\uff66-\uff9f"
    "\U00020000-\U0003ffff"
)
_EMOJI = "\u2190-\u21ff\u2600-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff"
_WORD = re.compile(rf"[{_EMOJI}]|[{_UNSPACED}]+|[^\W_{_UNSPACED}]+")
_FIRST_UNSPACED = re.compile(rf"[{_UNSPACED}]")
_CACHE_CHUNKS = 200_000
_CACHED_LENGTH = 48  # longer chunks are links and noise: not worth a place in the cache

_stem = Stemmer.Stemmer("english").stemWord


def fold(text: str) -> str:
    """Lower case without accents, compatibility forms resolved: 'Café' -> 'cafe'."""
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text).lower()
    return "".join(c for c in decomposed if not unicodedata.combining(c))


def words(text: str) -> list[str]:
    """The index words of `text` in order, stop words dropped, each stemmed.

    >>> words("What did Ana's running friends say?")
    ['ana', 'run', 'friend', 'say']
    >>> words("東京タワー")
    ['東京', '京タ', 'タワ', 'ワー']
    """
    found: list[str] = []
    for chunk in text.split():
        found.extend(_chunk_words(chunk))
    return found


def terms(text: str) -> np.ndarray:
    """The index terms of `text`: uint32 hashes in order, with repeats; shape (n_words,)."""
    found: list[int] = []
    for chunk in text.split():
        known = _chunk_terms if len(chunk) <= _CACHED_LENGTH else _chunk_terms.__wrapped__
        found.extend(known(chunk))
    return np.array(found, dtype=np.uint32)


def term(word: str) -> int:
    """The 32-bit hash that stands for one index word."""
    digest = hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=4).digest()
    return int.from_bytes(digest, "little")


def terms_of(index_words: Iterable[str]) -> np.ndarray:
    """The hashes of words that `words` gave: shape (n,)."""
    return np.array([term(word) for word in index_words], dtype=np.uint32)


def _chunk_words(chunk: str) -> list[str]:
    found: list[str] = []
    for word in _WORD.findall(fold(chunk)):
        if _FIRST_UNSPACED.match(word):
            found.extend(word[i : i + 2] for i in range(max(1, len(word) - 1)))
        elif word not in STOP_WORDS:
            found.append(_stem(word))
    return found


@lru_cache(maxsize=_CACHE_CHUNKS)
def _chunk_terms(chunk: str) -> tuple[int, ...]:
    return tuple(term(word) for word in _chunk_words(chunk))
