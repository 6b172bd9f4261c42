"""What one memory writes, every other memory of the same file recalls at its next call."""

import json

import numpy as np
import pytest

SERVANT = """
import json, sys, memsieve
memory = memsieve.open(sys.argv[1])
for line in sys.stdin:
    name, arguments = json.loads(line)
    found = getattr(memory, name)(**arguments)
    if name == "recall":
        found = [hit.text for hit in found]
    print(json.dumps(found, default=str), flush=True)
"""


@pytest.fixture
def servant(memory, database, process):
    """Another process with the same file open, that calls methods by name."""
    other = process(SERVANT, database)

    def call(name, **arguments):
        other.stdin.write(json.dumps([name, arguments]) + "\n")
        other.stdin.flush()
        line = other.stdout.readline()
        assert line, other.communicate(timeout=10)[1]
        return json.loads(line)

    return call


def test_from_the_beginning_the_feed_is_the_whole_namespace(store, insert):
    insert(store, {"text": "Red apples.", "session": "s", "speaker": "Ana"}, "Green pears.")
    insert(store, "Blue plums.", namespace="other")
    changes = store.changes("default", 0, 0)
    columns = changes.added
    assert columns.seq.tolist() == [1, 2]
    assert columns.session == ("s", None)
    assert columns.speaker == ("Ana", None)
    assert columns.lengths.tolist() == [2, 2]
    assert len(columns.terms) == 4
    assert columns.codes.shape == (2, 0)
    assert (list(changes.gone), changes.reindexed) == ([], False)
    assert columns.position == store.position("default") > 0


def test_after_a_position_the_feed_is_what_came_and_what_went(store, insert):
    first, _ = insert(store, "One.", {"text": "Two.", "key": "k"})
    position = store.position("default")
    insert(store, "Three.", {"text": "Two, mended.", "key": "k"})
    store.forget([first], "test")
    changes = store.changes("default", position, 2)
    assert changes.added.seq.tolist() == [3, 4]
    assert list(changes.gone) == [2, 1]
    assert not changes.reindexed


def test_what_was_superseded_is_not_in_the_feed(store, insert):
    insert(store, *({"text": f"Version {n}.", "key": "k"} for n in range(5)))
    assert store.changes("default", 0, 0).added.seq.tolist() == [5]


def test_a_namespace_that_nobody_has_written_to_has_an_empty_feed(store, insert):
    insert(store, "Elsewhere.", namespace="other")
    assert store.position("default") == 0
    changes = store.changes("default", 0, 0, dimensions=4)
    assert changes.added.position == 0
    assert changes.added.codes.shape == (0, 4)


def test_a_vector_of_another_length_is_zero(store, insert, sql):
    insert(store, "One.", "Two.")
    sql("UPDATE item_index SET codes = x'01020304', scale = 1 WHERE seq = 2")
    codes = store.changes("default", 0, 0, dimensions=4).added.codes
    assert np.array_equal(codes, [[0, 0, 0, 0], [1, 2, 3, 4]])


def test_a_position_moves_with_its_own_namespace_only(store, insert):
    insert(store, "One.")
    position = store.position("default")
    (id_,) = insert(store, "Two.", namespace="other")
    store.forget([id_], "test")
    assert store.position("default") == position


def test_two_memories_in_one_process_follow_one_another(memory, opened, texts_of):
    other = opened()
    assert texts_of(other.recall("the colour of the door")) == []
    old = memory.add("The colour of the door is green.", key="door")
    assert texts_of(other.recall("the colour of the door")) == ["The colour of the door is green."]
    other.add("The colour of the door is blue.", key="door")
    assert texts_of(memory.recall("the colour of the door")) == ["The colour of the door is blue."]
    memory.forget(memory.list()[0].id)
    assert texts_of(other.recall("the colour of the door")) == []
    assert old not in {item.id for item in other.list(with_superseded=True)}
    assert memory.check() == []


def test_a_process_recalls_what_another_has_just_added(memory, servant):
    for n in range(5):
        memory.add(f"Parcel number {n} is for house {n * 11}.", session="s")
        found = servant("recall", question=f"Which house gets parcel number {n}?")
        assert f"Parcel number {n} is for house {n * 11}." in found
        assert len(found) == n + 1
    there = servant("add", what="Parcel number 9 is for the castle.")
    assert memory.recall("parcel for the castle", k=1)[0].id == there
    assert memory.check() == []


def test_a_process_no_longer_recalls_what_another_has_forgotten_or_superseded(memory, servant):
    id_ = memory.add("The meeting is at noon.")
    memory.add("The meeting is in room four.", key="room")
    assert len(servant("recall", question="When and where is the meeting?")) == 2
    memory.forget(id_)
    memory.add("The meeting is in room seven.", key="room")
    assert servant("recall", question="When and where is the meeting?") == [
        "The meeting is in room seven."
    ]
    assert memory.check() == []


def test_more_superseded_than_living_items_are_no_burden_to_a_recall(memory, opened, texts_of):
    reader = opened()
    for start in range(0, 3000, 500):
        memory.add([{"text": f"The count is {start + n}.", "key": "k"} for n in range(500)])
        found = texts_of(reader.recall("What is the count?"))
        assert found == [f"The count is {start + 499}."]
    assert len(memory.list(with_superseded=True, limit=None)) == 3000
    assert memory.check() == []


def test_a_reader_follows_a_random_history_exactly(memory, opened):
    random = np.random.default_rng(5)
    reader, living, n, versions = opened(), {}, 0, 0
    for _ in range(80):
        action = random.integers(4)
        if action < 2 or not living:
            n += 1
            living[memory.add(f"Word{n} came up.", key=f"k{n}", session=f"s{n % 3}")] = (n, f"k{n}")
        elif action == 2:
            id_ = str(random.choice(sorted(living)))
            number, key = living.pop(id_)
            versions += 1
            new = memory.add(f"Word{number} came up again, version {versions}.", key=key)
            living[new] = (number, key)
        else:
            id_ = str(random.choice(sorted(living)))
            memory.forget(id_)
            del living[id_]
        if random.integers(3) == 0:
            assert set(reader.recall("Which word came up?", k=1000).ids) == set(living)
    assert set(reader.recall("Which word came up?", k=1000).ids) == set(living)
    assert {item.id for item in memory.list(limit=None)} == set(living)
    assert memory.check() == []
