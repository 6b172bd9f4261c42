"""Reading: filters, pages, order, counts, history, jobs."""

import threading
from datetime import UTC, datetime, timedelta

import pytest

from memsieve.errors import ParameterError
from memsieve.store.base import Job

DAY = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.fixture
def talk(store, insert):
    """Eight items on eight days: odd ones by Ana, even ones by Ben, two sessions."""
    for n in range(8):
        insert(
            store,
            {
                "text": f"Line {n}.", "speaker": "Ana" if n % 2 else "Ben", "key": f"k{n}",
                "role": "user" if n % 2 else "assistant", "session": "first" if n < 4 else "second",
                "kind": "note" if n == 3 else "turn", "source": "tool" if n == 5 else "user",
                "metadata": {"n": n, "half": n < 4, "share": n / 2, "name": f"n{n}"},
            },
            at=DAY + timedelta(days=n),
        )  # fmt: skip
    return store


def numbers(found):
    """The numbers of the lines found, as a string."""
    return "".join(item.text[5] for item in found)


def test_items_come_in_the_order_they_were_written_or_in_reverse(talk, check):
    assert numbers(talk.walk("default")) == "01234567"
    assert numbers(talk.walk("default", newest_first=True)) == "76543210"
    assert check(talk) == []


@pytest.mark.parametrize("page", [1, 3, 8, 9])
def test_pages_of_any_size_join_without_gap_or_repeat(talk, page):
    assert numbers(talk.walk("default", page=page)) == "01234567"
    assert numbers(talk.walk("default", page=page, newest_first=True)) == "76543210"


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({"speaker": "Ana"}, "1357"),
        ({"role": "assistant"}, "0246"),
        ({"session": "second"}, "4567"),
        ({"kind": "note"}, "3"),
        ({"source": "tool"}, "5"),
        ({"key": "k6"}, "6"),
        ({"speaker": "Ana", "session": "second"}, "57"),
        ({"speaker": "Carla"}, ""),
    ],
)
def test_columns_filter(talk, where, expected):
    assert numbers(talk.walk("default", where=where)) == expected


def test_a_column_that_is_no_filter_is_refused(talk):
    with pytest.raises(ParameterError, match="items cannot be filtered by 'text; DROP TABLE item'"):
        list(talk.walk("default", where={"text; DROP TABLE item": "x"}))


def test_times_bound_what_was_said_the_end_excluded(talk):
    assert numbers(talk.walk("default", since=DAY + timedelta(days=6))) == "67"
    assert numbers(talk.walk("default", until=DAY + timedelta(days=2))) == "01"
    inside = {"since": DAY + timedelta(days=2), "until": DAY + timedelta(days=4)}
    assert numbers(talk.walk("default", **inside)) == "23"


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"n": 3}, "3"),
        ({"name": "n4"}, "4"),
        ({"half": True}, "0123"),
        ({"share": 2.5}, "5"),
        ({"half": False, "n": 7}, "7"),
        ({"absent": None}, "01234567"),
        ({"n": None}, ""),
        ({"n": "3"}, ""),
        ({"$.n": 3}, ""),
    ],
)
def test_metadata_filters_by_top_level_values(talk, metadata, expected):
    assert numbers(talk.walk("default", metadata=metadata)) == expected
    assert len(talk.seqs("default", metadata=metadata)) == len(expected)


@pytest.mark.parametrize("key", ['a"b', "a.b", "$", "", "ключ", "a\\b", "[0]"])
def test_metadata_filters_by_keys_that_json_paths_cannot_spell(store, insert, key):
    insert(store, {"text": "Line 0.", "metadata": {key: "x"}}, "Line 1.")
    assert numbers(store.walk("default", metadata={key: "x"})) == "0"
    assert numbers(store.walk("default", metadata={key: None})) == "1"


def test_metadata_that_is_null_passes_as_missing(store, insert):
    insert(store, {"text": "Line 0.", "metadata": {"a": None}}, {"text": "Line 1.", "metadata": {}})
    assert numbers(store.walk("default", metadata={"a": None})) == "01"


@pytest.mark.parametrize("metadata", [{"a": [1]}, {"a": {"b": 1}}, {5: "a"}, "a", [("a", 1)]])
def test_metadata_that_no_filter_can_compare_is_refused(talk, metadata):
    with pytest.raises(ParameterError, match="metadata"):
        list(talk.walk("default", metadata=metadata))


def test_a_number_beyond_64_bits_is_refused_and_not_an_internal_error(talk):
    with pytest.raises(ParameterError, match="64 bits"):
        list(talk.walk("default", metadata={"n": 2**70}))


