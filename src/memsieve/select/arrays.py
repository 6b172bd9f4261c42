"""The few array operations that the selectors share, alike for NumPy, PyTorch and their kin.

Scores stay where they are, in the caller's namespace and on its device; the counting of a
budget is sequential and in whole numbers, so it runs on the host, in NumPy.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from array_api_compat import array_namespace, device, is_array_api_obj, is_torch_array

Array = Any  # any array of the array API standard; NumPy and PyTorch are tested
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


def namespace(x: Array) -> Any:
    """The module whose functions work on `x`."""
    # NumPy 2 follows the standard itself, and its wrapper costs a first import of 100 ms.
    return np if isinstance(x, np.ndarray) else array_namespace(x)


def is_array(x: object) -> bool:
    """Whether `x` is an array already (a list is not)."""
    return isinstance(x, np.ndarray) or bool(is_array_api_obj(x))


def host(x: Array) -> npt.NDArray[Any]:
    """`x` as a NumPy array: the same memory where that can be, a copy from another device."""
    if is_torch_array(x):
        x = x.detach().cpu()
        # NumPy has no bfloat16; every half fits into float32 unchanged.
        return np.asarray(x.float() if x.is_floating_point() and x.itemsize < 4 else x)
    return np.asarray(x)


def like(values: Array, model: Array) -> Array:
    """`values` in the namespace and on the device of `model`."""
    if isinstance(model, np.ndarray):
        return host(values)
    xp = array_namespace(model)
    if is_array(values) and array_namespace(values) is xp:
        return xp.asarray(values, device=device(model))
    return xp.asarray(np.array(host(values)), device=device(model))


def best_first(x: Array, at_most: int | None = None) -> Array:
    """Indices by falling value, equal values by index; only the first `at_most` of them.

    O(n log n) for all of them, O(n + k log k) for the first k.
    """
    xp = namespace(x)
    if at_most is None or at_most >= x.shape[0]:
        return xp.argsort(-x, stable=True)
    if at_most <= 0:
        return xp.argsort(x[:0])
    edge = _kth_largest(x, at_most)
    above = xp.nonzero(x > edge)[0]
    level = xp.nonzero(x == edge)[0]
    # `level` lies below all of `above`, so their joint order still breaks ties by index.
    kept = xp.concat([above, level[: at_most - above.shape[0]]])
    return xp.take(kept, xp.argsort(-xp.take(x, kept, axis=0), stable=True), axis=0)


def _kth_largest(x: Array, k: int) -> Array:
    # The standard has no partial sort, and a whole one takes five to thirty times as long.
    if is_torch_array(x):
        return x.topk(k, sorted=False).values.min()
    if isinstance(x, np.ndarray):
        return np.partition(x, x.shape[0] - k)[x.shape[0] - k]
    return namespace(x).sort(x)[x.shape[0] - k]


def folded_sum(x: Array) -> Array:
    """Sum over the last axis by halving: additions of whole slices and nothing else.

    A library's own sum adds in an order that depends on library, device and memory layout,
    so equal rows could differ in the last bit and break ties differently. This one rounds
    alike everywhere, never turns a smaller addend into a larger sum, and is as exact as
    pairwise summation.
    """
    xp = namespace(x)
    if x.shape[-1] == 0:
        return xp.sum(x, axis=-1)
    while (length := x.shape[-1]) > 1:
        half = length // 2
        head = x[..., :half] + x[..., half : 2 * half]
        x = head if length == 2 * half else xp.concat([head, x[..., 2 * half :]], axis=-1)
    return x[..., 0]
