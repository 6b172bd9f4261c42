"""Clocks, readers, and intervals written as the tables write them."""

import csv
from datetime import UTC, datetime
from pathlib import Path

import pytest

from memsieve.timeline import from_spec

HERE = Path(__file__).parent


def written(moment):
    """A bound as the tables write it: a date at midnight, else a minute, '..' if unknown."""
    if moment is None:
        return ".."
    return (
        f"{moment:%Y-%m-%d}"
        if (moment.hour, moment.minute) == (0, 0)
        else f"{moment:%Y-%m-%dT%H:%M}"
    )


def rows_of(name):
    """The rows of a table of tests beside this file."""
    with (HERE / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


@pytest.fixture(scope="session")
def english():
    return from_spec("english")


@pytest.fixture(scope="session")
def read(english):
    """What a text says of time at a clock, as 'start/end' for each time and 'kind' for the rest."""

    def read_one(text, at="2023-05-10T13:56", reader=english, zone=UTC):
        clock = datetime.fromisoformat(at).replace(tzinfo=zone)
        found = []
        for one in reader.expressions(text, clock):
            if one.readings:
                interval = one.readings[0][0]
                found.append(f"{written(interval.start)}/{written(interval.end)}")
            else:
                found.append(f"session:{one.session}" if one.kind == "session" else one.kind)
        return found

    return read_one
