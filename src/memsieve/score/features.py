"""What speaks for a candidate: named features, in the units of their views.

Each feature stands on its own and costs no look-up beyond the block: 500 candidates take about a
millisecond. What they are worth is for a scorer to say, after each was standardised over the
candidates of its question: a feature that all candidates share says nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from memsieve.search.block import Block
from memsieve.search.candidates import Found
from memsieve.search.kin import kinship
from memsieve.search.question import Question
from memsieve.search.windows import begins_known, events, said_days
from memsieve.traits import count, flag

CLIP = 6.0
"""Deviations at which a policy cuts a standardised feature: one odd candidate is not to decide."""

FAMILIES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "words": {
            "words": "BM25 on the turn",
            "words_nameless": "BM25 on the turn, of the question without the speakers' names",
            "words_near": "BM25 on the turn and its two neighbours",
            "words_around": "BM25 on the turn and three neighbours on each side",
            "words_before": "words_nameless of the turn before",
            "words_after": "words_nameless of the turn after",
            "words_paired": "share, by idf, of the pairs of words that follow one another in the"
            " question and stand within two words of each other in the turn: 0 to 1",
            "words_covered": "share of the question's words in the turn, by idf: 0 to 1",
        },
        "kin": {
            "kin": "cosine of the nearest word to each word of the question, mean by idf",
            "kin_sharp": "the same of squared cosines: exact matches count more",
            "kin_close": "the best kin_sharp of any eight words in a row",
            "kin_near": "the same as kin over the turn and its two neighbours",
            "kin_head": "cosine of the nearest word to the one that names the answer (which books)",
        },
        "meaning": {
            "meaning": "cosine of the turn",
            "meaning_near": "mean cosine over the turn and its two neighbours, by their tokens",
        },
        "session": {
            "words_session": "BM25 on the session",
            "best_words": "the best words_nameless among the candidates of the session",
            "best_kin": "the best kin among them",
            "best_meaning": "the best cosine among them",
            "mean_meaning": "the mean cosine of them",
        },
        "speaker": {
            "speaker": "1 if the question names who speaks, 0 if another, 0.5 if nobody or all",
            "own_story": "ln(1 + words of the first person), plus if the named one speaks, minus"
            " if another",
            "spoken_to": "the same of words of the second person",
            "entity": "share, by idf, of the names in the question, speakers aside, that stand in"
            " the turn: 0 to 1",
            "entity_near": "the same of the turn and its two neighbours",
        },
        "time": {
            "said_inside": "how surely it was said in the time that the question is about: 0 to 1",
            "said_gap": "-ln(1 + days from then)",
            "event_inside": "said_inside of the times that the turn mentions",
            "event_overlap": "share of such a time that lies inside: 0 to 1",
            "event_gap": "said_gap of the times that the turn mentions",
            "dated": "1 if the question asks when or how long and the turn can answer that",
        },
        "form": {
            "length": "ln(1 + tokens)",
            "asks": "1 if the turn ends with a question mark",
            "has_question": "1 if it holds one",
            "answers": "1 if the turn before asks",
            "is_asked": "1 if the turn after asks",
            "has_number": "1 if it holds a number",
            "has_quote": "1 if it quotes something",
            "proper": "ln(1 + capitalised words that are no speaker's name)",
            "first_person": "ln(1 + words of the first person)",
            "second_person": "ln(1 + words of the second person)",
        },
        "answer": {
            "who_proper": "proper, if the question asks who",
            "where_proper": "proper, if it asks where",
            "which_proper": "proper, if it asks for one of a kind (which books)",
            "which_quote": "has_quote, if it asks so",
            "many_number": "has_number, if it asks how many, how much, how old",
            "reaction_length": "length, if it asks what somebody felt, thought or said",
            "several_kin": "kin, if it asks for several things",
            "several_head": "kin_head, if it asks so",
            "several_speaker": "speaker, if it asks so",
        },
        "place": {
            "ordinal": "place in the session, from 0",
            "opening": "1 for the first two turns of a session",
        },
    }
)
"""Family of features -> name -> what it measures.

