"""What a question wants of a memory: one of seven intents, told by rules, a model or keywords."""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

from memsieve.errors import AnswerError, EndpointError

if TYPE_CHECKING:
    from memsieve.llm import Model

_LOG = logging.getLogger(__name__)
_MAX_TOKENS = 32


class Intent(StrEnum):
    """The tag of a question; the wording of the seven tags is UNCONFIRMED."""

    PROFILE = "profile-injection"
    TARGETED = "targeted-extraction"
    TEMPORAL = "temporal-reasoning"
    CONFLICT = "conflict-resolution"
    SUMMARY = "broad-summarization"
    CONSTRAINT = "constraint-validation"
    STATE = "state-tracking"


class Tier(IntEnum):
    """How much is done for a question, the lightest first."""

    PROFILE = 1
    TARGETED = 2
    DEEP = 3


TIER_OF: Mapping[Intent, Tier] = MappingProxyType(
    {
        Intent.PROFILE: Tier.PROFILE,
        Intent.TARGETED: Tier.TARGETED,
        Intent.STATE: Tier.TARGETED,
        Intent.TEMPORAL: Tier.DEEP,
        Intent.CONFLICT: Tier.DEEP,
        Intent.SUMMARY: Tier.DEEP,
        Intent.CONSTRAINT: Tier.DEEP,
    }
)
"""Intent -> the tier that it goes to; the table is a suggestion, the paper states none."""


@dataclass(frozen=True, slots=True)
class Route:
    """Where a question goes.

    layer: what told it, "rules", "model" or "keywords"; rivals: intents that were as likely by
    keywords; calls: questions put to the model, 0 or 1.
    """

    intent: Intent
    layer: str
    rivals: tuple[Intent, ...] = ()
    calls: int = 0

    @property
    def intents(self) -> tuple[Intent, ...]:
        """The intent, and its rivals."""
        return (self.intent, *self.rivals)

    @property
    def tier(self) -> Tier:
        """The heaviest tier of the intent and its rivals: what is unclear is not done by half."""
        return max(TIER_OF[intent] for intent in self.intents)


def _of(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE)


_ATTRIBUTE = (
    r"(?:name|nickname|job|profession|occupation|employer|birthday|date of birth|age|hobby|hobbies"
    r"|allerg(?:y|ies)|likes|dislikes|preferences|favou?rite)"
)
_BEFORE_NOW = r"\bbefore\b.*\bnow\b|\bnow\b.*\bbefore\b"
# English as the card words it, and the German counterparts. In that of temporal questions not a
# word may change: its precision and recall on LoCoMo were measured.
RULES: Mapping[Intent, re.Pattern[str]] = MappingProxyType(
    {
        Intent.TEMPORAL: _of(
            r"^\s*(?:when|how long|how many (?:days|weeks|months|years)"
            r"|what (?:date|day|month|year|time)|since when|which (?:month|year|day))\b",
            r"\b(?:how long ago|what year|which month)\b",
            r"^\s*(?:(?:seit|bis|ab) )?wann\b",
            r"^\s*wie (?:lange|viele (?:tage|wochen|monate|jahre))\b",
            r"^\s*(?:an|in|um) welche[mr] (?:tag|woche|monat|jahr|uhrzeit)\b|\bwelches datum\b",
        ),
        Intent.PROFILE: _of(
            rf"\b(?:my|our|(?:the )?user['’]s) (?:(?:full|first|last|own) )?{_ATTRIBUTE}\b",
            r"\b(?:do|does) (?:i|we|the user) (?:really )?(?:like|love|enjoy|prefer|hate)\b",
            r"\b(?:am i|is i|is the user) allergic\b|\ballergic (?:am i|is i)\b",
            r"\b(?:am i|is i|is the user) called\b|\bwho am i\b|\bfor a living\b",
            r"\bmeine? (?:name|beruf|geburtstag|alter|hobbys?|allergien?|lieblings\w+)\b",
            r"\bwie heiße ich\b|\bwas mag ich\b|\bbin ich (?:\w+ )?allergisch\b",
        ),
        Intent.STATE: _of(
            r"\b(?:now|currently|latest|still|used to)\b",
            r"\b(?:jetzt|derzeit|aktuell(?:e[nrs]?)?|zurzeit|immer noch|noch immer)\b",
        ),
        Intent.CONFLICT: _of(
            rf"\b(?:changed|instead of|contradict(?:s|ed|ion|ions|ory)?|actually)\b|{_BEFORE_NOW}",
            r"\b(?:geändert|statt|widerspr(?:icht|uch)|tatsächlich)\b",
        ),
        Intent.SUMMARY: _of(
            r"\b(?:summari[sz]e|overview|everything about|list all|how many times)\b",
            r"\b(?:fasse?\b.*\bzusammen|zusammenfassung|überblick|alles über|wie oft)\b",
        ),
        Intent.CONSTRAINT: _of(
            r"\b(?:allowed|must|rules?|polic(?:y|ies)|should i|limits?)\b",
            r"\b(?:erlaubt|muss|darf|regeln?|vorschrift(?:en)?|soll ich|grenzwerte?)\b",
        ),
    }
)
"""What marks a question for certain, if no other class matches as well."""

