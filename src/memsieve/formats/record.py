"""One JSON object into one message: the fields of the two formats that are open to anybody."""

from collections.abc import Sequence
from typing import Any

from memsieve.errors import FormatError
from memsieve.formats.base import SOURCE_OF_ROLE, moment
from memsieve.types import Message

# Of several names for one field the first that holds something counts.
NAMES = {
    "text": ("text", "content"),
    "at": ("at", "timestamp", "date", "created_at"),
    "session": ("session", "session_id", "conversation_id"),
    "speaker": ("speaker", "name"),
    "role": ("role",),
    "key": ("key", "id"),
    "kind": ("kind",),
    "source": ("source",),
    "trust": ("trust",),
    "namespace": ("namespace",),
    "metadata": ("metadata",),
    "slot": ("slot",),
}


def message(record: object, place: str) -> Message:
    """The message that the JSON object `record`, which stands at `place`, describes.

    Names are those of `Message` and the common ones in `NAMES`. Whole numbers may stand for
    strings, and an empty string counts as not given. Without a `source` the role decides:
    "user", "assistant", "tool", else "import". A field of any other name becomes metadata.

    Raises
    ------
    FormatError
        If there is no text, or a field is not of its type, with the place.
    DateError
        If the date does not parse, with the place.

    Examples
    --------
    >>> found = message({"text": "Hi.", "name": "Ana", "session_id": 7, "mood": "sunny"}, "line 1")
    >>> found.speaker, found.session, dict(found.metadata)
    ('Ana', '7', {'mood': 'sunny'})
    """
    if not isinstance(record, dict):
        raise FormatError(f"{place}: expected an object, got {_json_type(record)}")
    left = dict(record)
    given = {field: _take(left, names) for field, names in NAMES.items()}
    text = given["text"]
    if not isinstance(text, str):
        raise FormatError(
            f"{place}: no text: give it as a string under 'text' or 'content'"
            if text is None
            else f"{place}: text must be a string, got {_json_type(text)}"
        )
    role = _id(given, "role", place)
    return Message(
        text,
        at=moment(given["at"], place),
        speaker=_id(given, "speaker", place),
        role=role,
        session=_id(given, "session", place),
        key=_id(given, "key", place),
        kind=_id(given, "kind", place) or "turn",
        source=_id(given, "source", place) or SOURCE_OF_ROLE.get(role or "", "import"),
        trust=1.0 if given["trust"] is None else given["trust"],
        metadata=_metadata(given["metadata"], left, place),
        namespace=_id(given, "namespace", place),
        # What is no pair of texts is refused with the other fields, by the rule that `add` has.
        slot=tuple(given["slot"]) if isinstance(given["slot"], list) else given["slot"],
    )


def _take(left: dict[str, Any], names: Sequence[str]) -> Any:
    """The first value under one of `names`, taken out; names that hold null go as well."""
    for name in names:
        if name in left and left[name] is None:
            del left[name]
    return next((left.pop(name) for name in names if name in left), None)


def _id(given: dict[str, Any], field: str, place: str) -> str | None:
    value = given[field]
    if value is None or isinstance(value, str):
        return value or None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise FormatError(f"{place}: {field} must be a string, got {_json_type(value)}")


def _metadata(given: object, left: dict[str, Any], place: str) -> dict[str, Any]:
    if given is None:
        return left
    if not isinstance(given, dict):
        raise FormatError(f"{place}: metadata must be an object, got {_json_type(given)}")
    return {**left, **given}


def _json_type(value: object) -> str:
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean"}
    return "null" if value is None else names.get(type(value), "a number")
