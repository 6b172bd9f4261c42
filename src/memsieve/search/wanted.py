"""What kind of answer a question asks for, read from its question word.

English and German question words; a question in another language, or a phrase that is no
question, wants nothing in particular.
"""

import re
from dataclasses import dataclass

_HEAD = re.compile(
    r"\b(?:what|which)(?:['’]s|\s+(?:is|are|was|were))?\s+"
    r"(?:(?:kind|type|sort|name)s?\s+)?(?:of\s+)?"
    r"(?:(?:the|two|three|four|\d+|new|other|some|first|last|next|main|favou?rite|his|her|their|my"
    r"|our|your|\w+['’]s)\s+)*([^\W\d_]+)"
    r"|\bhow\s+many\s+([^\W\d_]+)"
    r"|\bwelche[rsnm]?\s+([^\W\d_]+)|\bwie\s+viele\s+([^\W\d_]+)",
    re.IGNORECASE,
)
_NO_HEAD = frozenset(
    """
    is are was were do does did has have had can could will would might may should be to of kind
    type sort a an it he she you they we i that this those these there about happened happens else
    """.split()  # noqa: SIM905
)
_WHO = re.compile(r"\b(?:who|whom|whose|wer|wem|wen|wessen)\b", re.IGNORECASE)
_WHERE = re.compile(
    r"\bwhere\b|\bwo(?:hin|her)?\b|\b(?:city|cities|countr(?:y|ies)|places?|towns?|states?)\b",
    re.IGNORECASE,
)
_MANY = re.compile(r"\bhow\s+(?:many|much|old|often|far)\b|\bwie\s+(?:viele?|alt|oft|weit)\b", re.I)
_SEVERAL = re.compile(r"\b(?:kinds?|types?|sorts?|both|all|list|every|several)\b", re.IGNORECASE)
_REACTION = re.compile(
    r"\b(?:feel|feels|felt|think|thinks|thought|react(?:ion|ed|s)?|describe[sd]?|say|says|said)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """The kind of answer that a question asks for.

    head: the word that names it, "books" in "Which books ...", "person" for who, "place" for
    where, None if nothing does; who, where, which, many: it asks for a person, a place, one of a
    kind, a number; several: for more than one thing; reaction: for what somebody felt or said.
    """

    head: str | None = None
    who: bool = False
    where: bool = False
    which: bool = False
    many: bool = False
    several: bool = False
    reaction: bool = False


def wanted(question: str) -> Wanted:
    """Read a question.

    Examples
    --------
    >>> wanted("Which books has Ana read?")
    Wanted(head='books', who=False, where=False, which=True, many=False, several=True, \
reaction=False)
    >>> wanted("Where does Tom live?").head, wanted("the green bicycle").head
    ('place', None)
    """
    who, where = _WHO.search(question) is not None, _WHERE.search(question) is not None
    head = None
    if match := _HEAD.search(question):
        word = next(group for group in match.groups() if group is not None).lower()
        head = None if word in _NO_HEAD else word
    names_a_kind = head is not None
    if head is None and (who or where):
        head = "person" if who else "place"
    plural = head is not None and len(head) > 3 and head.endswith("s") and not head.endswith("ss")
    return Wanted(
        head=head,
        who=who,
        where=where,
        which=names_a_kind,
        many=_MANY.search(question) is not None,
        several=plural or _SEVERAL.search(question) is not None,
        reaction=_REACTION.search(question) is not None,
    )
