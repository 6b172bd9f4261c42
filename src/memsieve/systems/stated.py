"""What a text states of somebody: an attribute and its value, read by patterns or off its slot."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import NamedTuple

from memsieve.search.words import words
from memsieve.types import Item

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Fact:
    """One stated attribute.

    subject: of whom, in lower case, "" for whoever speaks without a name; own: whether the subject
    itself says so; key: the attribute; value: as it was said; seq, said, at: the item that states
    it, when on the clock of its speaker, and in microseconds UTC.
    """

    subject: str
    own: bool
    key: str
    value: str
    seq: int
    said: datetime
    at: int


_I = r"\b(?P<own>i|ich)(?:['’](?:m|ve|d))?"
# The name of a third person; that of a sentence's first word counts, "Tom lives in Rome".
_HE = r"\b(?P<who>(?-i:[A-Z])[\w-]+)(?:['’]s)?"
_MY = r"(?:\b(?P<own>my|our|mein|meine)|\b(?P<who>(?-i:[A-Z])[\w-]+)['’]s)"
_VALUE = r"(?P<value>[^.,;:!?\n(]+)"
_ADVERB = r"(?: (?:now|currently|still|just|recently|really|also|always|have|has|am|is|since))*"
_ATTRIBUTES = (
    r"(?:job|profession|city|hometown|home town|address|phone number|phone|email|e-mail|car|doctor"
    r"|dentist|boss|employer|school|university|husband|wife|partner|boyfriend|girlfriend|nickname"
    r"|age|hobby|major|diet|goal|budget|size|native language|nationality|password)"
)


class _Stated(NamedTuple):
    """How an attribute is stated; `marks` are parts of words of which each such text holds one."""

    key: str
    marks: tuple[str, ...]
    patterns: tuple[re.Pattern[str], ...]


def _stated(key: str, marks: str, *patterns: str) -> _Stated:
    compiled = tuple(re.compile(pattern, re.IGNORECASE) for pattern in patterns)
    return _Stated(key, tuple(marks.split("|")), compiled)


_PATTERNS = (
    _stated(
        "home",
        "live|living|resid|moved|wohne|lebe|gezogen",
        rf"{_I}{_ADVERB} (?:live|living|reside) (?:now )?in {_VALUE}",
        rf"{_I}{_ADVERB} moved (?:back |over |away )?to {_VALUE}",
        rf"{_HE}{_ADVERB} (?:lives|living|resides) (?:now )?in {_VALUE}",
        rf"{_HE}{_ADVERB} moved (?:back |over |away )?to {_VALUE}",
        rf"{_I} (?:wohne|lebe)(?: jetzt| nun)? in {_VALUE}",
        rf"{_I} bin (?:jetzt )?nach (?P<value>[^.,;:!?\n(]+?) gezogen",
    ),
    _stated(
        "job",
        " as |arbeite",
        rf"{_I}{_ADVERB} (?:work|working|started|started working) as (?:an? |the )?{_VALUE}",
        rf"{_I}{_ADVERB} (?:got|took|found|started) a (?:new )?job as (?:an? )?{_VALUE}",
        rf"{_HE}{_ADVERB} (?:works|working) as (?:an? |the )?{_VALUE}",
        rf"{_I} arbeite (?:jetzt )?als {_VALUE}",
    ),
    _stated(
        "employer",
        "work|arbeite",
        rf"{_I}{_ADVERB} (?:work|working) (?:at|for) {_VALUE}",
        rf"{_HE}{_ADVERB} (?:works|working) (?:at|for) {_VALUE}",
        rf"{_I} arbeite (?:jetzt )?bei {_VALUE}",
    ),
    _stated(
        "name",
        "name|called|heiße",
        rf"\b(?P<own>my) (?:full |first |last )?name is {_VALUE}",
        rf"\b(?P<own>i)(?:['’]m| am) called {_VALUE}",
        rf"\b(?P<own>mein) name ist {_VALUE}",
        rf"{_I} heiße {_VALUE}",
    ),
    _stated(
        "birthday",
        "birthday|born|geburtstag",
        rf"{_MY} (?:birthday|geburtstag) (?:is|ist)(?: on| am)? {_VALUE}",
        rf"{_I} was born (?:on|in) {_VALUE}",
    ),
    _stated(
        "age",
        "years old|turned",
        rf"{_I} (?:am )?(?P<value>\d+) years old",
        rf"{_I} turned (?P<value>\d+)",
    ),
    _stated(
        "allergies",
        "allerg",
        rf"{_I}(?: am)? allergic to {_VALUE}",
        rf"{_HE}(?: is)? allergic to {_VALUE}",
        rf"{_I} bin allergisch gegen {_VALUE}",
    ),
    _stated(
        "likes",
        "like|love|enjoy|adore|mag",
        rf"\b(?P<own>i){_ADVERB} (?:like|love|enjoy|adore) (?!to (?:see|hear|know|do)\b){_VALUE}",
        rf"{_HE}{_ADVERB} (?:likes|loves|enjoys|adores) {_VALUE}",
        rf"{_I} mag (?!nicht){_VALUE}",
    ),
    _stated(
        "dislikes",
        "hate|dislike|stand|like",
        rf"{_I}{_ADVERB} (?:hate|dislike|can['’]t stand|don['’]t like) {_VALUE}",
        rf"{_HE}{_ADVERB} (?:hates|dislikes) {_VALUE}",
    ),
    _stated(
        "favourite {what}",
        "favo",
        rf"{_MY} (?:new |all-time )?favou?rite (?P<what>\w+(?: \w+)?) (?:is|are) {_VALUE}",
    ),
    _stated(
        "{what} name",
        "name|called",
        rf"{_MY} (?:new )?(?P<what>\w+)(?:['’]s name is| is called| is named) {_VALUE}",
    ),
    _stated(
        "{what}",
        _ATTRIBUTES.strip("(?:)"),
        rf"{_MY} (?:new )?(?P<what>{_ATTRIBUTES}) (?:is|ist)(?: now| jetzt)? {_VALUE}",
    ),
)
SEVERAL = frozenset({"likes", "dislikes", "allergies"})
"""Attributes with several values at a time: a new one does not end an old one."""
_ENDS = re.compile(
    r"\s+(?:and|but|because|since|which|who|so|as|when|while|though|for|these|last|this|now|again"
    r"|with|after|before|to be|und|aber|weil|seit)\b.*",
    re.IGNORECASE,
)
_GIVEN = re.compile(r"^\s*[\w ]{1,40}?\s*(?:=|:)\s*(?P<value>[^\n]+?)\s*[.!]?\s*$")
_POINTS = re.compile(
    r"\b(?:i|you|he|she|it|they|them|him|her|that|this|those|these|how|what|either|both|your)\b",
    re.IGNORECASE,
)
"""A value that points at what was said before says nothing by itself."""
_LONGEST = 60
_NOBODY = frozenset(
    """
    it he she they we you who that this there what which everybody everyone someone nobody one
    people i'm i've
    """.split()  # noqa: SIM905
)
SELF = frozenset({"i", "me", "myself", "user", "the user", "ich"})

_SAME = MappingProxyType(
    {"city": "home", "residence": "home", "address": "home", "lives in": "home", "allergy":
     "allergies", "occupation": "job", "profession": "job", "work": "job", "hobby": "likes"}
)  # fmt: skip


def facts_of(item: Item) -> tuple[Fact, ...]:
    """What an item states: that of its slot, else by patterns of English and a few of German.

    What an assistant says of itself is no fact. Of two of the same attribute the later words count.
    """
    found: dict[tuple[str, str, str], Fact] = {}
    if item.slot is not None:
        subject, attribute = (part.strip().lower() for part in item.slot)
        own = subject in SELF or subject == (item.speaker or "").lower()
        one = fact_of(item, subject, attribute, value_of(item, attribute), own=own)
        return () if one is None else (one,)
    for one in _read(item):
        several = one.value.lower() if one.key in SEVERAL else ""
        found[one.subject, one.key, several] = one
    return tuple(found.values())


def value_of(item: Item, attribute: str) -> str:
    """The value that an item states for an attribute: by a pattern for it, else by any, else what
    stands behind "=" or ":", else the text.
    """
    read = list(_read(item))
    for one in [one for one in read if one.key == key_of(attribute)] or read:
        return one.value
    given = _GIVEN.match(item.text)
    return given["value"] if given else item.text


def _read(item: Item) -> Iterator[Fact]:
    """Every fact that a pattern finds."""
    text = item.text.lower()
    for key, marks, patterns in _PATTERNS:
        if any(mark in text for mark in marks):
            for match in (match for one in patterns for match in one.finditer(item.text)):
                if (fact := _of_match(item, key, match)) is not None:
                    yield fact


def _of_match(item: Item, key: str, match: re.Match[str]) -> Fact | None:
    groups = match.groupdict()
    own = groups.get("own") is not None
    if own and item.role in ("assistant", "tool", "system"):
        return None
    subject = (item.speaker or "") if own else (groups.get("who") or "")
    if (not own and subject.lower() in _NOBODY) or _POINTS.search(_ENDS.sub("", match["value"])):
        return None
    return fact_of(item, subject, key.format(what=groups.get("what")), match["value"], own=own)


def fact_of(item: Item, subject: str, key: str, value: str, *, own: bool) -> Fact | None:
    """An attribute that an item states, its names made alike; None for a value without a word."""
    value = _ENDS.sub("", value).strip(" \t'\"")[:_LONGEST].rstrip()
    if not words(value):
        return None
    at = (item.said_at - _EPOCH) // timedelta(microseconds=1)
    return Fact(subject.strip().lower(), own, key_of(key), value, item.seq, item.said_local, at)


def key_of(attribute: str) -> str:
    """One name for an attribute that has several: "City" and "residence" are "home"."""
    key = " ".join(attribute.lower().replace("favorite", "favourite").split())
    return _SAME.get(key, key)
