"""A reader made of a language's table: texts in, times out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from functools import cached_property

from memsieve.timeline.grammar import parse
from memsieve.timeline.lexing import Lexer
from memsieve.timeline.nodes import Ago, Context, Node
from memsieve.timeline.table import BREAK, KINDS, OTHER, SESSION, TIME, Table, Token
from memsieve.timeline.wall import Span
from memsieve.types import Interval, Mention

_STRETCH, _LONGEST = 200, 1_000  # tokens
_COMMA, _AND = ",", "&"
"""How the ends of clauses stand among the words; no word looks so."""
VERSION = 1
"""Of the readings: files whose times an older version read are offered to be read anew."""
_WEIGHTS = ((1.0,), (0.7, 0.3), (0.6, 0.25, 0.15))


@dataclass(frozen=True, slots=True)
class Expression:
    """Words that speak of time: text[first:last].

    kind: "time", "duration", "frequency", "clock" (a time of day without a day) or "session" (a
    conversation, -1 the last one, -2 the one before, 0 this one, "first"); only a time has
    `readings`, pairs of interval and weight, the likeliest first, weights adding up to 1.
    """

    kind: str
    first: int
    last: int
    readings: tuple[tuple[Interval, float], ...] = ()
    is_relative: bool = False
    session: int | str | None = None


@dataclass(frozen=True)
class TableReader:
    """Reads time by a table; `day_first` reads 8/5/2023 as the 8th of May."""

    table: Table
    day_first: bool = False

    @cached_property
    def _lexer(self) -> Lexer:
        return Lexer(self.table, self.day_first)

    @property
    def identity(self) -> str:
        version = f"{self.table.name}@{VERSION}"
        return version + (":day-first" if self.day_first else "")

    def mentions(
        self, text: str, clock: datetime, *, looks_back: bool = False
    ) -> tuple[Mention, ...]:
        """The likeliest reading of every time in `text`; see `timeline.Reader`."""
        if not self._lexer.could_hold(text):
            return ()
        return tuple(
            Mention(one.first, one.last, *one.readings[0], one.is_relative)
            for one in self.expressions(text, clock, looks_back=looks_back)
            if one.readings
        )

    def expressions(
        self, text: str, clock: datetime, *, looks_back: bool = False
    ) -> list[Expression]:
        """Everything in `text` that speaks of time, durations and frequencies too.

        Parameters
        ----------
        clock
            Aware: the moment against which "yesterday" is read, in the speaker's zone.
        looks_back
            Whether a sentence without a hint looks back for certain, as questions to a memory do.
        """
        now, zone = clock.replace(tzinfo=None), clock.tzinfo
        found: list[Expression] = []
        for tokens in _stretches(self._lexer.tokens(text)):
            words = self._words(tokens)
            left = parse(self.table, tokens)
            for at, token in enumerate(left):
                if token.kind in KINDS:
                    one = self._expression(token, left, at, words, now, zone, looks_back)
                    found += [] if one is None else [one]
        return found

    def _words(self, tokens: Sequence[Token]) -> list[tuple[str, int]]:
        """What is said besides times, with where it stands; ends of clauses and sentences too."""
        marks = dict.fromkeys(self.table.clause_marks, _AND) | {"comma": _COMMA}
        return [
            (marks.get(token.kind, token.kind.removeprefix(OTHER)), token.first)
            for token in tokens
            if token.kind[:1] in (OTHER, BREAK) or token.kind in marks
        ]

    def _expression(
        self,
        token: Token,
        tokens: Sequence[Token],
        at: int,
        words: Sequence[tuple[str, int]],
        now: datetime,
        zone: tzinfo | None,
        looks_back: bool,
    ) -> Expression | None:
        last = token.last
        if at + 1 < len(tokens) and tokens[at + 1].kind == "POSS":
            last = tokens[at + 1].last
        if token.kind == SESSION:
            return Expression("session", token.first, last, session=token.value)
        if token.kind != TIME:
            return Expression(token.kind.lower(), token.first, last)
        in_clause, in_sentence = self._looks_ahead(words, token.first)
        node: Node = token.value
        if isinstance(node, Ago) and node.only_ahead and in_clause is False:
            return Expression("duration", token.first, last)
        ahead = in_sentence if in_clause is None else in_clause
        ahead = False if ahead is None and looks_back else ahead
        try:
            spans = node.spans(Context(now, ahead))
            readings = _weighted([_interval(span, zone) for span in spans])
        except (ValueError, OverflowError):  # no such day, or beyond the years 1 to 9999
            return None
        return Expression("time", token.first, last, readings, node.is_relative)

    def _looks_ahead(
        self, words: Sequence[tuple[str, int]], first: int
    ) -> tuple[bool | None, bool | None]:
        """Whether the words of the clause, and of the sentence, look ahead (True) or back.

        In each the nearest cue before the time decides, else the first behind it; None without.
        """
        clause: bool | None = None
        sentence: bool | None = None
        is_sure, clause_is_over = False, False
        said: list[str] = []  # of the clause
        for word, at in words:
            if word == BREAK:  # a sentence ends
                if at >= first:
                    break
                clause, sentence, is_sure, said = None, None, False, []
                continue
            if word in (_COMMA, _AND):
                clause_is_over = at >= first
                # "On Friday, we went" opens with the time; "Friday and Sunday are full" goes on.
                if word == _COMMA and clause_is_over and said:
                    break
                clause, said = (clause if clause_is_over else None), []
                continue
            cue = self._cue(word, is_sure, said)
            said.append(word)
            if cue is None:
                continue
            if at >= first:
                if clause is None and not clause_is_over:
                    clause = cue
                sentence = cue if sentence is None else sentence
                break
            clause = sentence = cue
            is_sure = is_sure or word in self.table.sure_ahead
        return clause, sentence

    def _cue(self, word: str, is_sure: bool, said: Sequence[str]) -> bool | None:
        """What one word tells after those that were `said` in its clause."""
        table = self.table
        if word in table.ahead or (not said and word in table.opening_ahead):
            return True
        if word in table.participles or (
            table.back_ending and len(word) > 4 and word.endswith(table.back_ending)
        ):
            # "They're getting married": what is being done is not yet done.
            return None if is_sure or table.present_be.intersection(said[-2:]) else False
        return False if word in table.back else None


def _stretches(tokens: list[Token]) -> Iterator[list[Token]]:
    """Tokens in stretches of whole sentences, so that a long text costs what its parts cost.

    A sentence that does not end for a thousand words is cut, through a time if it comes to that.
    """
    begin = 0
    for at, token in enumerate(tokens, 1):
        length = at - begin
        if (token.kind == BREAK and length >= _STRETCH) or length >= _LONGEST:
            yield tokens[begin:at]
            begin = at
    if begin < len(tokens):
        yield tokens[begin:]


def _interval(span: Span, zone: tzinfo | None) -> Interval:
    start, end = (moment and moment.replace(tzinfo=zone) for moment in span[:2])
    return Interval(start, end, span.precision)


def _weighted(intervals: Sequence[Interval]) -> tuple[tuple[Interval, float], ...]:
    distinct = list(dict.fromkeys(intervals))[: len(_WEIGHTS)]
    return tuple(zip(distinct, _WEIGHTS[len(distinct) - 1], strict=True))
