"""Tf-idf by hand: bags, their mean, numbers of words, cosines."""

import numpy as np
import pytest

from memsieve.search.bags import Bag, Bags, Vocabulary, inverse_frequency


def bag(*words):
    """A bag in which the number of a word is its hash."""
    found, counts = np.unique(np.array(words, np.uint32), return_counts=True)
    return Bag(found, found.astype(np.int64), 1 + np.log(counts))


def test_the_mean_of_bags_counts_each_alike_however_long():
    mean = Bag.mean([bag(0), bag(1, 2, 3, 4)])
    assert mean.terms.tolist() == mean.hashes.tolist() == [0, 1, 2, 3, 4]
    assert mean.weights == pytest.approx([0.5, *[0.25] * 4])
    assert Bag.mean([bag(), bag(7)]).weights.tolist() == [0.5]


def test_a_vocabulary_numbers_words_as_they_come_and_counts_them_by_the_logarithm():
    vocabulary = Vocabulary()
    first = vocabulary.bag(np.array([50, 7, 50, 50], np.uint32))
    assert (first.hashes.tolist(), first.terms.tolist()) == ([7, 50], [0, 1])
    assert first.weights == pytest.approx([1, 1 + np.log(3)])
    second = vocabulary.bag(np.array([50, 3], np.uint32))
    assert second.terms.tolist() == [2, 1]
    asked = vocabulary.bag(np.array([9, 50, 3], np.uint32), grow=False)
    assert (asked.hashes.tolist(), asked.terms.tolist(), len(vocabulary)) == ([3, 50], [2, 1], 3)
    assert vocabulary.bag(np.zeros(0, np.uint32)).terms.shape == (0,)


def test_a_rare_word_weighs_more_by_the_smoothed_formula():
    idf = inverse_frequency([bag(0), bag(0, 1), bag(0)], 3)
    assert idf == pytest.approx([1, np.log(4 / 2) + 1, np.log(4) + 1])
    assert inverse_frequency([], 2).tolist() == [1, 1]


def test_cosines_are_those_of_the_dense_vectors():
    rng = np.random.default_rng(0)
    bags = [bag(*rng.integers(0, 30, size=n)) for n in (5, 12, 1, 40)]
    idf = inverse_frequency(bags, 30)
    dense = np.zeros((4, 30))
    for row, one in zip(dense, bags, strict=True):
        row[one.terms] = one.weights * idf[one.terms]
    dense /= np.linalg.norm(dense, axis=1, keepdims=True)
    sparse = Bags(bags, idf)
    for i, one in enumerate(bags):
        assert sparse.cosines(one) == pytest.approx(dense @ dense[i])
        assert sparse.cosines(one, 1, 3) == pytest.approx((dense @ dense[i])[1:3])
    assert sparse.cosines(bags[0], 2, 2).shape == (0,)


def test_texts_without_a_word_are_near_to_nothing():
    sparse = Bags([bag(), bag(0)], np.ones(1))
    assert sparse.cosines(bag()).tolist() == [0, 0]
    assert sparse.cosines(bag(0)).tolist() == [0, 1]
    assert Bags([], np.ones(1)).cosines(bag(0)).shape == (0,)
