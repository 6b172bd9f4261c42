"""A block that follows the store step by step equals one loaded at once."""

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memsieve.search.block import REACHES
from memsieve.search.columns import Column

STEPS = st.lists(
    st.tuples(st.sampled_from(["add", "kill"]), st.integers(0, 2), st.integers(1, 4)),
    min_size=1,
    max_size=14,
)


def lanes(block):
    """The sessions as the block holds them: documents in order."""
    found = {}
    for doc in block.lanes.document[block.lanes.document >= 0].tolist():
        found.setdefault(int(block.session[doc]), []).append(doc)
    return list(found.values())


# The fixtures give functions without state, so that examples do not meet in them.
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=STEPS)
def test_lanes_and_lengths_hold_after_any_adds_and_deaths(steps, block_of, grow, kill):
    block, texts, dead = block_of([]), [], set()
    for what, session, n in steps:
        if what == "add":
            turns = [(" ".join(["word"] * (i + 1)), "Ana", f"s{session}") for i in range(n)]
            known = sum(s == f"s{session}" for _, _, s in texts)
            grow(block, turns, [known + i for i in range(n)])
            texts += turns
        elif texts:
            dead.add((n * 7 + session) % len(texts) + 1)
            kill(block, list(dead))
    expected = {}
    for doc, (_, _, session) in enumerate(texts):
        if doc + 1 not in dead:
            expected.setdefault(session, []).append(doc)
    assert sorted(lanes(block)) == sorted(expected.values())
    for chain in expected.values():
        words = [len(texts[doc][0].split()) for doc in chain]
        for reach in REACHES:
            sums = [sum(words[max(0, i - reach) : i + reach + 1]) for i in range(len(chain))]
            assert block.lengths(reach)[block.lanes.slot[chain]].tolist() == sums
    n_words = sum(len(texts[doc][0].split()) for chain in expected.values() for doc in chain)
    n_alive = max(sum(map(len, expected.values())), 1)
    assert block.mean_length(0) == max(n_words / n_alive, 1)


def test_a_late_turn_takes_its_place_by_ordinal(block_of, grow):
    block = block_of([("one", "Ana", "s"), ("two", "Ana", "s"), ("three", "Ana", "s")])
    grow(block, [("new two", "Ana", "s")], ordinals=[1])
    assert lanes(block) == [[0, 1, 3, 2]]


def test_turns_without_a_session_have_no_neighbours(block_of):
    block = block_of([("one", "Ana", None), ("two", "Ana", None)])
    assert block.lanes.beside(np.array([0, 1]), 1).tolist() == [-1, -1]
    assert block.lengths(3)[block.lanes.slot].tolist() == [1, 1]


def test_documents_are_found_by_seq_and_unknown_ones_left_out(block_of):
    block = block_of([("one", "Ana", "s"), ("two", "Ana", "s")])
    assert block.documents([2, 99, 1]).tolist() == [1, 0]


def test_a_column_keeps_what_it_held_while_it_grows():
    column = Column(np.int64)
    for at in range(100):
        column.extend(np.arange(at, at + 1))
    assert column.values.tolist() == list(range(100))


def test_memory_is_counted(block_of):
    small, large = (block_of([("a dog", "Ana", "s")] * n) for n in (10, 1_000))
    assert large.nbytes() > 50 * small.nbytes()
