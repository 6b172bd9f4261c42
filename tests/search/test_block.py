"""A block that follows the store step by step equals one loaded at once."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memsieve.search.block import REACHES
from memsieve.search.columns import Column
from memsieve.search.stems import stems
from memsieve.search.words import terms

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


# Words

SAID = [
    ("the dog of Ana", "Tom", "s"),
    ("", "Ana", "s"),
    ("Maria and Ana, Ana!", "Tom", "s"),
    ("and the", "Maria Lopez", "t"),
    ("Lopez has a violin xqbz", None, None),
]


def said(block, doc):
    """The words of one document: terms, and rows of stems."""
    at, _ = block.spans(np.array([doc]))
    return block.word_term[at].tolist(), block.word_stem[at].tolist()


@pytest.mark.parametrize("step", [1, 2, 5])
def test_every_word_keeps_its_term_and_its_stem_however_documents_arrive(block_of, grow, step):
    block = block_of(SAID[:step])
    for begin in range(step, len(SAID), step):
        grow(block, SAID[begin : begin + step])
    for doc, (text, _, _) in enumerate(SAID):
        found = terms(text)
        assert said(block, doc) == (found.tolist(), stems().rows(found).tolist())
    # Ana, Maria and Lopez are names, whoever of them spoke first.
    assert block.n_names.tolist() == [1, 0, 3, 0, 1]


def test_spans_follow_the_order_asked_for(block_of):
    block = block_of(SAID)
    at, starts = block.spans(np.array([4, 1, 0]))
    assert at.tolist() == [5, 6, 7, 0, 1]
    assert starts.tolist() == [0, 3, 3, 5]
    found, begins = block.terms(np.array([4, 1, 0]))
    assert found.tolist() == [*terms(SAID[4][0]), *terms(SAID[0][0])]
    assert np.array_equal(begins, starts)
    for values in (block.spans(np.empty(0, np.int64)), block.terms(np.empty(0, np.int64))):
        assert [part.tolist() for part in values] == [[], [0]]


def test_what_was_said_before_somebody_spoke_counts_as_a_name_from_then_on(block_of, grow, kill):
    block = block_of([("Zoe, where is Zoe?", "Ana", "s"), ("with Ana", "Tom", "s")])
    assert block.n_names.tolist() == [0, 1]
    grow(block, [("here, Ana", "Zoe", "s")])
    assert block.n_names.tolist() == [2, 1, 1]
    grow(block, [("Zoe Miller", "Zoe Miller", "s"), ("hi", "Zoe", "s")])
    assert block.n_names.tolist() == [2, 1, 1, 2, 0]
    kill(block, [3])
    assert block.n_names.tolist() == [2, 1, 1, 2, 0]


@pytest.mark.parametrize("seed", range(3))
def test_names_are_counted_as_in_plain_loops(block_of, grow, seed):
    rng = np.random.default_rng(seed)
    people = ["Ana", "Tom", "Maria Lopez", "Ana Miller", None]
    talk = [
        (" ".join(rng.choice(["Ana", "Lopez", "Miller", "dog", "the"], 6)), rng.choice(people), "s")
        for _ in range(30)
    ]
    block, n = block_of([]), 0
    while n < len(talk):
        step = int(rng.integers(1, 6))
        grow(block, talk[n : n + step])
        n += step
        spoken = {word for _, who, _ in talk[:n] if who for word in who.split()}
        expected = [sum(word in spoken for word in text.split()) for text, _, _ in talk[:n]]
        assert block.n_names.tolist() == expected
