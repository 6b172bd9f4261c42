"""From a text to tokens: words and numbers with the classes that a language gives them."""

import re
from datetime import datetime, timedelta
from functools import lru_cache

from memsieve.timeline.nodes import Fixed, Node
from memsieve.timeline.table import BREAK, OTHER, Table, Token, Word, named
from memsieve.timeline.wall import DAY, Span

_TOKEN = re.compile(
    r"""(?P<iso>\d{4}-\d{1,2}-\d{1,2}(?:[T ]\d{1,2}:\d{2}(?::\d{2})?)?(?![\d-]))
    | (?P<ym>\d{4}-\d{2}(?![\d-]))
    | (?P<date>\d{4}[/.]\d{1,2}[/.]\d{1,2}(?!\d)|\d{1,2}([/.-])\d{1,2}\4\d{2,4}(?!\d))
    | (?P<md>\d{1,2}/\d{1,2}(?![\d/]))
    | (?P<clock>\d{1,2}(?:[:.]\d{2}(?::\d{2})?)?\s?[ap](?:\.m\.?|m)(?!\w)
        | \d{1,2}:\d{2}(?::\d{2})?(?![\d:]))
    | (?P<hm>\d{1,2}h\d{2}|\d{1,2}h(?!\w))
    | (?P<quarter>[q][1-4](?!\w))
    | (?P<ord>\d{1,2}(?:st|nd|rd|th)(?!\w))
    | (?P<decade>(?:\d{3}0|['’]?\d0)['’]?s(?!\w))
    | (?P<amount>[$£€¥\#]\s?\d[\d.,]*\w*|\d[\d.,]*(?:%|°|(?!h\b)[a-z]+)\w*)
    | (?P<short>['’]\d{2}(?!\w))
    | (?P<num>\d+(?:[.,]\d+)*)
    | (?P<word>[^\W\d_]+(?:['’](?![sS]\b)[^\W\d_]+)?)
    | (?P<poss>['’][sS]\b)
    | (?P<break>[.!?\n;]+)
    | (?P<sign>[^\s\w])""",
    re.VERBOSE | re.IGNORECASE,
)
_DIGITS = re.compile(r"\d{4}|\d[/.:-]\d|\d\s?[ap]\.?m|\d0s|['’]\d\d|\d(?:st|nd|rd|th)\b", re.I)
_WORDS = re.compile(r"[^\W\d_]+")
_SURE = named("LAST THIS NEXT PAST COMING since until in PART")
_ABBREVIATED = frozenset({"MONTH", "WEEKDAY", "UNIT"})
_TITLES = frozenset({"_st", "_jr", "_dr", "_mr", "_mrs", "_ms"})
_LONGEST_ABBREVIATION = 5  # "thurs"
_BEFORE_A_YEAR = named(
    "in of since until from to dash before after during by between and the MONTH SEASON PART"
)


