"""Versions: which one held at a moment, and the columns of a namespace as it was then."""

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memsieve.store import SQLite
from memsieve.store.base import Versions
from memsieve.store.rows import VERSIONS

NONE = Versions((), ())
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def march(number, **more):
    return datetime(2025, 3, number, tzinfo=UTC) + timedelta(**more)


@pytest.fixture
def write(store, insert):
    """Writes versions of one key, said on the given days of March 2025, as `seq` 1, 2, ..."""

    def versions(*days, key="k", **options):
        for n, day in enumerate(days):
            insert(store, {"text": f"{key} {n}", "key": key, "at": march(day), **options})

    return versions


def test_what_was_never_replaced_has_no_versions(store, insert, check):
    insert(store, "One.", {"text": "Two.", "key": "k"})
    insert(store, {"text": "Two.", "key": "k"})  # the same again is no version
    assert store.versions("default", march(9)) == NONE
    assert store.versions("nowhere", march(9)) == NONE
    assert not NONE
    assert check(store) == []


def test_a_version_holds_from_when_it_was_said_until_its_successor_was(store, write, check):
    write(2, 4, 6)
    moments = {
        march(2, microseconds=-1): NONE,
        march(2): Versions((1,), (2, 3)),
        march(4, microseconds=-1): Versions((1,), (2, 3)),
        march(4): Versions((2,), (3,)),
        march(6, microseconds=-1): Versions((2,), (3,)),
        march(6): NONE,
    }
    assert {at: store.versions("default", at) for at in moments} == moments
    assert bool(Versions((1,), (2, 3)))
    assert check(store) == []


def test_moments_are_instants_whatever_their_clock(store, write):
    write(2, 4)
    two = timezone(timedelta(hours=2))
    assert store.versions("default", datetime(2025, 3, 4, 1, tzinfo=two)) == Versions((1,), (2,))
    assert store.versions("default", datetime(2025, 3, 4, 2, tzinfo=two)) == NONE


@pytest.mark.parametrize("later", [2, 1])
def test_a_successor_said_no_later_replaces_when_it_was_written(store, write, later):
    write(2, later)
    written = store.history(store.items([1])[0].id)[-1].at
    assert written > march(9)
    assert store.versions("default", march(9)) == Versions((1,), (2,))
    assert store.versions("default", written - timedelta(microseconds=1)).old == (1,)
    assert store.versions("default", written) == NONE


def test_keys_and_namespaces_have_versions_of_their_own(store, write, insert):
    write(2, 4)
    write(1, 5, key="other")
    insert(store, {"text": "x", "key": "k", "at": march(1)}, namespace="b")
    insert(store, {"text": "y", "key": "k", "at": march(9)}, namespace="b")
    assert store.versions("default", march(3)) == Versions((1, 3), (2, 4))
    assert store.versions("default", march(4)) == Versions((3,), (4,))
    assert store.versions("b", march(4)) == Versions((5,), (6,))


def test_a_forgotten_version_held_at_no_time(store, write):
    write(2, 4, 6)
    second = store.items([2])[0].id
    store.forget([second], "test")  # and the first, which it replaced
    assert store.versions("default", march(3)) == store.versions("default", march(5)) == NONE


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(days=st.lists(st.integers(1, 6), min_size=1, max_size=5), at=st.integers(1, 7))
def test_the_oldest_version_in_force_holds_alone(tmp_path_factory, insert, days, at):
    store = SQLite(tmp_path_factory.mktemp("versions") / "agent.db")
    for n, day in enumerate(days):
        insert(store, {"text": f"{n}", "key": "k", "at": march(day)})
    # Replaced when the next was said; where that is no later only now, long after these days.
    ends = [new if new > old else 31 for old, new in pairwise(days)] + [99]
    in_force = [n for n, day in enumerate(days) if day <= at < ends[n]]
    found = store.versions("default", march(at))
    if in_force and in_force[0] < len(days) - 1:
        first = in_force[0] + 1
        assert found == Versions((first,), tuple(range(first + 1, len(days) + 1)))
    else:
        assert found == NONE
    said = set(np.asarray(store.past("default", found).added.seq).tolist())
    then = {n for n in said if days[n - 1] <= at}
    assert then == ({in_force[0] + 1} if in_force else set())
    store.close()


