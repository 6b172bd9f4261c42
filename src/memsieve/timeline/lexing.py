"""From a text to tokens: words and numbers with the classes that a language gives them."""

import re
from datetime import datetime, timedelta
from functools import lru_cache

from memsieve.timeline.nodes import Fixed, Node
from memsieve.timeline.table import BREAK, OTHER, Table, Token, Word
from memsieve.timeline.wall import DAY, Span

_TOKEN = r"""(?P<iso>\d{4}-\d{1,2}-\d{1,2}(?:[T ]\d{1,2}:\d{2}(?::\d{2})?)?(?![\d-]))
    | (?P<ym>\d{4}-\d{2}(?![\d-])|\d{1,2}/\d{4}(?!\d))
    | (?P<code>\d{4}-\d{3}(?!\d)|\d{4}-\d{5,})
    | (?P<date>\d{4}[/.]\d{1,2}[/.]\d{1,2}(?!\d)
        | \d{1,2}(?P<mark>[/.-])\d{1,2}(?P=mark)\d{2,4}(?!\d))
    | (?P<md>\d{1,2}/\d{1,2}(?![\d/])|DAYSTOP)
    | (?P<clock>\d{1,2}(?:[:.]\d{2}(?::\d{2})?)?\s?[ap](?:\.m\.?|m)(?!\w)
        | \d{1,2}:\d{2}(?::\d{2})?(?![\d:]))
    | (?P<hm>\d{1,2}h\d{2}|\d{1,2}h(?!\w))
    | (?P<quarter>[q][1-4](?!\w))
    | (?P<ord>\d{1,2}(?:ORDINAL)(?!\w))
    | (?P<decade>(?:\d{3}0|['’]?\d0)(?:DECADE)(?!\w))
    | (?P<amount>[$£€¥\#]\s?\d[\d.,]*\w*|\d[\d.,]*(?:%|°|(?!h\b)[a-z]+)\w*)
    | (?P<short>['’]\d{2}(?!\w))
    | (?P<num>\d+(?:[.,]\d+)*)
    | (?P<word>[^\W\d_]+(?:['’](?![sS]\b)[^\W\d_]+)?)
    | (?P<poss>['’][sS]\b)
    | (?P<break>[.!?\n;]+)
    | (?P<sign>[^\s\w])"""
_DAY_STOP = r"\d{1,2}\.\d{1,2}\.(?!\d)"
_NEVER = "(?!)"
_DIGITS = r"\d{4}|\d[/.:-]\d|\d\s?[ap]\.?m|\d0(?:DECADE)|['’]\d\d|\d(?:ORDINAL)\b|\bq[1-4]\b"
_WORDS = re.compile(r"[^\W\d_]+")
_ABBREVIATED = frozenset({"MONTH", "WEEKDAY", "UNIT"})
_LONGEST_ABBREVIATION = 5  # "thurs"


