"""Kin words: how near the words of a text come to those of a question, word by word.

A mean over all words of a text, which a static embedding is, loses the one word that answers:
"instrument" is near "violin" and far from the sentence around it. Here each word of the question
meets each word of a text and keeps its best match. The vectors are those of the shipped static
model, whatever embedder a memory has; a word without one matches only itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np

from memsieve.embed.static import STEM, Static
from memsieve.search.block import Block
from memsieve.search.question import Question
from memsieve.search.words import terms, words

CLOSE = 8
"""Index words in a row that may say one thing: about a sentence, stop words not counted."""


BESIDE = 2
"""Index words apart within which two words belong together."""


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


@dataclass(frozen=True, slots=True)
class Stems:
    """Vectors of index terms: hashes (m,) uint32 ascending, vectors (m + 1, d) of length 1.

    The last vector is zero: that of every term without one.
    """

    hashes: np.ndarray
    vectors: np.ndarray

    def rows(self, wanted: np.ndarray) -> np.ndarray:
        """The row of each hash in `vectors`: shape (len(wanted),)."""
        at = np.minimum(np.searchsorted(self.hashes, wanted), self.hashes.size - 1)
        return np.where(self.hashes[at] == wanted, at, self.hashes.size)


def stem_table(model: Static) -> np.ndarray:
    """Which token stands for each index term: (m,) of hash and token, ascending by hash.

    Of several words with one stem the most frequent, which has the lowest id, stands for all.
    """
    found: dict[int, int] = {}
    for number, token in enumerate(model.pieces.vocabulary):
        if token.isalpha() and len(token) > 1 and len(words(token)) == 1:
            found.setdefault(int(terms(token)[0]), number)
    return np.array(sorted(found.items()), dtype=STEM)


@lru_cache(maxsize=1)
def stems() -> Stems:
    """The vectors of the words that the shipped model knows."""
    model = Static()
    table = model.stems
    vectors = model.tokens(table["token"])
    return Stems(
        np.ascontiguousarray(table["hash"]), np.concatenate([vectors, np.zeros_like(vectors[:1])])
    )


def kinship(block: Block, question: Question, docs: np.ndarray) -> Kinship:
    """Compare the words of `docs` with those of a question. O(words of question x of docs)."""
    asked, idf = _asked(block, question)
    head = terms(question.wanted.head or "")[:1]
    if not docs.size or not asked.size + head.size:
        nothing = np.zeros(docs.size)
        return Kinship(nothing, nothing, nothing, nothing, nothing, nothing)
    weights = (idf / max(idf.sum(), 1e-9)).astype(np.float32)
    around = np.stack([docs, block.lanes.beside(docs, -1), block.lanes.beside(docs, 1)])
    needed, back = np.unique(around, return_inverse=True)
    there = needed >= 0
    best = np.zeros((asked.size + head.size, needed.size), np.float32)
    close = np.zeros(needed.size, np.float32)
    own_row = back.reshape(around.shape)[0] - np.count_nonzero(~there)
    best[:, there], close[there] = _compare(
        block, needed[there], np.append(asked, head), weights, own_row
    )
    around_best = best[:, back.reshape(around.shape)]  # (words, 3, n)
    own, near = around_best[: asked.size, 0], around_best[: asked.size].max(axis=1)
    return Kinship(
        mean=_mean(weights, own),
        sharp=_mean(weights, np.square(own)),
        close=close[back.reshape(around.shape)[0]],
        near=_mean(weights, near),
        head=around_best[-1, 0] if head.size else np.zeros(docs.size),
        phrase=_phrases(
            block, question, docs, dict(zip(asked.tolist(), idf.tolist(), strict=True))
        ),
    )


def _mean(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The weighted sum over words: (n,) from (words,) and (words, n); no threads, as elsewhere."""
    return np.einsum("w,wn->n", weights, values)


def _asked(block: Block, question: Question) -> tuple[np.ndarray, np.ndarray]:
    """The words of a question, each once and without the names of speakers, and their idf."""
    asked = np.unique(question.terms)
    asked = asked[~np.isin(asked, list(question.name_terms))]
    df = np.array([block.frequency(int(term)) for term in asked], dtype=float)
    return asked, np.log1p((block.n_alive - df + 0.5).clip(min=0.5) / (df + 0.5))


def _phrases(
    block: Block, question: Question, docs: np.ndarray, idf: Mapping[int, float]
) -> np.ndarray:
    """`Kinship.phrase`: (n,)."""
    said, starts = block.terms(docs)
    order = [term for term in question.terms.tolist() if term in idf]
    pairs = [(a, b) for a, b in pairwise(order) if a != b]
    found, total = np.zeros(docs.size), 0.0
    if not said.size:
        return found
    owner = np.repeat(np.arange(docs.size), np.diff(starts))
    at = {term: np.flatnonzero(said == term) for pair in pairs for term in pair}
    for a, b in pairs:
        worth = min(idf[a], idf[b])
        total += worth
        gap = np.abs(at[a][:, None] - at[b])
        close = (gap <= BESIDE) & (owner[at[a]][:, None] == owner[at[b]])
        found[np.unique(owner[at[a][close.any(axis=1)]])] += worth
    return found / max(total, 1e-9)


def _compare(
    block: Block, docs: np.ndarray, asked: np.ndarray, weights: np.ndarray, own: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The cosine of the nearest word of each document to each word, and `Kinship.close`.

    Shapes (len(asked), n) and (n,); `weights` (w,) are those of the first w of `asked`. `close` is
    worked out for the documents `own` alone, by their place in `docs`, and zero for others.
    """
    said, starts = block.terms(docs)
    best = np.zeros((asked.size, docs.size), np.float32)
    close = np.zeros(docs.size, np.float32)
    filled = np.diff(starts) > 0
    if not said.size:
        return best, close
    known = stems()
    # Each word of the documents once: a sort is cheaper than the products of repeats.
    distinct, which = np.unique(said, return_inverse=True)
    vectors = known.vectors[known.rows(distinct)]
    cosines = np.einsum("ud,qd->qu", vectors, known.vectors[known.rows(asked)])
    cosines[asked[:, None] == distinct] = 1.0
    np.maximum(cosines, 0.0, out=cosines)
    spread = cosines[:, which]
    firsts = starts[:-1][filled]
    best[:, filled] = np.maximum.reduceat(spread, firsts, axis=1)
    wanted = np.zeros(docs.size, bool)
    wanted[own] = True
    wanted &= filled
    if wanted.any():
        lengths = np.diff(starts)
        parts = spread[: weights.size, np.repeat(wanted, lengths)]
        ends = np.append(0, np.cumsum(lengths[wanted]))
        rows = _in_a_row(np.square(parts), ends)
        close[wanted] = np.maximum.reduceat(_mean(weights, rows), ends[:-1])
    return best, close


def _in_a_row(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """The largest value among each word and the `CLOSE` - 1 behind it in its document.

    values: (words, m); starts: (n + 1,). A document's last words see fewer.
    """
    last = np.repeat(starts[1:], np.diff(starts)) - 1
    at = np.arange(values.shape[1])
    best, reach = values, 1
    while reach < CLOSE:
        step = min(reach, CLOSE - reach)
        best = np.maximum(best, best[:, np.minimum(at + step, last)])
        reach += step
    return best
