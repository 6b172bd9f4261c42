"""What holds of every table of a language: rules and builders fit, words are written one way."""

import re
from itertools import islice, product

import pytest

from memsieve.timeline.english import ENGLISH
from memsieve.timeline.german import GERMAN
from memsieve.timeline.lexing import Lexer
from memsieve.timeline.nodes import Fixed, Node
from memsieve.timeline.recurring import Month, Recurring, Season, Weekday
from memsieve.timeline.table import KINDS, NUMBERS, OTHER, TIME
from memsieve.timeline.wall import whole

TABLES = pytest.mark.parametrize("table", [ENGLISH, GERMAN], ids=lambda table: table.name)
MOST = 300
PIECES = re.compile(r"\(\?(?:!|=|<=|<!)[^()]*\)|[A-Za-z]+|[()|?*_]")


def parsed(pieces):
    """A pattern as nested choices: ("any", [...]), ("all", [...]), ("maybe", x) or a class."""
    choices, row = [], []
    while pieces:
        piece = pieces.pop(0)
        if piece == ")":
            break
        if piece == "|":
            choices.append(("all", row))
            row = []
        elif piece == "(":
            row.append(parsed(pieces))
        elif piece in "?*":
            row[-1] = ("maybe", [row[-1]])
        elif not piece.startswith("(?"):
            row.append(piece)
    return ("any", [*choices, ("all", row)])


def expanded(part):
    """The sequences of classes that a parsed pattern matches; what repeats is there once."""
    if isinstance(part, str):
        yield (part,)
    elif part[0] == "maybe":
        yield ()
        yield from expanded(part[1][0])
    elif part[0] == "any":
        for choice in part[1]:
            yield from expanded(choice)
    else:
        for one in product(*(list(expanded(piece)) for piece in part[1])):
            yield sum(one, ())


def sequences(pattern):
    return list(islice(expanded(parsed(PIECES.findall(pattern))), MOST))


def samples(table):
    """Values that tokens of each class may have."""
    found = {}
    words = {**table.words, **table.phrases}
    for kind, value in words.values():
        found.setdefault(kind, []).append(value)
    for word in table.ambiguous.values():
        found.setdefault(word.kind, []).append(word.value)
    may = Fixed(whole(month_start(), "month"), "month")
    day = Fixed(whole(month_start(), "day"))
    found |= {
        "NUM": [1, 3, 40], "ORD": [1, 13, 99], "NTH": [1, 13, 99], "YEAR": [2019],
        "SHORTYEAR": [1999], "DATE": [day], "MONTHDAY": [(5, 8), (13, 5), (13, 13)],
        "DECADE": [1990, 1995], "TIMEOFDAY": [0, 570, 1439], "QUARTER": [1, 4], TIME: [may, day],
    }  # fmt: skip
    found.setdefault("UNIT", []).extend(["week", "year"])
    return {kind: spread(values) for kind, values in found.items()}


def month_start():
    return Month(5).occurrence(2023).start


def spread(values):
    """At most three different ones."""
    return list({repr(value): value for value in values}.values())[:3]


def test_patterns_are_expanded_into_the_sequences_that_they_match():
    assert sequences("the? (LAST|THIS) UNIT (?!of)") == [
        ("LAST", "UNIT"), ("THIS", "UNIT"), ("the", "LAST", "UNIT"), ("the", "THIS", "UNIT"),
    ]  # fmt: skip
    assert sequences("(a|b (c d)?)*") == [(), ("a",), ("b",), ("b", "c", "d")]


@TABLES
def test_every_builder_takes_every_sequence_that_its_pattern_matches(table):
    values = samples(table)
    for pattern, kind, build in table.rules:
        for sequence in sequences(pattern):
            if OTHER in sequence:
                continue
            choices = [values.get(name, [None]) for name in sequence]
            for row in islice(product(*choices), 60):
                try:
                    made = build(*(value for value in row if value is not None))
                except (ValueError, OverflowError):
                    continue
                assert isinstance(made, Node | Recurring | int | str | tuple | None), pattern
                if kind == TIME:
                    assert isinstance(made, Node | None), (pattern, sequence)


@TABLES
def test_every_rule_compiles_and_each_pattern_can_match_something(table):
    assert len(table.compiled) == len(table.rules)
    for (pattern, *_), (compiled, needed, *_) in zip(table.rules, table.compiled, strict=True):
        longest = max(sequences(pattern), key=len)
        line = "".join(table.letters[name] for name in longest)
        assert needed <= set(line), pattern
        if "(?" not in pattern:
            assert compiled.fullmatch(line), pattern


@TABLES
def test_every_class_of_a_rule_can_come_up(table):
    made = {kind for _, kind, _ in table.rules} | set(NUMBERS)
    made |= {kind for kind, _ in (*table.words.values(), *table.phrases.values())}
    made |= {word.kind for word in table.ambiguous.values()}
    for pattern, _, _ in table.rules:
        names = {name for name in re.findall(r"[A-Za-z]+", pattern) if name != OTHER}
        assert names <= made, pattern


@TABLES
def test_every_class_of_a_word_is_used_by_a_rule_or_says_what_it_is(table):
    used = {name for pattern, _, _ in table.rules for name in re.findall(r"[A-Za-z]+", pattern)}
    used |= table.monthday_after | table.before_year | table.clause_marks | {*KINDS, "POSS", "SOFT"}
    kinds = {kind for kind, _ in (*table.words.values(), *table.phrases.values())}
    assert {kind for kind in kinds if not kind.startswith(OTHER)} - used == set()


@TABLES
def test_words_and_phrases_are_lower_case_and_of_one_and_of_several_words(table):
    assert all(word == word.lower() and " " not in word for word in table.words)
    assert all(phrase == phrase.lower() and " " in phrase for phrase in table.phrases)
    assert all(word == word.lower() for word in table.ambiguous)
    cues = table.ahead | table.back | table.sure_ahead | table.opening_ahead | table.participles
    assert all(word == word.lower() for word in cues)


@TABLES
def test_no_word_is_certain_and_ambiguous_at_once_or_looks_both_ways(table):
    assert not set(table.words) & set(table.ambiguous)
    assert not table.ahead & table.back
    assert table.sure_ahead <= table.ahead


@TABLES
def test_every_word_alone_is_one_token_of_its_class(table):
    lexer = Lexer(table, day_first=False)
    for word, (kind, value) in table.words.items():
        (token,) = lexer.tokens(word)
        assert (token.kind, token.value) == (kind, value), word


@TABLES
def test_every_phrase_is_one_token_of_its_class(table):
    lexer = Lexer(table, day_first=False)
    for phrase, (kind, value) in table.phrases.items():
        (token,) = lexer.tokens(phrase.replace(" '", "'"))
        assert (token.kind, token.value) == (kind, value), phrase


@TABLES
def test_months_weekdays_and_seasons_are_all_there(table):
    values = {value for kind, value in table.words.values() if kind in ("MONTH", "WEEKDAY")}
    values |= {word.value for word in table.ambiguous.values()}
    values |= {value for kind, value in table.words.values() if kind == "SEASON"}
    assert {Month(n) for n in range(1, 13)} <= values
    assert {Weekday(n) for n in range(7)} <= values
    assert {Season(name) for name in ("spring", "summer", "autumn", "winter")} <= values
