"""A profile: what holds of what is stated of somebody, and what of it a question asks for."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated

import numpy as np

from memsieve.search import Block
from memsieve.search.words import words
from memsieve.stages import Place, Progress
from memsieve.store.base import Note
from memsieve.systems.stated import SELF, SEVERAL, Fact, fact_of, facts_of
from memsieve.traits import count, traits
from memsieve.types import Item

if TYPE_CHECKING:
    from memsieve.llm import Model

_BATCH = 1_000
_CUES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        key: frozenset(words(cues))
        for key, cues in {
            "home": "live living lived home city town reside residence address moved move wohne "
            "wohnst wohnt lebe",
            "job": "job work profession occupation career beruf arbeite",
            "employer": "employer company work arbeitgeber",
            "name": "name called heiße",
            "birthday": "birthday born geburtstag",
            "age": "age old alter",
            "likes": "like likes love enjoy hobby hobbies mag",
            "dislikes": "dislike dislikes hate",
            "allergies": "allergic allergy allergies allergisch allergien",
        }.items()
    }
)
"""Attribute -> stems of which a question holds one if it asks for it."""
_NO_CUES: frozenset[str] = frozenset()
_ASIDE = frozenset(
    words(
        "user kind type sort thing things now current currently still latest today moment these "
        "days tell know remember please anymore any nowadays used before ago time jetzt derzeit "
        "aktuell noch meine mein ich eigentlich heute"
    )
)
"""Stems of a question that ask for nothing in particular."""
_WORD = re.compile(r"[^\W_]+")
# What the question says to be somebody's: the dog in "Ana's dog", "my dog's name".
_OWNED = re.compile(
    r"(?:\bmy|\bour|\bmeine?|\w['’]s) (?:(?:new|current|own|full|first|last|old) )?(\w+)"
)
_FIRST_PERSON = re.compile(r"\b(?:i|my|me|we|our|user|user's|ich|mein\w*|mir|mich|wir)\b", re.I)


@dataclass(frozen=True, slots=True)
class Standing:
    """Of what a question asks for: what holds, and what held before with what took its place."""

    holds: tuple[Fact, ...] = ()
    superseded: tuple[Fact, ...] = ()


Groups = Mapping[tuple[str, str], Sequence[Fact]]
"""Facts by subject and attribute."""


def grouped(facts: Iterable[Fact]) -> Groups:
    """Facts by subject and attribute, in the order given."""
    groups: dict[tuple[str, str], list[Fact]] = defaultdict(list)
    for fact in facts:
        groups[fact.subject, fact.key].append(fact)
    return groups


def standing(facts: Iterable[Fact], until: int) -> Standing:
    """What holds at a moment: of each attribute of a subject the value that was stated last.

    `until` is the last microsecond that counts; what was stated later neither holds nor is
    superseded. A value that is only said again stays; of `likes` and the like all hold.
    """
    in_time = sorted((fact for fact in facts if fact.at <= until), key=_when)
    holds: list[Fact] = []
    superseded: list[Fact] = []
    for (_, key), group in grouped(in_time).items():
        last = group[-1].value.lower()
        for fact in reversed(group):
            is_held = key in SEVERAL or fact.value.lower() == last
            (holds if is_held else superseded).append(fact)
    return Standing(tuple(sorted(holds, key=_when, reverse=True)), tuple(superseded))


def _when(fact: Fact) -> tuple[int, int]:
    return fact.at, fact.seq


def asked_for(
    question: str,
    groups: Groups,
    speakers: Iterable[str],
    fit: Callable[[Sequence[Fact]], Sequence[Fact]] = list,
) -> list[Fact]:
    """Those of the facts that a question asks for, by whose they are and by their attribute.

    A named subject must be named; "I" and "the user" are whoever states something of themselves.
    Of attributes with words in common the one with most words is meant: "dog name" before "name".
    What else the question says must be said by a value too: "Does Ana like tea?" asks for what she
    likes if tea is among it, "Which painters does Ana like?" is no question for a profile.

    Parameters
    ----------
    question
        Without the times that it names.
    fit
        Leaves those facts of a group that may be looked at.
    """
    question = question.lower().replace("favorite", "favourite")
    stems, spoken = set(words(question)), set(_WORD.findall(question))
    names = {part for name in speakers for part in _WORD.findall(name.lower())}
    first_person = _FIRST_PERSON.search(question) is not None and not spoken & names
    owned = set(words(" ".join(_OWNED.findall(question))))
    found: list[tuple[int, Fact]] = []
    for (subject, key), group in groups.items():
        is_named = bool(subject) and spoken.issuperset(_WORD.findall(subject))
        if not (is_named or first_person) or not (n := _n_words(key, stems, owned)):
            continue
        said = set(words(f"{subject} {key}")) | _CUES.get(key, _NO_CUES) | _ASIDE
        own = fit([fact for fact in group if is_named or fact.own])
        found += [(n, fact) for fact in _saying(key, own, stems - said)]
    most = max((n for n, _ in found), default=0)
    return [fact for n, fact in found if n == most]


def _n_words(key: str, stems: set[str], owned: set[str]) -> int:
    """How many words of an attribute a question holds, 0 if it does not ask for it.

    "The name of Ana's dog" does not ask for a name of Ana: all that is owned must be of the key.
    """
    own, cues = set(words(key)), _CUES.get(key, _NO_CUES)
    if not owned <= own | cues:
        return 0
    if cues:
        return int(bool(cues & stems))
    return len(own) if own and own <= stems else 0


def _saying(key: str, group: Sequence[Fact], rest: set[str]) -> Sequence[Fact]:
    """The facts of one attribute that say the rest of a question: all of one with one value."""
    values = [set(words(fact.value)) for fact in group]
    if key in SEVERAL:
        return [fact for fact, said in zip(group, values, strict=True) if rest <= said]
    return group if rest <= set[str]().union(*values) else ()


class Profile:
    """What the items of one block state; follows the block as it grows and forgets.

    Every item is read once; one that a note tells of states what the note says. O(items) at the
    first question, then O(new items).
    """

    def __init__(self) -> None:
        self._n_read = self._n_alive = 0
        self._stated: dict[int, tuple[Fact, ...]] = {}
        self._noted: dict[int, tuple[Fact, ...]] = {}
        self._notes: tuple[int, int] = (0, 0)
        self._groups: Groups = {}

    def follow(self, place: Place, block: Block, system: str) -> Groups:
        """Read what is new, let go of what is dead; gives every fact of living items."""
        state = place.store.notes_state(place.namespace, system)
        now = len(block), block.n_alive, state
        if now == (self._n_read, self._n_alive, self._notes):
            return self._groups
        if state != self._notes:
            self._noted = _of_notes(place, system)
        new = np.arange(self._n_read, len(block))
        seqs = block.seq[new[block.alive[new]]].tolist()
        for begin in range(0, len(seqs), _BATCH):
            for item in place.store.items(seqs[begin : begin + _BATCH]):
                if stated := facts_of(item):
                    self._stated[item.seq] = stated
        alive = set(block.seq[block.alive].tolist())
        self._stated = {seq: own for seq, own in self._stated.items() if seq in alive}
        self._n_read, self._n_alive, self._notes = now
        sources = {**self._stated, **self._noted}
        self._groups = grouped(fact for seq in sorted(sources) for fact in sources[seq])
        return self._groups


@dataclass(frozen=True)
class Extracted:
    """A fact as a model writes it."""

    subject: Annotated[str, "who it is about: a name, or I for whoever speaks"]
    attribute: Annotated[str, "such as home, job, birthday, favourite food, likes, allergies"]
    value: Annotated[str, "a few words of the text"]


@dataclass(frozen=True)
class Extraction:
    """What a model extracts from one text."""

    facts: list[Extracted]


def enrich(place: Place, system: str, model: "Model", progress: Progress | None) -> int:
    """Have a model write a note of the facts of every text that has none; gives how many.

    Turns without a word of the first person are passed over.

    Raises
    ------
    EndpointError, AnswerError
        From the model; what was written before is kept.
    """
    noted = {note.unit for note in place.store.notes(place.namespace, system)}
    waiting = [item for item in place.store.walk(place.namespace) if _tells(item)]
    waiting = [item for item in waiting if item.id not in noted and item.invalid_at is None]
    for n, item in enumerate(waiting, 1):
        found = model.ask(extraction_prompt(item), Extraction)
        body = {"facts": [[one.subject, one.attribute, one.value] for one in found.facts]}
        note = Note(item.id, body, (item.seq,), model.identity)
        place.store.write_notes(place.namespace, system, [note])
        if progress is not None:
            progress(n, len(waiting))
    return len(waiting)


def _tells(item: Item) -> bool:
    bits = np.array([traits(item.text)])
    return item.kind != "turn" or bool(count(bits, "first_person")[0])


def extraction_prompt(item: Item) -> str:
    """What `enrich` asks about an item; the paper states no prompt for the profile."""
    return (
        "Which lasting attributes of a person does this message state? Name each with the person, "
        "the attribute and its value. Leave out what is passing, planned or only asked; most "
        f"messages state none.\n\n{item.speaker or item.role or 'Somebody'}: {item.text}"
    )


def _of_notes(place: Place, system: str) -> dict[int, tuple[Fact, ...]]:
    notes = place.store.notes(place.namespace, system)
    items = {item.seq: item for item in place.store.items([note.sources[0] for note in notes])}
    found = {}
    for note in notes:
        if (item := items.get(note.sources[0])) is not None:
            facts = (_extracted(item, *row) for row in note.body["facts"])
            found[item.seq] = tuple(fact for fact in facts if fact is not None)
    return found


def _extracted(item: Item, subject: str, key: str, value: str) -> Fact | None:
    speaker = (item.speaker or "").lower()
    own = subject.strip().lower() in {*SELF, speaker}
    return fact_of(item, speaker if own else subject, key, value, own=own)
