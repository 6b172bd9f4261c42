"""Whole conversations ranked by their words, by their best stretch and by their best turns."""

import numpy as np

from memsieve.search.block import Block
from memsieve.search.candidates import Found
from memsieve.search.lanes import GAP

_WORDS, _STRETCH = 0.5, 0.25


def score_sessions(block: Block, found: Found, turn_scores: np.ndarray) -> np.ndarray:
    """Score of every session: shape (n_sessions,), -inf for those without a candidate.

    ln of the sum of exp(score) over its candidates, so that several good turns count for more than
    the best alone; plus half the BM25 of the session without the speakers' names, and a quarter of
    that of its best seven turns in a row, both standardised over the sessions that hold a
    candidate. Scores are log-odds, as policies give them.
    """
    scores = np.full(len(block.sessions.names), -np.inf)
    session = block.session[found.docs]
    inside = session >= 0
    if not inside.any():
        return scores
    highest = turn_scores[inside].max()
    mass = np.bincount(session[inside], np.exp(turn_scores[inside] - highest), scores.size)
    held = np.flatnonzero(np.bincount(session[inside], minlength=scores.size))
    stretch = np.zeros(scores.size)
    around = found.lexical.windows[GAP][block.lanes.slot[found.docs]]
    np.maximum.at(stretch, session[inside], around[inside])
    # A turn more than e^700 times less likely than the best one has no mass left, yet a place.
    likely = np.log(np.maximum(mass[held], np.finfo(float).tiny)) + highest
    words = _standardised(found.lexical.session_nameless[held])
    scores[held] = likely + _WORDS * words + _STRETCH * _standardised(stretch[held])
    return scores


def _standardised(values: np.ndarray) -> np.ndarray:
    spread = float(values.std()) if values.size else 0.0
    return (values - values.mean()) / spread if spread > 1e-9 else np.zeros(values.shape)
