"""Blocks of tokens: what is shared, what is freed first, and what cannot be evicted."""

import random

import pytest

from memsieve.errors import ParameterError
from memsieve.kv.bench.paging import BlockPool


def test_of_two_prompts_the_equal_first_block_is_shared_and_the_partial_one_is_not():
    # The example of the characterisation card: ABCD|EFGH|IJ and ABCD|EFGX|Y.
    pool = BlockPool(8, block_tokens=4)
    first, second = pool.take(b"ABCDEFGHIJ"), pool.take(b"ABCDEFGXY")
    assert first.blocks == [0, 1, 2]
    assert second.blocks == [0, 3, 4]
    assert [pool.count(block) for block in range(5)] == [2, 1, 1, 1, 1]
    pool.release(first)
    again = pool.take(b"ABCDEFGHIJ")
    assert again.n_hit_tokens == 8  # IJ is no full block, so it has no name to be found by


def test_a_finished_sequence_gives_its_blocks_back_tail_first():
    pool = BlockPool(3, block_tokens=4)
    pool.release(pool.take(b"ABCDEFGHIJ"))
    assert pool.queue == (2, 1, 0)


def test_a_shared_prefix_outlives_its_suffix():
    pool = BlockPool(3, block_tokens=4)
    pool.release(pool.take(b"ABCDEFGHIJKL"))
    other = pool.take(b"xxxxyyyy")  # takes the two tail blocks
    assert other.n_hit_tokens == 0
    pool.release(other)
    assert pool.take(b"ABCDEFGHIJKL").n_hit_tokens == 4


def test_a_hit_takes_a_block_out_of_the_queue():
    pool = BlockPool(4, block_tokens=4)
    pool.release(pool.take(b"ABCDEFGH"))
    assert pool.queue == (2, 3, 1, 0)
    table = pool.take(b"ABCD")
    assert (table.n_hit_tokens, pool.queue, pool.count(0)) == (4, (2, 3, 1), 1)


def test_blocks_in_use_are_never_taken():
    draws, pool, live = random.Random(0), BlockPool(20, block_tokens=4), []
    n_refused = 0
    for _ in range(2_000):
        if live and draws.random() < 0.4:
            pool.release(live.pop(draws.randrange(len(live))))
            continue
        prompt = [draws.randrange(2) for _ in range(draws.randrange(1, 24))]
        table = pool.take(prompt)
        if table is None:
            n_refused += 1
            continue
        assert table.tokens == prompt
        live.append(table)
        for block in range(pool.n_blocks):
            users = sum(block in table.blocks for table in live)
            assert pool.count(block) == users
            assert (block in pool.queue) == (users == 0)
        # less than one block of waste for each sequence
        assert all(4 * len(t.blocks) - len(t.tokens) <= 3 for t in live)
    assert n_refused > 50


def test_a_sequence_that_does_not_fit_changes_nothing():
    pool = BlockPool(3, block_tokens=4)
    kept = pool.take(b"ABCDEFGH")
    assert pool.take(b"ABCDxxxxyyyy") is None
    assert (pool.count(0), pool.queue) == (1, (2,))
    assert all(pool.append(kept, letter) for letter in b"IJKL")
    assert not pool.append(kept, 0)
    assert kept.tokens == list(b"ABCDEFGHIJKL")


def test_what_is_generated_can_be_found_by_the_next_turn():
    pool = BlockPool(8, block_tokens=4)
    table = pool.take(b"ABC")
    for letter in b"DEFGH":
        pool.append(table, letter)
    pool.release(table)
    assert pool.take(b"ABCDEFGHxyz").n_hit_tokens == 8


def test_equal_tokens_with_other_extras_are_not_shared():
    pool = BlockPool(8, block_tokens=4)
    pool.take(b"ABCD", extra=b"adapter 1")
    assert pool.take(b"ABCD", extra=b"adapter 2").n_hit_tokens == 0
    assert pool.take(b"ABCD", extra=b"adapter 1").n_hit_tokens == 4


@pytest.mark.parametrize("sizes", [(0, 16), (4, 0)])
def test_rejects_a_pool_without_blocks(sizes):
    with pytest.raises(ParameterError, match="n_blocks and block_tokens must be >= 1"):
        BlockPool(*sizes)
