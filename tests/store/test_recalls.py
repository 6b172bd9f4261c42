"""Recalls that are judged: what is kept of them, for how long, and what forgetting takes along."""

import math

import numpy as np
import pytest

from memsieve.errors import NotFoundError, ParameterError
from memsieve.score.features import NAMES

SAID = [
    "The marzipan lies in the kitchen drawer.",
    "The kitchen smells of cardamom.",
    "Nobody cooks in the kitchen on Sundays.",
    "The kitchen clock is slow.",
]
QUESTION = "Whither went the quixotic zymurgist of the kitchen?"


@pytest.fixture
def memory(opened):
    """A memory of four turns that all speak of the kitchen."""
    one = opened(embedder="none", policy="equal")
    one.add(SAID)
    return one


def used_of(memory, row):
    """The texts of what was used."""
    texts = {item.seq: item.text for item in memory.list(with_superseded=True)}
    return [texts[seq] for seq in row.seqs[row.used].tolist()]


def rows(sql):
    """How many recalls and candidates the file holds."""
    ((recalls,),), ((items,),) = (
        sql(f"SELECT count(*) FROM {table}") for table in ("recall", "recall_item")
    )
    return recalls, items


def test_a_used_hit_is_kept_with_the_candidates_and_their_features(memory):
    found = memory.recall(QUESTION, k=2)
    memory.feedback(found.id, [found[1].id])
    (row,) = memory.judged()
    assert (row.id, row.namespace, row.policy) == (found.id, "default", "equal")
    assert row.at <= row.judged_at
    assert row.names == NAMES
    assert row.ranks.tolist() == [1, 2, 0, 0]
    assert row.scores.tolist() == sorted(row.scores, reverse=True)
    assert row.scores[:2] == pytest.approx([hit.score for hit in found])
    assert used_of(memory, row) == [found[1].text]
    assert row.reward is None
    weighed = memory.weigh(QUESTION)
    order = [weighed.block.seq[weighed.found.docs].tolist().index(seq) for seq in row.seqs]
    # Eleven bits of each number are kept.
    assert row.values == pytest.approx(weighed.features.values[order], rel=2**-11, abs=1e-6)
    assert memory.check() == []


def test_a_candidate_that_was_left_out_can_be_named_as_well(memory):
    found = memory.recall(QUESTION, k=1)
    left = found.left_out[-1]
    memory.feedback(found.id, left.id)  # one id needs no list
    (row,) = memory.judged()
    assert used_of(memory, row) == [left.text]
    assert row.ranks[row.used].tolist() == [0]


@pytest.mark.parametrize("reward", [-1, -0.25, 0, 1.0, np.float64(0.5)])
def test_a_reward_alone_is_kept_as_a_number(memory, reward):
    found = memory.recall(QUESTION)
    memory.feedback(found.id, reward=reward)
    (row,) = memory.judged()
    assert row.reward == float(reward)
    assert not row.used.any()
    assert memory.check() == []


def test_used_items_and_a_reward_go_together_and_an_item_named_twice_counts_once(memory):
    found = memory.recall(QUESTION)
    memory.feedback(found.id, [found[0].id, found[2].id, found[0].id], reward=0.5)
    (row,) = memory.judged()
    assert (row.used.tolist(), row.reward) == ([True, False, True, False], 0.5)


def test_saying_it_again_replaces_what_was_said(memory, sql):
    found = memory.recall(QUESTION)
    memory.feedback(found.id, [found[0].id, found[1].id], reward=-1)
    (before,) = memory.judged()
    memory.feedback(found.id, [found[3].id])
    (row,) = memory.judged()
    assert used_of(memory, row) == [found[3].text]
    assert row.reward is None
    assert (row.at, row.seqs.tolist()) == (before.at, before.seqs.tolist())
    assert row.judged_at > before.judged_at
    assert rows(sql) == (1, 4)
    assert memory.check() == []


def test_only_tracked_and_judged_recalls_are_written(memory, sql):
    plain, tracked = memory.recall(QUESTION), memory.recall(QUESTION, track=True)
    assert rows(sql) == (1, 4)
    assert memory.judged() == []
    memory.feedback(plain.id, [plain[0].id])
    assert rows(sql) == (2, 8)
    assert [row.id for row in memory.judged()] == [plain.id]
    memory.feedback(tracked.id, reward=1)
    assert [row.id for row in memory.judged()] == [plain.id, tracked.id]  # the oldest recall first
    assert rows(sql) == (2, 8)


