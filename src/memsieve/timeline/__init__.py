"""When things were said and when they happened: intervals, and the words that name them."""

from datetime import datetime

from memsieve.errors import DateError, ParameterError
from memsieve.timeline.base import NoTimeline, Reader
from memsieve.timeline.english import ENGLISH
from memsieve.timeline.german import GERMAN
from memsieve.timeline.printing import annotated, spell
from memsieve.timeline.reading import Expression, TableReader
from memsieve.types import Interval, Mention

__all__ = [
    "DEFAULT_TIMELINE",
    "Expression",
    "Interval",
    "Mention",
    "NoTimeline",
    "Reader",
    "TableReader",
    "annotated",
    "from_spec",
    "read_interval",
    "spell",
]

DEFAULT_TIMELINE = "english"
_TABLES = {"english": ENGLISH, "german": GERMAN}


def from_spec(spec: str) -> Reader:
    """The reader that a spec names: a language, or "none", which reads nothing.

    ":day-first" behind a language reads 8/5/2023 as the 8th of May; "dateparser:fr" reads French
    (or another language, or several with commas) with the dateparser library, extra `languages`.

    Raises
    ------
    ParameterError
        If there is no such reader.
    MissingExtraError
        If it needs an optional dependency.
    """
    if spec == "none":
        return NoTimeline()
    name, _, setting = spec.partition(":")
    table = _TABLES.get(name.partition("@")[0])  # an identity names a version, too
    if table is not None and setting in ("", "day-first"):
        return TableReader(table, day_first=bool(setting))
    if name.partition("@")[0] == "dateparser" and setting:
        from memsieve.timeline.other import Dateparser

        return Dateparser(tuple(setting.split(",")))
    known = ", ".join([*_TABLES, "none"])
    raise ParameterError(
        f"timeline must be one of {known}, LANGUAGE:day-first or dateparser:CODES; got {spec!r}"
    )


def read_interval(text: str, clock: datetime, reader: Reader) -> Interval:
    """The one time that words such as "last spring" name, in its likeliest reading.

    Raises
    ------
    DateError
        If they name no time, or several.
    """
    found = reader.mentions(text, clock, looks_back=True)
    if len(found) != 1:
        count = "no time" if not found else f"{len(found)} times"
        raise DateError(
            f"{text!r} names {count}: write it like 'May 2023', 'last week' or"
            " 'between 3 and 9 April 2023'"
        )
    return found[0].interval
