"""Systems by name: those of the library, those of other packages, and what is none."""

from importlib.metadata import EntryPoint

import numpy as np
import pytest

import memsieve
from memsieve import registry
from memsieve.errors import NotFoundError, ParameterError
from memsieve.score import Features, StandardisedSum
from memsieve.stages import Card, Memsieve, System


class Longest(System):
    """Recalls the longest turns, whatever was asked."""

    CARD = Card("longest", "none", "a turn", "every turn", "length", "top k", "nothing", "nothing")

    def __init__(self, sign=1.0):
        self.sign = sign

    def features(self, reading, found):
        return Features(("length",), self.sign * reading.block.tokens[found.docs][:, None])


@pytest.fixture
def elsewhere(monkeypatch):
    """Makes entry points of other packages: name -> what it leads to."""

    def install(**points):
        group = registry.GROUP
        found = [EntryPoint(name, f"{__name__}:{at}", group) for name, at in points.items()]
        monkeypatch.setattr(registry, "entry_points", lambda group: found)

    return install


def test_memsieve_comes_first_and_every_name_is_its_card():
    assert registry.names()[0] == "memsieve"
    assert [registry.card(name).name for name in registry.names()] == list(registry.names())
    assert isinstance(registry.make("memsieve"), Memsieve)


def test_an_unregistered_system_is_used_as_it_is(tmp_path):
    with memsieve.open(tmp_path / "memory.db", system=Longest(), embedder="none") as memory:
        memory.add(["A dog.", "A dog that is called Rex.", "A dog and two cats."])
        found = memory.recall("dog", k=2)
        assert [hit.item.text for hit in found] == [
            "A dog that is called Rex.",
            "A dog and two cats.",
        ]
        assert found[0].why == {"length": float(found[0].item.tokens)}
        assert (memory.system.name, memory.policy, memory.scorer) == ("longest", "longest", None)
        assert memory.weigh("dog").features.names == ("length",)
        row = memory._recaller.recalled(found.id)
        assert np.array_equal(row.values[:, 0], row.scores)


def test_a_package_brings_its_own(elsewhere, tmp_path):
    elsewhere(longest="Longest", memsieve="Longest")
    assert registry.names()[-1] == "longest"
    assert registry.kind_of("memsieve") is Memsieve  # nobody takes the place of a built-in one
    with memsieve.open(tmp_path / "memory.db", system="longest") as memory:
        assert memory.system.name == "longest"


def test_an_entry_point_that_leads_to_no_system_is_refused(elsewhere):
    elsewhere(odd="np", other="Features")
    for name in ("odd", "other"):
        with pytest.raises(ParameterError, match=f"the entry point {name!r} .* must lead to a Sy"):
            registry.make(name)


def test_what_is_not_registered_is_named_with_what_is():
    with pytest.raises(NotFoundError, match="no system is called 'mem0'; there are: memsieve, "):
        registry.card("mem0")


def test_options_go_to_the_system_and_unknown_ones_are_refused(elsewhere):
    elsewhere(longest="Longest")
    assert registry.make("longest", sign=-1.0).sign == -1.0
    with pytest.raises(ParameterError, match=r"the system 'longest' cannot be made so: .*colour"):
        registry.make("longest", colour="red")


@pytest.mark.parametrize("more", [{"policy": "equal"}, {"scorer": StandardisedSum()}])
def test_a_system_and_a_policy_are_one_too_many(tmp_path, more):
    with pytest.raises(ParameterError, match="give a policy, a scorer or a system, not two"):
        memsieve.open(tmp_path / "memory.db", system="memory-t1", **more)


def test_memsieve_by_name_goes_by_the_policy_that_the_file_has_adopted(tmp_path):
    from memsieve.score.policy import load

    with memsieve.open(tmp_path / "memory.db") as memory:
        memory.adopt(load("equal"))
        assert memory.policy == "equal"
    with memsieve.open(tmp_path / "memory.db", system="memsieve") as memory:
        assert memory.policy == "equal"
    with memsieve.open(tmp_path / "memory.db", system=Longest()) as memory:
        memory.adopt(load("default"))
        assert memory.policy == "longest"  # a file's policy is none of another system's
    with memsieve.open(tmp_path / "memory.db") as memory:
        assert memory.policy == "default"
