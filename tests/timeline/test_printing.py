"""Intervals in words, texts with their dates, and what is printed read again."""

import random
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from tests.timeline.conftest import rows_of

from memsieve.timeline import annotated, spell
from memsieve.types import Interval, Mention

CLOCK = datetime(2023, 5, 10, 13, 56, tzinfo=UTC)
DAY = timedelta(days=1)
FIRST = datetime(1, 1, 1, tzinfo=UTC)
LAST = datetime(9999, 12, 31, tzinfo=UTC)


def between(start, end, precision="day", zone=UTC):
    """An interval of two ISO moments; '..' is an open bound."""
    bounds = (
        None if bound == ".." else datetime.fromisoformat(bound).replace(tzinfo=zone)
        for bound in (start, end)
    )
    return Interval(*bounds, precision)


SPELLED = [
    # start, end, precision, in words, in words to a clock of 2023
    ("2023-05-08", "2023-05-09", "day", "8 May 2023", "8 May"),
    ("2022-05-08", "2022-05-09", "day", "8 May 2022", "8 May 2022"),
    ("2024-02-29", "2024-03-01", "day", "29 February 2024", "29 February 2024"),
    ("2023-12-31", "2024-01-01", "day", "31 December 2023", "31 December"),
    ("2023-05-01", "2023-05-08", "week", "1 to 7 May 2023", "1 to 7 May"),
    ("2023-05-06", "2023-05-08", "week", "6 to 7 May 2023", "6 to 7 May"),
    ("2023-05-25", "2023-06-01", "week", "25 to 31 May 2023", "25 to 31 May"),
    ("2023-05-29", "2023-06-05", "week", "29 May to 4 June 2023", "29 May to 4 June"),
    ("2022-12-26", "2023-01-02", "week", "26 December 2022 to 1 January 2023",
     "26 December 2022 to 1 January"),
    ("2023-12-25", "2024-01-01", "week", "25 to 31 December 2023", "25 to 31 December"),
    ("2023-05-01", "2023-06-01", "month", "May 2023", "May"),
    ("2022-12-01", "2023-01-01", "month", "December 2022", "December 2022"),
    ("2024-02-01", "2024-03-01", "month", "February 2024", "February 2024"),
    ("2023-03-01", "2023-06-01", "month", "March to May 2023", "March to May"),
    ("2022-11-01", "2023-03-01", "month", "November 2022 to February 2023",
     "November 2022 to February"),
    ("2023-03-01", "2023-06-01", "season", "spring 2023", "spring 2023"),
    ("2023-06-01", "2023-09-01", "season", "summer 2023", "summer 2023"),
    ("2023-09-01", "2023-12-01", "season", "autumn 2023", "autumn 2023"),
    ("2022-12-01", "2023-03-01", "season", "winter 2022", "winter 2022"),
    ("2023-04-01", "2023-07-01", "season", "April to June 2023", "April to June"),
    ("2023-01-01", "2023-04-01", "season", "January to March 2023", "January to March"),
    ("2023-01-01", "2024-01-01", "year", "2023", "2023"),
    ("1998-01-01", "2007-01-01", "year", "1998 to 2006", "1998 to 2006"),
    ("1990-01-01", "2000-01-01", "decade", "the 1990s", "the 1990s"),
    ("1801-01-01", "1901-01-01", "century", "the 19th century", "the 19th century"),
    ("2001-01-01", "2101-01-01", "century", "the 21st century", "the 21st century"),
    ("1001-01-01", "1101-01-01", "century", "the 11th century", "the 11th century"),
    ("1995-01-01", "2005-01-01", "decade", "1995 to 2004", "1995 to 2004"),
    ("2023-01-01", "2023-07-01", "season", "January to June 2023", "January to June"),
    ("2023-05-08T19:30", "2023-05-08T19:31", "minute", "8 May 2023 19:30", "8 May 19:30"),
    ("2022-05-08T00:05", "2022-05-08T00:06", "minute", "8 May 2022 00:05", "8 May 2022 00:05"),
    ("2023-05-08T00:00", "2023-05-08T00:01", "minute", "8 May 2023 00:00", "8 May 00:00"),
    ("2023-05-08T06:00", "2023-05-08T12:00", "part of day", "8 May 2023 06:00 to 12:00",
     "8 May 06:00 to 12:00"),
    ("2023-05-08T18:00", "2023-05-09T06:00", "part of day",
     "8 May 2023 18:00 to 9 May 2023 06:00", "8 May 18:00 to 9 May 06:00"),
    ("2022-12-31T18:00", "2023-01-01T06:00", "part of day",
     "31 December 2022 18:00 to 1 January 2023 06:00", "31 December 2022 18:00 to 1 January 06:00"),
    ("2023-05-03", "2023-05-10T13:56", "week", "3 May 2023 00:00 to 10 May 2023 13:56",
     "3 May 00:00 to 10 May 13:56"),
    ("2023-05-01", "..", "month", "since 1 May 2023", "since 1 May"),
    ("2019-05-01T19:30", "..", "minute", "since 1 May 2019 19:30", "since 1 May 2019 19:30"),
    ("..", "2023-05-01", "day", "before 1 May 2023", "before 1 May"),
    ("..", "2024-05-01T08:00", "minute", "before 1 May 2024 08:00", "before 1 May 2024 08:00"),
    ("..", "..", "day", "any time", "any time"),
]  # fmt: skip


