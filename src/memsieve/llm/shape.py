"""A type as a JSON schema, and a JSON value as a value of that type.

A record is a dataclass or a TypedDict. Its fields hold str, int, float, bool, None, Any, literals,
enums, unions, lists, tuples, dictionaries with text as keys, and records that do not contain
themselves. `Annotated[T, "what it is"]` describes a field to the model. A pydantic model brings
its own schema and its own check, and is used as it is.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,
    Required,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from memsieve.errors import ParameterError

_PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean", NoneType: "null"}
_SHOWN_CHARACTERS = 60


def json_schema(kind: Any) -> dict[str, Any]:
    """What a JSON value of the record `kind` must look like.

    Raises
    ------
    ParameterError
        If it is no record, or holds what JSON cannot.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Move:
    ...     city: str
    ...     year: int | None = None
    >>> json_schema(Move)["required"], json_schema(Move)["properties"]["city"]
    (['city'], {'type': 'string'})
    """
    if _is_pydantic(kind):
        return dict(kind.model_json_schema())
    if not _is_record(kind):
        raise ParameterError(
            "a schema must be a dataclass, a TypedDict or a pydantic model, got "
            f"{getattr(kind, '__name__', kind)!r}"
        )
    return _schema(kind, ())


def fit(value: Any, kind: Any, at: str = "the answer") -> Any:
    """The value of the type `kind` that a JSON value stands for.

    Whole numbers serve as floats and 3.0 as a whole number; nothing else is converted. An unknown
    field is passed over, unless one that has a default is missing: it may be that one, misspelt.

    Raises
    ------
    ValueError
        If it does not fit; the text says where and why.

    Examples
    --------
    >>> fit([1, 2.0], tuple[int, ...])
    (1, 2)
    >>> fit({"a": ["x"]}, dict[str, list[int]])
    Traceback (most recent call last):
    ValueError: the answer['a'][0] must be an integer, got 'x'
    """
    if _is_pydantic(kind):
        return kind.model_validate(value)
    read = next(reader for is_one, reader in _READERS if is_one(_bare(kind)))
    return read(value, _bare(kind), at)


def is_closed(schema: Mapping[str, Any]) -> bool:
    """Whether every object of a schema requires all of its fields and no others.

    Endpoints that guarantee a schema ("strict") want it so.
    """
    inner = list(schema.get("properties", {}).values()) + schema.get("anyOf", [])
    inner += [schema["items"]] if "items" in schema else []
    if schema.get("type") == "object":
        required = set(schema.get("required", ()))
        if schema.get("additionalProperties") is not False or required != {*schema["properties"]}:
            return False
    elif not {"type", "anyOf", "enum"} & schema.keys() or "prefixItems" in schema:
        return False
    return all(is_closed(one) for one in inner)


def _schema(kind: Any, outer: tuple[Any, ...]) -> dict[str, Any]:
    """The schema of any type; `outer` are the records that it stands in."""
    if get_origin(kind) is Annotated:
        notes = [note for note in get_args(kind)[1:] if isinstance(note, str)]
        return _schema(_bare(kind), outer) | ({"description": " ".join(notes)} if notes else {})
    kind = _bare(kind)
    origin, inner = get_origin(kind) or kind, get_args(kind)
    if kind is Any:
        return {}
    if kind in _PLAIN:
        return {"type": _PLAIN[kind]}
    if _is_choice(kind):
        return {"enum": _values(kind)}
    if origin in (Union, UnionType):
        return {"anyOf": [_schema(one, outer) for one in inner]}
    if _is_array(kind):
        if kinds := _kinds_of_places(kind):
            places = [_schema(one, outer) for one in kinds]
            n = len(places)
            return {"type": "array", "prefixItems": places, "minItems": n, "maxItems": n}
        return {"type": "array", "items": _schema((*inner, Any)[0], outer)}
    if _is_mapping(kind):
        if inner and inner[0] is not str:
            raise ParameterError(f"a dictionary in a schema must have text as keys, got {kind!r}")
        return {"type": "object", "additionalProperties": _schema((*inner, Any, Any)[1], outer)}
    if not _is_record(kind) or kind in outer:
        why = "records must not contain themselves" if kind in outer else "JSON has no such type"
        raise ParameterError(f"a schema cannot hold {kind!r}: {why}")
    hints, required = _fields(kind)
    return {
        "type": "object",
        "properties": {name: _schema(one, (*outer, kind)) for name, one in hints.items()},
        "required": [name for name in hints if name in required],
        "additionalProperties": False,
    }


def _bare(kind: Any) -> Any:
    """A type without what only describes it."""
    while get_origin(kind) in (Annotated, Required, NotRequired):
        kind = get_args(kind)[0]
    return NoneType if kind is None else kind


def _is_pydantic(kind: Any) -> bool:
    return isinstance(kind, type) and hasattr(kind, "model_validate")


def _is_record(kind: Any) -> bool:
    return isinstance(kind, type) and (is_dataclass(kind) or is_typeddict(kind))


def _is_choice(kind: Any) -> bool:
    return get_origin(kind) is Literal or (isinstance(kind, type) and issubclass(kind, Enum))


def _is_array(kind: Any) -> bool:
    return (get_origin(kind) or kind) in (list, tuple, Sequence)


def _is_mapping(kind: Any) -> bool:
    return (get_origin(kind) or kind) in (dict, Mapping)


def _values(kind: Any) -> list[Any]:
    """What may be written for a literal or an enum."""
    written = [one.value if isinstance(one, Enum) else one for one in _choices(kind)]
    if not all(type(one) in _PLAIN for one in written):
        raise ParameterError(f"the values of {kind!r} must be text, numbers, booleans or None")
    return written


def _choices(kind: Any) -> Sequence[Any]:
    return get_args(kind) if get_origin(kind) is Literal else list(kind)


def _kinds_of_places(kind: Any) -> tuple[Any, ...]:
    """The types of a tuple of fixed length; nothing for other arrays."""
    inner = get_args(kind)
    return inner if get_origin(kind) is tuple and inner[-1:] != (...,) else ()


def _fields(kind: Any) -> tuple[dict[str, Any], set[str]]:
    """The types of a record's fields by name, and which of them must be there."""
    hints = get_type_hints(kind, include_extras=True)
    if is_typeddict(kind):
        return hints, set(kind.__required_keys__)
    given = [one for one in fields(kind) if one.init]
    required = {
        one.name for one in given if one.default is MISSING and one.default_factory is MISSING
    }
    return {one.name: hints[one.name] for one in given}, required


