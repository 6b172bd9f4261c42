"""Lengths of time worked out by hand over the example conversations, and found by recalling."""

import csv
from datetime import datetime, timedelta
from pathlib import Path

import pytest

import memsieve
from memsieve.timeline import spell
from memsieve.types import Interval

HERE = Path(__file__).parent
CONVERSATIONS = HERE.parents[1] / "examples" / "conversations"
ASKED = "asked"
"""What the table has in the place of a turn where a length goes up to the clock."""

with (HERE / "arithmetic.tsv").open(encoding="utf-8", newline="") as _file:
    ROWS = list(csv.DictReader(_file, delimiter="\t", quoting=csv.QUOTE_NONE))


@pytest.fixture(scope="module")
def conversations(tmp_path_factory):
    """A memory of both example conversations, each a namespace of its own."""
    with memsieve.open(tmp_path_factory.mktemp("arithmetic") / "agent.db") as memory:
        memory.import_(CONVERSATIONS)
        yield memory


def told(cell):
    """A day, or some day of a stretch, as a working names it."""
    start, _, end = cell.partition("/")
    stretch = Interval(midnight(start), midnight(end)) if end else Interval.day_of(midnight(start))
    return f"some day of {spell(stretch)}" if end else spell(stretch)


def midnight(cell):
    return datetime.fromisoformat(f"{cell}T00:00Z")


def n_days(first, last):
    """The fewest and the most days from one cell to another."""
    (first, first_end), (last, last_end) = (
        (midnight(start), midnight(end or start) - timedelta(days=bool(end)))
        for start, _, end in (first.partition("/"), last.partition("/"))
    )
    return (last - first_end).days, (last_end - first).days


@pytest.mark.parametrize("row", ROWS, ids=[row["id"] for row in ROWS])
def test_a_length_between_two_events_is_worked_out_from_what_was_said(conversations, row):
    found = conversations.recall(row["question"], now=row["asked_at"], namespace=row["scope"], k=10)
    (line,) = found.computed
    assert line.count == int(row["answer_number"])
    fewest, most = n_days(row["first_date"], row["second_date"])
    if fewest != most:
        assert line.answer == f"{fewest} to {most} days"
    assert f"from {told(row['first_date'])} (" in line.working
    assert f" to {told(row['second_date'])}" in line.working
    evidence = {row["first_event_turn"], row["second_event_turn"]} - {ASKED}
    assert evidence <= {hit.item.key for hit in found}
    assert line.line in found.context()


def test_the_table_asks_for_every_unit_and_in_every_way():
    assert {row["answer_unit"] for row in ROWS} == {"days", "weeks", "months", "years"}
    for words in (" between ", " from ", " after ", " before ", " ago ", " since "):
        assert sum(words in row["question"] for row in ROWS) >= 4
    assert sum(row["second_event_turn"] == ASKED for row in ROWS) >= 10
