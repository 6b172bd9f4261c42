"""Slots: of several items that state one attribute of one subject, which one holds.

A row says that an item states the value of (subject, attribute) from when it was said. What holds
is worked out when it is asked for: nothing is rewritten when something newer, or older, comes in.
"""

import json
from collections.abc import Sequence

from memsieve.store.base import Claim, Versions
from memsieve.store.rows import Run, as_given, slot_key

_NAMESPACE = """SELECT n.id FROM namespace n
    WHERE n.name = ? AND EXISTS (SELECT 1 FROM slot s WHERE s.namespace = n.id)"""
# The cross join keeps the order of the loops: the namespace may hold far more slots.
_SLOTS = """SELECT s.item, s.subject, s.attribute
    FROM json_each(?) j CROSS JOIN slot s ON s.item = j.value"""
# From one spelling of the subject to the next, so that its other attributes are passed over.
_STATED = """WITH RECURSIVE spelling (subject) AS (
    SELECT min(subject) FROM slot WHERE namespace = :namespace
    AND subject >= :subject AND subject < :subject_end
    UNION ALL SELECT (
        SELECT min(s.subject) FROM slot s WHERE s.namespace = :namespace
        AND s.subject > p.subject AND s.subject < :subject_end
    ) FROM spelling p WHERE p.subject NOTNULL
) SELECT s.item, i.invalid_at FROM spelling p
    CROSS JOIN slot s ON s.namespace = :namespace AND s.subject = p.subject
    AND s.attribute >= :attribute AND s.attribute < :attribute_end
    CROSS JOIN item i ON i.seq = s.item
    WHERE s.valid_from <= :until ORDER BY s.valid_from DESC, s.item DESC"""


def holding(
    run: Run,
    namespace: str,
    seqs: Sequence[int],
    until: int,
    versions: Versions = Versions((), ()),  # noqa: B008 frozen
) -> dict[int, Claim]:
    """What those of the items `seqs` that have a slot state, and which item holds it.

    The last that was said up to `until`, in microseconds, holds; of equals the one written last.
    Items with newer versions do not count, but for `versions`, which stand as they did then.
    One statement where the namespace has no slots, else two and one for each slot.
    """
    number = run(_NAMESPACE, (namespace,)).fetchone()
    if number is None:
        return {}
    old, new = set(versions.old), set(versions.new)
    claims: dict[int, Claim] = {}
    holders: dict[tuple[str, str], int | None] = {}
    for seq, *cells in run(_SLOTS, (json.dumps(list(seqs)),)).fetchall():
        subject, attribute = map(as_given, cells)
        slot = slot_key(subject), slot_key(attribute)
        if slot not in holders:
            stated = run(_STATED, {"namespace": number[0], "until": until, **_bounds(*slot)})
            living = (s for s, gone in stated if (gone is None or s in old) and s not in new)
            holders[slot] = next(living, None)
        claims[seq] = Claim(subject, attribute, holders[slot])
    return claims


def _bounds(subject: str, attribute: str) -> dict[str, str]:
    """Between which cells all spellings of a slot lie: see `rows.slot_cell`."""
    after = chr(ord("\n") + 1)
    return {
        "subject": f"{subject}\n",
        "subject_end": subject + after,
        "attribute": f"{attribute}\n",
        "attribute_end": attribute + after,
    }