def test_looking_for_versions_reads_no_item_that_has_one_only(store):
    with store.reading() as run:
        plan = [step for *_, step in run(f"EXPLAIN QUERY PLAN {VERSIONS}", (1, 1, 1))]
    outer = next(step for step in plan if step.startswith("SEARCH"))
    assert "item_by_supersedes (supersedes>?)" in outer
    assert not [step for step in plan if step.startswith("SCAN") and " item" in step]


# The namespace as it was


def test_the_past_has_old_versions_in_the_place_of_their_successors(store, insert):
    insert(
        store,
        {"text": "One word.", "session": "s"},
        {"text": "Two of them.", "key": "k", "session": "s", "speaker": "Ana", "at": march(2)},
        {"text": "Three.", "session": "s"},
    )
    insert(store, {"text": "Four words in all.", "key": "k", "speaker": "Tom", "at": march(4)})
    now, then = store.changes("default", 0, 0).added, store.versions("default", march(3))
    assert then == Versions((2,), (4,))
    past = store.past("default", then)
    assert (now.seq.tolist(), past.added.seq.tolist()) == ([1, 3, 4], [1, 2, 3])
    assert past.added.ordinal.tolist() == [0, 1, 2]
    assert past.added.session == ("s", "s", "s")
    assert past.added.speaker == (None, "Ana", None)
    assert past.added.said_at.tolist()[1] == (march(2) - EPOCH) // timedelta(microseconds=1)
    assert (past.gone, past.reindexed) == ((), False)
    assert past.added.position == now.position == store.position("default")


def test_the_past_without_versions_is_the_present(store, write):
    write(2, 4)
    past, now = store.past("default", NONE).added, store.changes("default", 0, 0).added
    for name in ("seq", "ordinal", "tokens", "said_at", "terms", "lengths", "position"):
        assert np.array_equal(getattr(past, name), getattr(now, name))
    assert store.past("nowhere", NONE).added.seq.size == 0


def test_the_past_has_the_times_of_its_own_versions(dated):
    dated.add("In 2020.", key="k", at=march(2))
    dated.add("Nothing.")
    dated.add("In 2021, not in 2022.", key="k", at=march(4))
    store = dated._store
    past = store.past("default", store.versions("default", march(3))).added
    assert past.seq.tolist() == [1, 2]
    assert past.n_events.tolist() == [1, 0]
    begins = np.array(past.event_from, "datetime64[us]").astype("datetime64[Y]")
    assert begins.astype(str).tolist() == ["2020"]


def test_the_past_has_vectors_of_the_dimensions_asked_for(opened, letters):
    memory = opened(embedder=letters())
    memory.add("One.", key="k", at=march(2))
    memory.add("Two.", key="k", at=march(4))
    store = memory._store
    held = store.versions("default", march(3))
    (codes,) = store.past("default", held, dimensions=8).added.codes
    assert codes.any()
    assert store.past("default", held).added.codes.shape == (1, 0)


def test_numbers_that_are_gone_meanwhile_are_left_out(store, write):
    write(2, 4, 6)
    held = store.versions("default", march(3))
    store.forget([store.items([3])[0].id], "test")
    assert store.past("default", held).added.seq.size == 0


def test_any_number_of_versions_fits(store, write):
    write(2, 4)
    many = tuple(range(1_000, 200_000))  # SQLite takes statements of a million characters at most
    past = store.past("default", Versions((1, *many), (2, *many)))
    assert past.added.seq.tolist() == [1]
