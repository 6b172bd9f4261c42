"""Types as JSON schemas, and JSON values as values of them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, make_dataclass
from enum import Enum
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from memsieve.errors import ParameterError
from memsieve.llm.shape import fit, is_closed, json_schema


class Mood(Enum):
    GOOD = "good"
    BAD = "bad"


@dataclass(frozen=True)
class Person:
    name: Annotated[str, "as others call them"]
    moods: list[Mood] = field(default_factory=list)


class Note(TypedDict):
    text: str
    people: tuple[Person, ...]
    trust: NotRequired[float]


@dataclass(frozen=True)
class Range:
    low: int
    high: int

    def __post_init__(self):
        if self.low > self.high:
            raise ParameterError(f"Range must not end before it starts, got {self.high}")


def test_the_schema_of_nested_records_worked_by_hand():
    assert json_schema(Note) == {
        "type": "object",
        "properties": {
            "text": {"type": "string"},
            "people": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "name": {"type": "string", "description": "as others call them"},
                        "moods": {"type": "array", "items": {"enum": ["good", "bad"]}},
                    },
                    "required": ["name"],
                    "additionalProperties": False,
                },
            },
            "trust": {"type": "number"},
        },
        "required": ["text", "people"],
        "additionalProperties": False,
    }


@pytest.mark.parametrize(
    ("kind", "schema"),
    [
        (Any, {}),
        (None, {"type": "null"}),
        (Literal["a", 1], {"enum": ["a", 1]}),
        (bool | None, {"anyOf": [{"type": "boolean"}, {"type": "null"}]}),
        (list, {"type": "array", "items": {}}),
        (dict, {"type": "object", "additionalProperties": {}}),
        (Sequence[int], {"type": "array", "items": {"type": "integer"}}),
        (Mapping[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}),
        (
            tuple[int, str],
            {
                "type": "array",
                "prefixItems": [{"type": "integer"}, {"type": "string"}],
                "minItems": 2,
                "maxItems": 2,
            },
        ),
    ],
)
def test_the_schema_of_a_field(kind, schema):
    record = make_dataclass("Record", [("field", kind)])
    assert json_schema(record)["properties"]["field"] == schema


@pytest.mark.parametrize(
    ("kind", "is_strict"),
    [
        (int, True),
        (Range, True),
        (list[Range] | None, True),
        (Literal["a"], True),
        (Person, False),
        (dict[str, int], False),
        (Any, False),
        (list[Any], False),
        (tuple[int, int], False),
    ],
)
def test_endpoints_can_guarantee_closed_schemas_only(kind, is_strict):
    assert is_closed(json_schema(make_dataclass("Record", [("field", kind)]))) is is_strict


@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        (set[int], "JSON has no such type"),
        (bytes, "JSON has no such type"),
        (dict[int, str], "text as keys"),
        (Enum("Odd", {"A": (1, 2)}), "must be text, numbers, booleans or None"),
    ],
)
def test_what_json_cannot_hold_is_no_schema(kind, rule):
    with pytest.raises(ParameterError, match=rule):
        json_schema(make_dataclass("Record", [("field", kind)]))


@dataclass
class Tree:
    children: "list[Tree]"


def test_a_record_that_contains_itself_is_no_schema():
    with pytest.raises(ParameterError, match="must not contain themselves"):
        json_schema(Tree)


@pytest.mark.parametrize("kind", [str, list[int], int | None, 5])
def test_a_schema_is_a_record(kind):
    with pytest.raises(ParameterError, match="must be a dataclass, a TypedDict or a pydantic"):
        json_schema(kind)


@pytest.mark.parametrize(
    ("value", "kind", "read"),
    [
        (1, int, 1),
        (3.0, int, 3),
        (2, float, 2.0),
        (None, None, None),
        (True, bool, True),
        ([1, [2]], Any, [1, [2]]),
        ("bad", Mood, Mood.BAD),
        (True, Literal[1, True], True),
        (2, str | int, 2),
        (None, str | None, None),
        ([1, "a"], tuple[int, str], (1, "a")),
        ([1, 2], Sequence[int], (1, 2)),
        ({"a": 1}, dict[str, float], {"a": 1.0}),
        ({"low": 1, "high": 2, "why": "so"}, Range, Range(1, 2)),
        (
            {"text": "t", "people": [{"name": "Ana", "moods": ["good"]}]},
            Note,
            {"text": "t", "people": (Person("Ana", [Mood.GOOD]),)},
        ),
    ],
)
def test_what_fits_becomes_a_value_of_the_type(value, kind, read):
    found = fit(value, kind)
    assert found == read
    assert type(found) is type(read)


@pytest.mark.parametrize(
    ("value", "kind", "problem"),
    [
        ("1", int, "the answer must be an integer, got '1'"),
        (1.5, int, "must be an integer, got 1.5"),
        (True, int, "must be an integer, got True"),
        (True, float, "must be a number, got True"),
        (math.inf, float, "must be a number, got inf"),
        (10**400, float, "must be a number, got 1000"),
        (1, bool, "must be true or false, got 1"),
        (None, str, "must be text, got None"),
        ("x" * 99, None, "must be null, got 'x+…$"),
        ("fine", Mood, "must be one of 'good', 'bad', got 'fine'"),
        (1, Literal[True], "must be one of True, got 1"),
        ([], str | int, r"must be text, got \[\]"),
        ({"low": 1}, Range | None, "the answer lacks 'high'"),
        ("ab", list[str], "must be a list, got 'ab'"),
        ([1], tuple[int, int], r"must be a list of 2, got \[1\]"),
        ([1, "x"], list[int], r"the answer\[1\] must be an integer"),
        ([], dict[str, int], r"must be an object, got \[\]"),
        ({"a": "x"}, dict[str, int], r"the answer\['a'\] must be an integer"),
        ([], Range, r"must be an object, got \[\]"),
        ({"low": 3, "high": 2}, Range, "the answer is refused: Range must not end before"),
        ({"name": "A", "mods": []}, Person, "the answer has the unknown field 'mods'"),
        ({"text": "", "people": [{}]}, Note, r"the answer\.people\[0\] lacks 'name'"),
    ],
)
def test_what_does_not_fit_is_refused_with_place_and_reason(value, kind, problem):
    with pytest.raises(ValueError, match=problem):
        fit(value, kind)


PEOPLE = st.builds(Person, st.text(), st.lists(st.sampled_from(Mood)))


@given(PEOPLE)
def test_a_record_comes_back_from_the_json_it_was_written_as(person):
    written = asdict(person)
    written["moods"] = [mood.value for mood in person.moods]
    assert fit(written, Person) == person


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
)


@given(JSON | st.fixed_dictionaries({"text": JSON, "people": JSON}))
def test_any_json_fits_or_is_refused(value):
    try:
        read = fit(value, Note)
    except ValueError as problem:
        event(str(problem)[:20])
    else:
        assert set(read) >= {"text", "people"}


def test_a_pydantic_model_brings_its_own_schema_and_check():
    pydantic = pytest.importorskip("pydantic", reason="the test needs pydantic")

    class City(pydantic.BaseModel):
        name: str = pydantic.Field(min_length=2)

    assert json_schema(City)["properties"]["name"]["minLength"] == 2
    assert fit({"name": "Ulm"}, City) == City(name="Ulm")
    with pytest.raises(ValueError, match="at least 2 characters"):
        fit({"name": "U"}, City)
