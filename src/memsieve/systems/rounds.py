"""Retrieval in rounds: what the first hits name is searched for as well."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from memsieve.search import Question
from memsieve.search import read as read_question
from memsieve.search.lanes import GAP
from memsieve.search.lexical import bm25
from memsieve.search.top import top
from memsieve.search.windows import meeting
from memsieve.stages import Reading

DEPTH = 60
"""The constant of reciprocal rank fusion, as published."""
N_HEAD = 10
"""A further round ends the search if none of the first ten hits is new."""
N_SOURCES = 5
"""Hits whose names, numbers and quoted words are searched for next."""
_SURE = 0.5
"""A hit worth less was found by one ranking alone as a rule, and leads astray."""
_N_ENTITIES = 10
_QUOTED = re.compile(r"[\"“„«»]([^\"”“»«]{2,40})[\"”“»«]")
# A capital at the beginning of a sentence names nothing for certain.
_NAMED = re.compile(
    r"(?<![.!?…:\"“'*]\s)(?<!^)\b(?!I\b)[A-Z]\w+(?:[ -][A-Z]\w+)*|\b\d[\d.,:]*\d\b|\b\d\b"
)


@dataclass(frozen=True, slots=True)
class Search:
    """What the rounds found.

    docs: (n,) document numbers, ascending; direct, entity: (n,) what the first round, and the best
    of the later ones, give to each, in [0, 1], 0 where it was not found; rounds: how many were
    made; entities: what was searched for after the first.
    """

    docs: np.ndarray
    direct: np.ndarray
    entity: np.ndarray
    rounds: int
    entities: tuple[str, ...]


def search(reading: Reading, fit: np.ndarray, k: int, max_rounds: int, later: float) -> Search:
    """Look for the question, then for the question with what the best hits name.

    Each round fuses rankings by sum of 1 / (60 + rank), `k` deep: BM25 of a turn with one and with
    three neighbours on each side, the cosine of the turn, and where the question names a time the
    first of these over what was said, or tells of something, then. A round is worth 1 at its best.

    Parameters
    ----------
    fit
        Which documents may be found: (n,) bool.
    later
        What a later round counts beside the first, in [0, 1].
    """
    direct = _round(reading, reading.question, fit, k)
    entity = np.zeros_like(direct)
    entities: list[str] = []
    rounds = 1 if len(direct) else 0
    while 0 < rounds < max_rounds:
        worth = np.maximum(direct, later * entity)
        head = _best(worth, N_HEAD)
        sources = [doc for doc in head[:N_SOURCES] if worth[doc] >= _SURE]
        new = [name for name in _entities(reading, sources) if name not in entities]
        if not new:
            break
        entities += new
        text = " ".join([reading.request.question, *entities])
        embedder, asked = reading.place.embedder, reading.question.asked
        question = read_question(text, reading.block, embedder, asked, reading.question.window)
        entity = np.maximum(entity, _round(reading, question, fit, k))
        rounds += 1
        if set(_best(np.maximum(direct, later * entity), N_HEAD)) <= set(head):
            break
    docs = np.flatnonzero((direct > 0) | (entity > 0))
    return Search(docs, direct[docs], entity[docs], rounds, tuple(entities))


def _round(reading: Reading, question: Question, fit: np.ndarray, k: int) -> np.ndarray:
    """What one round gives to each document: (n,) in [0, 1]."""
    block = reading.block
    fused = np.zeros(len(block))
    if not len(block):
        return fused
    lexical = bm25(block, question.terms, question.name_terms)
    slots = block.lanes.slot
    near = np.where(fit, lexical.windows[1][slots], 0.0)
    rankings = [top(near, k, 0.0), top(np.where(fit, lexical.windows[GAP][slots], 0.0), k, 0.0)]
    if question.vector is not None and question.vector.any():
        cosines = block.vectors.scan(question.vector)
        rankings.append(top(np.where(fit, cosines, -np.inf), k))
    if question.window is not None:
        rankings.append(top(np.where(meeting(block, question.window), near, 0.0), k, 0.0))
    for ranked in rankings:
        fused[ranked] += 1 / (DEPTH + np.arange(1, ranked.size + 1))
    return fused / max(float(fused.max()), 1e-12)


def _best(worth: np.ndarray, n: int) -> list[int]:
    """The best documents, ties to the lower number."""
    return [int(doc) for doc in np.argsort(-worth, kind="stable")[:n] if worth[doc] > 0]


def _entities(reading: Reading, docs: Sequence[int]) -> list[str]:
    """Names, numbers and quoted words of some documents that the question does not hold."""
    block = reading.block
    texts = {item.seq: item.text for item in reading.place.store.items(block.seq[docs].tolist())}
    asked = reading.request.question.lower()
    found = dict.fromkeys(
        name for doc in docs for name in entities_of(texts.get(int(block.seq[doc]), ""))
    )
    return [name for name in found if name.lower() not in asked][:_N_ENTITIES]


def entities_of(text: str) -> list[str]:
    """Capitalised words inside sentences, numbers and quoted words, in this order.

    Examples
    --------
    >>> entities_of('We flew to New York with "Dune" on flight 12.')
    ['New York', 'Dune', '12', 'Dune']
    """
    return [match[0] for match in _NAMED.finditer(text)] + _QUOTED.findall(text)
