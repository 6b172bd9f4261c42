"""What `--json` prints: the shapes of types.py as plain values, times in ISO 8601."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from memsieve.chronology import Chronology
from memsieve.recollection import Recollection
from memsieve.timeline import spell
from memsieve.types import Hit, Interval, Mention


def as_json(value: Any) -> None:
    """Print a value as indented JSON, letters as they are."""
    print(json.dumps(value, ensure_ascii=False, indent=2, default=_plain))


def hit(one: Hit) -> dict[str, Any]:
    """A hit: the item with its rank, score and the share of each feature in it."""
    why = {name: round(share, 6) for name, share in one.why.items()}
    return {**record(one.item), "rank": one.rank, "score": round(one.score, 6), "why": why}


def recollection(found: Recollection) -> dict[str, Any]:
    """Everything a recall gave, and the context it makes."""
    left_out = zip(found.left_out, found.reasons, strict=True)
    return {
        "id": found.id,
        "question": found.question,
        "hits": [hit(one) for one in found],
        "sessions": [record(session) for session in found.sessions],
        "left_out": [{**hit(one), "reason": reason} for one, reason in left_out],
        "tokens": found.tokens,
        "budget_tokens": found.budget_tokens,
        "n_candidates": found.n_candidates,
        "computed": [record(one) for one in found.computed],
        "by_event": found.by_event,
        "remarks": list(found.remarks),
        "plan": dict(found.plan),
        "context": found.context(),
    }


def chronology(found: Chronology) -> list[dict[str, Any]]:
    """Every entry: its interval, how that is spelled, the words that named it, and its item."""
    return [
        {
            **record(entry.when),
            "spelled": spell(entry.when),
            "words": entry.words,
            "item": record(entry.item),
        }
        for entry in found
    ]


def record(one: Any) -> dict[str, Any]:
    """A dataclass by its field names, one level deep."""
    return {field.name: getattr(one, field.name) for field in fields(one)}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Interval | Mention):
        return record(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence):
        return list(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")
