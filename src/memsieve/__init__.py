"""Selective memory for AI: what to keep, what to recall and what to forget, under a budget.

>>> import memsieve
>>> memory = memsieve.open(path)
>>> _ = memory.add("I moved to Lisbon last spring.", speaker="Ana", at="2026-03-02", session="s1")
>>> print(memory.recall("Where does Ana live, and since when?", budget_tokens=800).context())
Monday 2 March 2026
Ana: I moved to Lisbon last spring [spring 2025].
"""

from typing import TYPE_CHECKING, Any

from memsieve.errors import (
    DateError,
    EmbedderMismatchError,
    EndpointError,
    FormatError,
    InputError,
    MemsieveError,
    MissingExtraError,
    NotAStoreError,
    NotFoundError,
    ParameterError,
    SchemaError,
    StoreAccessError,
    StoreBusyError,
    StoreError,
)
from memsieve.types import Hit, Interval, Item, Message, Receipt, SessionHit
from memsieve.version import __version__

if TYPE_CHECKING:
    from memsieve.memory import Memory, open
    from memsieve.recollection import Recollection

# Loaded on first use: they bring NumPy, which a program that only asks for the version or for
# an exception does not need.
_LATER = {
    "Memory": "memsieve.memory",
    "Recollection": "memsieve.recollection",
    "open": "memsieve.memory",
}

__all__ = [
    "DateError",
    "EmbedderMismatchError",
    "EndpointError",
    "FormatError",
    "Hit",
    "InputError",
    "Interval",
    "Item",
    "Memory",
    "MemsieveError",
    "Message",
    "MissingExtraError",
    "NotAStoreError",
    "NotFoundError",
    "ParameterError",
    "Receipt",
    "Recollection",
    "SchemaError",
    "SessionHit",
    "StoreAccessError",
    "StoreBusyError",
    "StoreError",
    "__version__",
    "open",
]


def __getattr__(name: str) -> Any:
    if name in _LATER:
        from importlib import import_module

        return getattr(import_module(_LATER[name]), name)
    raise AttributeError(f"module 'memsieve' has no attribute {name!r}")