class Lexer:
    """Turns a text into tokens of a language's classes."""

    def __init__(self, table: Table, day_first: bool) -> None:
        self.table, self.day_first = table, day_first
        self._token_pattern = self._compiled(_TOKEN)
        self._digits_pattern = self._compiled(_DIGITS)

    def _compiled(self, pattern: str) -> re.Pattern[str]:
        """A pattern with the endings that the language gives its numbers."""
        table = self.table
        for name, ending in (
            ("DAYSTOP", _DAY_STOP if table.has_ordinal_stops else ""),
            ("ORDINAL", table.ordinal_endings),
            ("DECADE", table.decade_endings),
        ):
            pattern = pattern.replace(name, ending or _NEVER)
        return re.compile(pattern, re.VERBOSE | re.IGNORECASE)

    def could_hold(self, text: str) -> bool:
        """Whether any word or number of the text can begin a time: most texts end here."""
        words, table = _WORDS.findall(text.lower()), self.table
        if not table.strong.isdisjoint(words) or self._digits_pattern.search(text):
            return True
        return not table.weak.isdisjoint(words) and not table.helpers.isdisjoint(words)

    def tokens(self, text: str) -> list[Token]:
        """Every word of the text; what means nothing here has the class `OTHER`."""
        raw = [self._token(match) for match in self._token_pattern.finditer(text)]
        plain = self._without_stops(text, raw)
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
            first, second = map(int, re.findall(r"\d+", text))
            is_day_first = self.day_first or "." in text
            return "MONTHDAY", (second, first) if is_day_first else (first, second)
        if group in ("clock", "hm"):
            minutes = _minutes(text)
            return (OTHER, None) if minutes is None else ("TIMEOFDAY", minutes)
        if group == "quarter":
            return "QUARTER", int(text[1])
        if group == "ord":
            return "NTH", int(text[:-2])
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
            if token.kind in ("YEAR", "MONTHDAY"):
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
            if is_time and (
                previous in self.table.sure_company or not self._is_name(text, tokens, at)
            ):
                tokens[at] = Token(word.kind, word.value, token.first, token.last)
        return tokens

    def _number_in_company(self, tokens: list[Token], at: int) -> Token:
        """A number that may be a year or a day, or the same without a meaning."""
        token = tokens[at]
        none = Token(OTHER, None, token.first, token.last)
        previous = tokens[at - 1].kind if at else ""
        following = tokens[at + 1].kind if at + 1 < len(tokens) else ""
        if token.kind == "MONTHDAY":
            is_date = previous in self.table.monthday_after or following == "TIMEOFDAY"
            return token if is_date else none
        if following[1:] in self.table.counted or previous[1:] in self.table.numbered:
            return none
        if previous in self.table.before_year or self._begins_years(tokens, at):
            return token
        # "2019 was hard" and "Rome 2018" may be; "2000 steps" and "deposit 2000" are not.
        ending = self.table.plural_ending
        is_plural = bool(
            ending
            and following[:1] == OTHER
            and following.endswith(ending)
            and not following.endswith(2 * ending)
        )
        is_year = 1950 <= token.value < 2050 and (previous in ("", BREAK) or token.value % 50 != 0)
        return token if is_year and (not is_plural or following[1:] in self.table.copulas) else none

    def _without_stops(self, text: str, tokens: list[Token]) -> list[Token]:
        """The tokens without the full stops of abbreviations: "Fri. 12 Sept. 2023", "St. Ives".

        Where the language has them also without those of ordinals: "8. Mai".
        """
        kept: list[Token] = []
        table = self.table
        for at, token in enumerate(tokens):
            before = kept[-1] if kept else token
            following = tokens[at + 1] if at + 1 < len(tokens) else None
            is_number = table.has_ordinal_stops and before.kind == "NUM"
            is_stop = (token.kind == BREAK and before.kind[1:] in table.titles) or (
                token.kind == BREAK
                and text[token.first : token.last] == "."
                and (before.kind in _ABBREVIATED or is_number)
                and before.last == token.first <= before.first + _LONGEST_ABBREVIATION
                and following is not None
                and (following.kind[:1] != OTHER or text[following.first].islower())
            )
            if not is_stop:
                kept.append(token)
        return kept

    def _begins_years(self, tokens: list[Token], at: int) -> bool:
        """ "1939 to 1945"; but two round numbers, "1800 to 2000", are rather a price."""
        if at + 2 >= len(tokens) or tokens[at + 1].kind not in self.table.between_years:
            return False
        first, last = tokens[at].value, tokens[at + 2].value
        if tokens[at + 2].kind != "YEAR" or not first < last or first % 50 == last % 50 == 0:
            return False
        return self._number_in_company(tokens, at + 2).kind == "YEAR"

    def _is_name(self, text: str, tokens: list[Token], at: int) -> bool:
        """ "May Smith", "April's": a capital or a possessive right behind."""
        if at + 1 == len(tokens):
            return False
        following = tokens[at + 1]
        if following.kind == "POSS":
            return True
        is_capital = following.kind[:1] == OTHER and text[following.first].isupper()
        return is_capital and following.kind[1:] not in self.table.capital_words


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
            year, month = parts if parts[0] > 99 else parts[::-1]
            start = datetime(year, month, 1)
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
