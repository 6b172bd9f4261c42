"""What happened when: order, subjects, stretches, and the lines that are printed."""

from datetime import UTC, datetime

import pytest

from memsieve.errors import DateError, NotFoundError, ParameterError
from memsieve.types import Interval

NOW = "2025-06-15T12:00:00Z"
TALK = [
    ("2025-05-20", "Ana", "Yesterday I signed the lease, and on 3 May we saw the flat."),
    ("2025-05-20", "Tom", "My dog barks."),
    ("2025-05-22", "Tom", "I ran the marathon in April 2025."),
    ("2025-05-23", None, "The museum has been open since 2021."),
    ("2025-05-24", "Ana", "Before 2020 there were running tracks."),
]


@pytest.fixture
def talk(opened):
    """What Ana and Tom said on four days of May, with six times of their own."""
    memory = opened(embedder="none")
    for at, speaker, text in TALK:
        memory.add(text, at=at, speaker=speaker)
    return memory


class Interrupted:
    """A reader of time that never comes to an end."""

    identity = "interrupted"

    def mentions(self, text, clock, *, looks_back=False):
        raise KeyboardInterrupt


def told(entries):
    """Each entry as when it begins, the words that say so, and who said it."""
    return [(f"{one.begins:%Y-%m-%d}", one.words, one.item.speaker) for one in entries]


LEASE, FLAT = ("2025-05-19", "Yesterday", "Ana"), ("2025-05-03", "3 May", "Ana")
DOG, MARATHON = ("2025-05-20", "", "Tom"), ("2025-04-01", "April 2025", "Tom")
MUSEUM, TRACKS = ("2021-01-01", "since 2021", None), ("2020-01-01", "Before 2020", "Ana")
ALL = [TRACKS, MUSEUM, MARATHON, FLAT, LEASE, DOG]


def bare(entries):
    """`told` without the small words that a mention may or may not begin with."""
    return [(when, words.removeprefix("on ").removeprefix("in "), who)
            for when, words, who in told(entries)]  # fmt: skip


def test_every_time_mentioned_comes_in_order_and_silent_items_on_the_day_they_were_said(talk):
    found = talk.timeline()
    assert bare(found) == ALL
    assert len(found) == 6
    assert found[0].when == Interval(None, datetime(2020, 1, 1, tzinfo=UTC), "year")
    assert found[1].when == Interval(datetime(2021, 1, 1, tzinfo=UTC), None, "year")
    assert found[5].when == Interval.day_of(datetime(2025, 5, 20, tzinfo=UTC))
    assert talk.check() == []


def test_of_one_time_what_was_said_first_comes_first(opened):
    memory = opened(embedder="none")
    memory.add("It snowed on 3 May 2025, twice.", at="2025-05-09")
    memory.add("It snowed on 3 May 2025.", at="2025-05-08")
    memory.add("It snowed on 3 May 2025, and on 3 May 2025.", at="2025-05-09")
    assert [one.item.seq for one in memory.timeline()] == [2, 1, 3, 3]


def test_times_are_ordered_as_instants_and_told_on_the_clock_of_the_speaker(opened):
    memory = opened(embedder="none")
    memory.add("In Tokyo.", at="2025-05-10T01:00:00+09:00")
    memory.add("In Lisbon.", at="2025-05-09T23:00:00Z")
    memory.add("In Honolulu.", at="2025-05-09T01:00:00-10:00")
    found = memory.timeline()
    assert [one.item.text for one in found] == ["In Lisbon.", "In Honolulu.", "In Tokyo."]
    assert [one.begins.day for one in found] == [9, 9, 10]


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ("Ana", [TRACKS, FLAT, LEASE]),
        (" tom ", [MARATHON, DOG]),
        ("lease", [FLAT, LEASE]),
        ("dogs barking", [DOG]),
        ("run", [TRACKS]),  # "ran" has another stem
        ("marathon lease", []),
        ("Ana's lease", [FLAT, LEASE]),
        ("Tom's lease", []),
        ("the museum", [MUSEUM]),
        ("the", []),
        ("zebra", []),
    ],
)
def test_a_subject_is_who_spoke_or_words_that_are_all_there(talk, subject, expected):
    assert bare(talk.timeline(subject)) == expected


def test_a_speaker_whose_name_is_a_small_word_is_found(opened):
    memory = opened(embedder="none")
    memory.add("I moved.", at="2025-05-01", speaker="Will")
    memory.add("I will move.", at="2025-05-02", speaker="Ana")
    memory.add("I stay.", at="2025-05-03")
    assert [one.item.speaker for one in memory.timeline("will")] == ["Will"]


@pytest.mark.parametrize(
    ("during", "expected"),
    [
        ("May 2025", [MUSEUM, FLAT, LEASE, DOG]),
        ("last month", [MUSEUM, FLAT, LEASE, DOG]),
        (("2025-05-19", "2025-05-20"), [MUSEUM, LEASE]),
        ("April 2025", [MUSEUM, MARATHON]),
        (Interval(None, datetime(2020, 6, 1, tzinfo=UTC)), [TRACKS]),
        (("2021-01-01", None), ALL[1:]),
        (("2020-01-01", "2021-01-01"), []),  # after the one, before the other
        (("2021-12-31", "2022-01-01"), [MUSEUM]),
        ((None, None), ALL),
    ],
)
def test_during_keeps_the_times_that_overlap(talk, during, expected):
    assert bare(talk.timeline(during=during, now=NOW)) == expected


