"""What a question wants to know of time: a date, a length, an order, or something near an event."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from memsieve.timeline.base import Reader
from memsieve.timeline.printing import spell
from memsieve.timeline.reading import Expression, TableReader
from memsieve.types import Interval


@dataclass(frozen=True, slots=True)
class Anchor:
    """An event by which a question sets its time: `relation` is before, after or during.

    `phrase` is the event in the question's words, for a search of its own.
    """

    relation: str
    phrase: str


@dataclass(frozen=True, slots=True)
class HowLong:
    """A length of time that a question asks for, as one way to read it.

    From the event `first` to the event `last`, in `unit` (None: the unit that fits). An event of
    None is the clock of the question: "how long ago", "how long until".
    """

    first: str | None
    last: str | None
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """What a question says of time.

    times: the intervals it names, with weights in (0, 1], the likeliest reading of each at 1;
    wants_date: it asks when; wants_length: it asks how long; lengths: the ways to read between
    which events, where it names them; wants_order: it asks what came first, next, last, or in
    which order; anchor: the event beside which it asks; session: the conversation it speaks of (-1
    the last, "first"); relative: where words stand that mean a date without saying it, such as
    "last month": a text that says them too means another one.
    """

    times: tuple[tuple[Interval, float], ...] = ()
    wants_date: bool = False
    wants_length: bool = False
    wants_order: bool = False
    lengths: tuple[HowLong, ...] = ()
    anchor: Anchor | None = None
    session: int | str | None = None
    relative: tuple[tuple[int, int], ...] = ()

    def __bool__(self) -> bool:
        return self != Asked()

    def without_relative(self, question: str) -> str:
        """The question without those words; all of it if nothing else is left."""
        left, done = [], 0
        for first, last in self.relative:
            left.append(question[done:first])
            done = last
        rest = " ".join([*left, question[done:]])
        return rest if re.search(r"\w", rest) else question


@dataclass(frozen=True)
class Words:
    """How a language asks for time: regular expressions over the question.

    date, how_long, order: what marks such questions; lengths: how they begin, perhaps with a group
    `unit`, what stands between the two events (None for one event), and whether the events come in
    the order first-last, last-first, or only one of them; anchors: relation -> pattern with a
    group `event`; units: word -> unit.
    """

    date: re.Pattern[str]
    how_long: re.Pattern[str]
    order: re.Pattern[str]
    lengths: Sequence[tuple[re.Pattern[str], re.Pattern[str] | None, str]]
    anchors: Mapping[str, re.Pattern[str]]
    units: Mapping[str, str]


def _of(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE)


_UNITS = r"(?P<unit>days?|weeks?|months?|years?|hours?)"
_HOW_MANY = rf"how (?:many {_UNITS}|long|much time)"
_DID = r"(?:did|was|were|does|do|is|are)"
_END = r"\s*[?.!]*\s*$"

# The rule of MemFlow's card for temporal questions, with "on which day" and the like.
_ENGLISH = Words(
    date=_of(
        r"^\W*(?:and |so |but )?(?:(?:on|in|since|until|by|from) )?(?:when|what date|what day|"
        r"what month|what year|what time|which (?:date|day|month|year|week|weekend))\b",
        r"\bhow long ago\b", r"\bhow many (?:days|weeks|months|years) ago\b", r"\bsince when\b",
        r"\bwhat year\b", r"\bwhich month\b", r"\bwhat date\b",
    ),
    how_long=_of(r"\bhow (?:long|much time)\b", r"\bhow many (?:days|weeks|months|years|hours)\b"),
    order=_of(
        r"\b(?:in (?:what|which) order|put .*in order|order of|sequence of|chronological\w*)\b",
        r"\b(?:which|what|who|where)\b.*\b(?:first|last|earlier|later|next|earliest|latest)\b",
        r"\bwhat (?:did|does|has|was|were|happened|came)\b.*\b(?:after that|before that|afterwards|"
        r"then|next)\b",
        r"\bbefore or after\b",
    ),
    lengths=(
        (_of(rf"{_HOW_MANY}\b.*?\bbetween "), _of(r",? and "), "first last"),
        (_of(rf"{_HOW_MANY}\b.*?\bfrom "), _of(r",? (?:to|until|till) "), "first last"),
        (_of(rf"{_HOW_MANY} after "), _of(rf",? {_DID} "), "first last"),
        (_of(rf"{_HOW_MANY} before "), _of(rf",? {_DID} "), "last first"),
        (_of(rf"{_HOW_MANY} ago {_DID} "), None, "first"),
        (_of(rf"{_HOW_MANY}\b.*?\bsince "), None, "first"),
        (_of(rf"{_HOW_MANY}\b.*?\b(?:until|till) "), None, "last"),
    ),
    anchors={
        "after": _of(
            rf"(?<!before or )\b(?:after|following|since) (?P<event>(?!that\b|all\b).+?){_END}"
        ),
        "before": _of(rf"\b(?:before|prior to|until) (?P<event>(?!that\b|or after\b).+?){_END}"),
        "during": _of(rf"\b(?:during|while|(?:around|at) the time of) (?P<event>.+?){_END}"),
    },
    units={
        word + s: word for word in ("hour", "day", "week", "month", "year") for s in ("", "s")
    },
)  # fmt: skip

_WIE_LANGE = r"wie (?:lange|viele (?P<unit>tage|wochen|monate|jahre))"
_GERMAN = Words(
    date=_of(r"^\W*(?:und |seit |bis |ab )?(?:wann|an welchem tag|in welchem (?:monat|jahr)|"
             r"welches datum)\b", r"\bwie lange ist es her\b"),
    how_long=_of(r"\bwie lange\b", r"\bwie viele (?:tage|wochen|monate|jahre)\b"),
    order=_of(r"\b(?:in welcher reihenfolge|zuerst|zuletzt|danach|als nächstes)\b"),
    lengths=(
        (_of(rf"{_WIE_LANGE}\b.*?\bzwischen "), _of(r",? und "), "first last"),
        (_of(rf"{_WIE_LANGE}\b.*?\bseit "), None, "first"),
    ),
    anchors={
        "after": _of(rf"\bnach (?P<event>d(?:em|er|en) .+?){_END}"),
        "before": _of(rf"\bvor (?P<event>d(?:em|er|en) .+?){_END}"),
        "during": _of(rf"\bwährend (?P<event>.+?){_END}"),
    },
    units={"tage": "day", "wochen": "week", "monate": "month", "jahre": "year"},
)  # fmt: skip
_WORDS: Mapping[str, Words] = {"english": _ENGLISH, "german": _GERMAN}
_MIN_WEIGHT = 0.2
_MAX_WAYS = 6


def ask(question: str, clock: datetime, reader: Reader) -> Asked:
    """Read what a question says of time against the aware `clock`.

    A reader of a language without question words here gives the times alone.
    """
    words = _WORDS.get(reader.table.name) if isinstance(reader, TableReader) else None
    if not isinstance(reader, TableReader) or words is None:
        found = reader.mentions(question, clock, looks_back=True)
        return Asked(times=tuple((one.interval, one.weight) for one in found))
    expressions = reader.expressions(question, clock, looks_back=True)
    lengths = _lengths(question, words)
    times = () if lengths else _times(expressions)
    return Asked(
        times=times,
        wants_date=words.date.search(question) is not None,
        wants_length=words.how_long.search(question) is not None,
        wants_order=words.order.search(question) is not None,
        lengths=lengths,
        anchor=None if times or lengths else _anchor(question, words, expressions),
        session=next((one.session for one in expressions if one.kind == "session"), None),
        relative=tuple(
            (one.first, one.last) for one in expressions if _says_no_date(question, one)
        ),
    )


def _says_no_date(question: str, one: Expression) -> bool:
    """Whether the words stand for a date without saying it: "last month", not "last March"."""
    if one.kind == "session":
        return True
    said = spell(one.readings[0][0]) if one.readings else ""
    return one.is_relative and not _tokens(said) & _tokens(question[one.first : one.last])


def _tokens(text: str) -> set[str]:
    return set(re.findall(r"\d+|[^\W\d_]+", text.lower()))


def _times(expressions: Sequence[Expression]) -> tuple[tuple[Interval, float], ...]:
    """Every reading, weighed against the likeliest of the same words."""
    return tuple(
        (interval, weight / one.readings[0][1])
        for one in expressions
        if one.readings
        for interval, weight in one.readings
        if weight / one.readings[0][1] >= _MIN_WEIGHT
    )


def _lengths(question: str, words: Words) -> tuple[HowLong, ...]:
    """Every way to part the words of a question into its events.

    "From A to B" with a second "to" inside an event has two ways; which one is meant, a search for
    both events tells.
    """
    asked = question.rstrip(" ?.!")
    for begins, between, order in words.lengths:
        match = begins.search(asked)
        if match is None:
            continue
        unit = words.units.get((match.groupdict().get("unit") or "").lower())
        rest = asked[match.end() :]
        if between is None:
            return (HowLong(**{"first": None, "last": None, order: rest}, unit=unit),)
        names = order.split()
        ways = tuple(
            HowLong(**{names[0]: rest[: cut.start()], names[1]: rest[cut.end() :]}, unit=unit)
            for cut in between.finditer(rest)
            if rest[: cut.start()].strip() and rest[cut.end() :].strip()
        )
        if ways:
            return ways[:_MAX_WAYS]
    return ()


def _anchor(question: str, words: Words, expressions: Sequence[Expression]) -> Anchor | None:
    """The event beside which the question asks, unless its words are a time themselves."""
    for relation, pattern in words.anchors.items():
        match = pattern.search(question)
        if match is None:
            continue
        first, last = match.span("event")
        # "After dinner" is a habit; an event has a name of its own: "the dinner", "Ana's dinner".
        if len(match["event"].split()) < 2:
            continue
        if not any(one.first < last and first < one.last for one in expressions):
            return Anchor(relation, match["event"])
    return None