_KEYWORDS: Mapping[Intent, re.Pattern[str]] = MappingProxyType(
    {
        Intent.TEMPORAL: _of(
            r"\b(?:when|date|day|month|year|weeks?|long|ago|since|duration|until|earlier|order"
            r"|wann|datum|tag|monat|jahr|seit)\b"
        ),
        Intent.PROFILE: _of(
            rf"\b(?:my|our|user['’]s) (?:\w+ )?{_ATTRIBUTE}\b",
            r"\b(?:i|user) (?:\w+ )?(?:like|prefer|enjoy)\b|\bmeine? \w+\b",
        ),
        Intent.STATE: _of(
            r"\b(?:now|currently|current|latest|newest|still|used to|these days|at the moment"
            r"|as of today|jetzt|derzeit|aktuell\w*|noch)\b"
        ),
        Intent.CONFLICT: _of(
            r"\b(?:chang(?:e|es|ed|ing)|instead|contradict\w*|actually|conflict\w*|versus|differ"
            r"(?:s|ent|ence)?|no longer|corrected|geändert|statt|widerspr\w+)\b"
        ),
        Intent.SUMMARY: _of(
            r"\b(?:summar\w+|overview|everything|all|list|recap|overall|in general|how many times"
            r"|zusammen\w*|überblick|alles|alle)\b"
        ),
        Intent.CONSTRAINT: _of(
            r"\b(?:allowed|must|rules?|polic(?:y|ies)|should|limits?|permitted|permission|forbidden"
            r"|required|prohibited|erlaubt|verboten|muss|darf|regeln?)\b"
        ),
    }
)

_PROMPT = """\
A question is put to a memory of conversations. Which kind of question is it?

{kinds}

Write the name of one kind and nothing else.

Question: {question}"""
_MEANING: Mapping[Intent, str] = MappingProxyType(
    {
        Intent.PROFILE: "a stable attribute of the user: name, job, birthday, likes, allergies",
        Intent.TARGETED: "one particular thing that was said",
        Intent.TEMPORAL: "when something happened, how long it took, what came first",
        Intent.CONFLICT: "which of several statements that disagree is right, or what changed",
        Intent.SUMMARY: "an overview of many things, a list, a count",
        Intent.CONSTRAINT: "whether something is allowed, which rule or limit applies",
        Intent.STATE: "how things are now, or how they used to be",
    }
)


def by_rules(question: str) -> Intent | None:
    """The one class whose rule matches; None if none does, or several.

    Examples
    --------
    >>> str(by_rules("How long have I had the car?")), by_rules("When did my job change, and now?")
    ('temporal-reasoning', None)
    """
    found = [intent for intent, rule in RULES.items() if rule.search(question)]
    # "Before ... and now" is a mark of conflict as a whole, its "now" is not one of state.
    if found == [Intent.STATE, Intent.CONFLICT] and not RULES[Intent.STATE].search(
        re.sub(_BEFORE_NOW, "", question, flags=re.IGNORECASE)
    ):
        return Intent.CONFLICT
    return found[0] if len(found) == 1 else None


def by_keywords(question: str) -> tuple[Intent, tuple[Intent, ...]]:
    """The class with most different keywords, and those that tie for it.

    None at all, or a tie, is targeted extraction.
    """
    hits = {
        intent: len({match[0].lower() for match in words.finditer(question)})
        for intent, words in _KEYWORDS.items()
    }
    most = max(hits.values())
    best = tuple(intent for intent, n in hits.items() if n == most) if most else ()
    return (best[0], ()) if len(best) == 1 else (Intent.TARGETED, best)


def named(answer: str) -> Intent | None:
    """The intent whose tag, or the first word of it, stands first in what a model wrote.

    Examples
    --------
    >>> str(named("It is Temporal.")), named("no idea")
    ('temporal-reasoning', None)
    """
    first: tuple[int, Intent] | None = None
    for intent in Intent:
        match = re.search(rf"\b{intent.partition('-')[0]}\b", answer, re.IGNORECASE)
        if match and (first is None or match.start() < first[0]):
            first = match.start(), intent
    return None if first is None else first[1]


def route(question: str, model: "Model | None" = None, names: Sequence[str] = ()) -> Route:
    """Which intent a question has: the first of three layers that can tell.

    Rules that match alone; else, with a model, one call of it; else keywords.

    Parameters
    ----------
    names
        Speakers of the memory that the question names: "Ana's job" is told as "my job" is, for
        every one of them has a profile.

    References
    ----------
    MemFlow, arXiv 2605.03312, has these layers; the rules and keywords are suggestions, the prompt
    is ours. A model that fails, or writes none of the tags, is passed over and logged.
    """
    spoken = _in_first_person(question, names)
    if (intent := by_rules(spoken)) is not None:
        return Route(intent, "rules")
    if model is not None and (intent := _by_model(question, model)) is not None:
        return Route(intent, "model", calls=1)
    intent, rivals = by_keywords(spoken)
    return Route(intent, "keywords", rivals, calls=int(model is not None))


def _in_first_person(question: str, names: Sequence[str]) -> str:
    parts = {part for name in names for part in (name, *name.split())}
    for name in sorted(parts, key=lambda part: (-len(part), part)):
        question = re.sub(rf"\b{re.escape(name)}['’]s\b", "my", question, flags=re.IGNORECASE)
        question = re.sub(rf"\b{re.escape(name)}\b", "I", question, flags=re.IGNORECASE)
    return question


def _by_model(question: str, model: "Model") -> Intent | None:
    kinds = "\n".join(f"{intent}: {meaning}" for intent, meaning in _MEANING.items())
    prompt = _PROMPT.format(kinds=kinds, question=question)
    try:
        written = model.write(prompt, max_tokens=_MAX_TOKENS)
    except AnswerError as error:
        written = error.written
    except EndpointError as error:
        _LOG.warning("a question is routed by keywords, the model failed: %s", error)
        return None
    intent = named(written)
    if intent is None:
        _LOG.warning("a question is routed by keywords, the model named no intent")
    return intent