@pytest.mark.parametrize(("start", "end", "precision", "words", "to_a_clock"), SPELLED)
def test_an_interval_is_spelled_as_people_write_it(start, end, precision, words, to_a_clock):
    interval = between(start, end, precision)
    assert spell(interval) == words
    assert spell(interval, CLOCK) == to_a_clock


def test_an_interval_is_spelled_on_the_clock_of_its_own_zone():
    lima = timezone(timedelta(hours=-5))
    assert spell(between("2023-05-08", "2023-05-09", zone=lima)) == "8 May 2023"
    day_of_change = between("2023-03-26", "2023-03-27", zone=ZoneInfo("Europe/Lisbon"))
    assert spell(day_of_change) == "26 March 2023"


class TestAnnotated:
    """Texts read and printed with their dates, at 13:56 on Wednesday 10 May 2023."""

    TEXTS = (
        ("I ran yesterday.", "I ran yesterday [9 May]."),
        ("I ran yesterday", "I ran yesterday [9 May]"),
        ("Yesterday's run was long.", "Yesterday's [9 May] run was long."),
        ("Yesterday I ran, and last week I swam.",
         "Yesterday [9 May] I ran, and last week [1 to 7 May] I swam."),
        ("We met last month and two years ago.",
         "We met last month [April] and two years ago [2021]."),
        ("Last winter was mild.", "Last winter [winter 2022] was mild."),
        ("It rained last night.", "It rained last night [9 May]."),
        ("She called at 9 pm yesterday.", "She called at 9 pm yesterday [9 May]."),
        ("I will be there on Friday.", "I will be there on Friday [12 May]."),
        ("I have been ill since Monday.", "I have been ill since Monday [since 8 May]."),
        ("He stays until Sunday.", "He stays until Sunday [before 15 May]."),
        ("Christmas was quiet.", "Christmas [25 December 2022] was quiet."),
    )  # fmt: skip
    UNCHANGED = (
        "",
        "Nothing here.",
        "I ran on 8 May 2023.",
        "It was in 2019.",
        "I am tired today.",
        "I ran this morning.",
        "This week is long.",
        "This year flies by.",
        "Every Tuesday I swim for two hours.",
    )

    @pytest.mark.parametrize(("text", "shown"), TEXTS)
    def test_relative_words_get_their_date_in_brackets(self, english, text, shown):
        assert annotated(text, english.mentions(text, CLOCK), CLOCK) == shown

    @pytest.mark.parametrize("text", UNCHANGED)
    def test_a_text_that_tells_its_dates_itself_is_given_back_as_it_is(self, english, text):
        assert annotated(text, english.mentions(text, CLOCK), CLOCK) is text

    def test_a_date_is_shown_on_the_clock_of_the_reader_of_the_text(self):
        late = between("2023-05-08T23:00", "2023-05-08T23:01", "minute")
        east = CLOCK.astimezone(timezone(timedelta(hours=2)))
        mention = Mention(2, 6, late, is_relative=True)
        assert annotated("I left.", [mention], east) == "I left [9 May]."

    @pytest.mark.parametrize("hours", [-12, 0, 14])
    @pytest.mark.parametrize(
        "interval",
        [
            Interval(FIRST, FIRST + DAY),
            Interval(LAST - DAY, LAST),
            Interval(FIRST, FIRST + DAY, "century"),
            Interval(LAST - 40 * DAY, LAST, "decade"),
            Interval(FIRST, None),
            Interval(None, LAST),
            Interval(None, FIRST),
        ],
    )
    def test_the_ends_of_time_are_shown_without_raising(self, interval, hours):
        clock = CLOCK.astimezone(timezone(timedelta(hours=hours)))
        shown = annotated("then.", [Mention(0, 4, interval, is_relative=True)], clock)
        assert shown.startswith("then [")
        assert shown.endswith("].")


