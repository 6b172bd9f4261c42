"""What a selector chooses from: scores and costs, one row per candidate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from memsieve.errors import ParameterError
from memsieve.select.arrays import Array, host, is_array, like, namespace

# The cost of all candidates together must fit into int64 with room to spare.
LARGEST_SUM = 2**62
# Cosines of float16 vectors stray this far from [-1, 1].
SIMILARITY_SLACK = 2e-3


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Candidates:
    """Scores and costs of n candidates; index i is candidate i in every field.

    Lists become NumPy arrays. Arrays of NumPy, PyTorch or another library of the array API
    standard stay what they are, on their device; `relevance` decides and the other fields
    follow it. Arrays are kept, not copied, and never written; gradients are cut off.

    Parameters
    ----------
    relevance
        (n,) worth of each candidate, higher is better, in any unit below +inf; -inf means
        never pick. Integers become float64.
    tokens, bytes
        (n,) costs, whole numbers >= 0. None: costs nothing.
    similarity
        (n, n) in [-1, 1], symmetric (taken on trust), 1 for items that say the same.
    position
        (n,) whole numbers, place in source order; two candidates are neighbours when their
        positions differ by one inside the same group.
    group
        (n,) whole numbers: which session, file or lane a candidate belongs to.
    same
        (n,) whole numbers: candidates with one label say the same thing.
    group_tokens
        (n_groups,) one-off cost of opening a group, such as a date header per session:
        the first item picked of group g costs its tokens + group_tokens[g], every further
        one its own tokens alone. Labels in `group` then run from 0 to n_groups - 1.

    Raises
    ------
    ParameterError
        If a shape disagrees, relevance is NaN or +inf, a cost is negative or no whole
        number, a similarity lies outside [-1, 1] or a group has no entry in group_tokens.

    Examples
    --------
    >>> items = Candidates(relevance=[0.9, 0.4], tokens=[12, 30])
    >>> len(items), items
    (2, Candidates(n=2, tokens))
    """

    relevance: Array
    tokens: Array | None = None
    bytes: Array | None = None
    similarity: Array | None = None
    position: Array | None = None
    group: Array | None = None
    group_tokens: Array | None = None
    same: Array | None = None

    def __post_init__(self) -> None:
        relevance = _relevance(self.relevance)
        self._keep("relevance", relevance)
        n = relevance.shape[0]
        for name in ("tokens", "bytes", "position", "group", "same"):
            if getattr(self, name) is not None:
                self._keep(name, _whole(name, getattr(self, name), relevance, size=n))
        for name in ("tokens", "bytes"):
            _check_cost(name, getattr(self, name))
        if self.similarity is not None:
            self._keep("similarity", _similarity(self.similarity, relevance))
        if self.group_tokens is not None:
            self._keep("group_tokens", _whole("group_tokens", self.group_tokens, relevance))
            _check_cost("group_tokens", self.group_tokens)
            self._check_groups()

    def _keep(self, name: str, value: Array) -> None:
        object.__setattr__(self, name, value)

    def _check_groups(self) -> None:
        if self.group is None:
            raise ParameterError("Candidates.group_tokens needs Candidates.group, got None")
        labels, n_groups = host(self.group), host(self.group_tokens).size
        if labels.size and not (labels.min() >= 0 and labels.max() < n_groups):
            raise ParameterError(
                f"Candidates.group must lie in [0, {n_groups}), the length of group_tokens, "
                f"got labels from {labels.min()} to {labels.max()}"
            )

    def __len__(self) -> int:
        return int(self.relevance.shape[0])

    def __repr__(self) -> str:
        given = [name for name in self.__slots__[1:] if getattr(self, name) is not None]
        return f"Candidates({', '.join([f'n={len(self)}', *given])})"

    @property
    def namespace(self) -> Any:
        """The array module that its fields belong to."""
        return namespace(self.relevance)

    def need(self, name: str, who: str) -> Array:
        """Field `name`, or the error that tells the user of `who` to pass it."""
        value = getattr(self, name)
        if value is None:
            raise ParameterError(f"{who} needs Candidates.{name}, got None: pass {name}=...")
        return value


def _array(name: str, value: object, model: Array | None) -> Array:
    try:
        array = value if is_array(value) else np.asarray(value)
    except ValueError as error:
        raise ParameterError(f"Candidates.{name} must be one array of numbers: {error}") from None
    if isinstance(array, np.ndarray) and array.dtype.kind not in "biuf":
        if array.size:
            raise ParameterError(f"Candidates.{name} must hold real numbers, got {array.dtype}")
        array = array.astype(float)
    if hasattr(array, "detach"):  # a PyTorch tensor: choosing needs no gradient
        array = array.detach()
    return array if model is None else like(array, model)


def _relevance(value: object) -> Array:
    relevance = _array("relevance", value, None)
    if relevance.ndim != 1:
        shape = tuple(relevance.shape)
        raise ParameterError(f"Candidates.relevance must have the shape (n,), got {shape}")
    xp = namespace(relevance)
    if not xp.isdtype(relevance.dtype, "real floating"):
        relevance = xp.astype(relevance, xp.float64)
    # One comparison finds both NaN and +inf, as NaN is below nothing.
    _check_all(relevance < xp.inf, relevance, "relevance", "be a number below +inf")
    return relevance


def _whole(name: str, value: object, model: Array, size: int | None = None) -> Array:
    array = _array(name, value, model)
    if array.ndim != 1 or size not in (None, array.shape[0]):
        expected = "n_groups" if size is None else f"n = {size}"
        shape = tuple(array.shape)
        raise ParameterError(f"Candidates.{name} must have the shape ({expected},), got {shape}")
    xp = namespace(array)
    if xp.isdtype(array.dtype, "real floating"):
        fine = (array == xp.floor(array)) & (xp.abs(array) <= LARGEST_SUM)
        _check_all(fine, array, name, "hold whole numbers")
    return xp.astype(array, xp.int64, copy=False)


def _check_cost(name: str, cost: Array | None) -> None:
    if cost is None or cost.shape[0] == 0:
        return
    xp = namespace(cost)
    if int(xp.min(cost)) < 0:
        _check_all(cost >= 0, cost, name, "be >= 0")
    if int(xp.max(cost)) * cost.shape[0] > LARGEST_SUM:
        raise ParameterError(
            f"Candidates.{name} must sum to at most 2**62, got {cost.shape[0]} costs "
            f"up to {int(xp.max(cost))}"
        )


def _similarity(value: object, relevance: Array) -> Array:
    similarity = _array("similarity", value, relevance)
    n = relevance.shape[0]
    if n == 0 and 0 in similarity.shape:  # [] has the shape (0,), which means the same here
        similarity = namespace(similarity).reshape(similarity, (0, 0))
    if tuple(similarity.shape) != (n, n):
        shape = tuple(similarity.shape)
        raise ParameterError(f"Candidates.similarity must have the shape ({n}, {n}), got {shape}")
    xp = namespace(similarity)
    if not xp.isdtype(similarity.dtype, "real floating"):
        similarity = xp.astype(similarity, relevance.dtype)
    if n:
        # NaN passes through min and max and fails both comparisons.
        low, high = float(xp.min(similarity)), float(xp.max(similarity))
        if not (low >= -1 - SIMILARITY_SLACK and high <= 1 + SIMILARITY_SLACK):
            raise ParameterError(
                f"Candidates.similarity must lie in [-1, 1], got values from {low} to {high}"
            )
    return similarity


def _check_all(fine: Array, values: Array, name: str, rule: str) -> None:
    if not bool(namespace(fine).all(fine)):
        first = int(np.flatnonzero(~host(fine))[0])
        raise ParameterError(
            f"Candidates.{name} must {rule}, got {host(values)[first]} at index {first}"
        )
