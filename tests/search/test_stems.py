"""The table of word vectors: the shipped one, and small ones against plain NumPy."""

import numpy as np
import pytest

from memsieve.embed import Static
from memsieve.search.stems import ROW, Stems, stem_table, stems
from memsieve.search.words import terms

HIGHEST = 2**32 - 1


def table(*hashes):
    """A table of hashes given ascending, with any codes."""
    codes = np.random.default_rng(0).integers(-127, 128, (len(hashes), 4)).astype(np.int8)
    return Stems.of(np.array(hashes, np.uint32), codes)


def rows(known, *wanted):
    return known.rows(np.array(wanted, np.uint32)).tolist()


def test_the_shipped_table_is_what_the_vocabulary_gives():
    model = Static()
    made = stem_table(model)
    assert np.array_equal(model.stems, made)
    assert (np.diff(made["hash"].astype(np.int64)) > 0).all()
    # The most frequent word of a stem stands for all: "friend" comes before "friends".
    token = made["token"][np.searchsorted(made["hash"], terms("friends")[0])]
    assert model.pieces.vocabulary[token] == "friend"


def test_vectors_have_length_one_and_an_unknown_word_has_none():
    known = stems()
    lengths = np.linalg.norm(known.vectors(np.arange(known.none + 1)), axis=1)
    assert lengths[:-1] == pytest.approx(1, abs=1e-5)
    assert lengths[-1] == 0
    violin, violins, unknown = known.vectors(known.rows(terms("violin violins xqbz")))
    assert violins == pytest.approx(violin)
    assert not unknown.any()


def test_rows_are_those_of_a_binary_search():
    known, rng = stems(), np.random.default_rng(0)
    own = known.hashes[:-1]
    wanted = np.concatenate([own, own + 1, own - 1, rng.integers(0, 2**32, 10_000)])
    wanted = rng.permutation(wanted.astype(np.uint32))
    at = np.minimum(np.searchsorted(own, wanted), own.size - 1)
    found = known.rows(wanted)
    assert found.dtype == ROW
    assert np.array_equal(found, np.where(own[at] == wanted, at, known.none))


def test_hashes_that_begin_alike_and_the_extremes_are_found():
    known = table(0, 5, 6, 0xFFFF, 0x10000, HIGHEST)
    assert rows(known, HIGHEST, 0x10000, 0xFFFF, 6, 5, 0) == [5, 4, 3, 2, 1, 0]
    assert rows(known, 1, 7, 0xFFFE, 0x10001, 0x20000, HIGHEST - 1) == [known.none] * 6 == [6] * 6


@pytest.mark.parametrize("hashes", [(), (7,)], ids=["no word", "one word"])
def test_what_a_small_table_does_not_hold_has_the_last_row(hashes):
    known = table(*hashes)
    assert rows(known, 0, 8, HIGHEST) == [len(hashes)] * 3
    assert rows(known, *hashes) == list(range(len(hashes)))
    assert rows(known) == []


@pytest.mark.parametrize("n_asked", [0, 1, 5, 40, 2_000])
@pytest.mark.parametrize("n_rows", [0, 1, 500])
def test_cosines_are_products_of_the_vectors(n_asked, n_rows):
    known, rng = stems(), np.random.default_rng(1)
    asked, others = (rng.integers(0, known.none + 1, n) for n in (n_asked, n_rows))
    found = known.cosines(asked, others)
    assert found.shape == (n_asked, n_rows)
    expected = known.vectors(asked).astype(float) @ known.vectors(others).astype(float).T
    assert np.allclose(found, expected, atol=1e-6)


def test_a_word_without_a_vector_is_near_to_none_and_every_other_wholly_to_itself():
    known = stems()
    some = np.append(np.arange(0, known.none, 50), known.none)
    assert np.diag(known.cosines(some, some)) == pytest.approx([1] * (some.size - 1) + [0])
    assert not known.cosines(some[-1:], some).any()
