"""Searching bytes for pieces of texts, and reading files without losing SQLite's locks."""

import numpy as np
import pytest

from memsieve.store.raw import CHUNK_BYTES, RAW_FILES, RawFiles
from memsieve.store.residue import PROBE_BYTES, Search, probes

FORGET_THEN_WRITE = """
import os, sys, memsieve
memory = memsieve.open(sys.argv[1])
memory.forget(memory.add("A thing that goes at once."))
print("forgotten", flush=True)
sys.stdin.readline()
memory.add("Written after the other process had closed.")
print("written", flush=True)
os._exit(0)  # as if killed: nothing is moved out of the log
"""


def test_probes_are_beginning_middle_and_end_of_a_text():
    text = "".join(f"{n:04}" for n in range(100))
    assert probes([text]) == [text[:32].encode(), text[184:216].encode(), text[-32:].encode()]


def test_a_short_text_is_its_own_probe_and_a_tiny_one_has_none():
    assert probes(["Hello there."]) == [b"Hello there."]
    assert probes(["Hello.."]) == []
    assert probes(["Hello..."]) == [b"Hello..."]
    assert probes(["über uns"]) == ["über uns".encode()]


def test_probes_of_equal_texts_are_looked_for_once():
    assert len(probes(["The same thing."] * 5)) == 1


@pytest.mark.parametrize("n_wanted", [1, 5, 500])
def test_a_search_finds_what_occurs_anywhere_and_nothing_else(n_wanted):
    random = np.random.default_rng(7)
    data = random.integers(32, 127, 200_000, dtype=np.uint8).tobytes()
    starts = random.integers(0, len(data) - PROBE_BYTES, n_wanted).tolist()
    there = [data[at : at + 8 + at % 25] for at in starts] + [data[:32], data[-32:], data[-8:]]
    absent = [bytes(random.integers(128, 256, 20, dtype=np.uint8)) for _ in range(n_wanted)]
    # Same first eight bytes as something that is there, another end.
    absent += [piece[:8] + b"\xff\xff" for piece in there]
    search = Search([*there, *absent])
    search.feed(data)
    assert search.found == set(there)


def test_a_search_of_many_pieces_agrees_with_one_by_one_on_repetitive_data():
    data = b"abcabcabcabcabc-" * 50 + b"tail end of it"
    wanted = [data[at : at + 12] for at in range(40)] + [b"abcabcabd", b"tail end of it!"]
    search = Search(wanted)
    search.feed(data)
    assert search.found == {piece for piece in wanted if piece in data}


@pytest.mark.parametrize("length", [0, 1, 7, 8, 9])
def test_a_search_of_many_pieces_takes_tiny_data(length):
    search = Search([f"{n:08}".encode() for n in range(100)])
    search.feed(b"00000042x"[:length])
    assert search.found == ({b"00000042"} if length >= 8 else set())


@pytest.mark.parametrize("size", [0, 1, 31, 32, 33, 1000])
def test_chunks_give_every_byte_of_a_file(write_file, size):
    path = write_file("some.bytes", bytes(n % 251 for n in range(size)))
    files = RawFiles()
    key = files.hold(path)
    assert b"".join(files.chunks(key, path, overlap=31)) == path.read_bytes()
    files.release(key)


def test_a_piece_across_two_chunks_is_found(write_file):
    piece = b"half here, half over there...."
    path = write_file("some.bytes", bytes(CHUNK_BYTES - 15) + piece + bytes(100))
    files = RawFiles()
    key = files.hold(path)
    search = Search([piece])
    for chunk in files.chunks(key, path, overlap=PROBE_BYTES - 1):
        search.feed(chunk)
    assert search.found == {piece}
    files.release(key)


def test_a_descriptor_is_closed_with_the_last_user_of_the_file(write_file):
    path = write_file("some.bytes", b"abc")
    files = RawFiles()
    first, second = files.hold(path), files.hold(path)
    assert first == second
    list(files.chunks(first, path, overlap=0))
    (file,) = files._files.values()
    files.release(first)
    assert not file.closed
    files.release(second)
    assert file.closed


def test_a_write_after_a_forget_survives_another_process_that_came_and_went(
    database, opened, process, elsewhere
):
    # Had the search of the file cost the first process its locks, the second would have deleted
    # the write-ahead log on closing, and the first would have written into a deleted file.
    first = process(FORGET_THEN_WRITE, database)
    assert first.stdout.readline() == "forgotten\n"
    elsewhere("import sys, memsieve\nwith memsieve.open(sys.argv[1]) as m: m.add('x')", database)
    out, error = first.communicate("go\n", timeout=60)
    assert out == "written\n", error
    memory = opened()
    assert [item.text for item in memory.list()] == [
        "x", "Written after the other process had closed.",
    ]  # fmt: skip
    assert memory.check() == []


def test_opening_a_file_twice_in_a_process_keeps_the_locks_of_the_first(
    database, opened, process, elsewhere
):
    code = FORGET_THEN_WRITE.replace(
        'memory.forget(memory.add("A thing that goes at once."))',
        "memsieve.open(sys.argv[1]).close()",
    )
    first = process(code, database)
    assert first.stdout.readline() == "forgotten\n"
    elsewhere("import sys, memsieve\nwith memsieve.open(sys.argv[1]) as m: m.add('x')", database)
    out, error = first.communicate("go\n", timeout=60)
    assert out == "written\n", error
    assert len(opened().list()) == 2


def test_no_file_stays_registered_after_its_memories_are_closed(opened):
    memory = opened()
    memory.forget(memory.add("A thing that goes at once."))
    held = memory._store._held
    assert held in RAW_FILES._users
    memory.close()
    assert held not in RAW_FILES._users
    assert held not in RAW_FILES._files