def test_another_object_can_judge_a_tracked_recall_and_no_other(memory, opened):
    plain, tracked = memory.recall(QUESTION), memory.recall(QUESTION, k=2, track=True)
    other = opened()
    other.feedback(tracked.id, [tracked.left_out[0].id], reward=0.5)
    with pytest.raises(NotFoundError, match="judge one of the last of this process, or recall wi"):
        other.feedback(plain.id, reward=1)
    (row,) = memory.judged()
    assert used_of(memory, row) == [tracked.left_out[0].text]
    assert row.ranks.tolist() == [1, 2, 0, 0]
    assert other.check() == []


def test_a_recall_is_forgotten_after_sixty_four_others_unless_it_was_tracked(memory):
    old, tracked = memory.recall(QUESTION), memory.recall(QUESTION, track=True)
    later = [memory.recall(QUESTION) for _ in range(63)]
    with pytest.raises(NotFoundError, match=f"no recall '{old.id}' is known"):
        memory.feedback(old.id, reward=1)
    memory.recall(QUESTION)
    memory.feedback(tracked.id, reward=1)
    memory.feedback(later[0].id, reward=-1)
    assert [row.reward for row in memory.judged()] == [1, -1]


def test_the_best_120_candidates_are_kept_and_whatever_was_picked(opened):
    memory = opened(embedder="none")
    memory.add([f"The kitchen has {n} tiles." for n in range(150)])
    few, many = memory.recall("kitchen tiles", k=75), memory.recall("kitchen tiles", k=130)
    assert few.n_candidates == many.n_candidates == 150
    for found in (few, many):
        memory.feedback(found.id, reward=0)
    assert [row.seqs.size for row in memory.judged()] == [120, 130]
    assert [np.count_nonzero(row.ranks) for row in memory.judged()] == [75, 130]


def test_feedback_belongs_to_the_namespace_of_its_recall(memory):
    memory.add("The kitchen of the bank has no stove.", namespace="bank")
    here, there = memory.recall(QUESTION), memory.recall(QUESTION, namespace="bank", track=True)
    memory.feedback(there.id, [there[0].id])
    memory.feedback(here.id, reward=0)
    assert {row.namespace: row.id for row in memory.judged()} == {
        "default": here.id, "bank": there.id,
    }  # fmt: skip
    assert [row.id for row in memory.judged(namespace="bank")] == [there.id]
    with pytest.raises(NotFoundError, match="no namespace is called 'shop'"):
        memory.judged(namespace="shop")


def test_forgetting_an_item_takes_its_rows_along_and_leaves_no_byte(memory, sql, files_hold):
    found = memory.recall(QUESTION, track=True)
    memory.feedback(found.id, [found[0].id, found[1].id])
    seqs = {hit.id: hit.item.seq for hit in found}
    features = "SELECT features FROM recall_item WHERE item = ?"
    ((gone,),), ((kept,),) = (sql(features, seqs[hit.id]) for hit in found[:2])
    assert gone != kept
    assert memory.forget(found[0].id).residue == 0
    (row,) = memory.judged()
    assert row.seqs.tolist() == [seqs[hit.id] for hit in found[1:]]
    assert used_of(memory, row) == [found[1].text]
    assert memory.check() == []
    memory.close()
    assert files_hold(kept)
    assert not files_hold(gone)


def test_what_was_forgotten_before_the_feedback_is_left_out_of_it(memory):
    found = memory.recall(QUESTION)
    memory.forget(found[0].id)
    with pytest.raises(ParameterError, match=f"did not weigh the item '{found[0].id}'"):
        memory.feedback(found.id, found[0].id)
    memory.feedback(found.id, found[2].id)
    (row,) = memory.judged()
    assert (row.seqs.size, row.ranks.tolist()) == (3, [2, 3, 4])
    assert used_of(memory, row) == [found[2].text]
    assert memory.check() == []


def test_an_item_written_since_is_never_taken_for_one_that_was_forgotten(memory):
    found = memory.recall(QUESTION)
    memory.forget(found.ids)
    new = memory.add(SAID)
    memory.feedback(found.id, reward=1)
    (row,) = memory.judged()
    assert row.seqs.size == 0
    with pytest.raises(ParameterError, match="did not weigh"):
        memory.feedback(found.id, new[0])


