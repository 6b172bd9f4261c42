"""The evidence of a question: what kind each document is, what it is worth, what is done to it.

No model is asked: the same store and the same question give the same evidence.
"""

import re
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType

import numpy as np

from memsieve.errors import DateError
from memsieve.intake import as_moment
from memsieve.search import Block
from memsieve.search.windows import Window, interval_micros
from memsieve.systems.stated import Fact
from memsieve.timeline import spell
from memsieve.types import Interval, Item

PRIORITY = MappingProxyType(
    {"direct hit": 1.0, "entity hit": 0.8, "neighbour": 0.6, "background": 0.2}
)
"""What kind of evidence counts how much. A line that is worked out comes before all."""
KINDS = tuple(PRIORITY)
_DIRECT, _ENTITY, _NEIGHBOUR, _BACKGROUND = range(len(KINDS))
_WEIGHTS = np.array(list(PRIORITY.values()))
_LEAST_STATED = 0.5
LIFTS = ("states it", "best of its session")

_RULE = re.compile(
    r"\b(?:must|allowed|permitted|forbidden|prohibited|required|rules?|polic(?:y|ies)|may not"
    r"|may only|limit(?:s|ed)?|valid|never|always|muss|müssen|darf|dürfen|erlaubt|verboten|regeln?"
    r"|gilt|gültig)\b",
    re.IGNORECASE,
)
_ENDS_WITH = re.compile(
    r"\b(?:to|through|until|till|expir(?:es|ed|ing)|ends|ended|bis|endet)\b[\w ]{0,12}$",
    re.IGNORECASE,
)
_BEGINS_WITH = re.compile(
    r"\b(?:from|since|starting|as of|effective|begins|ab|von|seit)\b[\w ]{0,12}$", re.IGNORECASE
)
_FROM_TO = re.compile(r"(?:between|from|zwischen|vom|von)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Documents with the kind and the worth of each; all arrays of length n.

    docs: ascending; kind: index into `KINDS`; worth: in [0, 1] within the kind; lifts: (n, 2) of
    0 or 1, by `LIFTS`: what comes before everything that has none.
    """

    docs: np.ndarray
    kind: np.ndarray
    worth: np.ndarray
    lifts: np.ndarray

    @classmethod
    def of(cls, docs: np.ndarray, direct: np.ndarray, entity: np.ndarray) -> "Evidence":
        """Hits by what the first search and the later ones give to them, each in [0, 1]."""
        later = _WEIGHTS[_ENTITY] * entity > _WEIGHTS[_DIRECT] * direct
        return cls(
            docs,
            np.where(later, _ENTITY, _DIRECT),
            np.where(later, entity, direct),
            np.zeros((docs.size, len(LIFTS))),
        )

    @property
    def values(self) -> np.ndarray:
        """Priority times worth, by kind: (n, 4), one entry of each row is not zero at most."""
        values = np.zeros((self.docs.size, len(KINDS)))
        values[np.arange(self.docs.size), self.kind] = _WEIGHTS[self.kind] * self.worth
        return values

    @property
    def total(self) -> np.ndarray:
        """What each is worth, lifts included: (n,)."""
        return self.values.sum(axis=1) + self.lifts.sum(axis=1)

    def with_neighbours(self, block: Block, fit: np.ndarray) -> "Evidence":
        """With the turn before and the turn after each; one that is a hit as well keeps the more.

        A neighbour is worth what the better of its hits is worth.
        """
        own = np.zeros(len(block))
        own[self.docs] = self.values.sum(axis=1)
        beside = np.zeros(len(block))
        for step in (-1, 1):
            at = block.lanes.beside(self.docs, step)
            there = at >= 0
            np.maximum.at(beside, at[there], own[self.docs[there]])
        beside[~fit] = 0.0
        found = np.union1d(self.docs, np.flatnonzero(beside))
        grown = self._over(found)
        nearer = _WEIGHTS[_NEIGHBOUR] * beside[found] > grown.values.sum(axis=1)
        return replace(
            grown,
            kind=np.where(nearer, _NEIGHBOUR, grown.kind),
            worth=np.where(nearer, beside[found], grown.worth),
        )

    def with_background(self, docs: np.ndarray) -> "Evidence":
        """With documents that fill what room is left; what is there already stays as it is."""
        new = np.setdiff1d(docs, self.docs)
        grown = self._over(np.union1d(self.docs, new))
        grown.worth[np.searchsorted(grown.docs, new)] = 1.0
        return grown

    def stating(self, docs: np.ndarray) -> "Evidence":
        """With documents that state what is asked for, the best first: before everything else."""
        grown = self._over(np.union1d(self.docs, docs))
        at = np.searchsorted(grown.docs, docs)
        grown.kind[at], grown.lifts[at, 0] = _DIRECT, 1.0
        grown.worth[at] = np.linspace(1.0, _LEAST_STATED, docs.size)
        return grown

    def demoted(self, docs: np.ndarray) -> "Evidence":
        """With some documents as background."""
        old = np.isin(self.docs, docs) & (self.lifts[:, 0] == 0)
        return replace(self, kind=np.where(old, _BACKGROUND, self.kind))

    def without(self, docs: np.ndarray) -> "Evidence":
        """Without some documents."""
        kept = ~np.isin(self.docs, docs)
        return Evidence(self.docs[kept], self.kind[kept], self.worth[kept], self.lifts[kept])

    def one_of_each(self, session: np.ndarray) -> "Evidence":
        """With the best of each session before the rest; `session` (n_documents,), -1 for none.

        What has no session is left as it is.
        """
        of = session[self.docs]
        order = np.argsort(-self.total, kind="stable")
        order = order[of[order] >= 0]
        _, first = np.unique(of[order], return_index=True)
        lifts = self.lifts.copy()
        lifts[order[first], 1] = 1.0
        return replace(self, lifts=lifts)

    def _over(self, found: np.ndarray) -> "Evidence":
        """The same over more documents, the new ones worth nothing."""
        kind = np.full(found.size, _BACKGROUND)
        worth, lifts = np.zeros(found.size), np.zeros((found.size, len(LIFTS)))
        at = np.searchsorted(found, self.docs)
        kind[at], worth[at], lifts[at] = self.kind, self.worth, self.lifts
        return Evidence(found, kind, worth, lifts)


NONE = Evidence.of(np.zeros(0, np.int64), np.zeros(0), np.zeros(0))


def no_longer(fact: Fact) -> str:
    """The remark on a fact that does not hold any more.

    Examples
    --------
    >>> from datetime import UTC
    >>> said = datetime(2024, 1, 3, tzinfo=UTC)
    >>> no_longer(Fact("ana", True, "home", "Rome", 1, said, 0))
    'No longer holds: Rome, said on 3 January 2024.'
    """
    return f"No longer holds: {fact.value}, said on {spell(Interval.day_of(fact.said))}."


def validity(item: Item) -> Interval | None:
    """From when to when the rule of an item holds, with open ends; None if it states no rule.

    Instructions are rules, and texts with a word such as "must" or "allowed". The bounds are those
    of the metadata `valid_from` and `valid_until`, the last day included, else what the text says:
    "until 31 January", "from 1 February", "between 3 and 20 January".
    """
    first, last = (_day_in(item.metadata.get(name)) for name in ("valid_from", "valid_until"))
    is_rule = item.kind == "instruction" or first or last or _RULE.search(item.text)
    if not is_rule:
        return None
    for mention in item.mentions:
        before, when = item.text[: mention.first], mention.interval
        if when.start is None or _ENDS_WITH.search(before):
            last = last or when
        elif when.end is None or _BEGINS_WITH.search(before):
            first = first or when
        elif _FROM_TO.match(item.text[mention.first : mention.last]):
            first, last = first or when, last or when
    start, end = None if first is None else first.start, None if last is None else last.end
    if start and end and start >= end:  # two rules in one text: neither can be told to be over
        return Interval(None, None)
    return Interval(start, end)


def is_in_force(rule: Interval, clock: datetime, window: Window | None) -> bool:
    """Whether a rule holds when a question asks: in its window if it has one, else at its clock."""
    if window is None:
        return rule.contains(clock)
    begins, ends = np.array([interval_micros(rule)], dtype=np.int64).T
    return bool(window.inside(begins, ends)[0] > 0)


def _day_in(value: object) -> Interval | None:
    """The day of a date in the metadata; what is no date is no bound."""
    try:
        moment = as_moment(value) if isinstance(value, str) else None
    except DateError:
        return None
    return None if moment is None else Interval.day_of(moment)
