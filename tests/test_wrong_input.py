"""Every wrong input gets one clear error and changes nothing; odd text is no wrong input."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import memsieve
from memsieve import Message
from memsieve.errors import (
    DateError,
    EmbedderMismatchError,
    FormatError,
    InputError,
    MemsieveError,
    NotAStoreError,
    NotFoundError,
    ParameterError,
    SchemaError,
    StoreAccessError,
)

OPTIONS = [HealthCheck.function_scoped_fixture]


@pytest.fixture
def unchanged(memory, sql):
    """Nothing may have been written when the test is over."""
    memory.add("It was there before.")
    tables = ("item", "item_index", "namespace", "journal", "job", "meta")
    before = [sql(f"SELECT * FROM {table}") for table in tables]
    yield memory
    assert [sql(f"SELECT * FROM {table}") for table in tables] == before
    assert memory.check() == []


# What is added


@pytest.mark.parametrize(
    ("what", "error", "message"),
    [
        ("", InputError, "text must not be blank: there is nothing to remember"),
        (" \n\t\u3000", InputError, "text must not be blank"),
        ("half \ud83d pair", InputError, r"half of a surrogate pair \(U\+D83D\), .* mend or remo"),
        ({"text": 5}, InputError, "text must be a string, got int"),
        ({"content": [{"type": "text"}]}, InputError, "text must be a string, got list"),
        ({"txt": "x"}, ParameterError, "a message has no field 'txt': put it into 'metadata'"),
        ({}, ParameterError, "a message needs a field 'text' or 'content'"),
        (None, ParameterError, "expected text or a list, got NoneType"),
        (5, ParameterError, "expected text or a list, got int"),
        (b"bytes", ParameterError, "expected text or a list, got bytes"),
        ([None], ParameterError, "can only add text, messages and mappings, got NoneType"),
        ([["nested"]], ParameterError, "can only add text, messages and mappings, got list"),
    ],
)
def test_what_is_no_text_is_refused(unchanged, what, error, message):
    with pytest.raises(error, match=message):
        unchanged.add(what)


def test_a_text_of_50_mb_is_refused_with_its_size_and_the_limit(unchanged):
    with pytest.raises(InputError, match=r"52,428,800 bytes, the limit is 1,048,576: split it"):
        unchanged.add("x" * (50 << 20))


def test_a_text_of_exactly_the_limit_is_kept(memory):
    text = "ü" * (1 << 19)
    assert memory.get(memory.add(text)).text == text
    with pytest.raises(InputError, match="1,048,577 bytes"):
        memory.add(text + "x")
    assert memory.check() == []


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"at": "soon"}, DateError, "date 'soon' does not parse: write it like 2026-03-02"),
        ({"at": "03/04/2026"}, DateError, "date '03/04/2026' does not parse"),
        ({"at": "2026-02-30"}, DateError, "does not parse"),
        ({"at": 5}, ParameterError, "at must be a datetime or text such as '2026-03-02', got 5"),
        ({"trust": 1.01}, ParameterError, r"trust must be a number in \[0, 1\], got 1.01"),
        ({"trust": -0.01}, ParameterError, r"trust must be a number in \[0, 1\]"),
        ({"trust": float("nan")}, ParameterError, r"trust must be a number in \[0, 1\], got nan"),
        ({"trust": "high"}, ParameterError, "got 'high'"),
        ({"kind": "rumour"}, ParameterError, "kind must be one of turn, document, .*got 'rumour'"),
        ({"source": "stars"}, ParameterError, "source must be one of user, .* got 'stars'"),
        ({"speaker": ""}, ParameterError, "speaker must be text that is not blank, or None"),
        ({"speaker": 5}, ParameterError, "speaker must be text that is not blank, .* got 5"),
        ({"session": "\udfff"}, ParameterError, r"session: half of a surrogate pair \(U\+DFFF\)"),
        ({"key": " "}, ParameterError, "key must be text that is not blank"),
        ({"metadata": {"a": {1, 2}}}, ParameterError, "metadata must be a mapping that JSON can"),
        ({"metadata": {"a": float("inf")}}, ParameterError, "metadata must be a mapping that JSO"),
        ({"metadata": {"a": "\ud800"}}, ParameterError, "metadata: half of a surrogate pair"),
        ({"metadata": ["a"]}, ParameterError, "metadata must be a mapping that JSON can hold"),
        ({"metadata": {("a", "b"): 1}}, ParameterError, "metadata must be a mapping that JSON"),
        ({"slot": ("Ana", "")}, ParameterError, "the attribute of a slot must be text that is not"),
        ({"namespace": "\ud800"}, ParameterError, "namespace: half of a surrogate pair"),
    ],
)
def test_a_field_outside_its_rule_is_refused(unchanged, given, error, message):
    with pytest.raises(error, match=message):
        unchanged.add("Something.", **given)
    with pytest.raises(error, match=message):
        unchanged.add(["Good.", {"text": "Something.", **given}])
    with pytest.raises(error, match=message):
        unchanged.add(Message("Something.", **given))


def test_metadata_that_contains_itself_is_refused(unchanged):
    metadata = {}
    metadata["self"] = metadata
    with pytest.raises(ParameterError, match="metadata must be a mapping that JSON can hold"):
        unchanged.add("Something.", metadata=metadata)


def test_a_naive_datetime_is_read_as_utc(memory):
    item = memory.get(memory.add("Something.", at=datetime(2026, 3, 2, 10)))
    assert item.said_at == datetime(2026, 3, 2, 10, tzinfo=UTC)


# What is asked


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"question": ""}, ParameterError, "the question must not be empty: say what to look for"),
        ({"question": " \n "}, ParameterError, "the question must not be empty"),
        ({"question": None}, ParameterError, "the question must not be empty"),
        ({"budget_tokens": -5}, ParameterError, "budget_tokens must be >= 0, got -5"),
        ({"budget_tokens": 1.5}, ParameterError, "budget_tokens must be a whole number, got 1.5"),
        ({"budget_tokens": True}, ParameterError, "budget_tokens must be a whole number"),
        ({"k": -1}, ParameterError, "k must be >= 0, got -1"),
        ({"k": "ten"}, ParameterError, "k must be a whole number, got 'ten'"),
        ({"neighbours": -1}, ParameterError, "neighbours must be >= 0"),
        ({"now": "later"}, DateError, "date 'later' does not parse"),
        ({"since": "March"}, DateError, "date 'March' does not parse"),
        ({"until": 5}, ParameterError, "must be a datetime or text"),
        ({"speaker": 5}, ParameterError, "speaker must be text to filter by, got 5"),
        ({"session": ["s"]}, ParameterError, "session must be text to filter by"),
        ({"metadata": "x"}, ParameterError, "metadata must be a mapping to filter by, got 'x'"),
        ({"namespace": "nowhere"}, NotFoundError, "no namespace is called 'nowhere'; there are: d"),
        ({"namespace": ""}, ParameterError, "a namespace must be text that is not blank, got ''"),
    ],
)
def test_a_wrong_recall_is_refused(unchanged, given, error, message):
    with pytest.raises(error, match=message):
        unchanged.recall(**{"question": "What was there?", **given})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"limit": -1}, r"limit must be a whole number >= 0 or None, got -1"),
        ({"limit": "all"}, r"limit must be a whole number >= 0 or None, got 'all'"),
        ({"speaker": b"Ana"}, r"speaker must be text to filter by"),
        ({"metadata": {"a": []}}, r"metadata can be filtered by text, numbers, booleans"),
        ({"since": "someday"}, r"date 'someday' does not parse"),
    ],
)
def test_a_wrong_list_is_refused(unchanged, given, message):
    with pytest.raises((ParameterError, DateError), match=message):
        unchanged.list(**given)


@pytest.mark.parametrize("ids", [None, 5, [5], [None], b"id", ["unknown"], "unknown", "\ud800"])
def test_what_is_no_id_cannot_be_forgotten(unchanged, ids):
    with pytest.raises((ParameterError, NotFoundError, InputError)):
        unchanged.forget(ids)


@pytest.mark.parametrize("id_", ["", "unknown", "\ud800", "' OR 1=1 --"])
def test_an_unknown_id_is_not_found(unchanged, id_):
    for call in (unchanged.get, unchanged.history):
        with pytest.raises((NotFoundError, InputError)):
            call(id_)


# What is opened and imported


def test_every_wrong_file_is_refused_when_opened(tmp_path, write_file, opened, letters, sql):
    opened(embedder=letters("theirs")).close()
    cases = [
        (tmp_path, {}, NotAStoreError),
        (tmp_path / "no" / "such" / "folder.db", {}, StoreAccessError),
        (write_file("notes.txt", "Dear diary"), {}, NotAStoreError),
        (tmp_path / "data" / "agent.db", {"embedder": letters("ours")}, EmbedderMismatchError),
        (tmp_path / "data" / "agent.db", {"embedder": "theirs"}, ParameterError),
    ]
    for path, options, error in cases:
        with pytest.raises(error):
            opened(path, **options)
    sql("PRAGMA user_version = 99")
    with pytest.raises(SchemaError, match="upgrade memsieve"):
        opened(embedder=letters("theirs"))


@pytest.mark.parametrize(
    ("name", "content", "error", "message"),
    [
        ("a.jsonl", '{"text": "Good."}\n{"text": "Bad}\n', FormatError, "a.jsonl line 2"),
        ("a.jsonl", b'{"text": "Good."}\n\xff\xfe\n', FormatError, "a.jsonl line 2"),
        ("a.jsonl", '{"text": ""}\n', FormatError, "line 1: .*text"),
        ("a.jsonl", '{"text": "x", "at": "32 May"}\n', DateError, "line 1: date '32 May' does"),
        ("a.jsonl", '{"text": "\\ud800"}\n', FormatError, r"line 1: .*surrogate pair \(U\+D800\)"),
        ("a.bin", b"\x00\x01\x02\x03", FormatError, "looks like none of"),
    ],
)
def test_a_wrong_file_is_refused_with_its_place_when_imported(
    unchanged, write_file, name, content, error, message
):
    with pytest.raises(error, match=message):
        unchanged.import_(write_file(name, content))


def test_a_missing_file_and_an_unknown_format_are_refused(unchanged, write_file, tmp_path):
    with pytest.raises(NotFoundError, match="no such file or folder"):
        unchanged.import_(tmp_path / "missing.jsonl")
    with pytest.raises(ParameterError, match="got 'papyrus'"):
        unchanged.import_(write_file("a.jsonl", '{"text": "x"}'), format="papyrus")


def test_every_error_of_ours_has_one_base_and_keeps_its_builtin_kin():
    errors = [getattr(memsieve, name) for name in memsieve.__all__ if name.endswith("Error")]
    assert len(errors) > 10
    assert all(issubclass(error, MemsieveError) for error in errors)
    assert issubclass(ParameterError, ValueError)
    assert issubclass(NotFoundError, LookupError)


# Odd text is kept and found


ODD = {
    "NUL bytes": "The password is \x00zebra\x00 and nothing else.",
    "Hebrew": "הכלב של אנה ברח ביום שלישי",
    "Arabic": "هرب كلب آنا يوم الثلاثاء",
    "Chinese": "安娜的狗在星期二跑掉了",
    "Japanese": "アナの犬は火曜日に逃げました",
    "Korean": "아나의 개가 화요일에 도망갔다",
    "Thai": "สุนัขของแอนนาหนีไปเมื่อวันอังคาร",
    "Hindi": "एना का कुत्ता मंगलवार को भाग गया",
    "emoji": "🦄🌈 party for 👩‍👩‍👧‍👦 tomorrow",
    "combining": "Cafe\u0301 Ru\u0308disheim is closed",
    "control characters": "Bell\x07 vertical\x0b form\x0c escape\x1b[31m quokka",
    "line ends": "first\r\nsecond\rthird\u2028fourth\u0085 wombat",
    "a format string": "%s {0} ${HOME} `rm -rf` '; DROP TABLE item; -- platypus",
    "a byte order mark": "\ufeffecho okapi",
}
QUESTIONS = {
    "NUL bytes": "zebra password",
    "Hebrew": "הכלב של אנה",
    "Arabic": "كلب آنا",
    "Chinese": "安娜的狗",
    "Japanese": "アナの犬",
    "Korean": "아나의 개가",
    "Thai": "สุนัขของแอนนา",
    "Hindi": "कुत्ता मंगलवार",
    "emoji": "🦄",
    "combining": "Café Rüdisheim",
    "control characters": "quokka",
    "line ends": "wombat",
    "a format string": "platypus",
    "a byte order mark": "okapi",
}


@pytest.mark.parametrize("name", ODD)
def test_odd_text_is_stored_verbatim_and_found_first_among_decoys(opened, name):
    memory = opened()
    memory.add([f"Decoy number {n} talks about gardens and trains." for n in range(20)])
    memory.add([text for other, text in ODD.items() if other != name])
    id_ = memory.add(ODD[name], speaker=ODD[name][:20].strip())
    assert memory.get(id_).text == ODD[name]
    found = memory.recall(QUESTIONS[name], k=3)
    assert found[0].id == id_
    assert ODD[name] in found.context()
    assert memory.check() == []


@pytest.fixture(scope="module")
def long_lived(tmp_path_factory):
    """One memory for many examples, so that they also meet what earlier ones have left."""
    with memsieve.open(tmp_path_factory.mktemp("long") / "agent.db") as memory:
        yield memory
        assert memory.check() == []


@settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=OPTIONS)
@given(text=st.text(st.characters(), min_size=1, max_size=60))
@example(text="\x00")
@example(text="\ud800")
@example(text="\u0130\u0307 ﬁ ẞ")
def test_any_text_that_is_accepted_comes_back_verbatim(long_lived, text):
    try:
        id_ = long_lived.add(text, session="s")
    except InputError:
        assert not text.strip() or any("\ud800" <= letter <= "\udfff" for letter in text)
        return
    assert long_lived.get(id_).text == text
    assert len(long_lived.recall(text, k=3)) <= 3


@settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=OPTIONS)
@given(question=st.text(st.characters(), min_size=1, max_size=200))
@example(question="\ud800 \udfff")
@example(question="\x00")
@example(question="May 2023 (.*)[ \\")
@example(question="What did Ana" + "?" * 5_000)
@example(question="a" * 100_000)
def test_a_recall_never_raises_on_any_question_that_is_not_blank(long_lived, question):
    long_lived.add("Ana (the .* one) said [something", speaker="Ana (.*)[", session="t", key="k")
    if question.strip():
        assert len(long_lived.recall(question, k=3, cite=True)) <= 3


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False,
    allow_infinity=False) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(
    exclude_categories=["Cs"])), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=OPTIONS)
@given(metadata=st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), _JSON))
def test_any_metadata_that_json_holds_comes_back(long_lived, metadata):
    item = long_lived.get(long_lived.add("Something with metadata.", metadata=metadata))
    assert json.dumps(item.metadata) == json.dumps(metadata)


_MOMENTS = st.datetimes(
    datetime(1, 1, 2), datetime(9999, 12, 30),
    timezones=st.integers(-23, 23).map(lambda hours: timezone(timedelta(hours=hours))) | st.none(),
)  # fmt: skip


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=OPTIONS)
@given(at=_MOMENTS)
def test_any_moment_comes_back(long_lived, at):
    item = long_lived.get(long_lived.add("Something at some time.", at=at))
    assert item.said_at == (at if at.tzinfo else at.replace(tzinfo=UTC))
