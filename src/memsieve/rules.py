"""What a message must be before it may be stored; the importers and `add` ask the same."""

import json
from typing import Any

from memsieve.types import KINDS, SOURCES, Message

MAX_TEXT_BYTES = 1 << 20
"""A text is one thing said, not a library: longer ones are to be split where they divide."""


def text_problem(text: Any) -> str | None:
    """What is wrong with a text, in one line that names the way out; None if nothing is."""
    if not isinstance(text, str):
        return f"text must be a string, got {type(text).__name__}"
    if not text.strip():
        return "text must not be blank: there is nothing to remember"
    if half := _half_surrogate(text):
        return half
    n_bytes = len(text.encode())
    if n_bytes > MAX_TEXT_BYTES:
        return f"text has {n_bytes:,} bytes, the limit is {MAX_TEXT_BYTES:,}: split it into parts"
    return None


def field_problem(message: Message) -> str | None:
    """The same for every other field of a message."""
    for name, known in (("kind", KINDS), ("source", SOURCES)):
        if getattr(message, name) not in known:
            return f"{name} must be one of {', '.join(known)}, got {getattr(message, name)!r}"
    if not _is_share(message.trust):
        return f"trust must be a number in [0, 1], got {message.trust!r}"
    for name in ("speaker", "role", "session", "key", "namespace"):
        value = getattr(message, name)
        if value is not None and (not isinstance(value, str) or not value.strip()):
            return f"{name} must be text that is not blank, or None, got {value!r}"
        if value is not None and (half := _half_surrogate(value)):
            return f"{name}: {half}"
    return _slot_problem(message.slot) or _metadata_problem(message.metadata)


def _slot_problem(slot: Any) -> str | None:
    if slot is None:
        return None
    if not isinstance(slot, tuple | list) or len(slot) != 2:
        return f"slot must be a pair, subject and attribute, or None, got {slot!r}"
    for name, value in zip(("subject", "attribute"), slot, strict=True):
        if not isinstance(value, str) or not value.strip():
            return f"the {name} of a slot must be text that is not blank, got {value!r}"
        if half := _half_surrogate(value):
            return f"slot: {half}"
    return None


def _metadata_problem(metadata: Any) -> str | None:
    if not metadata:
        return None
    try:
        written = json.dumps(dict(metadata), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        return f"metadata must be a mapping that JSON can hold: {error}"
    half = _half_surrogate(written)
    return half and f"metadata: {half}"


def _is_share(trust: object) -> bool:
    return isinstance(trust, int | float) and not isinstance(trust, bool) and 0 <= trust <= 1


def _half_surrogate(text: str) -> str | None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        half = f"U+{ord(text[error.start]):04X}"
        return f"half of a surrogate pair ({half}), which UTF-8 cannot hold: mend or remove it"
    return None
