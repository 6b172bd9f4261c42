"""A scripted system and a small data set whose every figure is worked out in the tests."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from memsieve.evaluate.report import Packed, Ranking
from memsieve.evaluate.scopes import Dataset, Question, Scope, Skipped
from memsieve.types import Message

LAST_TURN = datetime(2026, 3, 2, 10, 9, tzinfo=UTC)
SHARED_DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


class Scripted:
    """Answers from tables: question -> ranking, (question, budget) -> packed. Nothing else."""

    policy = "script"
    embedder = "none"

    def __init__(self, rankings, packs=None, name="scripted"):
        self.name = name
        self.rankings, self.packs = rankings, packs or {}
        self.loaded, self.asked, self.closed = [], [], False

    def load(self, scope):
        self.loaded.append(scope)

    def rank(self, question, now, k):
        self.asked.append((question, now, k))
        return self.rankings.get(question, Ranking((), ()))

    def pack(self, question, now, budget_tokens):
        return self.packs.get((question, budget_tokens), Packed((), 0))

    def close(self):
        self.closed = True


class Sized(Scripted):
    """Scripted, with files of 1,000 bytes a message."""

    def db_bytes(self):
        return 1000 * len(self.loaded[-1].messages)


def scope(name, n_turns, questions):
    """Turns t0, t1, ... one minute apart, five to a session s0, s1, ...; the last at LAST_TURN."""
    turns = tuple(
        Message(
            f"{name} {i}",
            key=f"t{i}",
            session=f"s{i // 5}",
            at=LAST_TURN.replace(minute=9 - (n_turns - 1 - i)),
        )
        for i in range(n_turns)
    )
    return Scope(name, turns, questions)


@pytest.fixture
def scripted():
    """The class `Scripted`: fixtures are how tests of several files share it."""
    return Scripted


@pytest.fixture
def sized():
    """The class `Sized`."""
    return Sized


@pytest.fixture
def dataset():
    """Two scopes of ten turns, three questions in two categories, one question left out."""
    lisbon = Question("Where does Ana live?", ("t3",), "fact")
    both = Question("What did Ana paint?", ("t0", "t9"), "list")
    when = Question(
        "When did Ben move?", ("t5",), "fact", asked_at=datetime(2026, 5, 1, tzinfo=UTC)
    )
    return Dataset(
        "conversations",
        (scope("ana", 10, (lisbon, both)), scope("ben", 10, (when,))),
        (Skipped("ben", "Who is Cleo?", "no evidence"),),
    )


@pytest.fixture
def rankings():
    """Lisbon first; of what Ana painted one turn second and the other never; Ben's move third."""
    return {
        "Where does Ana live?": Ranking(("t3", "t1"), ("s0", "s1")),
        "What did Ana paint?": Ranking(("t4", "t9"), ("s1", "s0")),
        "When did Ben move?": Ranking(("t0", "t1", "t5"), ("s0",)),
    }


@pytest.fixture
def packs():
    """Lisbon in 200 tokens of either context; half the paintings, then all; Ben's move never."""
    return {
        ("Where does Ana live?", 250): Packed(("t3",), 200),
        ("Where does Ana live?", 1000): Packed(("t3", "t1"), 900),
        ("What did Ana paint?", 250): Packed(("t9",), 250),
        ("What did Ana paint?", 1000): Packed(("t9", "t0"), 600),
        ("When did Ben move?", 1000): Packed(("t1",), 300),
    }


@pytest.fixture
def shared_data():
    """The real data beside the repository; the test is skipped where they are not."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the real data sets (../shared/data) are not here")
    return SHARED_DATA