class Lexer:
    """Turns a text into tokens of a language's classes."""

    def __init__(self, table: Table, day_first: bool) -> None:
        self.table, self.day_first = table, day_first

    def could_hold(self, text: str) -> bool:
        """Whether any word or number of the text can begin a time: most texts end here."""
        words, table = _WORDS.findall(text.lower()), self.table
        if not table.strong.isdisjoint(words) or _DIGITS.search(text) is not None:
            return True
        return not table.weak.isdisjoint(words) and not table.helpers.isdisjoint(words)

    def tokens(self, text: str) -> list[Token]:
        """Every word of the text; what means nothing here has the class `OTHER`."""
        raw = [self._token(match) for match in _TOKEN.finditer(text)]
        plain = _without_stops(text, raw, numbers=self.table.has_ordinal_stops)
        return self._in_company(text, self._phrases(text, plain))

    def _token(self, match: re.Match[str]) -> Token:
        group, text = match.lastgroup, match.group()
        first, last = match.span()
        if group == "word":
            word = text.lower()
            known = self.table.words.get(word)
            return Token(*known, first, last) if known else Token(OTHER + word, None, first, last)
        if group == "break":
            return Token(BREAK, None, first, last)
        kind, value = self._number(group or "", text)
        return Token(kind, value, first, last)

    def _number(self, group: str, text: str) -> Word:
        if group in ("iso", "date", "ym"):
            node = _numeric_date(text, self.day_first)
            return (OTHER, None) if node is None else ("DATE", node)
        if group == "md":
            return "MONTHDAY", tuple(map(int, text.split("/")))
        if group in ("clock", "hm"):
            minutes = _minutes(text)
            return (OTHER, None) if minutes is None else ("TIMEOFDAY", minutes)
        if group == "quarter":
            return "QUARTER", int(text[1])
        if group == "ord":
            return "ORD", int(text[:-2])
        if group == "decade":
            years = int(re.sub(r"\D", "", text))
            return "DECADE", years if years > 99 else years + (1900 if years >= 30 else 2000)
        if group == "short":
            return "SHORTYEAR", _full_year(int(text[1:]))
        if group == "num" and text.isdigit():
            value = int(text)
            if len(text) == 4 and 1500 <= value < 2200:
                return "YEAR", value
            return ("NUM", value) if value < 10_000 else (OTHER, None)
        if group in ("sign", "poss"):
            return self.table.words.get(text.lower().replace("’", "'"), (OTHER + text, None))
        return OTHER, None

    def _phrases(self, text: str, tokens: list[Token]) -> list[Token]:
        """Words that mean something only together, such as "new year's eve"."""
        found, at, by_first = [], 0, self.table.by_first_word
        lowered = [text[token.first : token.last].lower().replace("’", "'") for token in tokens]
        while at < len(tokens):
            for rest, word in by_first.get(lowered[at], ()):
                end = at + 1 + len(rest)
                if tuple(lowered[at + 1 : end]) == rest:
                    found.append(Token(*word, tokens[at].first, tokens[end - 1].last))
                    at = end
                    break
            else:
                found.append(tokens[at])
                at += 1
        return found

    def _in_company(self, text: str, tokens: list[Token]) -> list[Token]:
        """Decide on words such as "may" and "sat" by what stands beside them."""
        for at, token in enumerate(tokens):
            if token.kind in ("YEAR", "MONTHDAY", "DECADE"):
                tokens[at] = self._number_in_company(tokens, at)
                continue
            word = self.table.ambiguous.get(token.kind[1:]) if token.kind[:1] == OTHER else None
            if word is None:
                continue
            previous = tokens[at - 1].kind if at else ""
            following = tokens[at + 1].kind if at + 1 < len(tokens) else ""
            is_capital = text[token.first].isupper()
            is_time = (
                previous in word.after
                or following in word.before
                or (is_capital and previous in word.capital_after)
                or (is_capital and following in word.capital_before)
                or (
                    is_capital
                    and following in word.capital_inside
                    and previous not in ("", BREAK, "the")
                )
            )
            if is_time and (previous in _SURE or not self._is_name(text, tokens, at)):
                tokens[at] = Token(word.kind, word.value, token.first, token.last)
        return tokens

    def _number_in_company(self, tokens: list[Token], at: int) -> Token:
        """A number that may be a year, a day or a decade, or the same without a meaning."""
        token = tokens[at]
        none = Token(OTHER, None, token.first, token.last)
        previous = tokens[at - 1].kind if at else ""
        following = tokens[at + 1].kind if at + 1 < len(tokens) else ""
        if token.kind == "MONTHDAY":
            is_date = previous in self.table.monthday_after or following == "TIMEOFDAY"
            return token if is_date else none
        if token.kind == "DECADE":
            return none if previous == "their" else token
        if following[1:] in self.table.counted or previous[1:] in self.table.numbered:
            return none
        if previous in _BEFORE_A_YEAR:
            return token
        # "2019 was hard" and "Rome 2018" may be; "2000 steps" and "deposit 2000" are not.
        is_plural = following[:1] == OTHER and following[-1:] == "s" and following[-2:] != "ss"
        is_year = 1950 <= token.value < 2050 and (previous in ("", BREAK) or token.value % 50 != 0)
        return token if is_year and (not is_plural or following[1:] in self.table.copulas) else none

    @staticmethod
    def _is_name(text: str, tokens: list[Token], at: int) -> bool:
        """ "May Smith", "April's": a capital or a possessive right behind."""
        if at + 1 == len(tokens):
            return False
        following = tokens[at + 1]
        if following.kind == "POSS":
            return True
        return following.kind[:1] == OTHER and text[following.first].isupper()


def _without_stops(text: str, tokens: list[Token], *, numbers: bool) -> list[Token]:
    """The tokens without the full stops of abbreviations: "Fri. 12 Sept. 2023"; with `numbers`
    also without those of ordinals: "8. Mai".
    """
    kept: list[Token] = []
    for at, token in enumerate(tokens):
        before = kept[-1] if kept else token
        following = tokens[at + 1] if at + 1 < len(tokens) else None
        is_stop = (token.kind == BREAK and before.kind in _TITLES) or (
            token.kind == BREAK
            and text[token.first : token.last] == "."
            and (before.kind in _ABBREVIATED or (numbers and before.kind == "NUM"))
            and before.last == token.first <= before.first + _LONGEST_ABBREVIATION
            and following is not None
            and (following.kind[:1] != OTHER or text[following.first].islower())
        )
        if not is_stop:
            kept.append(token)
    return kept


@lru_cache(maxsize=4096)
def _minutes(text: str) -> int | None:
    """Minutes since midnight of '7pm', '7:30 p.m.', '19:30', '19h30'."""
    numbers = [int(part) for part in re.findall(r"\d+", text)]
    hour, minute = numbers[0], numbers[1] if len(numbers) > 1 else 0
    half = re.search(r"[ap](?=\.?m)", text.lower())
    if half and not 1 <= hour <= 12:
        return None
    if half:
        hour = hour % 12 + (12 if half.group() == "p" else 0)
    return hour * 60 + minute if hour < 24 and minute < 60 else None


def _full_year(year: int) -> int:
    """Two digits as strptime reads them: 68 is 2068, 69 is 1969."""
    return year + (2000 if year < 69 else 1900)


def _numeric_date(text: str, day_first: bool) -> Node | None:
    """A date in digits: ISO, with dots day first, with slashes as the setting says."""
    parts = [int(part) for part in re.findall(r"\d+", text)]
    try:
        if len(parts) == 2:
            start = datetime(parts[0], parts[1], 1)
            return Fixed(Span(start, (start + 31 * DAY).replace(day=1), "month"), "month")
        if parts[0] > 99:
            year, month, day = parts[:3]
        else:
            first, second, year = parts
            day, month = (first, second) if day_first or "." in text else (second, first)
            if month > 12:
                day, month = month, day
            year = year if year > 99 else _full_year(year)
        start = datetime(year, month, day)
        if len(parts) > 3:
            at = start + timedelta(hours=parts[3], minutes=parts[4])
            return Fixed(Span(at, at + timedelta(minutes=1), "minute"), "minute")
        return Fixed(Span(start, start + DAY, "day"))
    except (ValueError, OverflowError):
        return None
