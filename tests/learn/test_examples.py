"""Examples: the candidates of real questions, what is known of them, and folds of whole scopes."""

import tempfile
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memsieve.errors import ParameterError
from memsieve.evaluate import Dataset, Question, Scope
from memsieve.learn.examples import Example, examples, folds
from memsieve.learn.scoring import ndcg, recall
from memsieve.score.features import CLIP, NAMES
from memsieve.types import Message

MARCH, APRIL = datetime(2026, 3, 2, tzinfo=UTC), datetime(2026, 4, 6, tzinfo=UTC)


def said(key, text, at=MARCH):
    return Message(text, key=key, session=f"s{at.month}", speaker="Ana", at=at)


HARBOUR = Scope(
    "harbour",
    (
        said("t1", "I paint boats in the old harbour."),
        said("t2", "The harbour smells of tar."),
        said("t3", "We moved the boats out of the harbour.", at=APRIL),
    ),
    (
        Question("Which boats are in the harbour?", ("t1", "t3"), "fact"),
        Question("Which boats are in the harbour?", ("t1", "t3"), "early", asked_at=MARCH),
        Question("Which boats are in the harbour?", ("t3",), "before", asked_at=MARCH),
    ),
)
KITCHEN = Scope(
    "kitchen",
    (said("t1", "The harbour soup needs more salt."),),
    (Question("What does the soup of the harbour need?", ("t1",), "fact"),),
)
BOTH = Dataset("tiny", (HARBOUR, KITCHEN))


def example(gold, *, names=("words",), values=None, n_gold=None, scope="s", **more):
    """An example without a conversation behind it."""
    n = len(gold)
    return Example(
        scope=scope,
        category="fact",
        question="Which one?",
        names=names,
        values=np.zeros((n, len(names)), np.float32) if values is None else values,
        gold=np.array(gold, float),
        n_gold=int(np.count_nonzero(gold)) if n_gold is None else n_gold,
        tokens=np.full(n, 10),
        **more,
    )


@pytest.fixture(scope="module")
def found():
    return examples(BOTH, embedder="none")


def test_every_question_becomes_an_example_under_the_name_of_its_scope(found):
    assert [one.scope for one in found] == ["tiny/harbour"] * 3 + ["tiny/kitchen"]
    assert [one.category for one in found] == ["fact", "early", "before", "fact"]
    assert found[3].question == "What does the soup of the harbour need?"
    assert {one.names for one in found} == {NAMES}


def test_candidates_are_what_a_memory_of_that_scope_alone_weighs(found, opened):
    memory = opened(embedder="none", policy="equal")
    memory.add(list(HARBOUR.messages))
    weighed = memory.weigh("Which boats are in the harbour?", now=APRIL)
    assert found[0].values == pytest.approx(weighed.features.values.astype(np.float32))
    items = {item.seq: item for item in memory.list()}
    keys = [items[seq].key for seq in weighed.block.seq[weighed.found.docs].tolist()]
    assert [key for key, grade in zip(keys, found[0].gold, strict=True) if grade] == ["t1", "t3"]
    assert found[0].tokens.tolist() == weighed.block.tokens[weighed.found.docs].tolist()
    assert found[3].gold.tolist() == [1]  # one turn, whatever the other scope says of harbours


def test_evidence_that_is_no_candidate_counts_in_n_gold_and_in_every_figure(found):
    whole, early, before = found[:3]
    assert (whole.gold.sum(), whole.n_gold) == (2, 2)
    assert (early.gold.sum(), early.n_gold) == (1, 2)  # t3 was said after the question
    assert recall(early, early.gold, 5) == 0.5
    # 1 of an ideal 1 + 1 / log2(3), because both would be there.
    assert ndcg(early, early.gold, 5) == pytest.approx(1 / (1 + 1 / np.log2(3)))
    assert (before.gold.sum(), before.n_gold, before.teaches) == (0, 1, False)
    assert recall(before, np.zeros(before.gold.size), 5) == 0


def test_progress_counts_the_questions_and_no_file_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    told = []
    examples(BOTH, embedder="none", progress=lambda *done: told.append(done))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert list(tmp_path.iterdir()) == []


