"""Files with something wrong in a random place: messages or one clear line, nothing else."""

import copy
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memsieve.errors import MemsieveError
from memsieve.formats import FORMATS, scan

FILES = {
    "bfcl": "bfcl/conversation_gardener.jsonl",
    "chatgpt": "chatgpt/conversations.json",
    "claude": "claude/conversations.json",
    "conversations": "conversations/ana.json",
    "jsonl": "chat.jsonl",
    "locomo": "locomo.json",
    "tau2": "tau2/documents.jsonl",
}
STRANGE = st.sampled_from(
    [None, True, 0, -1.5, 1e308, "", "x", "\x00", "\ud83d", [], [[]], [None], {}, {"a": {}}]
)
several_times = settings(
    max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)


def places(value, way=()):
    """The ways to every element of a JSON value."""
    yield way
    if isinstance(value, dict | list):
        for step in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[step], (*way, step))


def with_change(value, way, strange):
    if not way:
        return strange
    changed = copy.copy(value)
    changed[way[0]] = with_change(value[way[0]], way[1:], strange)
    return changed


def complaint(path, name):
    """The error of reading `path`; a complaint-free file gives one that only names it."""
    try:
        scan(path, name)
    except MemsieveError as error:
        return str(error)
    return path.name


def survives(path, name):
    line = complaint(path, name)
    assert path.name in line
    assert "\n" not in line


@pytest.mark.parametrize("name", sorted(FORMATS))
@several_times
@given(data=st.data())
def test_a_strange_value_in_any_place_is_skipped_or_named(name, data, files, tmp_path):
    raw = (files / FILES[name]).read_text()
    values = (
        [json.loads(line) for line in raw.splitlines() if line]
        if FILES[name].endswith(".jsonl")
        else [json.loads(raw)]
    )
    number = data.draw(st.integers(0, len(values) - 1))
    way = data.draw(st.sampled_from(list(places(values[number]))))
    values[number] = with_change(values[number], way, data.draw(STRANGE))
    path = tmp_path / "damaged.json"
    path.write_text("\n".join(json.dumps(value) for value in values))
    survives(path, name)


@pytest.mark.parametrize("name", sorted(FORMATS))
@several_times
@given(data=st.data())
def test_bytes_that_were_lost_or_overwritten_are_named(name, data, files, tmp_path):
    raw = (files / FILES[name]).read_bytes()
    start = data.draw(st.integers(0, len(raw)))
    end = data.draw(st.integers(start, min(len(raw), start + 40)))
    path = tmp_path / "damaged.json"
    path.write_bytes(raw[:start] + data.draw(st.binary(max_size=3)) + raw[end:])
    survives(path, name)
