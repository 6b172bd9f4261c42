"""English expressions of time against intervals worked out by hand.

`expressions.tsv` was used while the grammar was written; the third in `expressions_aside.tsv` was
put aside before and looked at by nobody until the grammar was finished. Both tables were written
from `docs/time.md` alone.
"""

import re
from collections import Counter
from datetime import UTC, datetime

import pytest
from tests.timeline.conftest import rows_of, written

DURATIONS = {"duration", "frequency", "clock"}


def expected(row):
    """The likeliest readings of a row."""
    parts = [part.split("|")[0].strip() for part in row["expected"].split(";")]
    return [re.sub("T00:00", "", part) for part in parts if part]


def readings(reader, row):
    clock = datetime.fromisoformat(row["clock"]).replace(tzinfo=UTC)
    found = []
    for one in reader.expressions(row["text"], clock):
        if one.readings:
            interval = one.readings[0][0]
            found.append(f"{written(interval.start)}/{written(interval.end)}")
        elif one.kind == "session":
            found.append(f"session:{one.session}")
    return found


@pytest.mark.parametrize("row", rows_of("expressions.tsv"), ids=lambda row: row["id"])
def test_an_expression_means_what_was_worked_out_by_hand(english, row):
    assert readings(english, row) == expected(row)


def test_at_least_95_of_100_expressions_put_aside_are_right(english):
    rows = rows_of("expressions_aside.tsv")
    wrong = [row["id"] for row in rows if readings(english, row) != expected(row)]
    assert len(rows) >= 230
    assert len(wrong) <= 0.05 * len(rows), wrong


def test_other_readings_of_a_row_are_returned_too(english):
    rows = [
        r
        for r in rows_of("expressions.tsv")
        if r["expected"].count("|") == 1 and ";" not in r["expected"]
    ]
    assert len(rows) > 20
    missing = []
    for row in rows:
        clock = datetime.fromisoformat(row["clock"]).replace(tzinfo=UTC)
        found = {
            f"{written(interval.start)}/{written(interval.end)}"
            for one in english.expressions(row["text"], clock)
            for interval, _ in one.readings
        }
        if not {part.strip().replace("T00:00", "") for part in row["expected"].split("|")} <= found:
            missing.append(row["id"])
    assert len(missing) <= 0.1 * len(rows), missing


def test_the_tables_hold_three_styles_and_texts_without_times():
    rows = rows_of("expressions.tsv") + rows_of("expressions_aside.tsv")
    styles = Counter(row["style"] for row in rows)
    assert len(rows) >= 400
    assert min(styles[style] for style in ("plain", "chatty", "terse")) >= 150
    assert sum(not row["expected"] for row in rows) >= 90
    assert len({row["text"] for row in rows}) == len(rows)