def test_an_item_with_a_newer_version_can_still_be_named(opened):
    memory = opened(embedder="none")
    old = memory.add("The kitchen is blue.", key="kitchen")
    found = memory.recall("kitchen", track=True)
    memory.add("The kitchen is green.", key="kitchen")
    memory.feedback(found.id, old)
    assert used_of(memory, memory.judged()[0]) == ["The kitchen is blue."]
    assert memory.check() == []


def test_no_question_is_kept_and_no_text_in_the_tables_of_recalls(memory, sql, files_hold):
    found = memory.recall(QUESTION, track=True)
    memory.feedback(found.id, [found[0].id], reward=1)
    kept = repr([sql(f"SELECT * FROM {table}") for table in ("recall", "recall_item")]).lower()
    assert found.id in kept
    spoken = {word.strip(".").lower() for text in SAID for word in text.split()}
    assert not [word for word in spoken if len(word) > 4 and word in kept]
    memory.close()
    assert files_hold("marzipan")  # where items are
    assert not any(files_hold(word) for word in ("zymurgist", "quixotic", "Whither"))


BAD_REWARDS = [1.01, -1.5, math.inf, -math.inf, math.nan, True, False]


@pytest.mark.parametrize("reward", BAD_REWARDS)
def test_a_reward_outside_its_range_is_refused(memory, sql, reward):
    found = memory.recall(QUESTION)
    with pytest.raises(ParameterError, match="reward must be a number from -1 to 1, got"):
        memory.feedback(found.id, [found[0].id], reward=reward)
    assert rows(sql) == (0, 0)


@pytest.mark.parametrize(
    ("used", "rule"),
    [
        ((), "feedback needs the ids of used items, a reward, or both"),
        ("", "did not weigh the item ''"),
        ("marzipan", "did not weigh the item 'marzipan'"),
        (["marzipan"], "did not weigh the item 'marzipan'"),
        ([7], "used items are named by their ids, got 7"),
        (7, "expected text or a list, got int"),
        (b"marzipan", "expected text or a list, got bytes"),
    ],
)
def test_used_items_that_were_not_weighed_are_refused_and_nothing_is_written(
    memory, sql, used, rule
):
    found = memory.recall(QUESTION)
    other = memory.add("A drawer nobody asked for.")
    with pytest.raises(ParameterError, match=rule):
        memory.feedback(found.id, used)
    with pytest.raises(ParameterError, match=f"did not weigh the item '{other}'"):
        memory.feedback(found.id, [found[0].id, other])
    assert rows(sql) == (0, 0)
    assert memory.judged() == []


@pytest.mark.parametrize("recall_id", ["", "01a218bb-9961-7000-a188-921f987fabb2"])
def test_an_unknown_recall_is_refused(memory, recall_id):
    with pytest.raises(NotFoundError, match=f"no recall '{recall_id}' is known"):
        memory.feedback(recall_id, reward=1)
    assert memory.check() == []


def test_a_recall_of_a_namespace_that_nothing_was_written_to_can_be_tracked(opened):
    found = opened().recall("Where is the marzipan?", track=True)
    assert found.n_candidates == 0
    opened().feedback(found.id, reward=-1)  # another memory on the same file
    (row,) = opened().judged()
    assert (row.id, row.reward, row.seqs.size) == (found.id, -1.0, 0)
    assert opened().check() == []


@pytest.mark.parametrize("reward", [np.float32(0.5), np.int64(1), np.float64(-1), 0])
def test_numbers_of_any_kind_are_rewards(opened, reward):
    memory = opened()
    memory.add("The marzipan is gone.")
    memory.feedback(memory.recall("marzipan").id, reward=reward)
    (row,) = memory.judged()
    assert (type(row.reward), row.reward) == (float, float(reward))


@pytest.mark.parametrize("reward", ["good", [1], np.True_, np.float32("nan"), 1 + 0j])
def test_what_is_no_number_is_no_reward(opened, reward):
    memory = opened()
    memory.add("The marzipan is gone.")
    with pytest.raises(ParameterError, match="reward must be a number from -1 to 1, got"):
        memory.feedback(memory.recall("marzipan").id, reward=reward)
    assert memory.judged() == []
