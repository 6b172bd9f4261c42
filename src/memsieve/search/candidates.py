"""From a question to candidates and what each view of the namespace says of them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from memsieve.search.block import Block
from memsieve.search.lanes import GAP
from memsieve.search.lexical import LexicalScores, bm25
from memsieve.search.question import Question
from memsieve.search.top import top
from memsieve.search.windows import meeting

POOL = 100
"""Candidates taken from each ranking: six rankings of 100 hold 97 % of LoCoMo's evidence."""


@dataclass(frozen=True, slots=True)
class Found:
    """Candidate documents of one question with the scores of each view.

    docs: (n,) document numbers, ascending; lexical: scores over the whole block; cosine: (n,)
    exact cosines, and cosine_window: (n,) their mean over the turn and its two neighbours,
    weighted by length in tokens; both zero without an embedder.
    """

    docs: np.ndarray
    lexical: LexicalScores
    cosine: np.ndarray
    cosine_window: np.ndarray

    def with_docs(self, block: Block, question: Question, more: np.ndarray) -> "Found":
        """The same with further documents among the candidates."""
        docs = np.union1d(self.docs, more)
        if docs.size == self.docs.size:
            return self
        return Found(docs, self.lexical, *_cosines(block, question, docs))


def find(
    block: Block,
    question: Question,
    allowed: np.ndarray | None = None,
    pool: int = POOL,
    *,
    beside: int = 0,
) -> Found:
    """The union of the `pool` best of each view: turn without names, +-1, +-3, cosine.

    Where the question is about a stretch of time, the best of that stretch by the +-3 window and
    by cosine come in too, however many better ones lie outside it. `allowed` is a boolean mask
    over documents (n,) or None for all; dead ones never appear. With `beside` the turns up to so
    many steps before and after each candidate are candidates too.
    """
    lexical = bm25(block, question.terms, question.name_terms)
    if not len(block):
        nothing = np.zeros(0, np.float32)
        return Found(np.zeros(0, np.int64), lexical, nothing, nothing)
    if allowed is None and not block.all_alive:
        allowed = block.alive
    elif allowed is not None:
        allowed = allowed & block.alive
    standing = block.lanes.document
    allowed_slots = None if allowed is None else allowed[standing] & (standing >= 0)
    best = [
        standing[top(_masked(view, allowed_slots, 0.0), pool, 0.0)]
        for view in (lexical.nameless, *lexical.windows.values())
    ]
    scan = None
    if question.vector is not None and question.vector.any():
        scan = block.vectors.scan(question.vector)
        best.append(top(_masked(scan, allowed, -np.inf), pool))
    if question.window is not None:
        inside = meeting(block, question.window)
        inside = inside if allowed is None else inside & allowed
        inside_slots = inside[standing] & (standing >= 0)
        best.append(standing[top(_masked(lexical.windows[GAP], inside_slots, 0.0), pool, 0.0)])
        if scan is not None:
            best.append(top(_masked(scan, inside, -np.inf), pool))
    docs = np.unique(np.concatenate(best))
    if beside:
        steps = [block.lanes.beside(docs, step) for step in range(-beside, beside + 1)]
        docs = np.unique(np.concatenate(steps))
        docs = docs[docs >= 0]
        docs = docs if allowed is None else docs[allowed[docs]]
    return Found(docs, lexical, *_cosines(block, question, docs, scan))


def found_of(block: Block, question: Question, docs: np.ndarray) -> Found:
    """Given documents, ascending and each once, as the candidates of a question."""
    lexical = bm25(block, question.terms, question.name_terms)
    return Found(docs, lexical, *_cosines(block, question, docs))


def _masked(scores: np.ndarray, allowed: np.ndarray | None, low: float) -> np.ndarray:
    return scores if allowed is None else np.where(allowed, scores, np.float32(low))


def _cosines(
    block: Block, question: Question, docs: np.ndarray, scan: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """`Found.cosine` and `Found.cosine_window`; from a scan of all vectors where that is exact."""
    if question.vector is None or not question.vector.any():
        nothing = np.zeros(docs.size, np.float32)
        return nothing, nothing
    around = np.stack([docs, block.lanes.beside(docs, -1), block.lanes.beside(docs, 1)])
    present = around >= 0
    if scan is not None and block.vectors.is_exact:
        cosines = scan[around]
    else:
        wanted, back = np.unique(np.where(present, around, docs), return_inverse=True)
        cosines = block.vectors.exact(question.vector, wanted)[back].reshape(around.shape)
    weights = np.where(present, np.maximum(block.tokens[around], 1), 0).astype(np.float32)
    return cosines[0], (cosines * weights).sum(axis=0) / weights.sum(axis=0)


def mask(
    block: Block,
    *,
    equal: Mapping[str, str],
    since: int | None = None,
    until: int | None = None,
    seqs: list[int] | None = None,
) -> np.ndarray | None:
    """Which documents pass the filters: (n,) bool, or None if there is no filter.

    `equal` maps speaker, session, role or kind to a value; `since` and `until` bound `said_at`
    in microseconds, the end excluded; `seqs` lists the items allowed.
    """
    parts = []
    for column, value in equal.items():
        names = getattr(block, f"{column}s")
        parts.append(getattr(block, column) == names.number.get(value, -2))
    if since is not None:
        parts.append(block.said_at >= since)
    if until is not None:
        parts.append(block.said_at < until)
    if seqs is not None:
        listed = np.zeros(len(block), bool)
        listed[block.documents(seqs)] = True
        parts.append(listed)
    return np.logical_and.reduce(parts) if parts else None
