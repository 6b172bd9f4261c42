"""What speaks for a candidate: named features, in the units of their views."""

from dataclasses import dataclass

import numpy as np

from memsieve.search.block import Block
from memsieve.search.candidates import Found
from memsieve.search.question import Question
from memsieve.search.windows import begins_known, events, said_days

NAMES = (
    "words",
    "words_nameless",
    "words_near",
    "words_around",
    "words_session",
    "meaning",
    "meaning_near",
    "speaker",
    "said_inside",
    "said_gap",
    "event_inside",
    "event_overlap",
    "event_gap",
    "dated",
)
"""BM25 on the turn, on the turn without the speakers' names in the question, on +-1 turn, on
+-3 turns, on the session; cosine of the turn, and over +-1 turn; 1 if the speaker is named, 0 if
another is, 0.5 if the question names nobody or everybody.

Of time, all zero where the question says nothing of it: how surely the day on which the turn was
said lies in the stretch that the question is about (0 to 1), and -ln(1 + days to it); the same for
the times that the turn mentions, or the day it was said if it mentions none, with the share of the
time that lies inside; 1 if the question asks when or how long, and the turn mentions a time that
has a beginning, and it or a turn beside it a word of the question."""


@dataclass(frozen=True, slots=True)
class Features:
    """Values of named features for n candidates: `values` has shape (n, len(names))."""

    names: tuple[str, ...]
    values: np.ndarray

    def column(self, name: str) -> np.ndarray:
        """One feature over all candidates: shape (n,)."""
        return self.values[:, self.names.index(name)]

    def standardised(self) -> np.ndarray:
        """Each column less its mean, over its deviation; a constant column becomes zero."""
        if not len(self.values):
            return self.values
        spread = self.values.std(axis=0)
        return (self.values - self.values.mean(axis=0)) / np.where(spread > 1e-9, spread, np.inf)


def features(block: Block, question: Question, found: Found) -> Features:
    """Every feature of `NAMES` for the candidates of one question."""
    docs, lexical = found.docs, found.lexical
    slots = block.lanes.slot[docs]
    session = block.session[docs]
    in_session = np.zeros(docs.size, np.float32)
    in_session[session >= 0] = lexical.session[session[session >= 0]]
    columns = (
        lexical.windows[0][slots],
        lexical.nameless[slots],
        lexical.windows[1][slots],
        lexical.windows[3][slots],
        in_session,
        found.cosine,
        found.cosine_window,
        _speaker(block, question, docs),
        *_time(block, question, docs),
        _dated(block, question, found),
    )
    return Features(NAMES, np.stack(columns, axis=1).astype(np.float64))


def _speaker(block: Block, question: Question, docs: np.ndarray) -> np.ndarray:
    if not question.speakers or len(question.speakers) == len(block.speakers.names):
        return np.full(docs.size, 0.5)
    return np.isin(block.speaker[docs], list(question.speakers)).astype(float)


def _time(block: Block, question: Question, docs: np.ndarray) -> tuple[np.ndarray, ...]:
    """How the turns lie to the window of the question, by both clocks: shape (n,) each."""
    window = question.window
    if window is None or not docs.size:
        nothing = np.zeros(docs.size)
        return nothing, nothing, nothing, nothing, nothing
    said = said_days(block, docs)
    owner, begins, ends = events(block, docs)
    inside, overlap = np.zeros(docs.size), np.zeros(docs.size)
    gap = np.full(docs.size, np.inf)
    np.maximum.at(inside, owner, window.inside(begins, ends))
    np.maximum.at(overlap, owner, window.overlap(begins, ends))
    np.minimum.at(gap, owner, window.gap_days(begins, ends))
    return (
        window.inside(*said),
        -np.log1p(window.gap_days(*said)),
        inside,
        overlap,
        -np.log1p(gap),
    )


def _dated(block: Block, question: Question, found: Found) -> np.ndarray:
    """Which turns can answer when: shape (n,). A date beside no word of the question cannot."""
    docs = found.docs
    if not (question.asked.wants_date or question.asked.wants_length):
        return np.zeros(docs.size)
    is_near = found.lexical.windows[1][block.lanes.slot[docs]] > 0
    return (begins_known(block, docs) & is_near).astype(float)
