"""WordPiece, as BERT-uncased reads text: the vocabulary of the shipped static model.

The library counts tokens with it, so budgets mean the same with every embedder.
"""

import re
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate, chain
from pathlib import Path

import numpy as np

from memsieve.errors import ParameterError

VOCABULARY = Path(__file__).parent / "static_minilm_256" / "vocabulary.txt"
LONGEST_WORD = 100  # characters; BERT's own limit, longer words are one unknown token
CACHED_CHUNKS = 65_536
CACHED_CHUNK_LENGTH = 48  # characters; longer ones are links and hashes, which do not come back

# str.split() takes these for white space, BERT deletes them as control characters first.
_NOT_WHITE_SPACE = re.compile("[\x0b\x0c\x1c-\x1f\x85]")
_ASCII_WORD = re.compile(r"[a-z0-9]+|[!-/:-@\[-`{-~]")
_CONTROL = ("Cc", "Cf", "Co", "Cs")  # not Cn: unassigned characters are read as letters
_IDEOGRAPHS = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B920, 0x2CEAF),  # from 2B820 by the standard; the library that is matched starts here
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)


class WordPiece:
    """Split text into WordPiece tokens exactly as BERT-uncased does, without its library.

    Clean, set ideographs apart, strip accents, lower, split at white space and punctuation;
    then greedily take the longest known piece from the left of each word. O(characters) for
    words of bounded length; a chunk between white space is split once and remembered.

    No rule looks across white space, so ``encode(a + " " + b) == encode(a) + encode(b)`` and
    token counts add up over white-space-separated chunks.

    Parameters
    ----------
    vocabulary
        The tokens in the order of their ids; pieces inside a word start with ``##``.
    unknown
        The token for words that no pieces spell; it must be in the vocabulary.

    Raises
    ------
    ParameterError
        If `vocabulary` lacks `unknown` or holds a token twice.

    Examples
    --------
    >>> pieces = WordPiece(["[UNK]", "time", "##less", ",", "cafe"])
    >>> pieces.encode("Timeless, café zzz")
    [1, 2, 3, 4, 0]
    >>> pieces.count("Timeless, café zzz")
    5

    References
    ----------
    Devlin et al., NAACL 2019; Wu et al., arXiv:1609.08144. Differs: control tokens written
    out in a text, such as "[SEP]", are read as the text they are.
    """

    __slots__ = ("_cache", "_unknown", "unknown_id", "vocabulary")

    def __init__(self, vocabulary: Sequence[str], unknown: str = "[UNK]") -> None:
        ids = {token: number for number, token in enumerate(vocabulary)}
        if unknown not in ids:
            raise ParameterError(f"WordPiece.vocabulary must hold the token {unknown!r}")
        if len(ids) != len(vocabulary):
            raise ParameterError("WordPiece.vocabulary must hold every token once")
        self.vocabulary = tuple(vocabulary)
        self._unknown = unknown
        self.unknown_id = ids[unknown]
        self._cache = _Chunks(ids, self.unknown_id)

    @classmethod
    def shipped(cls) -> "WordPiece":
        """The vocabulary that comes with the package, loaded once per process."""
        return cls.load(VOCABULARY)

    @classmethod
    def load(cls, path: Path) -> "WordPiece":
        """A vocabulary file: one token per line, in the order of their ids."""
        return _load(path)

    def __repr__(self) -> str:
        return f"WordPiece(<{len(self.vocabulary)} tokens>, unknown={self._unknown!r})"

    def encode(self, text: str) -> list[int]:
        """The token ids of `text`; the unknown token stands for what the vocabulary lacks."""
        return list(chain.from_iterable(map(self._cache.__getitem__, _chunks(text))))

    def encode_many(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """All token ids in one int32 array and the int64 bounds of each text in it.

        Text i has the tokens ``flat[offsets[i]:offsets[i + 1]]``.
        """
        encoded = [self.encode(text) for text in texts]
        offsets = np.fromiter(accumulate(map(len, encoded), initial=0), np.int64, len(encoded) + 1)
        flat = np.fromiter(chain.from_iterable(encoded), np.int32, int(offsets[-1]))
        return flat, offsets

    def count(self, text: str) -> int:
        """How many tokens `text` has, unknown ones included."""
        return sum(map(len, map(self._cache.__getitem__, _chunks(text))))


@lru_cache(maxsize=4)
def _load(path: Path) -> WordPiece:
    return WordPiece(path.read_text(encoding="utf-8").split("\n")[:-1])


def _chunks(text: str) -> list[str]:
    if _NOT_WHITE_SPACE.search(text):
        text = _NOT_WHITE_SPACE.sub("", text)
    return text.split()


class _Chunks(dict[str, tuple[int, ...]]):
    """Chunk -> token ids, worked out on the first look-up; emptied when it is full."""

    __slots__ = ("_ids", "_longest", "_unknown_id")

    def __init__(self, ids: dict[str, int], unknown_id: int) -> None:
        super().__init__()
        self._ids = ids
        self._unknown_id = unknown_id
        self._longest = max(map(len, ids))

    def __missing__(self, chunk: str) -> tuple[int, ...]:
        found = tuple(chain.from_iterable(map(self._pieces, _words(chunk))))
        if len(chunk) <= CACHED_CHUNK_LENGTH:
            if len(self) >= CACHED_CHUNKS:
                self.clear()
            self[chunk] = found
        return found

    def _pieces(self, word: str) -> Sequence[int]:
        if word in self._ids:
            return (self._ids[word],)
        found: list[int] = []
        start, prefix = 0, ""
        while start < len(word) <= LONGEST_WORD:
            end = min(len(word), start + self._longest)
            while end > start and prefix + word[start:end] not in self._ids:
                end -= 1
            if end == start:
                break
            found.append(self._ids[prefix + word[start:end]])
            start, prefix = end, "##"
        return found if start == len(word) else (self._unknown_id,)


def _words(chunk: str) -> list[str]:
    """The words and punctuation marks of a chunk, normalised."""
    if chunk.isascii() and chunk.isprintable():
        return _ASCII_WORD.findall(chunk.lower())
    clean = unicodedata.normalize("NFD", chunk.translate(_CLEANED))
    return clean.translate(_SPLIT).split()


class _PerCharacter(dict[int, str], ABC):
    """A table for `str.translate` that fills itself from `rule` as characters turn up."""

    __slots__ = ()

    @abstractmethod
    def rule(self, character: str) -> str:
        """What stands for one character."""

    def __missing__(self, code: int) -> str:
        if len(self) >= CACHED_CHUNKS:
            self.clear()
        self[code] = found = self.rule(chr(code))
        return found


class _Cleaned(_PerCharacter):
    """Control characters go, ideographs stand alone."""

    __slots__ = ()

    def rule(self, character: str) -> str:
        if character == "\ufffd" or unicodedata.category(character) in _CONTROL:
            return ""
        if any(first <= ord(character) <= last for first, last in _IDEOGRAPHS):
            return f" {character} "
        return character


class _Split(_PerCharacter):
    """Accents go, punctuation stands alone, the rest is lowered letter by letter."""

    __slots__ = ()

    def rule(self, character: str) -> str:
        kind = unicodedata.category(character)
        if kind == "Mn":
            return ""
        if kind[0] == "P" or (character.isascii() and not character.isalnum()):
            return f" {character} "
        return character.lower()


_CLEANED = _Cleaned()
_SPLIT = _Split()
