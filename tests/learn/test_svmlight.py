"""Reading graded rankings, and NDCG by hand and on the data of LightGBM's example."""

from math import log2
from pathlib import Path

import numpy as np
import pytest

from memsieve.errors import FormatError, NotFoundError, ParameterError
from memsieve.learn.svmlight import RankedQuery, ndcg, read_svmlight

SHARED_DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.fixture
def read(tmp_path):
    """A function that writes items and group sizes to two files and reads them."""

    def reading(items, sizes):
        (tmp_path / "rank.train").write_text(items, encoding="utf-8")
        (tmp_path / "rank.train.query").write_text(sizes, encoding="utf-8")
        return read_svmlight(tmp_path / "rank.train", str(tmp_path / "rank.train.query"))

    return reading


@pytest.fixture(scope="module")
def examples():
    """The training and the test questions of LightGBM's example."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the real data sets (../shared/data) are not here")
    files = [SHARED_DATA / "lambdarank" / name for name in ("rank.train", "rank.test")]
    return [read_svmlight(file, file.with_name(f"{file.name}.query")) for file in files]


def test_items_go_to_their_questions_in_their_order(read):
    first, second = read("2 0:0.5 3:-1e-2\n0 2:.25\n1\n", "2\n1\n")
    assert first.values.tolist() == [[0.5, 0, 0, -0.01], [0, 0, 0.25, 0]]
    assert first.grades.tolist() == [2, 0]
    assert second.values.tolist() == [[0, 0, 0, 0]]
    assert (first.values.dtype, first.grades.dtype) == (np.float64, np.int64)


def test_indices_stand_as_they_are_whether_they_begin_at_0_or_1(read):
    (from_one,) = read("1 1:7 2:8\n", "1\n")
    assert from_one.values.tolist() == [[0, 7, 8]]
    (from_zero,) = read("1 0:7 1:8\n", "1\n")
    assert from_zero.values.tolist() == [[7, 8]]


def test_order_inside_a_line_blank_lines_and_line_ends_do_not_matter(read):
    (query,) = read("\r\n1 2:8 0:7\r\n\n0 \t 1:9", "\n2")
    assert query.values.tolist() == [[7, 0, 8], [0, 9, 0]]


def test_two_empty_files_hold_no_question(read):
    assert read("", "\n") == []


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("-1 0:1", r"a grade must be a whole number in 0\.\.30, got '-1'"),
        ("31 0:1", r"a grade must be a whole number in 0\.\.30, got '31'"),
        ("1.5 0:1", r"a grade must be a whole number in 0\.\.30, got '1\.5'"),
        ("nan 0:1", r"a grade must be a whole number in 0\.\.30, got 'nan'"),
        ("0:1", r"a grade must be a whole number in 0\.\.30, got '0:1'"),
        ("1 -1:1", r"an index must be a whole number in 0\.\.65535, got '-1'"),
        ("1 65536:1", r"an index must be a whole number in 0\.\.65535, got '65536'"),
        ("1 1_0:1", r"an index must be a whole number in 0\.\.65535, got '1_0'"),
        ("1 qid:3", r"an index must be a whole number in 0\.\.65535, got 'qid'"),
        (f"1 {'9' * 9000}:1", r"an index must be a whole number in 0\.\.65535, got '99"),
        ("1 ٣:1", r"an index must be a whole number in 0\.\.65535"),
        ("1 :1", r"an index must be a whole number in 0\.\.65535, got ''"),
        ("1 3", r"a feature must be index:value, got '3'"),
        ("1 3:1 3:2", r"the index 3 stands twice"),
        ("1 3:", r"a value must be a finite number, got ''"),
        ("1 3:one", r"a value must be a finite number, got 'one'"),
        ("1 3:1_0", r"a value must be a finite number, got '1_0'"),
        ("1 3:NaN", r"a value must be a finite number, got 'NaN'"),
        ("1 3:-inf", r"a value must be a finite number, got '-inf'"),
        ("1 3:1e999", r"a value must be a finite number, got '1e999'"),
        ("1 3:1:2", r"a value must be a finite number, got '1:2'"),
    ],
)
def test_a_mistake_in_an_item_is_named_with_its_line(read, line, what):
    with pytest.raises(FormatError, match=rf"^rank\.train line 3: {what}"):
        read(f"1 0:1\n\n{line}\n", "2\n")


@pytest.mark.parametrize("size", ["0", "-2", "2.0", "two", "1 1", "nan"])
def test_a_size_that_is_no_count_is_named_with_its_line(read, size):
    with pytest.raises(
        FormatError, match=r"^rank\.train\.query line 2: the size of a group must be a whole"
    ):
        read("1 0:1\n1 0:1\n1 0:1\n", f"1\n{size}\n")


def test_sizes_that_are_not_those_of_the_items_are_named_on_either_side(read):
    items = "1 0:1\n0 0:2\n\n2 0:3\n"
    assert len(read(items, "1\n2\n")) == 2
    with pytest.raises(
        FormatError,
        match=r"^rank\.train\.query line 2: 3 items are asked for, rank\.train has 2 left",
    ):
        read(items, "1\n3\n")
    with pytest.raises(
        FormatError, match=r"^rank\.train line 4: no group of rank\.train\.query holds this item"
    ):
        read(items, "1\n1\n")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(NotFoundError, match=r"no such file or folder: .*rank\.train"):
        read_svmlight(tmp_path / "rank.train", tmp_path / "rank.train.query")


def test_a_question_refuses_shapes_that_do_not_belong_together():
    for values, grades in [((2, 3), (3,)), ((2,), (2,)), ((2, 3), (2, 1))]:
        with pytest.raises(ParameterError, match=r"values of shape \(n, d\) and grades of shape"):
            RankedQuery(np.zeros(values), np.zeros(grades, np.int64))


def test_ndcg_of_the_example_worked_by_hand():
    """Ranked: grades 1, 0, 2, 0 with gains 1, 0, 3, 0; the best order begins 2, 1."""
    scores, grades = [0.9, 0.1, 0.3, 0.7], [1, 0, 2, 0]
    assert ndcg(scores, grades, k=1) == pytest.approx(1 / 3)
    assert ndcg(scores, grades, k=2) == pytest.approx(1 / (3 + 1 / log2(3)))
    # (1 + 3 / 2) / (3 + .63093) = 2.5 / 3.63093
    assert ndcg(scores, grades, k=3) == pytest.approx(0.688529, abs=1e-6)


def test_ndcg_of_the_best_order_is_1_and_of_the_worst_what_it_leaves():
    grades = np.array([3, 0, 1, 2, 4])
    for k in range(1, 8):
        assert ndcg(grades, grades, k) == pytest.approx(1)
    # gains ascending 0, 1, 3 at the first three places against 15, 7, 3
    worst, best = 1 / log2(3) + 3 / 2, 15 + 7 / log2(3) + 3 / 2
    assert ndcg(-grades, grades, k=3) == pytest.approx(worst / best)


def test_of_equal_scores_the_earlier_item_comes_first():
    assert ndcg([0.5, 0.5], [0, 1], k=1) == 0
    assert ndcg([0.5, 0.5], [1, 0], k=1) == 1
    assert ndcg([-np.inf, 0.5], [1, 0], k=1) == 0


def test_a_question_without_any_relevant_item_counts_1():
    assert ndcg([0.3, 0.2], [0, 0], k=3) == 1
    assert ndcg([], [], k=3) == 1


def test_ndcg_of_the_highest_grade_stays_finite():
    assert ndcg([2, 1], [29, 30], k=1) == pytest.approx((2**29 - 1) / (2**30 - 1))


@pytest.mark.parametrize(
    ("scores", "grades", "k", "rule"),
    [
        ([1, 2], [1], 3, r"a score and a grade for each item, got \(2,\) and \(1,\)"),
        ([[1, 2]], [[1, 0]], 3, r"a score and a grade for each item, got \(1, 2\)"),
        ([1, np.nan], [1, 0], 3, r"ndcg\.scores must be numbers, got NaN"),
        ([1, 2], [-1, 0], 3, r"ndcg\.grades must be whole numbers in 0\.\.30"),
        ([1, 2], [1.5, 0], 3, r"ndcg\.grades must be whole numbers in 0\.\.30"),
        ([1, 2], [31, 0], 3, r"ndcg\.grades must be whole numbers in 0\.\.30"),
        ([1, 2], [1, 0], 0, r"ndcg\.k must be >= 1, got 0"),
    ],
)
def test_ndcg_refuses_what_has_no_figure(scores, grades, k, rule):
    with pytest.raises(ParameterError, match=rule):
        ndcg(scores, grades, k)


def test_the_example_of_lightgbm_is_read_whole(examples):
    train, test = examples
    assert (len(train), len(test)) == (201, 50)
    queries = [*train, *test]
    assert sum(query.grades.size for query in queries) == 3773
    assert {query.values.shape[1] for query in queries} == {301}
    assert sorted({int(grade) for query in queries for grade in query.grades}) == [0, 1, 2, 3, 4]
    first = train[0]
    assert (first.values[0, 0], first.values[0, 10], first.values[0, 11]) == (0, 0.89, 0.75)


def expected_at_random(grades, k):
    """The mean of NDCG@k over all orders: every place has the mean gain."""
    if not grades.any():
        return 1.0
    gains = np.sort(2.0**grades - 1)[::-1]
    weights = 1 / np.log2(np.arange(2, min(k, gains.size) + 2))
    return gains.mean() * weights.sum() / (gains[:k] @ weights)


def test_a_random_order_of_the_example_has_the_ndcg_that_its_grades_foretell(examples):
    queries = [query for part in examples for query in part]
    draws = np.random.default_rng(0)
    drawn = np.mean(
        [ndcg(draws.random(query.grades.size), query.grades, 3) for query in queries * 20]
    )
    foretold = np.mean([expected_at_random(query.grades, 3) for query in queries])
    assert foretold == pytest.approx(0.43, abs=0.02)
    assert drawn == pytest.approx(foretold, abs=0.01)
