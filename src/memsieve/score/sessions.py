"""Whole conversations ranked by their words and by their best turn."""

import numpy as np

from memsieve.search.block import Block
from memsieve.search.candidates import Found


def score_sessions(block: Block, found: Found, turn_scores: np.ndarray) -> np.ndarray:
    """Score of every session: shape (n_sessions,), -inf for those without a candidate.

    The standardised BM25 of the session plus the standardised score of its best candidate;
    both over the sessions that hold a candidate.
    """
    scores = np.full(len(block.sessions.names), -np.inf)
    session = block.session[found.docs]
    inside = session >= 0
    best = scores.copy()
    np.maximum.at(best, session[inside], turn_scores[inside])
    held = np.flatnonzero(np.isfinite(best))
    scores[held] = _standardised(found.lexical.session[held]) + _standardised(best[held])
    return scores


def _standardised(values: np.ndarray) -> np.ndarray:
    spread = float(values.std()) if values.size else 0.0
    return (values - values.mean()) / spread if spread > 1e-9 else np.zeros(values.shape)
