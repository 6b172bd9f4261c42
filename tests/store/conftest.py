"""Stores with records made by the real analyst, without vectors."""

from datetime import UTC, datetime

import pytest

from memsieve.embed import NoEmbedder
from memsieve.intake import Analyst, as_message
from memsieve.store import SQLite

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture
def analyst():
    """Words and token counts, no vectors."""
    return Analyst(NoEmbedder())


@pytest.fixture
def open_store(database):
    """Opens stores, by default at `database`, and closes them after the test."""
    stores = []

    def open_one(path=database, **options):
        stores.append(SQLite(path, **options))
        return stores[-1]

    yield open_one
    for one in stores:
        one.close()


@pytest.fixture
def store(open_store):
    """A new store at `database`."""
    return open_store()


@pytest.fixture
def insert(analyst):
    """Inserts texts or mappings into a store and gives their ids."""

    def write(store, *given, namespace="default", at=NOON):
        messages = [as_message(one) for one in given]
        return store.insert(namespace, analyst.records(messages, at), actor="test", embedder="none")

    return write


@pytest.fixture
def check(analyst):
    """What `check` finds in a store, as (what, where, fixed)."""

    def run(store, *, fix=False):
        found = store.check(analyst.index, "none", fix=fix)
        return [(one.what, one.where, one.fixed) for one in found]

    return run
