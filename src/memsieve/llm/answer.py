"""From the text that a model wrote to the one JSON object in it, without guessing."""

import json
import re
from typing import Any

# Local models that reason aloud end it with this mark; drafts of the answer stand before it.
_THOUGHT = "</think>"
_BRACE = re.compile(r"[{}]")
_BEGUN_OBJECT = re.compile(r"\{\s*[\"']")


def only_object(text: str) -> dict[str, Any]:
    """The JSON object that an answer holds, with or without prose around it.

    Braces in the prose are passed over. Where `json_object` takes what it finds, this refuses what
    may be less than the model meant: an object that is broken or cut off, a second object, a field
    written twice, NaN.

    Raises
    ------
    ValueError
        If there is not exactly one; the text says what there is.

    Examples
    --------
    >>> only_object('Sure {thinking}: {"answer": "A"} Anything else?')
    {'answer': 'A'}
    >>> only_object('{"facts": [{"a": 1}, {"a":')
    Traceback (most recent call last):
    ValueError: the JSON is broken or cut off: Expecting value at character 26
    """
    text = text.rpartition(_THOUGHT)[2]
    if not text.strip():
        raise ValueError("the answer is empty")
    found = []
    start = text.find("{")
    while start >= 0:
        try:
            value, end = _DECODER.raw_decode(text, start)
            found.append(value)
        except RecursionError:
            raise ValueError("the JSON is nested too deeply") from None
        except ValueError as error:
            past = _past_braces(text, start)
            if past is None or _BEGUN_OBJECT.match(text, start):
                raise ValueError(f"the JSON is broken or cut off: {_reason(error)}") from error
            end = past
        start = text.find("{", end)
    if len(found) != 1:
        raise ValueError(f"there must be one JSON object, found {len(found) or 'none'}")
    return found[0]


def _past_braces(text: str, start: int) -> int | None:
    """Where the brace at `start` is closed; None if it never is."""
    depth = 0
    for brace in _BRACE.finditer(text, start):
        depth += 1 if brace[0] == "{" else -1
        if not depth:
            return brace.end()
    return None


def _reason(error: ValueError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at character {error.pos}"
    return str(error)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the field {twice!r} is written twice")
    return read


def _no_number(written: str) -> None:
    raise ValueError(f"{written} is no number of JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_no_number)