def test_superseded_items_are_walked_only_on_request(talk, insert):
    insert(talk, {"text": "Line 3!", "key": "k3"})
    assert numbers(talk.walk("default")) == "01245673"
    assert numbers(talk.walk("default", with_invalid=True)) == "012345673"
    assert talk.seqs("default", metadata={"n": 3}) == []


def test_a_walk_goes_on_while_others_write_and_forget(talk, insert, check):
    walk = talk.walk("default", page=2)
    seen = [next(walk).text for _ in range(3)]
    talk.forget([item.id for item in talk.walk("default", where={"key": "k5"})], "test")
    insert(talk, "Line 8.")
    seen += [item.text for item in walk]
    assert seen == [f"Line {n}." for n in (0, 1, 2, 3, 4, 6, 7, 8)]
    assert check(talk) == []


def test_items_come_in_the_order_asked_without_those_that_are_gone(talk):
    ids = [item.id for item in talk.walk("default")]
    asked = [ids[5], "unknown", ids[0]]
    assert numbers(talk.get(asked)) == "50"
    seqs = [item.seq for item in talk.get(ids)]
    assert numbers(talk.items([seqs[7], 10**6, seqs[2]])) == "72"
    assert numbers(talk.items(seqs * 300)) == "01234567" * 300


def test_living_keys_are_found_beyond_the_limit_of_bound_variables(talk, insert):
    insert(talk, {"text": "Line 3!", "key": "k3"})
    found = talk.find_key("default", [f"k{n}" for n in range(2000)])
    assert sorted(found) == [f"k{n}" for n in range(8)]
    assert talk.get([found["k3"]])[0].text == "Line 3!"
    assert talk.find_key("nobody", ["k3"]) == {}


def test_counts_name_items_sessions_tokens_and_superseded_per_namespace(talk, insert):
    insert(talk, {"text": "Line 3!", "key": "k3"})
    insert(talk, "Elsewhere.", namespace="other")
    tokens = sum(item.tokens for item in talk.walk("default"))
    assert talk.counts()["default"] == {
        "items": 8, "sessions": 2, "tokens": tokens, "superseded": 1,
    }  # fmt: skip
    assert talk.counts()["other"]["items"] == 1
    talk.forget([item.id for item in talk.walk("other")], "test")
    assert talk.counts()["other"] == dict.fromkeys(("items", "sessions", "tokens", "superseded"), 0)


def test_history_tells_of_every_version_oldest_first(store, insert, check):
    (old,) = insert(store, {"text": "Old.", "key": "k"})
    (new,) = insert(store, {"text": "New.", "key": "k"})
    told = [(event.operation, event.ids, event.actor) for event in store.history(new)]
    assert told == [
        ("add", (old,), "test"),
        ("supersede", (old,), "test"),
        ("add", (new,), "test"),
    ]
    assert store.history(new)[1].detail == {"by": new}
    assert [event.operation for event in store.history(old)] == ["add", "supersede"]
    assert check(store) == []


def test_history_outlives_the_item(store, insert):
    (id_,) = insert(store, "Soon gone.")
    before = datetime.now(UTC)
    store.forget([id_], "someone")
    added, forgotten = store.history(id_)
    assert (forgotten.operation, forgotten.actor, forgotten.ids) == ("forget", "someone", (id_,))
    assert added.at <= before <= forgotten.at <= datetime.now(UTC)
    assert store.history("unknown") == []


def test_history_of_one_item_of_a_batch_is_not_that_of_its_neighbours(store, insert):
    ids = insert(store, "One.", "Two.", "Three.")
    store.forget([ids[1]], "test")
    assert [event.operation for event in store.history(ids[0])] == ["add"]
    assert [event.operation for event in store.history(ids[1])] == ["add", "forget"]


def test_a_job_is_remembered_by_kind_and_key(store, open_store, check):
    assert store.job("import", "a") is None
    store.save_job(Job("import", "a", "running", 3, 10, None))
    store.save_job(Job("import", "b", "failed", 0, None, "no disk"))
    store.save_job(Job("import", "a", "done", 10, 10, None))
    other = open_store()
    assert other.job("import", "a") == Job("import", "a", "done", 10, 10, None)
    assert other.job("import", "b") == Job("import", "b", "failed", 0, None, "no disk")
    assert other.job("enrich", "a") is None
    assert check(store) == []


def test_one_store_reads_from_many_threads_at_once(talk):
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(numbers(talk.walk("default", page=1))))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == ["01234567"] * 8
