"""Where items live: one SQLite file by default."""

from memsieve.store.base import Changes, Columns, Event, Finding, IndexRow, Job, Record, Store
from memsieve.store.sqlite import SQLite

__all__ = [
    "Changes",
    "Columns",
    "Event",
    "Finding",
    "IndexRow",
    "Job",
    "Record",
    "SQLite",
    "Store",
]
