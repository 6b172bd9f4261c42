"""Rounding to int8: how far a vector turns, and what is kept exactly."""

import math

import numpy as np
import pytest

from memsieve.embed import pack, unpack
from memsieve.errors import ParameterError


def unit_rows(n, dimensions, seed=0):
    rows = np.random.default_rng(seed).normal(size=(n, dimensions))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def cosines(a, b):
    return (a.astype(float) * b).sum(1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))


def test_packs_the_example_worked_by_hand():
    codes, scales = pack(np.array([[3.0, -4.0]]))
    assert codes.tolist() == [[95, -127]]
    assert scales == pytest.approx([5 / math.hypot(95, 127)])


def test_sentence_like_rows_turn_by_less_than_one_part_in_ten_thousand():
    rows = unit_rows(5_000, 256)
    assert cosines(rows, unpack(*pack(rows))).min() > 0.9999


@pytest.mark.parametrize("dimensions", [2, 64, 256, 1024])
def test_no_row_turns_further_than_the_stated_bound(dimensions):
    # The worst rows: one entry sets the scale, all others sit half-way between two codes.
    worst = np.full((1, dimensions), 0.4999 / 127)
    worst[0, 0] = 1.0
    spiky = unit_rows(2_000, dimensions, seed=1) ** 5
    for rows in (worst, spiky):
        bound = math.sqrt(1 - dimensions / 254**2)
        assert cosines(rows, unpack(*pack(rows))).min() >= bound - 1e-7


def test_the_stated_bound_is_reached_to_a_tenth_of_its_angle():
    worst = np.full((1, 256), 0.4999 / 127)
    worst[0, 0] = 1.0
    found = cosines(worst, unpack(*pack(worst)))[0]
    assert 1 - found > 0.9 * (1 - math.sqrt(1 - 256 / 254**2))


def test_lengths_are_kept_so_that_products_are_cosines():
    rows = unit_rows(1_000, 256, seed=2)
    assert np.linalg.norm(unpack(*pack(rows)), axis=1) == pytest.approx(np.ones(1_000), abs=1e-6)


def test_rows_of_zeros_and_no_rows_survive():
    assert unpack(*pack(np.zeros((2, 4)))).tolist() == [[0.0] * 4] * 2
    codes, scales = pack(np.zeros((0, 4)))
    assert (codes.shape, scales.shape, codes.dtype, scales.dtype) == ((0, 4), (0,), "i1", "f4")


def test_packing_what_was_unpacked_changes_nothing():
    codes, scales = pack(unit_rows(500, 256, seed=3))
    again, _ = pack(unpack(codes, scales))
    assert (again == codes).all()


@pytest.mark.parametrize("vectors", [np.zeros(3), np.zeros((1, 2, 3))])
def test_refuses_other_shapes(vectors):
    with pytest.raises(ParameterError, match=r"must have the shape \(n, d\), got"):
        pack(vectors)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_refuses_values_that_are_not_finite(value):
    with pytest.raises(ParameterError, match="must be finite"):
        pack(np.array([[1.0, value]]))


def test_refuses_scales_that_do_not_belong_to_the_codes():
    with pytest.raises(
        ParameterError, match=r"one scale per row of codes, got \(2, 3\) and \(3,\)"
    ):
        unpack(np.zeros((2, 3), np.int8), np.zeros(3, np.float32))
