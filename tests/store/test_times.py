"""Times: the speaker's offset, the times that a text mentions, and what happened when."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import memsieve
from memsieve.embed import WordPiece
from memsieve.errors import ParameterError
from memsieve.store.base import UNKNOWN
from memsieve.store.times import DURING
from memsieve.timeline import (
    DEFAULT_TIMELINE,
    Interval,
    Mention,
    NoTimeline,
    annotated,
    from_spec,
)

BERLIN = ZoneInfo("Europe/Berlin")
TWO = timezone(timedelta(hours=2))
FIVE = timezone(-timedelta(hours=5))
TEXT = "I saw her yesterday, not in 2021."


def micros(moment):
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def day(number, zone=UTC):
    """A day of March 2026."""
    start = datetime(2026, 3, number, tzinfo=zone)
    return Interval(start, start + timedelta(days=1))


def year(number, zone=UTC):
    start = datetime(number, 1, 1, tzinfo=zone)
    return Interval(start, start.replace(year=number + 1), "year")


@pytest.mark.parametrize(
    ("at", "minutes"),
    [
        ("2026-03-02T10:00:00+02:00", 120),
        ("2026-03-02T10:00:00-03:30", -210),
        ("2026-03-02T10:00:00Z", 0),
        ("2 March 2026", 0),
        (datetime(2026, 3, 2, 10), 0),
        (datetime(2026, 3, 2, 10, tzinfo=BERLIN), 60),
        (datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN, fold=1), 60),
        (datetime(1, 1, 1, 23, tzinfo=timezone(timedelta(hours=23))), 1380),
        (datetime(9999, 12, 31, tzinfo=timezone(timedelta(hours=-23))), -1380),
        (datetime(9999, 12, 31, 23, 59, 59, 999_999, TWO), 120),
    ],
)
def test_an_item_keeps_the_offset_of_its_speaker(memory, at, minutes):
    item = memory.get(memory.add("Something was said.", at=at))
    assert item.said_at.tzinfo is UTC
    assert item.offset_minutes == minutes
    assert item.said_local.utcoffset() == timedelta(minutes=minutes)
    if isinstance(at, datetime) and at.tzinfo is not None:
        assert item.said_local.replace(tzinfo=None) == at.replace(tzinfo=None)
    assert memory.recall("something", now=at)[0].item == item
    assert memory.check() == []


@pytest.mark.parametrize(
    "at",
    [
        datetime(1, 1, 1, 1, tzinfo=TWO),
        datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-2))),
    ],
)
def test_a_moment_outside_the_years_of_utc_is_refused(memory, at):
    with pytest.raises(ParameterError, match="at lies outside the years 1 to 9999 in UTC"):
        memory.add("Said at no time.", at=at)


def test_since_until_and_now_are_instants_whatever_their_offset(memory, texts_of):
    memory.add("At nine in Lisbon.", at="2026-03-02T09:00:00+00:00")
    assert texts_of(memory.list(since="2026-03-02T10:00:00+01:00")) == ["At nine in Lisbon."]
    assert memory.list(since="2026-03-02T10:00:01+01:00") == []
    assert memory.list(until="2026-03-02T04:00:00-05:00") == []
    assert len(memory.recall("Lisbon", now="2026-03-02T10:00:00+01:00")) == 1
    assert len(memory.recall("Lisbon", now="2026-03-02T09:59:59+01:00")) == 0


def test_mentions_come_back_as_they_were_read_on_the_clock_of_the_speaker(dated, words):
    at = datetime(2026, 3, 2, 1, tzinfo=TWO)
    ids = dated.add([TEXT, "Nothing dated."], at=at)
    item, other = dated.get(ids[0]), dated.get(ids[1])
    assert item.mentions == words().mentions(TEXT, at)
    assert [item.text[one.first : one.last] for one in item.mentions] == ["yesterday", "2021"]
    assert [one.interval.start.utcoffset() for one in item.mentions] == [timedelta(hours=2)] * 2
    assert other.mentions == ()
    assert dated.list() == [item, other]
    assert dated.check() == []


def test_bounds_that_are_unknown_come_back_unknown(dated):
    for text, start, end in (
        ("It has been so since 2021.", datetime(2021, 1, 1, tzinfo=UTC), None),
        ("It was so before 2021.", None, datetime(2021, 1, 1, tzinfo=UTC)),
    ):
        item = dated.get(dated.add(text))
        assert item.mentions[0].interval == item.happened == Interval(start, end, "year")
    assert dated.check() == []


def test_an_item_happened_when_its_surest_mention_says_else_on_the_day_it_was_said(dated):
    def happened(text, at="2026-03-02T01:00:00+02:00"):
        return dated.get(dated.add(text, at=at)).happened

    assert happened("In 2021, I think, or yesterday.") == day(1, TWO)
    assert happened("In 2021 or in 2020.").start == datetime(2021, 1, 1, tzinfo=TWO)
    assert happened("Nothing dated.") == day(2, TWO)
    assert happened("The end.", "9999-12-31T12:00:00Z").end is None
    first = happened("The beginning.", datetime(1, 1, 1, 23, tzinfo=timezone(timedelta(hours=23))))
    assert first.start.replace(tzinfo=None) == datetime(1, 1, 1)
    assert dated.check() == []


def test_dated_tokens_are_what_the_dates_in_brackets_add_to_the_text(dated, sql, words):
    at = datetime(2026, 3, 2, 12, tzinfo=UTC)
    dated.add([TEXT, "Not in 2021 but in 2022."], at=at)
    count = WordPiece.shipped().count
    longer = annotated(TEXT, words().mentions(TEXT, at), at)
    assert longer != TEXT
    assert sql("SELECT dated_tokens FROM item_index ORDER BY seq") == [
        (count(longer) - count(TEXT),),
        (0,),
    ]


def test_a_message_without_a_time_is_read_against_now_in_utc(dated):
    item = dated.get(dated.add("I saw her yesterday."))
    today = item.said_at.replace(hour=0, minute=0, second=0, microsecond=0)
    assert item.offset_minutes == 0
    assert item.mentions[0].interval.end == today


def test_a_new_version_has_the_times_of_its_own_text(dated):
    old = dated.add("Ana moved in 2020.", key="k", at="2026-03-02")
    new = dated.add("Ana moved yesterday.", key="k", at="2026-03-02")
    assert dated.get(new).happened == day(1)
    assert dated.get(old).happened.start.year == 2020
    assert [one.happened for one in dated.list()] == [day(1)]
    assert dated.check() == []


def test_forgetting_takes_the_times_along(dated, sql):
    kept = dated.add(TEXT)
    id_ = dated.add("It was so before 2021, and yesterday.")
    assert sql("SELECT count(*) FROM item_time") == [(4,)]
    assert dated.forget(id_).residue == 0
    assert sql("SELECT DISTINCT item FROM item_time") == [(1,)]
    assert len(dated.get(kept).mentions) == 2
    assert dated.check() == []


def test_an_export_keeps_the_offset_and_an_import_reads_the_same_times(dated, opened, words):
    dated.add(TEXT, at="2026-03-02T01:00:00+02:00")
    path = dated.path.parent / "all.jsonl"
    dated.export(path)
    assert json.loads(path.read_text())["at"] == "2026-03-02T01:00:00+02:00"
    other = opened(path.with_name("other.db"), embedder="none", timeline=words())
    other.import_(path)
    (item,), (copy,) = dated.list(), other.list()
    for name in ("said_at", "said_local", "offset_minutes", "mentions", "happened"):
        assert getattr(copy, name) == getattr(item, name)


# Columns


def test_columns_hold_events_flat_by_item_with_unknown_bounds_at_the_extremes(dated):
    dated.add(["Nothing.", "In 2020.", "It was so since 2021, or before 1999."], at="2026-03-02")
    dated.add("So yesterday.", at="2026-03-02T00:00:00-01:00")
    dated.add("Other people in 2002.", namespace="other")
    columns = dated._store.changes("default", 0, 0).added
    of_2020, of_2021 = year(2020), year(2021)
    yesterday = day(1, timezone(timedelta(hours=-1)))
    assert columns.n_events.tolist() == [0, 1, 2, 1]
    assert columns.event_from.tolist() == [
        micros(of_2020.start), micros(of_2021.start), UNKNOWN[0], micros(yesterday.start),
    ]  # fmt: skip
    assert columns.event_to.tolist() == [
        micros(of_2020.end), UNKNOWN[1], micros(year(1999).start), micros(yesterday.end),
    ]  # fmt: skip
    assert columns.offset.tolist() == [0, 0, 0, -60]
    assert (columns.dated_tokens > 0).tolist() == [False, False, False, True]


def test_columns_have_no_events_of_what_was_superseded_or_came_before(dated):
    dated.add("In 2020.", key="k")
    dated.add(["In 2021.", "No more."])
    dated.add("In 2022.", key="k")
    columns = dated._store.changes("default", 0, 0).added
    assert columns.seq.tolist() == [2, 3, 4]
    assert columns.event_from.tolist() == [micros(year(n).start) for n in (2021, 2022)]
    later = dated._store.changes("default", 0, 2).added
    assert (later.n_events.tolist(), later.event_from.tolist()) == (
        [0, 1],
        [micros(year(2022).start)],
    )


def test_a_loaded_memory_follows_the_events_of_later_items(dated, opened, words):
    reader = opened(embedder="none", timeline=words())
    for n in range(3):
        dated.add([f"It was in 200{n}, since 201{n}.", "Nothing."], at="2026-03-02T23:00:00-05:00")
        reader.recall("It was")
    (block,) = reader._recaller.blocks._blocks.values()
    assert block.event_doc.tolist() == [0, 0, 2, 2, 4, 4]
    assert block.event_from.tolist() == [
        micros(year(n, FIVE).start) for n in (2000, 2010, 2001, 2011, 2002, 2012)
    ]
    assert block.event_to.tolist()[1::2] == [UNKNOWN[1]] * 3
    shown = datetime(2026, 3, 2, 23, tzinfo=UTC)
    assert block.said_local.tolist() == [micros(shown)] * 6
    assert block.said_at.tolist() == [micros(shown + timedelta(hours=5))] * 6


# What happened between two moments


def test_a_walk_finds_what_is_mentioned_then_else_what_was_said_on_a_day_then(dated, texts_of):
    dated.add(["Said then.", "So in 2021.", "So yesterday.", "So since 2020."], at="2026-03-02")
    dated.add("Said much later.", at="2026-06-02")

    def found(interval, **options):
        return texts_of(dated._store.walk("default", during=interval, **options))

    assert found(day(2)) == ["Said then.", "So since 2020."]
    assert found(day(1)) == ["So yesterday.", "So since 2020."]
    assert found(year(2021)) == ["So in 2021.", "So since 2020."]
    assert found(year(2019)) == []
    assert found(Interval(day(3).start, None)) == ["So since 2020.", "Said much later."]
    assert found(Interval(None, day(1).start)) == ["So in 2021.", "So since 2020."]
    assert len(found(Interval(None, None))) == 5
    assert found(year(2026), newest_first=True)[0] == "Said much later."
    assert found(year(2026), newest_first=True, page=1)[-1] == "Said then."
    assert found(year(2026), until=day(2).end, page=2)[-1] == "So since 2020."


def test_a_walk_by_time_keeps_namespaces_apart_and_leaves_superseded_items_out(dated, texts_of):
    dated.add("So in 2020.", key="k")
    dated.add("So in 2021.", key="k")
    dated.add("So in 2020, elsewhere.", namespace="other")

    def walk(*namespace, **o):
        return texts_of(dated._store.walk(*namespace, during=year(2020), **o))

    assert walk("default") == []
    assert walk("default", with_invalid=True) == ["So in 2020."]
    assert walk("other") == ["So in 2020, elsewhere."]
    assert walk("nobody") == []


@dataclass(frozen=True)
class Given:
    """A reader that finds in every text the intervals that were given for it."""

    intervals: dict
    identity: str = "given"

    def mentions(self, text, clock, *, looks_back=False):
        return tuple(Mention(0, 1, interval) for interval in self.intervals.get(text, ()))


_HOURS = st.integers(0, 100)
_BOUND = _HOURS.map(lambda hours: day(2).start + timedelta(hours=hours)) | st.none()


@st.composite
def intervals(draw):
    """Stretches of at least an hour around four days, some of them open."""
    start, end = draw(_BOUND), draw(_BOUND)
    if None not in (start, end) and start >= end:
        start, end = end, start + timedelta(hours=1)
    return Interval(start, end)


_SAID = st.tuples(_HOURS, st.integers(-20, 20), st.lists(intervals(), max_size=2))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(said=st.lists(_SAID, max_size=6), during=intervals())
def test_a_walk_by_time_finds_exactly_what_overlaps(tmp_path_factory, said, during):
    path = tmp_path_factory.mktemp("walk") / "agent.db"
    given = {str(n): found for n, (_, _, found) in enumerate(said)}
    with memsieve.open(path, embedder="none", timeline=Given(given)) as memory:
        for n, (hours, offset, _) in enumerate(said):
            zone = timezone(timedelta(hours=offset))
            memory.add(str(n), at=(day(2).start + timedelta(hours=hours)).astimezone(zone))
        expected = [
            item.text
            for item in memory.list()
            if any(i.overlaps(during) for i in given[item.text] or [item.happened])
        ]
        assert [one.text for one in memory._store.walk("default", during=during)] == expected


def test_a_walk_by_time_reads_indexes_and_no_whole_table(dated):
    names = ("namespace", "begin", "end", "day", "minute")
    with dated._store.reading() as run:
        plan = run(f"EXPLAIN QUERY PLAN {DURING}", dict.fromkeys(names, 1)).fetchall()
    steps = [step for *_, step in plan]
    assert not [step for step in steps if step.startswith("SCAN")]
    for index in ("item_time_by_begin (begins<?)", "happened_from>? AND happened_from<?"):
        assert any(index in step for step in steps)


# Which reader


def test_a_file_remembers_its_reader_of_time(dated, opened, words, sql):
    assert sql("SELECT value FROM meta WHERE key = 'timeline'") == [("words",)]
    assert dated.timeline_reader == words()
    assert opened(embedder="none", timeline=words()).timeline_reader == words()


def test_a_new_file_is_read_with_the_default_and_reopened_with_what_it_names(opened, tmp_path):
    assert opened().timeline_reader == opened().timeline_reader == from_spec(DEFAULT_TIMELINE)
    path = tmp_path / "none.db"
    assert opened(path, timeline="none").timeline_reader == NoTimeline()
    assert opened(path).timeline_reader == NoTimeline()


def test_another_reader_is_refused_with_the_way_out(dated, opened):
    way = r"times from the timeline words, .* 'memsieve reindex --time --timeline none'"
    with pytest.raises(ParameterError, match=way):
        opened(embedder="none", timeline="none")


def test_a_reader_that_has_no_spec_must_be_passed(dated, opened):
    with pytest.raises(ParameterError, match=r"timeline words, which cannot be made .* timeline="):
        opened(embedder="none")


def test_a_newer_version_of_a_reader_takes_a_file_over_with_its_times_unread(opened, sql):
    opened(timeline="english").add("It was in May 2021.")
    sql("UPDATE meta SET value = 'english@0' WHERE key = 'timeline'")
    memory = opened()
    assert memory.stats()["timeline"] == from_spec("english").identity
    assert (memory.stats()["unread_times"], memory.list()[0].mentions) == (1, ())
    assert memory.reindex(time=True) == 1
    assert len(memory.list()[0].mentions) == 1
    assert memory.check() == []


def test_a_mistaken_reader_leaves_no_file_behind(opened, database):
    with pytest.raises(ParameterError, match="timeline must be one of"):
        opened(timeline="sundial")
    assert not database.exists()
