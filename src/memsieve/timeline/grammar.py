"""The engine that reads a language's table: words become classes, patterns of classes become times.

A text is cut into words and numbers. Each gets a class, such as MONTH, written as one letter, so
that a rule like ``the? LAST MONTH`` is an ordinary regular expression over letters. Rules are
applied in the order of the table; what one builds (a point in time, class TIME) the later ones
build on: "week" + "before" + TIME. All that a language adds is data: see `english.py`.
"""

from typing import Any

from memsieve.timeline.table import BREAK, OTHER, Build, Table, Token


def parse(table: Table, tokens: list[Token]) -> list[Token]:
    """Apply every rule of the table: the tokens that are left, times among them."""
    letters = table.letters
    line = "".join(
        letters.get(token.kind, BREAK if token.kind == BREAK else OTHER) for token in tokens
    )
    present = set(line)
    for pattern, needed, kind, build in table.compiled:
        if not needed <= present:
            continue
        at = 0
        while (match := pattern.search(line, at)) is not None:
            first, last = match.span()
            made = _build(table, build, tokens, first, last)
            if made is None:
                at = first + 1
                continue
            new = Token(kind, made, tokens[first].first, tokens[last - 1].last)
            tokens[first:last] = [new]
            line = line[:first] + letters[kind] + line[last:]
            present.add(letters[kind])  # what is used up may stay: it only costs a search
            at = first + 1
    return tokens


def _build(table: Table, build: Build, tokens: list[Token], first: int, last: int) -> Any:
    """What a rule makes of the tokens that it matched; None if they do not fit together."""
    barred = table.not_followed_by.get(tokens[last - 1].kind)
    if barred and last < len(tokens) and tokens[last].kind[1:] in barred:
        return None
    try:
        return build(*(t.value for t in tokens[first:last] if t.value is not None))
    except (ValueError, OverflowError):  # no such day, or beyond the years 1 to 9999
        return None
