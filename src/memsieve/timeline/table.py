"""What a language's table holds: words, phrases and rules, and what the engine makes of them."""

import re
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

TIME, DURATION, FREQUENCY, CLOCK, SESSION = "TIME", "DURATION", "FREQUENCY", "CLOCK", "SESSION"
KINDS = (TIME, DURATION, FREQUENCY, CLOCK, SESSION)

NUMBERS = (
    "NUM",
    "YEAR",
    "SHORTYEAR",
    "ORD",
    "NTH",
    "DATE",
    "MONTHDAY",
    "DECADE",
    "TIMEOFDAY",
    "QUARTER",
)
# One letter for each class; a class of function words ("of", "the") has no value for builders.
_LETTERS = string.ascii_letters + "".join(map(chr, range(0x410, 0x450)))
OTHER, BREAK = "_", ";"
"""Classes of words that mean nothing here (the word follows) and of ends of sentences."""
_PIECE = re.compile(r"\(\?(?:!|=|<=|<!|:)|[A-Za-z]+|[()|?*_]")


def listed(words: str) -> list[str]:
    """The words of a text in order: a table reads better without two hundred quotation marks."""
    return words.split()


def named(words: str) -> frozenset[str]:
    """The same as a set."""
    return frozenset(words.split())


class Token(NamedTuple):
    """A word, a number, or what rules made of several: its class, its value, where it stands."""

    kind: str
    value: Any
    first: int
    last: int


Build = Callable[..., Any]
Word = tuple[str, Any]


