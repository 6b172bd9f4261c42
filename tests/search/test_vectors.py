"""Exact cosines below the threshold, and a faithful short cut above it."""

import numpy as np
import pytest

from memsieve.embed import pack
from memsieve.search import vectors
from memsieve.search.vectors import Vectors


def unit(n, d=96, seed=0):
    """Random unit vectors whose leading dimensions carry most of the variance."""
    rows = np.random.default_rng(seed).normal(size=(n, d)) * np.linspace(2, 0.1, d)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def filled(rows, batch=7):
    held = Vectors(rows.shape[1])
    for at in range(0, len(rows), batch):
        held.extend(*pack(rows[at : at + batch]))
    return held


def test_scan_is_the_cosine_up_to_the_rounding_of_the_codes():
    rows = unit(50)
    held = filled(rows)
    assert held.is_exact
    assert held.scan(rows[3]) == pytest.approx(rows @ rows[3], abs=0.01)
    assert held.exact(rows[3], np.array([4, 9])) == pytest.approx(rows[[4, 9]] @ rows[3], abs=0.01)


def test_above_the_threshold_the_scan_still_ranks_and_exact_stays_exact(monkeypatch):
    monkeypatch.setattr(vectors, "EXACT_UP_TO", 30)
    rows = unit(400)
    held = filled(rows, batch=40)
    assert not held.is_exact
    hits = 0
    for query in unit(50, seed=1):
        best = int((rows @ query).argmax())
        hits += best in np.argsort(-held.scan(query))[:20]
        assert held.exact(query, np.array([best])) == pytest.approx(rows[best] @ query, abs=0.01)
    assert hits >= 49


def test_crossing_the_threshold_keeps_every_vector(monkeypatch):
    monkeypatch.setattr(vectors, "EXACT_UP_TO", 30)
    rows = unit(45)
    held = filled(rows, batch=5)
    assert held.exact(rows[0], np.arange(45)) == pytest.approx(rows @ rows[0], abs=0.01)
    assert len(held.scan(rows[0])) == 45
    assert held.nbytes() == 45 * (96 + 4 + 4 * vectors.LEADING)


@pytest.mark.parametrize("exact_up_to", [100, 10])
def test_rows_are_the_vectors_themselves(monkeypatch, exact_up_to):
    monkeypatch.setattr(vectors, "EXACT_UP_TO", exact_up_to)
    rows = unit(45)
    found = filled(rows).rows(np.array([7, 3, 7]))
    assert found == pytest.approx(rows[[7, 3, 7]], abs=0.01)
    assert found.dtype == np.float32
