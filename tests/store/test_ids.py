"""UUIDs of version 7."""

import time
import uuid
from concurrent.futures import ThreadPoolExecutor

from memsieve.store.ids import new_ids


def test_an_id_is_a_uuid_of_version_7_and_the_rfc_variant():
    for id_ in new_ids(100):
        assert uuid.UUID(id_).version == 7
        assert uuid.UUID(id_).variant == uuid.RFC_4122
        assert str(uuid.UUID(id_)) == id_


def test_an_id_begins_with_the_millisecond_it_was_made_in():
    before = time.time_ns() // 1_000_000
    made = uuid.UUID(new_ids(1)[0]).int >> 80
    # A counter that ran over in an earlier test may have borrowed a few milliseconds.
    assert before <= made <= time.time_ns() // 1_000_000 + 100


def test_ids_ascend_within_and_across_calls():
    ids = [id_ for _ in range(50) for id_ in new_ids(7)]
    assert ids == sorted(ids)


def test_a_counter_that_is_full_goes_on_in_the_next_millisecond():
    ids = new_ids(3 * 4096)
    assert ids == sorted(set(ids))
    assert len({uuid.UUID(id_).int >> 80 for id_ in ids}) >= 3


def test_eight_threads_never_make_the_same_id():
    with ThreadPoolExecutor(8) as pool:
        batches = list(pool.map(lambda _: new_ids(500), range(40)))
    ids = [id_ for batch in batches for id_ in batch]
    assert len(set(ids)) == 40 * 500
    assert all(batch == sorted(batch) for batch in batches)


def test_two_processes_share_no_random_bits(elsewhere):
    code = "from memsieve.store.ids import new_ids\nprint(*new_ids(1000))"
    here, there = set(new_ids(1000)), set(elsewhere(code).split())
    assert len(there) == 1000
    assert not {id_[19:] for id_ in here} & {id_[19:] for id_ in there}


def test_no_ids_are_an_empty_list():
    assert new_ids(0) == []
