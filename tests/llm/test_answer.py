"""The one JSON object in what a model wrote."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memsieve.llm.answer import only_object


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"a": 1}', {"a": 1}),
        ('```json\n{"a": {"b": [1, 2]}}\n```', {"a": {"b": [1, 2]}}),
        ('I {think} it is {"a": "}"}.', {"a": "}"}),
        ('[{"a": 1}]', {"a": 1}),
        ('<think>{"a": 1} or {"a":</think>{"a": 2}', {"a": 2}),
        ("{}", {}),
    ],
)
def test_one_object_is_found_with_prose_around_it(text, found):
    assert only_object(text) == found


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "the answer is empty"),
        (" \n", "the answer is empty"),
        ("<think>hm</think>", "the answer is empty"),
        ("no braces", "must be one JSON object, found none"),
        ("{thinking}", "found none"),
        ('{"a": 1} {"a": 2}', "must be one JSON object, found 2"),
        ('[{"a": 1}, {"a": 2}]', "found 2"),
        ('{"a": 1', "broken or cut off: Expecting ',' delimiter at character 7"),
        ('{"a": [{"b": 1}, {"b"', "broken or cut off"),
        ('{"a": [{"b": 1}, {"b": 2}],}', "broken or cut off"),
        ("{'a': {\"b\": 1}}", "broken or cut off"),
        ('an open { before {"a": 1}', "broken or cut off"),
        ('{"a": NaN}', "NaN is no number of JSON"),
        ('{"a": -Infinity}', "-Infinity is no number of JSON"),
        ('{"a": 1, "b": 2, "a": 3}', "the field 'a' is written twice"),
        ('{"a": ' + "1" * 5_000 + "}", "broken or cut off"),
        ('{"a":' * 50_000, "nested too deeply|broken or cut off"),
    ],
)
def test_what_may_be_less_than_was_meant_is_refused(text, problem):
    with pytest.raises(ValueError, match=problem):
        only_object(text)


OBJECTS = st.dictionaries(
    st.text(max_size=5), st.lists(st.dictionaries(st.text(max_size=5), st.integers()), max_size=3)
)


@given(OBJECTS, st.floats(0, 1, exclude_max=True))
def test_every_object_is_read_back_and_none_of_its_beginnings(value, share):
    written = json.dumps(value, ensure_ascii=False)
    assert only_object(f"Here: {written}") == value
    with pytest.raises(ValueError):  # noqa: PT011 - whatever the reason
        only_object(written[: int(share * len(written))])