def test_a_time_outside_does_not_come_along_with_one_inside(opened):
    memory = opened(embedder="none")
    memory.add("It has run since 2021, I read on 31 December 2020.", at="2025-05-01")
    (entry,) = memory.timeline(during=("2020-01-01", "2021-01-01"))
    assert entry.words.endswith("31 December 2020")


def test_subject_and_stretch_and_limit_narrow_together(talk):
    assert bare(talk.timeline("Ana", during="May 2025", limit=1)) == [FLAT]
    assert bare(talk.timeline("Tom", during="March 2025")) == []


@pytest.mark.parametrize("limit", [0, 1, 3, 6, 100, None])
def test_a_limit_keeps_the_earliest(talk, limit):
    assert bare(talk.timeline(limit=limit)) == ALL[:limit]


def test_namespaces_superseded_and_forgotten_items_stay_out(talk):
    talk.add("I moved on 1 May 2025.", namespace="other")
    old = talk.add("I moved on 2 May 2025.", key="k")
    new = talk.add("I moved on 4 May 2025.", key="k")
    moved = talk.timeline("moved", during="May 2025", now=NOW)
    assert [one.item.id for one in moved] == [new]
    assert [one.begins.day for one in talk.timeline(namespace="other")] == [1]
    talk.forget(new)
    assert len(talk.timeline("moved")) == 0
    assert old not in {one.item.id for one in talk.timeline()}
    with pytest.raises(NotFoundError, match="no namespace is called 'nowhere'"):
        talk.timeline(namespace="nowhere")


def test_an_empty_memory_has_an_empty_chronology(memory):
    found = memory.timeline()
    assert (len(found), list(found), found.text()) == (0, [], "")


def test_items_whose_times_are_unread_count_by_the_day_they_were_said(talk, opened):
    talk.add("It rained in 1850.", at="2025-05-22T01:00:00+09:00")  # the 21st in UTC
    with pytest.raises(KeyboardInterrupt):
        talk.reindex(time=True, timeline=Interrupted())
    unread = opened(embedder="none", timeline=Interrupted())
    assert unread.stats()["unread_times"] == 6

    def days(during=None):
        return [one.begins.day for one in unread.timeline(during=during)]

    assert days() == [20, 20, 22, 22, 23, 24]
    assert days(("2025-05-22T20:00:00", "2025-05-22T21:00:00")) == [22]
    assert days(("2025-05-22T20:00:00+09:00", "2025-05-22T21:00:00+09:00")) == [22, 22]
    assert days(("1850-01-01", "2025-05-20")) == []
    assert unread.reindex(time=True, timeline="english") == 6
    assert bare(unread.timeline())[1:] == ALL


def test_a_memory_that_reads_no_time_tells_days(opened):
    memory = opened(embedder="none", timeline="none")
    memory.add("I left yesterday.", at="2025-05-20")
    assert told(memory.timeline()) == [("2025-05-20", "", None)]
    with pytest.raises(DateError, match="names no time"):
        memory.timeline(during="May 2025")


def test_an_item_of_the_last_day_of_all_is_told(opened):
    memory = opened(embedder="none")
    memory.add("The end.", at="9999-12-31T12:00:00Z")
    assert memory.timeline().text() == "since 31 December 9999  The end."


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"subject": ""}, ParameterError, "subject must be text that is not blank, got ''"),
        ({"subject": " \n"}, ParameterError, "subject must be text that is not blank"),
        ({"subject": 5}, ParameterError, "subject must be text that is not blank, got 5"),
        ({"limit": -1}, ParameterError, "limit must be a whole number >= 0 or None, got -1"),
        ({"limit": 1.5}, ParameterError, "limit must be a whole number >= 0 or None, got 1.5"),
        ({"limit": "1"}, ParameterError, "limit must be a whole number >= 0 or None, got '1'"),
        ({"during": "the dog"}, DateError, "'the dog' names no time: write it like"),
        ({"during": 5}, ParameterError, "during must be an Interval, a pair of dates or words"),
        ({"now": "soon"}, DateError, "date 'soon' does not parse"),
    ],
)
def test_what_is_no_subject_limit_or_time_is_refused(talk, options, error, message):
    with pytest.raises(error, match=message) as raised:
        talk.timeline(**options)
    assert raised.type is error


def test_the_text_has_a_line_for_each_entry(talk):
    talk.add("I  took\n two lines today.", at="2025-05-25T10:00:00Z", role="user")
    lines = talk.timeline(during="May 2025").text().split("\n")
    assert lines[-1].startswith("25 May 2025  user: I took two lines today. (")
    assert lines[1].startswith(f"3 May 2025  Ana: {TALK[0][2]} (")
    assert lines[2] == f'19 May 2025  Ana: {TALK[0][2]} ("Yesterday", said 20 May 2025)'
    assert lines[3] == "20 May 2025  Tom: My dog barks."
    assert len(lines) == 5
