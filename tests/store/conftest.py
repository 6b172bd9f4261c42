"""Stores with records made by the real analyst without vectors and times; a small reader."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from memsieve.embed import NoEmbedder
from memsieve.intake import Analyst, as_message
from memsieve.store import SQLite
from memsieve.timeline import Interval, Mention, NoTimeline

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture
def analyst():
    """Words and token counts, no vectors, no times."""
    return Analyst(NoEmbedder(), NoTimeline())


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
        records = analyst.records(messages, at)
        return store.insert(namespace, records, actor="test", embedder="none", timeline="none")

    return write


@pytest.fixture
def check(analyst):
    """What `check` finds in a store, as (what, where, fixed)."""

    def run(store, *, fix=False):
        found = store.check(analyst, embedder="none", timeline="none", fix=fix)
        return [(one.what, one.where, one.fixed) for one in found]

    return run


@dataclass(frozen=True)
class Words:
    """A reader that knows "yesterday", years, and "since" or "before" in front of a year."""

    identity: str = "words"

    def mentions(self, text, clock, *, looks_back=False):
        found = []
        for one in re.finditer(r"yesterday|(since |before )?\b((?:19|20)\d\d)\b", text):
            if one[2] is None:
                today = clock.replace(hour=0, minute=0, second=0, microsecond=0)
                day = Interval(today - timedelta(days=1), today)
                found.append(Mention(*one.span(), day, is_relative=True))
                continue
            begin = datetime(int(one[2]), 1, 1, tzinfo=clock.tzinfo)
            year = Interval(
                None if one[1] == "before " else begin,
                {"before ": begin, "since ": None}.get(one[1], begin.replace(year=begin.year + 1)),
                "year",
            )
            found.append(Mention(*one.span(), year, 0.5))
        return tuple(found)


@pytest.fixture
def words():
    """The class of small readers of time."""
    return Words


@pytest.fixture
def dated(opened, words):
    """A new memory at `database` that reads times with `Words`, without an embedder."""
    return opened(embedder="none", timeline=words())
