"""Notes of named systems: kept, versioned, linked, and gone with what they were made from."""

import pytest

from memsieve.errors import NotFoundError
from memsieve.store.base import Note

REX, VET, RENT = "Ana has a dog called Rex.", "Rex has to see the vet.", "The rent is due."


@pytest.fixture
def memory(opened):
    one = opened(embedder="none")
    one.add([REX, VET, RENT])
    return one


@pytest.fixture
def store(memory):
    """The store below the memory, as systems are given it."""
    return memory._store


def seqs(memory):
    return [item.seq for item in memory.list()]


def note(unit, *sources, **body):
    return Note(unit, body, sources, "model-1")


def test_what_was_written_is_read_back(memory, store):
    rex, vet, _ = seqs(memory)
    written = [note("a", rex, tags=["dog"], weight=0.5), note("b", rex, vet, text="größer")]
    store.write_notes("default", "memgas", written)
    found = store.notes("default", "memgas")
    assert [(n.unit, dict(n.body), n.sources, n.author) for n in found] == [
        ("a", {"tags": ["dog"], "weight": 0.5}, (rex,), "model-1"),
        ("b", {"text": "größer"}, (rex, vet), "model-1"),
    ]
    assert all(n.made_at is not None for n in found)


def test_systems_and_namespaces_have_notes_of_their_own(memory, store):
    rex, *_ = seqs(memory)
    other = memory.get(memory.add("Another dog.", namespace="other")).seq
    store.write_notes("default", "memgas", [note("a", rex, n=1)])
    store.write_notes("default", "a-mem", [note("a", rex, n=2)])
    store.write_notes("other", "memgas", [note("a", other, n=3)])
    kept = [
        store.notes(place, system)[0].body["n"]
        for place, system in (("default", "memgas"), ("default", "a-mem"), ("other", "memgas"))
    ]
    assert kept == [1, 2, 3]
    assert store.notes("other", "a-mem") == store.notes("nowhere", "memgas") == []


def test_a_note_written_anew_replaces_the_old_one_which_is_kept(memory, store):
    rex, vet, _ = seqs(memory)
    for n, sources in enumerate([(rex,), (rex, vet)]):
        store.write_notes("default", "a-mem", [note("a", *sources, n=n)])
    (now,) = store.notes("default", "a-mem")
    assert (now.body["n"], now.sources) == (1, (rex, vet))
    assert [one.body["n"] for one in store.notes("default", "a-mem", "a")] == [0, 1]
    assert store.notes("default", "a-mem", "b") == []


def test_every_change_shows_in_the_state(memory, store):
    rex, *_ = seqs(memory)
    states = [store.notes_state("default", "a-mem")]
    for n in range(2):
        store.write_notes("default", "a-mem", [note("a", rex, n=n)])
        states.append(store.notes_state("default", "a-mem"))
    memory.forget(memory.list()[0].id)
    states.append(store.notes_state("default", "a-mem"))
    assert states[0] == (0, 0)
    assert len(set(states[:3])) == 3
    assert states[3] == (0, 0)


def test_a_source_that_is_not_there_is_refused_and_nothing_is_stored(memory, store):
    rex, vet, _ = seqs(memory)
    memory.forget(memory.list()[1].id)
    with pytest.raises(NotFoundError, match="a note about 'b' has a source that is not there"):
        store.write_notes("default", "a-mem", [note("a", rex), note("b", rex, vet)])
    assert store.notes("default", "a-mem") == []


def test_a_source_of_another_namespace_is_refused(memory, store):
    elsewhere = memory.get(memory.add("Another dog.", namespace="other")).seq
    with pytest.raises(NotFoundError):
        store.write_notes("default", "a-mem", [note("a", elsewhere)])


def test_forgetting_one_source_takes_the_note_along_and_leaves_no_byte(memory, store, files_hold):
    rex, vet, rent = seqs(memory)
    store.write_notes("default", "a-mem", [note("old", rex, text="quokka one")])
    store.write_notes(
        "default",
        "a-mem",
        [note("old", rex, vet, text="quokka two"), note("rent", rent, text="wombat")],
    )
    assert memory.forget(memory.list()[0].id).residue == 0
    assert [one.unit for one in store.notes("default", "a-mem")] == ["rent"]
    assert store.notes("default", "a-mem", "old") == []
    assert memory.check() == []
    memory.close()
    assert files_hold("wombat")
    assert not files_hold("quokka")


def test_links_are_kept_with_their_weights(memory, store):
    rex, vet, rent = seqs(memory)
    store.write_notes("default", "a-mem", [], [(vet, rex, 0.5), (rex, rent, 1.0), (rex, vet, 0.25)])
    store.write_notes("default", "a-mem", [], [(vet, rex, 0.75)])
    links = [(rex, vet, 0.25), (rex, rent, 1.0), (vet, rex, 0.75)]
    assert store.links("default", "a-mem") == links
    assert store.links("default", "memgas") == store.links("other", "a-mem") == []
    memory.forget(memory.list()[0].id)
    assert store.links("default", "a-mem") == []


def test_links_to_nothing_to_oneself_and_across_namespaces_are_left_out(memory, store):
    rex, *_ = seqs(memory)
    other = memory.get(memory.add("Another dog.", namespace="other")).seq
    links = [(rex, at, 1.0) for at in (rex, 999, other)]
    store.write_notes("default", "a-mem", [], links)
    assert store.links("default", "a-mem") == store.links("other", "a-mem") == []


def test_notes_survive_reopening(memory, store, opened):
    rex, *_ = seqs(memory)
    store.write_notes("default", "memgas", [note("a", rex, n=1)])
    memory.close()
    again = opened(system="memory-t1")
    assert again._store.notes("default", "memgas")[0].body == {"n": 1}
    assert again.notes() == []