@dataclass(frozen=True)
class Ambiguous:
    """A word that is a time only in company: after one of `after`, or before one of `before`.

    With a capital letter the company of `capital_after` and `capital_before` will do as well, and
    inside a sentence that of `capital_inside` behind it.
    """

    kind: str
    value: Any
    after: frozenset[str] = frozenset()
    before: frozenset[str] = frozenset()
    capital_after: frozenset[str] = frozenset()
    capital_before: frozenset[str] = frozenset()
    capital_inside: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Table:
    """One language: its words, its phrases, its rules.

    words: lower-case word -> (class, value); phrases: the same for several words; ambiguous:
    words that need company; rules: (pattern, class of what is built, builder), in order.

    ahead, back: words that look ahead or back; sure_ahead: those after which `participles` and
    words with `back_ending` ("will be done, collected") do not look back, nor do they soon after
    one of `present_be`; opening_ahead: verbs that
    look ahead as the first word of a sentence ("See you on Friday").

    not_followed_by: class -> words behind it that make it something else ("Christmas tree");
    monthday_after: classes after which 5/8 is a date; counted: what follows a number that is no
    year ("2000 steps"); numbered: what comes before one ("room 2019"); before_year: classes after
    which four digits are a year; between_years: those between two of them; plural_ending: that of
    words behind a number that is no year; copulas: verbs that look like such plurals.

    decade_endings, ordinal_endings: regular expressions for what stands behind "90" and "8";
    has_ordinal_stops: "8." is the 8th and "8.5." a date; titles: abbreviations with a stop;
    sure_company: classes after which an ambiguous word is no name; capital_words: those that have
    a capital letter everywhere and so are no surname ("of April I know"); clause_marks: classes
    that end a clause; strong_words, helper_words: more words for `strong` and `helpers`.
    """

    name: str
    words: Mapping[str, Word]
    phrases: Mapping[str, Word]
    ambiguous: Mapping[str, Ambiguous]
    rules: Sequence[tuple[str, str, Build]]
    ahead: frozenset[str]
    back: frozenset[str]
    sure_ahead: frozenset[str] = frozenset()
    opening_ahead: frozenset[str] = frozenset()
    participles: frozenset[str] = frozenset()
    present_be: frozenset[str] = frozenset()
    back_ending: str = ""
    not_followed_by: Mapping[str, frozenset[str]] = field(default_factory=dict)
    monthday_after: frozenset[str] = frozenset()
    counted: frozenset[str] = frozenset()
    numbered: frozenset[str] = frozenset()
    copulas: frozenset[str] = frozenset()
    before_year: frozenset[str] = frozenset()
    between_years: frozenset[str] = frozenset({"dash"})
    plural_ending: str = ""
    decade_endings: str = ""
    ordinal_endings: str = ""
    has_ordinal_stops: bool = False
    titles: frozenset[str] = frozenset()
    sure_company: frozenset[str] = frozenset()
    capital_words: frozenset[str] = frozenset()
    clause_marks: frozenset[str] = frozenset({"comma"})
    strong_words: frozenset[str] = frozenset()
    helper_words: frozenset[str] = frozenset()

    # A text can hold a time only if it has a strong word, or a weak one and a helper.
    strong_kinds: ClassVar = named(
        "MONTH SEASON WEEKDAY REL TONIGHT FEAST DECADEWORD WEEKEND VAGUE QUARTER"
    )
    weak_kinds: ClassVar = named(
        "UNIT UNITS DAYPART DAYPARTS WEEKENDS WEEKDAYS SEASONS FEASTS NEWYEAR"
    )
    helper_kinds: ClassVar = named(
        "LAST BEFORELAST THIS NEXT AFTERNEXT PAST COMING PART PARTOF EARLIER LATER HALF ORD"
    )

    def _words_of(self, kinds: frozenset[str]) -> frozenset[str]:
        """First words of everything of these classes."""
        known = {word for word, (kind, _) in self.words.items() if kind in kinds}
        known |= {p.split()[0] for p, (kind, _) in self.phrases.items() if kind in kinds}
        return frozenset(known | {w for w, a in self.ambiguous.items() if a.kind in kinds})

    @cached_property
    def strong(self) -> frozenset[str]:
        """Words that any text with a time may have alone."""
        # Of "the other day" the second word is the rarer one.
        seconds = {p.split()[1] for p, (kind, _) in self.phrases.items() if kind == "VAGUE"}
        found = self._words_of(self.strong_kinds) | seconds | self.strong_words
        return found - {"the", "day"}

    @cached_property
    def weak(self) -> frozenset[str]:
        """Words that need one of `helpers`: "week" needs "last"."""
        return self._words_of(self.weak_kinds)

    @cached_property
    def helpers(self) -> frozenset[str]:
        """Words that make a time of a weak word."""
        return self._words_of(self.helper_kinds) | self.helper_words

    @cached_property
    def letters(self) -> dict[str, str]:
        """Class -> its letter."""
        kinds = {kind for kind, _ in self.words.values()} | {k for k, _ in self.phrases.values()}
        kinds |= {word.kind for word in self.ambiguous.values()} | set(KINDS) | set(NUMBERS)
        kinds |= {kind for _, kind, _ in self.rules}
        kinds = {kind for kind in kinds if not kind.startswith(OTHER)}
        if len(kinds) > len(_LETTERS):
            raise ValueError(f"{self.name} has more than {len(_LETTERS)} classes")
        return dict(zip(sorted(kinds), _LETTERS, strict=False))

    @cached_property
    def compiled(self) -> list[tuple[re.Pattern[str], frozenset[str], str, Build]]:
        """The rules over letters, with the letters that each needs at least one of."""
        return [self._compile(*rule) for rule in self.rules]

    def _compile(
        self, pattern: str, kind: str, build: Build
    ) -> tuple[re.Pattern[str], frozenset[str], str, Build]:
        pieces = _PIECE.findall(pattern)
        unknown = [p for p in pieces if p.isalpha() and p != OTHER and p not in self.letters]
        if unknown:
            raise ValueError(f"{self.name}: no class is called {unknown[0]!r} in {pattern!r}")
        letters = "".join(self.letters.get(piece, piece) for piece in pieces)
        return re.compile(letters), _needed(letters), kind, build

    @cached_property
    def by_first_word(self) -> dict[str, list[tuple[tuple[str, ...], Word]]]:
        """Phrases by their first word, the longest first."""
        found: dict[str, list[tuple[tuple[str, ...], Word]]] = {}
        for phrase, word in self.phrases.items():
            first, *rest = phrase.split()
            found.setdefault(first, []).append((tuple(rest), word))
        for group in found.values():
            group.sort(key=lambda entry: -len(entry[0]))
        return found


def _needed(letters: str) -> frozenset[str]:
    """Letters without which a pattern cannot match: those that stand outside any option."""
    flat = re.sub(r"\(\?(?:!|=|<=|<!)[^()]*\)", "", letters)
    flat = re.sub(r"[^()][?*]", "", flat)
    while (less := re.sub(r"\([^()]*\)[?*]|\([^()]*\|[^()]*\)|\(([^()|]*)\)", r"\1", flat)) != flat:
        flat = less
    return frozenset(flat) & frozenset(_LETTERS)
