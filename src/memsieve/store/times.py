"""Times of items in the tables: read with their item, looked for by interval, read anew."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from memsieve.store.base import TimeRow
from memsieve.store.rows import MENTIONS, Run, cells_of, mention_rows, micros, on_clock, zone_of
from memsieve.store.writing import insert_mentions
from memsieve.types import Interval

_DAY = 86_400_000_000  # microseconds
_MINUTE = 60_000_000
_NEVER = 1 << 62
"""Farther from 1970 than any datetime, with room for arithmetic in 64 bits."""

# The cross join makes the loop over the index on begins the outer one, whatever the planner
# thinks. A text without mentions stands for the day it was said: bounded on both sides. Times
# that are unread have neither, and no precision: these stand for that day from its midnight on.
DURING = """
SELECT i.seq FROM item_time t CROSS JOIN item i ON i.seq = t.item
WHERE t.begins < :end AND coalesce(t.ends > :begin, 1) AND i.namespace = :namespace
UNION SELECT i.seq FROM item_time t CROSS JOIN item i ON i.seq = t.item
WHERE t.begins IS NULL AND coalesce(t.ends > :begin, 1) AND i.namespace = :namespace
UNION SELECT i.seq FROM item i
WHERE i.namespace = :namespace AND i.happened_from > :begin - :day AND i.happened_from < :end
AND NOT EXISTS (SELECT 1 FROM item_time t WHERE t.item = i.seq)
UNION SELECT i.seq FROM item i
WHERE i.namespace = :namespace AND i.happened_from IS NULL AND i.happened_precision IS NULL
AND i.said_at - ((i.said_at + coalesce(i.offset_minutes, 0) * :minute) % :day + :day) % :day
BETWEEN :begin - :day + 1 AND :end - 1
ORDER BY 1
"""


def during(run: Run, namespace: int, interval: Interval) -> list[int]:
    """The `seq` of every item that mentions a time inside, or was said then and mentions none."""
    begin = -_NEVER if interval.start is None else micros(interval.start)
    end = _NEVER if interval.end is None else micros(interval.end)
    values = {
        "namespace": namespace,
        "begin": begin,
        "end": end,
        "day": _DAY,
        "minute": _MINUTE,
    }
    return [row[0] for row in run(DURING, values)]


def mentions_of(run: Run, seqs: Sequence[int]) -> dict[int, list[tuple[Any, ...]]]:
    """The rows of `MENTIONS` of each item that has any, in the order of its text."""
    found: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
    marks = ",".join("?" * len(seqs))
    for row in run(f"{MENTIONS} WHERE item IN ({marks}) ORDER BY item, n", seqs):
        found[row[0]].append(row)
    return found


def forget_times(run: Run) -> None:
    """Make the times of every item unread."""
    run("DELETE FROM item_time")
    run(
        "UPDATE item SET happened_from = NULL, happened_to = NULL, happened_precision = NULL"
        " WHERE happened_precision NOTNULL"
    )
    run("UPDATE item_index SET dated_tokens = NULL WHERE dated_tokens NOTNULL")


def count_unread(run: Run) -> int:
    """How many items have unread times."""
    return int(run("SELECT count(*) FROM item_index WHERE dated_tokens IS NULL").fetchone()[0])


def unread(run: Run, count: int) -> list[tuple[int, str, datetime]]:
    """Of up to `count` items with unread times `seq`, text, and the clock when it was said."""
    rows = run(
        "SELECT i.seq, i.text, i.said_at, coalesce(i.offset_minutes, 0)"
        " FROM item_index x JOIN item i ON i.seq = x.seq WHERE x.dated_tokens IS NULL"
        " ORDER BY x.seq LIMIT ?",
        (count,),
    ).fetchall()
    return [(seq, text, on_clock(said_at, zone_of(offset))) for seq, text, said_at, offset in rows]


def write_times(run: Run, seq: int, times: TimeRow) -> None:
    """Put new times in the place of those of an item; one that is gone stays so."""
    run("DELETE FROM item_time WHERE item = ?", (seq,))
    written = run(
        "UPDATE item SET happened_from = ?, happened_to = ?, happened_precision = ? WHERE seq = ?",
        (*cells_of(times.happened), seq),
    )
    if written.rowcount:
        run("UPDATE item_index SET dated_tokens = ? WHERE seq = ?", (times.dated_tokens, seq))
        insert_mentions(run, mention_rows(seq, times.mentions))
