"""Kin words: how near the words of a text come to those of a question, word by word.

A mean over all words of a text, which a static embedding is, loses the one word that answers:
"instrument" is near "violin" and far from the sentence around it. Here each word of the question
meets each word of a text and keeps its best match. The vectors are those of the shipped static
model, whatever embedder a memory has; a word without one matches only itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from memsieve.search.block import Block
from memsieve.search.question import Question
from memsieve.search.stems import stems
from memsieve.search.words import terms

CLOSE = 8
"""Index words in a row that may say one thing: about a sentence, stop words not counted."""

BESIDE = 2
"""Index words apart within which two words belong together."""

_STEPS = np.array([step for step in range(-BESIDE, BESIDE + 1) if step])


@dataclass(frozen=True, slots=True)
class Kinship:
    """How near n documents come to a question, each in [0, 1], higher is nearer.

    mean: (n,) over the words of the question, by idf, the cosine of the nearest word; sharp: the
    same of squared cosines, in which exact matches count more; close: the best `sharp` of any
    `CLOSE` words in a row, which a long text reaches only where it speaks of the matter; near:
    `mean` over the document and its two neighbours, each word taking the best of the three; head:
    the nearest word to the one that names the kind of answer, zero if none does; phrase: of the
    pairs of words that follow one another in the question, the share, by idf, whose two words stand
    within `BESIDE` words of each other in the document.
    """

    mean: np.ndarray
    sharp: np.ndarray
    close: np.ndarray
    near: np.ndarray
    head: np.ndarray
    phrase: np.ndarray


def kinship(block: Block, question: Question, docs: np.ndarray) -> Kinship:
    """Compare the words of `docs` with those of a question. O(words of question x of docs)."""
    asked, idf = _asked(block, question)
    head = terms(question.wanted.head or "")[:1]
    if not docs.size or not asked.size + head.size:
        nothing = np.zeros(docs.size)
        return Kinship(nothing, nothing, nothing, nothing, nothing, nothing)
    weights = (idf / max(idf.sum(), 1e-9)).astype(np.float32)
    needed, before, after = _with_neighbours(block, docs)
    at, starts = block.spans(needed)
    spread = _cosines(block, at, np.append(asked, head))
    # Whatever does not exist stands at the end, as a document without words.
    best = _largest(spread, np.append(starts, starts[-1]))
    around, own = best[: asked.size], best[: asked.size, : docs.size]
    own_starts, own_words = starts[: docs.size + 1], slice(0, starts[docs.size])
    rows = _in_a_row(np.square(spread[: asked.size, own_words]), own_starts)
    return Kinship(
        mean=_mean(weights, own),
        sharp=_mean(weights, np.square(own)),
        close=_largest(_mean(weights, rows), own_starts),
        near=_mean(weights, np.maximum(own, np.maximum(around[:, before], around[:, after]))),
        head=best[-1, : docs.size] if head.size else np.zeros(docs.size),
        phrase=_phrases(
            block.word_term[at[own_words]],
            own_starts,
            question.terms.tolist(),
            dict(zip(asked.tolist(), idf.tolist(), strict=True)),
        ),
    )


def _mean(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The weighted sum over words: (n,) from (words,) and (words, n); no threads, as elsewhere."""
    return np.einsum("w,wn->n", weights, values)


def _asked(block: Block, question: Question) -> tuple[np.ndarray, np.ndarray]:
    """The words of a question, each once and without the names of speakers, and their idf."""
    asked = np.array(sorted({*question.terms.tolist()} - question.name_terms), dtype=np.uint32)
    df = np.array([block.frequency(int(term)) for term in asked], dtype=float)
    return asked, np.log1p((block.n_alive - df + 0.5).clip(min=0.5) / (df + 0.5))


def _with_neighbours(block: Block, docs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`docs` and behind them the other turns beside them, each once.

    Gives these and where the turns before and after each of `docs` stand: (n,), -1 for none.
    """
    slots = block.lanes.slot[docs]
    order = np.argsort(slots)
    slots = slots[order]
    # Each of them in turn brings the three slots around it that the one before has not brought:
    # all slots in sight, ascending, without a sort of all three.
    brought = np.full(slots.size, 3)
    np.minimum(slots[1:] - slots[:-1], 3, out=brought[1:])
    seen = brought.cumsum() - 2
    in_sight = np.empty(seen[-1] + 2, slots.dtype)
    for step in (-1, 0, 1):
        in_sight[seen + step] = slots + step
    standing = block.lanes.document[in_sight]
    place = np.full(standing.size, -1)
    place[seen] = order
    others = np.flatnonzero((place < 0) & (standing >= 0))
    place[others] = docs.size + np.arange(others.size)
    own = np.empty_like(order)
    own[order] = seen
    return np.append(docs, standing[others]), place[own - 1], place[own + 1]


def _cosines(block: Block, at: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """The cosine of the words `at` some places to each word asked, 0 at least: (len(asked), m)."""
    known = stems()
    rows, asked_rows = block.word_stem[at].astype(np.intp), known.rows(asked)
    # Each word of the documents once: their products cost more than all else here.
    is_said = np.zeros(known.none + 1, bool)
    is_said[rows] = True
    said = np.flatnonzero(is_said)
    cosines = np.empty((asked.size, is_said.size), np.float32)
    cosines[:, said] = np.maximum(known.cosines(asked_rows, said), 0.0)
    has_vector = asked_rows < known.none
    cosines[has_vector, asked_rows[has_vector]] = 1.0
    spread = cosines.take(rows, axis=1, mode="clip")
    for i in np.flatnonzero(~has_vector):
        spread[i, block.word_term[at] == asked[i]] = 1.0
    return spread


def _largest(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """The largest value in each document, 0 where it has no words: (..., n) from (..., m)."""
    largest = np.zeros((*values.shape[:-1], starts.size - 1), np.float32)
    filled = np.flatnonzero(starts[1:] > starts[:-1])
    if filled.size:
        largest[..., filled] = np.maximum.reduceat(values, starts[filled], axis=-1)
    return largest


def _in_a_row(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """The largest value among each word and the `CLOSE` - 1 behind it in its document.

    values: (words, m), 0 at least; starts: (n + 1,). A document's last words see fewer.
    """
    left = np.repeat(starts[1:], np.diff(starts)) - np.arange(values.shape[1])
    best, reach = values.copy(), 1
    while reach < CLOSE:
        step = min(reach, CLOSE - reach)
        behind = best[:, step:] * (left[:-step] > step).astype(np.float32)
        np.maximum(best[:, :-step], behind, out=best[:, :-step])
        reach += step
    return best


def _phrases(
    said: np.ndarray, starts: np.ndarray, asked: Sequence[int], idf: Mapping[int, float]
) -> np.ndarray:
    """`Kinship.phrase` of documents with the words `said` (m,) that begin at `starts`: (n,)."""
    found, total = np.zeros(starts.size - 1), 0.0
    owner = np.repeat(np.arange(found.size), np.diff(starts))
    for a, b in pairwise(term for term in asked if term in idf):
        if a == b:
            continue
        worth = min(idf[a], idf[b])
        total += worth
        at = np.flatnonzero(said == a)
        beside = (at[:, None] + _STEPS).ravel()
        meets = np.flatnonzero(said.take(beside, mode="clip") == b)
        docs = owner[at[meets // _STEPS.size]]
        # An assignment, which counts a document once however often the two meet there.
        found[docs[docs == owner.take(beside[meets], mode="clip")]] += worth
    return found / max(total, 1e-9)
