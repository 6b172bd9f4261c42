import io
import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memsieve.errors import FormatError
from memsieve.formats.stream import elements, parse

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False)
    | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


def read(raw, chunk_bytes=7):
    return list(elements(io.BytesIO(raw), "a.json", chunk_bytes=chunk_bytes))


@given(
    st.lists(JSON, max_size=6),
    st.integers(1, 60),
    st.sampled_from([None, 1, 25]),
    st.booleans(),
    st.booleans(),
)
def test_equals_json_loads_for_every_array_and_chunk(array, chunk_bytes, indent, is_ascii, has_bom):
    text = json.dumps(array, indent=indent, ensure_ascii=is_ascii)
    raw = text.encode("utf-8-sig" if has_bom else "utf-8", "surrogatepass")
    try:
        expected = json.loads(raw.decode("utf-8-sig"))
    except UnicodeDecodeError:
        with pytest.raises(FormatError, match="not valid UTF-8"):
            read(raw, chunk_bytes)
    else:
        assert repr([value for _, value in read(raw, chunk_bytes)]) == repr(expected)


@given(st.lists(JSON, min_size=1, max_size=3), st.integers(1, 20), st.data())
def test_no_array_that_is_cut_short_passes(array, chunk_bytes, data):
    raw = json.dumps(array).encode()
    cut = data.draw(st.integers(0, len(raw) - 1))
    with pytest.raises(FormatError, match=r"a\.json line 1: "):
        read(raw[:cut], chunk_bytes)


def test_names_the_line_on_which_each_element_starts():
    raw = b'\n[\n1,\n {"a":\n\n 2}\n,\n"x"]\n'
    assert [line for line, _ in read(raw)] == [3, 4, 8]


def test_numbers_are_not_torn_at_the_end_of_a_chunk():
    raw = b"[12345, 1.5e+10 , -0.25]"
    for chunk_bytes in range(1, len(raw)):
        assert [v for _, v in read(raw, chunk_bytes)] == [12345, 1.5e10, -0.25]


@pytest.mark.parametrize(
    ("raw", "line", "what"),
    [
        (b"", 1, "expected a JSON array, got nothing"),
        (b'\n{"a": 1}', 2, "expected a JSON array, got '{'"),
        (b"[1,\n2,\n]", 3, "not valid JSON: Expecting value"),
        (b"[1\n2]", 2, "expected ',' or ']'"),
        (b"[1]\n[2]", 2, "something follows the end of the array"),
        (b'[{"a": 1},\n{"b" 2}]', 2, "not valid JSON: Expecting ':' delimiter"),
        (b'[{"a":\n\n"b" "c"}]', 3, "not valid JSON: Expecting ',' delimiter"),
        (b'["a",\n"b\x01"]', 2, "not valid JSON: Invalid control character at"),
        (b'["a",\n"\xff"]', 2, r"not valid UTF-8 \(byte 0xff\): save it as UTF-8"),
        ("[1]".encode("utf-16"), 1, r"not valid UTF-8 \(byte 0xff\)"),
        (b"[" + b"9" * 5000 + b"]", 1, "JSON that cannot be read"),
        (b"[" * 200_000, 1, "JSON that cannot be read"),
    ],
)
@pytest.mark.parametrize("chunk_bytes", [1, 9, 1 << 20])
def test_names_the_line_of_a_mistake(raw, line, what, chunk_bytes):
    if len(raw) > 1000 and chunk_bytes == 1:
        chunk_bytes = 1000
    with pytest.raises(FormatError, match=rf"a\.json line {line}: .*{what}"):
        read(raw, chunk_bytes)


class Endless(io.RawIOBase):
    """A file that goes on for ever after `start`, and counts what was read."""

    def __init__(self, start, rest):
        self.start, self.rest, self.n_read = start, rest, 0

    def read(self, n_bytes=-1):
        self.n_read += n_bytes
        start, self.start = self.start[:n_bytes], self.start[n_bytes:]
        return start + self.rest * ((n_bytes - len(start)) // len(self.rest))


def test_a_mistake_is_found_where_it_stands_and_not_at_the_end_of_the_file():
    file = Endless(b'[{"a": nonsense, "b": "', b"x")
    with pytest.raises(FormatError, match="line 1: not valid JSON: Expecting value"):
        list(elements(file, "a.json", chunk_bytes=100))
    assert file.n_read < 1000


def test_holds_one_element_and_not_the_file():
    element = json.dumps({"text": "x" * 1000}).encode() + b","
    n_elements = 20_000
    file = io.BytesIO(b"[" + element * n_elements + b"0]")
    tracemalloc.start()
    n_read = sum(1 for _ in elements(file, "a.json", chunk_bytes=1 << 16))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert n_read == n_elements + 1
    assert peak < 1_000_000 < len(element) * n_elements


def test_an_element_of_many_chunks_is_read_in_a_few_steps():
    file = Endless(b"", b"x")
    raw = b'["' + b"x" * 1_000_000 + b'"]'
    file.start, file.rest = raw, b" "
    first = next(elements(file, "a.json", chunk_bytes=1000))
    assert len(first[1]) == 1_000_000
    assert file.n_read < 3 * len(raw)


def test_parse_reads_one_value_with_or_without_a_byte_order_mark():
    assert parse(b"\xef\xbb\xbf[1]\n", "a.json") == [1]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b'{"a": \n', r"line 3: not valid JSON: Expecting value \(column 6\)"),
        (b'{"a":\n1\n"b"}', "line 5: not valid JSON: Expecting ',' delimiter"),
        (b'{"a":\n"\xc3("}', r"line 4: not valid UTF-8 \(byte 0xc3\)"),
        (b"[" * 200_000, "line 3: JSON that cannot be read"),
        (b"", "line 3: not valid JSON"),
    ],
)
def test_parse_counts_lines_from_the_one_it_is_told(raw, message):
    with pytest.raises(FormatError, match=rf"a\.jsonl {message}"):
        parse(raw, "a.jsonl", line=3)
