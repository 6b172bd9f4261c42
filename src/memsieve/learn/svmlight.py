"""Graded rankings in the sparse text format of SVM-light, as LightGBM's examples write them.

Two files belong together. One has a line for each item, "grade index:value index:value ...",
features that are 0 left out; the other a line for each question: how many of the items, in
their order, are its own.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from memsieve.errors import FormatError, ParameterError
from memsieve.formats.files import Part, opened, present

MAX_GRADE = 30
"""The highest grade that LightGBM has a gain for by default."""

# The arrays are dense: an index with a digit too many must not ask for gigabytes.
_MAX_INDEX = (1 << 16) - 1
_MAX_SIZE = (1 << 31) - 1
# Neither "1_0", which int() takes, nor so many digits that it refuses them.
_DIGITS = re.compile(r"[+-]?[0-9]{1,20}")

_Row = tuple[int, dict[int, float]]


@dataclass(frozen=True, slots=True, eq=False)
class RankedQuery:
    """One question: what is known of each of its items, and how good an answer each is.

    Parameters
    ----------
    values
        Shape (n, d), float64: a row for each item, a column for each feature.
    grades
        Shape (n,), int64, in 0..30: 0 is irrelevant, higher is better.

    Raises
    ------
    ParameterError
        If the shapes do not belong together.
    """

    values: np.ndarray
    grades: np.ndarray

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.grades.shape != self.values.shape[:1]:
            raise ParameterError(
                "RankedQuery must have values of shape (n, d) and grades of shape (n,), "
                f"got {self.values.shape} and {self.grades.shape}"
            )


def read_svmlight(path: str | PathLike[str], query_path: str | PathLike[str]) -> list[RankedQuery]:
    """The questions of a file of items and the file of group sizes beside it, in their order.

    Indices are columns as they stand, whether the file counts from 0 or from 1 (column 0 is
    then 0 everywhere): d is the highest index of the file and one. Blank lines are skipped.

    Parameters
    ----------
    path
        "grade index:value ..." on each line; grades in 0..30, indices in 0..65535, each once.
    query_path
        A whole number >= 1 on each line; together as many as `path` has items.

    Raises
    ------
    NotFoundError, InputError
        If a file is not there or cannot be read.
    FormatError
        With file and line, if a grade, an index, a value or a size is not as above or not
        finite, or if the sizes are not those of the items.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     items, sizes = Path(folder, "rank.train"), Path(folder, "rank.train.query")
    ...     _ = items.write_text("2 1:0.5 3:1\\n0 2:0.25\\n1\\n")
    ...     _ = sizes.write_text("2\\n1\\n")
    ...     first, second = read_svmlight(items, sizes)
    >>> first.values.tolist(), first.grades.tolist()
    ([[0.0, 0.5, 0.0, 1.0], [0.0, 0.0, 0.25, 0.0]], [2, 0])
    >>> second.values.shape, second.grades.tolist()
    ((1, 4), [1])
    """
    items, queries = Part(present(Path(path))), Part(present(Path(query_path)))
    rows = [(number, _row(line, f"{items.name} line {number}")) for number, line in _lines(items)]
    left = iter(rows)
    width = 1 + max((max(cells, default=-1) for _, (_, cells) in rows), default=-1)
    found = []
    for number, line in _lines(queries):
        place = f"{queries.name} line {number}"
        size = _whole("the size of a group", line, 1, _MAX_SIZE, place)
        group = [row for _, row in islice(left, size)]
        if len(group) < size:
            raise FormatError(
                f"{place}: {size} items are asked for, {items.name} has {len(group)} left: "
                "the sizes must add up to its items"
            )
        found.append(_query(group, width))
    if (unasked := next(left, None)) is not None:
        raise FormatError(
            f"{items.name} line {unasked[0]}: no group of {queries.name} holds this item: "
            "the sizes must add up to the items"
        )
    return found


def ndcg(scores: ArrayLike, grades: ArrayLike, k: int) -> float:
    """Normalised discounted cumulative gain of the `k` items with the highest scores.

    DCG@k = sum over the places i = 1..k of (2^grade - 1) / log2(i + 1), divided by that of the
    best order. Of equal scores the earlier item comes first. A question whose grades are all 0
    has no best order and counts 1.0, as LightGBM has it: its items cannot be put in a wrong
    order. A mean over questions that holds many of those looks high. O(n log n).

    Parameters
    ----------
    scores
        Shape (n,), higher is better; -inf is worst.
    grades
        Shape (n,), whole numbers in 0..30.
    k
        Depth, >= 1; fewer items than that are taken as they are.

    Raises
    ------
    ParameterError
        If the shapes differ, a score is NaN, a grade is out of its range, or `k` < 1.

    Examples
    --------
    >>> round(ndcg([0.1, 0.9], [3, 1], k=2), 4)  # (1 + 7 / log2(3)) / (7 + 1 / log2(3))
    0.7098

    References
    ----------
    Järvelin and Kekäläinen, TOIS 2002. Differs, as LightGBM does: the gain is exponential, and
    the discount starts at the second place.
    """
    worth, graded = np.asarray(scores, np.float64), np.asarray(grades)
    if worth.ndim != 1 or graded.shape != worth.shape:
        raise ParameterError(
            f"ndcg needs a score and a grade for each item, got {worth.shape} and {graded.shape}"
        )
    if np.isnan(worth).any():
        raise ParameterError("ndcg.scores must be numbers, got NaN")
    if not np.isin(graded, np.arange(MAX_GRADE + 1)).all():
        raise ParameterError(f"ndcg.grades must be whole numbers in 0..{MAX_GRADE}")
    if k < 1:
        raise ParameterError(f"ndcg.k must be >= 1, got {k!r}")
    gains = 2.0**graded - 1
    best = _discounted(-np.sort(-gains), k)
    return _discounted(gains[np.argsort(-worth, kind="stable")], k) / best if best else 1.0


def _discounted(gains: np.ndarray, k: int) -> float:
    top = gains[:k]
    return float((top / np.log2(np.arange(2, top.size + 2))).sum())


def _lines(part: Part) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, counted from 1; what is not ASCII becomes no number."""
    with opened(part) as file:
        for number, raw in enumerate(file, 1):
            if line := raw.decode("ascii", "replace").strip():
                yield number, line


def _row(line: str, place: str) -> _Row:
    first, *pairs = line.split()
    grade = _whole("a grade", first, 0, MAX_GRADE, place)
    cells: dict[int, float] = {}
    for pair in pairs:
        index, colon, value = pair.partition(":")
        if not colon:
            raise FormatError(f"{place}: a feature must be index:value, got {pair!r:.40}")
        column = _whole("an index", index, 0, _MAX_INDEX, place)
        if column in cells:
            raise FormatError(f"{place}: the index {column} stands twice")
        cells[column] = _number(value, place)
    return grade, cells


def _whole(what: str, text: str, low: int, high: int, place: str) -> int:
    if not _DIGITS.fullmatch(text) or not low <= int(text) <= high:
        raise FormatError(
            f"{place}: {what} must be a whole number in {low}..{high}, got {text!r:.40}"
        )
    return int(text)


def _number(text: str, place: str) -> float:
    try:
        value = float(text) if "_" not in text else math.nan
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise FormatError(f"{place}: a value must be a finite number, got {text!r:.40}")
    return value


def _query(rows: Sequence[_Row], width: int) -> RankedQuery:
    values = np.zeros((len(rows), width))
    for row, (_, cells) in zip(values, rows, strict=True):
        row[list(cells)] = list(cells.values())
    return RankedQuery(values, np.array([grade for grade, _ in rows], np.int64))
