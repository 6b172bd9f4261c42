"""What speaks for a candidate: named features, in the units of their views."""

from dataclasses import dataclass

import numpy as np

from memsieve.search.block import Block
from memsieve.search.candidates import Found
from memsieve.search.question import Calendar, Question

NAMES = (
    "words",
    "words_nameless",
    "words_near",
    "words_around",
    "words_session",
    "meaning",
    "meaning_near",
    "speaker",
    "date",
)
"""BM25 on the turn, on the turn without the speakers' names in the question, on +-1 turn, on
+-3 turns, on the session; cosine of the turn, and over +-1 turn; 1 if the speaker is named, 0 if
another is, 0.5 if the question names nobody or everybody; calendar words that the date matches."""

_MICROSECONDS_PER_DAY = 86_400_000_000


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
        _date(block.said_at[docs], question.calendar),
    )
    return Features(NAMES, np.stack(columns, axis=1).astype(np.float64))


def _speaker(block: Block, question: Question, docs: np.ndarray) -> np.ndarray:
    if not question.speakers or len(question.speakers) == len(block.speakers.names):
        return np.full(docs.size, 0.5)
    return np.isin(block.speaker[docs], list(question.speakers)).astype(float)


def _date(said_at: np.ndarray, calendar: Calendar) -> np.ndarray:
    """Half a point for the year, one for the month, one more for the day inside that month."""
    score = np.zeros(said_at.size)
    if not calendar:
        return score
    days = (said_at // _MICROSECONDS_PER_DAY).astype("datetime64[D]")
    months = days.astype("datetime64[M]")
    in_month = np.isin(months.astype(int) % 12 + 1, list(calendar.months))
    in_year = np.isin(days.astype("datetime64[Y]").astype(int) + 1970, list(calendar.years))
    of_month = (days - months).astype(int) + 1
    on_day = np.isin(of_month, list(calendar.days)) & in_month
    return in_month * 1.0 + in_year * 0.5 + on_day * 1.0