def test_a_question_asked_before_anything_was_said_has_no_candidates():
    early = Question("Which boats?", ("t1",), "fact", asked_at=datetime(2020, 1, 1, tzinfo=UTC))
    (one,) = examples(Dataset("tiny", (Scope("a", HARBOUR.messages, (early,)),)), embedder="none")
    assert one.z.shape == (0, len(NAMES))
    assert (one.gold.size, one.n_gold, one.teaches) == (0, 1, False)


def test_features_are_standardised_over_the_question_and_cut():
    values = np.zeros((100, 3), np.float32)
    values[0] = [7, 0, 5]  # one odd candidate of a hundred lies sqrt(99) deviations out
    values[:, 2] = np.where(np.arange(100) < 50, 5, 3)
    z = example(np.eye(1, 100)[0], names=("words", "asks", "kin"), values=values).z
    assert z.dtype == np.float32
    assert z[0].tolist() == [CLIP, 0, 1]
    assert z[99] == pytest.approx([-1 / np.sqrt(99), 0, -1], rel=1e-5)


@pytest.mark.parametrize(
    ("gold", "more", "teaches"),
    [
        ([1, 0], {}, True),
        ([2, 1], {}, True),  # grades that differ
        ([1, 1], {}, False),
        ([0, 0], {}, False),
        ([1], {}, False),
        ([], {}, False),
        ([0, 0], {"drawn": (1,), "reward": 0.5}, True),
        ([0, 0], {"drawn": (1,)}, False),
        ([0, 0], {"reward": 0.5}, False),
    ],
)
def test_an_example_teaches_where_something_is_known_to_be_better(gold, more, teaches):
    assert example(gold, **more).teaches is teaches


def test_only_keeps_the_named_features_in_their_order_and_the_rest_as_it_was():
    values = np.arange(12, dtype=np.float32).reshape(4, 3) ** 2
    whole = example([0, 1, 0, 0], names=("words", "kin", "meaning"), values=values, n_gold=3)
    whole.z  # noqa: B018  # one that was read before must not be taken along
    part = whole.only(["meaning", "words"])
    assert part.names == ("meaning", "words")
    assert part.values.tolist() == values[:, [2, 0]].tolist()
    assert part.z == pytest.approx(whole.z[:, [2, 0]])
    assert part.column("meaning").tolist() == whole.column("meaning").tolist() == [4, 25, 64, 121]
    assert (part.gold.tolist(), part.n_gold) == ([0, 1, 0, 0], 3)
    assert whole.names == ("words", "kin", "meaning")
    with pytest.raises(ValueError, match="not in tuple"):
        whole.only(["smell"])


@pytest.mark.parametrize(
    "change",
    [{"values": np.zeros((3, 1))}, {"values": np.zeros((2, 2))}, {"names": ("words", "kin")}],
)
def test_shapes_that_do_not_belong_together_are_refused(change):
    with pytest.raises(ParameterError, match=r"Example of 2 candidates and \d features got values"):
        example([1, 0], **{"values": np.zeros((2, 1)), **change})


@given(st.lists(st.sampled_from("abcdefgh"), min_size=2, max_size=40), st.integers(2, 8))
def test_folds_never_share_a_scope_and_leave_none_out(scopes, n_folds):
    many = [example([1, 0], scope=scope) for scope in scopes]
    n_scopes = len(set(scopes))
    if n_folds > n_scopes:
        with pytest.raises(ParameterError):
            folds(many, n_folds)
        return
    parts = folds(many, n_folds)
    assert len(parts) == n_folds
    assert sorted(scope for part in parts for scope in part) == sorted(set(scopes))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_without_a_number_each_scope_is_a_fold_in_the_order_of_the_data(found):
    assert folds(found) == [{"tiny/harbour"}, {"tiny/kitchen"}]


@pytest.mark.parametrize(
    ("scopes", "n_folds"), [("ab", 1), ("ab", 0), ("ab", 3), ("aa", None), ("aa", 2), ("", None)]
)
def test_fewer_than_two_parts_cannot_be_put_aside(scopes, n_folds):
    with pytest.raises(ParameterError, match="takes at least 2 and at most"):
        folds([example([1, 0], scope=scope) for scope in scopes], n_folds)
