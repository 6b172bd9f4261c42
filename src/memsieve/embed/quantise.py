"""Vectors as int8 codes with one float32 scale per row: a quarter of the space."""

import numpy as np

from memsieve.errors import ParameterError

STEPS = 127  # symmetric: -127..127, so that a code and its negation are both there


def pack(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Round each row to int8 codes and a scale that keeps the row's length.

    code[i] = round(v[i] * 127 / max|v[i]|), scale[i] = |v[i]| / |code[i]|. The angle between
    a row and its packed form has a sine of at most sqrt(d) / 254, so the cosine is at least
    sqrt(1 - d / 254**2): 0.99801 at 256 dimensions for the worst of all vectors, above 0.9999
    for rows whose largest entry is below 0.2 of their length, as sentence vectors are.
    O(n d).

    Parameters
    ----------
    vectors
        Shape (n, d), finite. Rows of zeros stay zeros.

    Raises
    ------
    ParameterError
        If `vectors` has not two axes or holds a value that is not finite.

    Examples
    --------
    >>> codes, scales = pack(np.array([[0.6, -0.8]]))
    >>> codes.tolist(), unpack(codes, scales)
    ([[95, -127]], array([[ 0.5989907, -0.800756 ]], dtype=float32))
    """
    rows = np.asarray(vectors, dtype=np.float32)
    if rows.ndim != 2:
        raise ParameterError(f"pack.vectors must have the shape (n, d), got {rows.shape}")
    if not np.isfinite(rows).all():
        raise ParameterError("pack.vectors must be finite, got NaN or infinity")
    largest = np.abs(rows).max(axis=1, initial=0)
    codes = np.rint(rows * (STEPS / np.where(largest > 0, largest, 1))[:, None]).astype(np.int8)
    code_lengths = np.linalg.norm(codes.astype(np.float32), axis=1)
    scales = np.linalg.norm(rows, axis=1) / np.where(code_lengths > 0, code_lengths, 1)
    return codes, scales.astype(np.float32)


def unpack(codes: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """The float32 rows that `pack` rounded: ``codes * scales`` row by row. O(n d)."""
    if codes.ndim != 2 or scales.shape != codes.shape[:1]:
        raise ParameterError(
            f"unpack needs one scale per row of codes, got {codes.shape} and {scales.shape}"
        )
    return codes.astype(np.float32) * scales.astype(np.float32)[:, None]
