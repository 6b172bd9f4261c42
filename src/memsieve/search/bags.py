"""Bags of words of any texts, as tf-idf vectors: what texts longer than a turn share."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Bag:
    """The words of one text: hashes (m,) uint32, ascending; their numbers; weights (m,) > 0.

    The order is that of the hashes, so that sums come out the same whatever the numbers are.
    """

    hashes: np.ndarray
    terms: np.ndarray
    weights: np.ndarray

    @classmethod
    def mean(cls, bags: Sequence["Bag"]) -> "Bag":
        """The mean of bags, one at least, that were first scaled to length 1."""
        hashes, first, place = np.unique(
            np.concatenate([bag.hashes for bag in bags]), return_index=True, return_inverse=True
        )
        lengths = [max(float(np.linalg.norm(bag.weights)), 1e-12) for bag in bags]
        weights = [bag.weights / length for bag, length in zip(bags, lengths, strict=True)]
        summed = np.bincount(place, np.concatenate(weights), hashes.size)
        return cls(hashes, np.concatenate([bag.terms for bag in bags])[first], summed / len(bags))


class Vocabulary:
    """Numbers 0, 1, ... for the 32-bit hashes of words, in the order in which they come."""

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    def bag(self, hashes: np.ndarray, *, grow: bool = True) -> Bag:
        """The bag of a text: a word weighs 1 + ln of how often it stands there.

        New words get a number, or are left out unless the vocabulary may `grow`.
        """
        found, counts = np.unique(hashes, return_counts=True)
        numbers = self._numbers
        if grow:
            known = [numbers.setdefault(one, len(numbers)) for one in found.tolist()]
        else:
            known = [numbers.get(one, -1) for one in found.tolist()]
        terms = np.array(known, dtype=np.int64)
        kept = terms >= 0
        return Bag(found[kept], terms[kept], 1 + np.log(counts[kept]))


def inverse_frequency(bags: Sequence[Bag], n_terms: int) -> np.ndarray:
    """ln((1 + n) / (1 + df)) + 1 of every term, over `bags`: shape (n_terms,), each >= 1."""
    terms = np.concatenate([bag.terms for bag in bags]) if bags else np.zeros(0, np.int64)
    found: np.ndarray = np.log((1 + len(bags)) / (1 + np.bincount(terms, minlength=n_terms))) + 1
    return found


class Bags:
    """Unit vectors of n bags under given weights of terms.

    Parameters
    ----------
    bags
        In order; an empty one is nearer to nothing than 0.
    idf
        Weight of every term that a bag holds, as `inverse_frequency` gives it.
    """

    def __init__(self, bags: Sequence[Bag], idf: np.ndarray) -> None:
        sizes = [bag.terms.size for bag in bags]
        self.idf = idf
        self.starts = np.append(0, np.cumsum(sizes, dtype=np.int64))
        self._row = np.repeat(np.arange(len(bags)), sizes)
        self._terms = np.concatenate([bag.terms for bag in bags] or [np.zeros(0, np.int64)])
        weights = np.concatenate([bag.weights for bag in bags] or [np.zeros(0)])
        weights = weights * idf[self._terms]
        lengths = np.sqrt(np.bincount(self._row, weights**2, len(bags)))
        self._weights = weights / np.maximum(lengths[self._row], 1e-12)
        self._query = np.zeros(idf.size)

    def cosines(self, bag: Bag, first: int = 0, last: int | None = None) -> np.ndarray:
        """Cosine of a text with the bags from `first` to before `last`: each in [0, 1].

        O(terms of these bags).
        """
        last = len(self.starts) - 1 if last is None else last
        weights = bag.weights * self.idf[bag.terms]
        length = float(np.linalg.norm(weights))
        if not length:
            return np.zeros(last - first)
        self._query[bag.terms] = weights / length
        part = slice(int(self.starts[first]), int(self.starts[last]))
        gains = self._weights[part] * self._query[self._terms[part]]
        self._query[bag.terms] = 0.0
        found: np.ndarray = np.bincount(self._row[part] - first, gains, last - first)
        return found