Those of time are zero where the question says nothing of it. The gap and overlap of events take
the day on which a turn was said where it mentions no time. A turn can answer when if it mentions a
time that has a beginning, and it or a turn beside it has a word of the question. What a question
asks for is read from English and German question words, see `memsieve.search.wanted`.
"""

NAMES: tuple[str, ...] = tuple(name for family in FAMILIES.values() for name in family)
"""Every feature, in the order of the columns."""


@dataclass(frozen=True, slots=True)
class Features:
    """Values of named features for n candidates: `values` has shape (n, len(names))."""

    names: tuple[str, ...]
    values: np.ndarray

    def column(self, name: str) -> np.ndarray:
        """One feature over all candidates: shape (n,)."""
        return self.values[:, self.names.index(name)]

    def standardised(self, clip: float = np.inf) -> np.ndarray:
        """Each column less its mean, over its deviation, cut at `clip`; a constant one is zero."""
        if not len(self.values):
            return self.values
        z = self.values - self.values.mean(axis=0)
        spread = np.sqrt(np.square(z).mean(axis=0))
        z /= np.where(spread > 1e-9, spread, np.inf)
        return z if clip == np.inf else np.clip(z, -clip, clip, out=z)


def features(block: Block, question: Question, found: Found) -> Features:
    """Every feature of `NAMES` for the candidates of one question."""
    columns = _Columns(block, question, found).all()
    # Column by column in memory: standardising goes over columns.
    return Features(NAMES, np.array([columns[name] for name in NAMES], np.float64).T)


class _Columns:
    """The columns of one question, by name: shape (n,) each."""

    def __init__(self, block: Block, question: Question, found: Found) -> None:
        self.block, self.question, self.found = block, question, found
        self.docs, self.slots = found.docs, block.lanes.slot[found.docs]

    def all(self) -> dict[str, np.ndarray]:
        columns = {**self._words(), **self._kin(), **self._meaning(), **self._form()}
        for more in (self._session, self._speaker, self._answer):
            columns.update(more(columns))
        return {**columns, **self._time(), **self._place()}

    def _words(self) -> dict[str, np.ndarray]:
        lexical, slots = self.found.lexical, self.slots
        return {
            "words": lexical.windows[0][slots],
            "words_nameless": lexical.nameless[slots],
            "words_near": lexical.windows[1][slots],
            "words_around": lexical.windows[3][slots],
            "words_before": lexical.nameless[slots - 1],
            "words_after": lexical.nameless[slots + 1],
            "words_covered": lexical.covered[slots],
        }

    def _kin(self) -> dict[str, np.ndarray]:
        kin = kinship(self.block, self.question, self.docs)
        return {
            "kin": kin.mean,
            "kin_sharp": kin.sharp,
            "kin_close": kin.close,
            "kin_near": kin.near,
            "kin_head": kin.head,
            "words_paired": kin.phrase,
        }

    def _meaning(self) -> dict[str, np.ndarray]:
        return {"meaning": self.found.cosine, "meaning_near": self.found.cosine_window}

    def _form(self) -> dict[str, np.ndarray]:
        block, docs = self.block, self.docs
        traits = block.traits[docs]
        # "Thanks, Ana" names nothing new.
        proper = count(traits, "proper") - block.n_names[docs]
        return {
            "length": np.log1p(block.tokens[docs]),
            "asks": flag(traits, "asks"),
            "has_question": flag(traits, "has_question"),
            "answers": self._asks_beside(-1),
            "is_asked": self._asks_beside(1),
            "has_number": flag(traits, "has_number"),
            "has_quote": flag(traits, "has_quote"),
            "proper": np.log1p(np.maximum(proper, 0.0)),
            "first_person": np.log1p(count(traits, "first_person")),
            "second_person": np.log1p(count(traits, "second_person")),
        }

    def _asks_beside(self, steps: int) -> np.ndarray:
        beside = self.block.lanes.beside(self.docs, steps)
        return flag(self.block.traits[beside], "asks") * (beside >= 0)

    def _session(self, columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Of each candidate's session; those without one are sessions of their own."""
        session = self.block.session[self.docs].astype(np.int64)
        lexical = np.zeros(self.docs.size)
        lexical[session >= 0] = self.found.lexical.session[session[session >= 0]]
        lone = session < 0
        session[lone] = len(self.block.sessions.names) + np.arange(np.count_nonzero(lone))
        # From session to session, so that each is a stretch.
        order = np.argsort(session, kind="stable")
        is_first = np.diff(session[order], prepend=-1) != 0
        starts, of = np.flatnonzero(is_first), np.empty(order.size, np.int64)
        of[order] = np.cumsum(is_first) - 1

        def best(values: np.ndarray) -> np.ndarray:
            return np.maximum.reduceat(values[order], starts)[of] if starts.size else values

        cosine = columns["meaning"]
        return {
            "words_session": lexical,
            "best_words": best(columns["words_nameless"]),
            "best_kin": best(columns["kin"]),
            "best_meaning": best(cosine),
            "mean_meaning": (np.bincount(of, cosine) / np.maximum(np.bincount(of), 1))[of],
        }

    def _speaker(self, columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        named = self.question.speakers
        speaks = np.full(self.docs.size, 0.5)
        if named and len(named) < len(self.block.speakers.names):
            is_named = np.zeros(len(self.block.speakers.names) + 1)  # -1, nobody, is the last
            is_named[list(named)] = 1.0
            speaks = is_named[self.block.speaker[self.docs]]
        side = 2 * speaks - 1
        return {
            "speaker": speaks,
            "own_story": side * columns["first_person"],
            "spoken_to": side * columns["second_person"],
            **self._entities(),
        }

    def _entities(self) -> dict[str, np.ndarray]:
        """How many of the names in the question stand in the turns and beside them, by idf."""
        block, slots = self.block, self.slots
        own, near, total = np.zeros(slots.size), np.zeros(slots.size), 0.0
        held = np.zeros(len(block.lanes), bool)
        for term in sorted(self.question.entities):
            standing = block.lanes.slot[block.postings.find(term)[0]]
            standing = standing[standing >= 0]
            worth = float(np.log1p((block.n_alive + 1) / (standing.size + 0.5)))
            total += worth
            held[standing] = True
            own += worth * held[slots]
            near += worth * (held[slots - 1] | held[slots] | held[slots + 1])
            held[standing] = False
        return {"entity": own / max(total, 1e-9), "entity_near": near / max(total, 1e-9)}

    def _answer(self, columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What fits the kind of answer that the question asks for."""
        wanted = self.question.wanted
        return {
            "who_proper": wanted.who * columns["proper"],
            "where_proper": wanted.where * columns["proper"],
            "which_proper": wanted.which * columns["proper"],
            "which_quote": wanted.which * columns["has_quote"],
            "many_number": wanted.many * columns["has_number"],
            "reaction_length": wanted.reaction * columns["length"],
            "several_kin": wanted.several * columns["kin"],
            "several_head": wanted.several * columns["kin_head"],
            "several_speaker": wanted.several * columns["speaker"],
        }

    def _place(self) -> dict[str, np.ndarray]:
        ordinal = self.block.ordinal[self.docs].astype(float)
        in_session = self.block.session[self.docs] >= 0
        return {"ordinal": ordinal * in_session, "opening": (ordinal < 2) * in_session * 1.0}

    def _time(self) -> dict[str, np.ndarray]:
        """How the turns lie to the window of the question, by both clocks."""
        block, docs, window = self.block, self.docs, self.question.window
        names = ("said_inside", "said_gap", "event_inside", "event_overlap", "event_gap")
        if window is None or not docs.size:
            return {**dict.fromkeys(names, np.zeros(docs.size)), "dated": self._dated()}
        said = said_days(block, docs)
        owner, begins, ends = events(block, docs)
        inside, overlap = np.zeros(docs.size), np.zeros(docs.size)
        gap = np.full(docs.size, np.inf)
        np.maximum.at(inside, owner, window.inside(begins, ends))
        np.maximum.at(overlap, owner, window.overlap(begins, ends))
        np.minimum.at(gap, owner, window.gap_days(begins, ends))
        said_gap = -np.log1p(window.gap_days(*said))
        columns = (window.inside(*said), said_gap, inside, overlap, -np.log1p(gap))
        return {**dict(zip(names, columns, strict=True)), "dated": self._dated()}

    def _dated(self) -> np.ndarray:
        """Which turns can answer when. A date beside no word of the question cannot."""
        asked = self.question.asked
        if not (asked.wants_date or asked.wants_length):
            return np.zeros(self.docs.size)
        is_near = self.found.lexical.windows[1][self.slots] > 0
        return (begins_known(self.block, self.docs) & is_near).astype(float)