def _no(at: str, rule: str, value: Any) -> ValueError:
    shown = repr(value)
    if len(shown) > _SHOWN_CHARACTERS:
        shown = f"{shown[:_SHOWN_CHARACTERS]}…"
    return ValueError(f"{at} must be {rule}, got {shown}")


def _read_plain(value: Any, kind: Any, at: str) -> Any:
    if kind is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if kind is float and type(value) is int and abs(value) < 1 << 1023:
        return float(value)
    if type(value) is not kind or (kind is float and not math.isfinite(value)):
        names = {str: "text", int: "an integer", float: "a number", bool: "true or false"}
        raise _no(at, names.get(kind, "null"), value)
    return value


def _read_choice(value: Any, kind: Any, at: str) -> Any:
    written = _values(kind)
    for one, choice in zip(written, _choices(kind), strict=True):
        if type(one) is type(value) and one == value:
            return choice
    raise _no(at, f"one of {', '.join(map(repr, written))}", value)


def _read_union(value: Any, kind: Any, at: str) -> Any:
    # Of a record or nothing, what is wrong with the record is what the model must hear.
    kinds = [one for one in get_args(kind) if value is None or one is not NoneType]
    problems = []
    for one in kinds:
        try:
            return fit(value, one, at)
        except ValueError as problem:
            problems.append(problem)
    raise problems[0]


def _read_array(value: Any, kind: Any, at: str) -> Any:
    if not isinstance(value, list):
        raise _no(at, "a list", value)
    kinds = _kinds_of_places(kind) or ((*get_args(kind), Any)[0],) * len(value)
    if len(kinds) != len(value):
        raise _no(at, f"a list of {len(kinds)}", value)
    read = [
        fit(one, of, f"{at}[{n}]") for n, (one, of) in enumerate(zip(value, kinds, strict=True))
    ]
    return read if (get_origin(kind) or kind) is list else tuple(read)


def _read_mapping(value: Any, kind: Any, at: str) -> Any:
    if not isinstance(value, dict):
        raise _no(at, "an object", value)
    of = (*get_args(kind), Any, Any)[1]
    return {name: fit(one, of, f"{at}[{name!r}]") for name, one in value.items()}


def _read_record(value: Any, kind: Any, at: str) -> Any:
    if not isinstance(value, dict):
        raise _no(at, "an object", value)
    hints, required = _fields(kind)
    if missing := [name for name in hints if name in required and name not in value]:
        raise ValueError(f"{at} lacks {', '.join(map(repr, missing))}")
    unknown = [name for name in value if name not in hints]
    if unknown and not hints.keys() <= value.keys():
        raise ValueError(f"{at} has the unknown field {unknown[0]!r}")
    read = {
        name: fit(value[name], of, f"{at}.{name}") for name, of in hints.items() if name in value
    }
    try:
        return kind(**read)
    except (TypeError, ValueError) as problem:  # a rule of the record's own
        raise ValueError(f"{at} is refused: {problem}") from problem


_READERS: tuple[tuple[Callable[[Any], bool], Callable[[Any, Any, str], Any]], ...] = (
    (lambda kind: kind is Any, lambda value, kind, at: value),
    (lambda kind: kind in _PLAIN, _read_plain),
    (_is_choice, _read_choice),
    (lambda kind: get_origin(kind) in (Union, UnionType), _read_union),
    (_is_array, _read_array),
    (_is_mapping, _read_mapping),
    (lambda kind: True, _read_record),
)
