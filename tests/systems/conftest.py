"""Memories to try systems on: a small file with two namespaces, and how to open one."""

import pytest

import memsieve
from memsieve import registry

TALK = [
    ("s1", "2024-04-02T09:00Z", "Ana", "I adopted a dog, his name is Rex."),
    ("s1", "2024-04-02T09:01Z", "Tom", "What breed is he?"),
    ("s1", "2024-04-02T09:02Z", "Ana", "A beagle, and he eats everything."),
    ("s2", "2024-05-21T18:00Z", "Tom", "I moved to Lisbon last week."),
    ("s2", "2024-05-21T18:01Z", "Ana", "Lisbon! Do you like the food there?"),
    ("s2", "2024-05-21T18:02Z", "Tom", "The custard tarts are the best in the world."),
    ("s3", "2024-06-11T12:00Z", "Ana", "Rex has to see the vet on Friday."),
    ("s3", "2024-06-11T12:01Z", "Tom", "Poor Rex, I hope that he gets well."),
    (None, "2024-07-01T08:00Z", "Ana", "Remember that the rent is due on the third."),
]  # fmt: skip


@pytest.fixture
def talk():
    """The talk as mappings for `add`."""
    return [
        {"session": session, "at": at, "speaker": speaker, "text": text}
        for session, at, speaker, text in TALK
    ]


@pytest.fixture(params=registry.names())
def name(request):
    """Every registered system."""
    return request.param


@pytest.fixture
def opened(tmp_path, name):
    """Opens the same file with the system; further keywords go to `memsieve.open`."""
    memories = []

    def open_(**options):
        memories.append(memsieve.open(tmp_path / "memory.db", system=name, **options))
        return memories[-1]

    yield open_
    for memory in memories:
        memory.close()


@pytest.fixture
def memory(opened, talk):
    """A memory with the talk, under the system."""
    memory = opened()
    memory.add(talk)
    return memory
