"""Which memory systems there are, by name: those of the library and those of installed packages.

A package brings its own with an entry point of the group `memsieve.systems`; a system need not be
registered to be used, `memsieve.open(path, system=MySystem())` takes any.
"""

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Any

from memsieve.errors import NotFoundError, ParameterError
from memsieve.stages import Card, Memsieve, System

GROUP = "memsieve.systems"

BUILT_IN: Mapping[str, str] = MappingProxyType(
    {
        "memsieve": "memsieve.stages:Memsieve",
        "memory-t1": "memsieve.systems.memory_t1_system:MemoryT1System",
        "memflow": "memsieve.systems.memflow:MemFlow",
        "a-mem": "memsieve.systems.a_mem:AMem",
        "memgas": "memsieve.systems.memgas:MemGAS",
    }
)
"""Name -> where its class is; loaded when it is asked for."""


def names() -> tuple[str, ...]:
    """Every registered system: those of the library, then those of other packages by name."""
    return (*BUILT_IN, *sorted(_elsewhere()))


def kind_of(name: str) -> type[System]:
    """The class of a registered system.

    Raises
    ------
    NotFoundError
        If none is registered under that name.
    ParameterError
        If an entry point does not lead to a system.
    """
    if where := BUILT_IN.get(name):
        module, _, attribute = where.partition(":")
        found: Any = getattr(import_module(module), attribute)
        return found
    elsewhere = _elsewhere()
    if name not in elsewhere:
        raise NotFoundError(f"no system is called {name!r}; there are: {', '.join(names())}")
    found = elsewhere[name].load()
    if not (isinstance(found, type) and issubclass(found, System)):
        raise ParameterError(
            f"the entry point {name!r} of {GROUP} must lead to a System, got {found!r}"
        )
    return found


def card(name: str) -> Card:
    """The card of a registered system."""
    return kind_of(name).CARD


def make(name: str, **options: Any) -> System:
    """A system by its name, with its own defaults.

    Raises
    ------
    NotFoundError, ParameterError
        As `kind_of`, and for options that it does not take.
    """
    kind = kind_of(name)
    if kind is Memsieve and not options:
        from memsieve.score.policy import load

        options = {"scorer": load("default")}
    try:
        return kind(**options)
    except TypeError as error:
        raise ParameterError(f"the system {name!r} cannot be made so: {error}") from error


def _elsewhere() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP) if point.name not in BUILT_IN}