class TestTheRoundTrip:
    """What is spelled is read again as the same interval."""

    KINDS = (
        "day", "days", "month", "months", "season", "quarter", "year", "years", "decade", "minute",
        "hours", "night", "since day", "since minute", "before day", "before minute",
    )  # fmt: skip

    @staticmethod
    def moment(rng):
        return datetime(1950, 1, 1) + timedelta(days=rng.randrange(36_000))

    def interval(self, kind, rng):
        """A random interval of a kind, between 1950 and 2048."""
        day = self.moment(rng)
        month = day.replace(day=1)
        minute = day + timedelta(minutes=rng.randrange(1, 1440))
        year = day.replace(month=1, day=1)

        def later(n):
            count = month.year * 12 + month.month - 1 + n
            return datetime(count // 12, count % 12 + 1, 1)

        start, end, precision = {
            "day": (day, day + DAY, "day"),
            "days": (day, day + rng.randrange(2, 60) * DAY, "day"),
            "month": (month, later(1), "month"),
            "months": (month, later(rng.randrange(2, 30)), "month"),
            "season": self._season(year, rng),
            "quarter": self._quarter(year, rng),
            "year": (year, year.replace(year=year.year + 1), "year"),
            "years": (year, year.replace(year=year.year + rng.randrange(2, 9)), "year"),
            "decade": (
                year.replace(year=year.year // 10 * 10),
                year.replace(year=year.year // 10 * 10 + 10),
                "decade",
            ),
            "minute": (minute, minute + timedelta(minutes=1), "minute"),
            "hours": (
                day + timedelta(hours=rng.randrange(1, 12)),
                day + timedelta(hours=rng.randrange(12, 24)),
                "part of day",
            ),
            "night": (day + timedelta(hours=18), day + timedelta(hours=30), "part of day"),
            "since day": (day, None, "day"),
            "since minute": (minute, None, "minute"),
            "before day": (None, day, "day"),
            "before minute": (None, minute, "minute"),
        }[kind]
        return Interval(
            start and start.replace(tzinfo=UTC), end and end.replace(tzinfo=UTC), precision
        )

    @staticmethod
    def _season(year, rng):
        first = rng.choice((3, 6, 9, 12))
        start = year.replace(month=first)
        ends = year.replace(year=year.year + 1, month=3) if first == 12 else None
        return start, ends or year.replace(month=first + 3), "season"

    @staticmethod
    def _quarter(year, rng):
        first = rng.choice((1, 4, 7))
        return year.replace(month=first), year.replace(month=first + 3), "season"

    @pytest.mark.parametrize("with_clock", [False, True])
    @pytest.mark.parametrize("kind", KINDS)
    def test_random_intervals_are_read_as_they_were_spelled(self, english, kind, with_clock):
        rng = random.Random(f"{kind} {with_clock}")
        wrong = {}
        for _ in range(80):
            interval = self.interval(kind, rng)
            moment = interval.start or interval.end
            # The year that is left out is the latest one: the clock stands at the end of it.
            clock = datetime(moment.year, 12, 31, 23, 59, tzinfo=UTC) if with_clock else CLOCK
            words = spell(interval, clock if with_clock else None)
            # "It was May", "It was 2000": one word alone is not always a date.
            before = "It was" if " " in words else "It was in"
            found = english.mentions(f"{before} {words}.", clock)
            if [one.interval.bounds for one in found] != [interval.bounds]:
                wrong[words] = [spell(one.interval) for one in found]
        assert wrong == {}

    def test_every_supported_form_round_trips_through_its_own_printed_form(self, english):
        wrong, seen = {}, 0
        for row in rows_of("expressions.tsv"):
            clock = datetime.fromisoformat(row["clock"]).replace(tzinfo=UTC)
            for mention in english.mentions(row["text"], clock):
                words = spell(mention.interval)
                found = english.mentions(f"It was {words}.", clock)
                seen += 1
                if [one.interval.bounds for one in found] != [mention.interval.bounds]:
                    wrong[row["id"]] = words
        assert seen > 350
        assert wrong == {}
