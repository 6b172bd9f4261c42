"""The example conversations: schema, time line, evidence, and every relative date worked out."""

import json
import math
import re
from calendar import monthrange
from collections import Counter
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
import Stemmer

from memsieve.formats import detect, read

EXAMPLES = Path(__file__).parents[2] / "examples"
FOLDER = EXAMPLES / "conversations"
README = (EXAMPLES / "README.md").read_text(encoding="utf-8")
FILES = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in FOLDER.glob("*.json")}
CATEGORIES = (
    "single-hop",
    "multi-hop",
    "temporal",
    "knowledge-update",
    "preference",
    "instruction",
    "order",
    "unanswerable",
)
LEAST = {"ana-and-tom": (12, 200, 40), "assistant-desk": (10, 90, 20)}

MON, TUE, WED, THU, FRI, SAT, SUN = range(7)
DAY = timedelta(days=1)


# Rules of the calendar: each takes the day something was said and gives (first day, last day).


def days(n):
    return lambda said: (said + n * DAY, said + n * DAY)


def weeks(n):
    """The week, Monday to Sunday, n weeks from the one of that day."""
    return lambda said: (
        (monday := said + (7 * n - said.weekday()) * DAY),
        monday + 6 * DAY,
    )


def months(n):
    def rule(said):
        year, month = divmod(said.year * 12 + said.month - 1 + n, 12)
        return date(year, month + 1, 1), date(year, month + 1, monthrange(year, month + 1)[1])

    return rule


def past(weekday, *, until=None):
    """The latest such weekday before that day, or from there to the next weekday `until`."""

    def rule(said):
        start = said - ((said.weekday() - weekday - 1) % 7 + 1) * DAY
        return start, start + ((weekday if until is None else until) - weekday) * DAY

    return rule


def coming(weekday, *, weeks=0, until=None):
    """The first such weekday after that day, `weeks` weeks later, or up to weekday `until`."""

    def rule(said):
        start = said + ((weekday - said.weekday() - 1) % 7 + 1 + 7 * weeks) * DAY
        return start, start + ((weekday if until is None else until) - weekday) * DAY

    return rule


def first(weekday, month):
    def rule(said):
        start = date(said.year, month, 1)
        found = start + (weekday - start.weekday()) % 7 * DAY
        return found, found

    return rule


def last(weekday, month, *, weeks=0):
    def rule(said):
        end = date(said.year, month, monthrange(said.year, month)[1])
        found = end - (end.weekday() - weekday) % 7 * DAY + 7 * weeks * DAY
        return found, found

    return rule


def last_of_month():
    return lambda said: (months(0)(said)[1],) * 2


def named(month, day, weekday):
    """A date named in full, which must fall on the weekday that the story gives it."""

    def rule(said):
        found = date(said.year, month, day)
        assert found.weekday() == weekday
        return found, found

    return rule


# Turn, expression, what it means (worked out on paper), and the rule that must agree.
DATES = {
    "ana-and-tom": [
        ("s01t01", "on Tuesday", "2025-01-07", past(TUE)),
        ("s01t06", "Yesterday", "2025-01-11", days(-1)),
        ("s01t06", "the thirteenth of April", "2025-04-13", named(4, 13, SUN)),
        ("s01t11", "on Thursday", "2025-01-09", past(THU)),
        ("s01t16", "Five years next month", "2020-02-01/2020-02-29", months(1 - 5 * 12)),
        ("s01t18", "the Saturday after", "2025-01-25", coming(SAT, weeks=1)),
        ("s02t01", "on Monday", "2025-02-03", past(MON)),
        ("s02t06", "yesterday", "2025-02-04", days(-1)),
        ("s02t11", "last Sunday", "2025-02-02", past(SUN)),
        ("s02t14", "last night", "2025-02-04", days(-1)),
        ("s02t14", "Monday the eleventh of August", "2025-08-11", named(8, 11, MON)),
        ("s02t17", "next Tuesday", "2025-02-11", coming(TUE)),
        ("s03t04", "the day before yesterday", "2025-02-15", days(-2)),
        ("s03t12", "yesterday", "2025-02-16", days(-1)),
        ("s03t17", "from March on we meet on the first Thursday", "2025-03-06", first(THU, 3)),
        ("s04t02", "last Saturday", "2025-03-08", past(SAT)),
        ("s04t06", "on Monday", "2025-03-10", past(MON)),
        ("s04t08", "this morning", "2025-03-13", days(0)),
        ("s04t17", "the week before last", "2025-02-24/2025-03-02", weeks(-2)),
        ("s05t03", "an hour ago", "2025-04-08", days(0)),
        ("s05t03", "the second of June", "2025-06-02", named(6, 2, MON)),
        ("s05t08", "tomorrow", "2025-04-09", days(1)),
        ("s05t08", "Friday the twenty-third of May", "2025-05-23", named(5, 23, FRI)),
        ("s05t10", "the last Saturday of May", "2025-05-31", last(SAT, 5)),
        ("s05t17", "at the weekend", "2025-04-05/2025-04-06", past(SAT, until=SUN)),
        ("s05t17", "the thirteenth of September", "2025-09-13", named(9, 13, SAT)),
        ("s05t18", "in exactly two weeks", "2025-04-22", days(14)),
        ("s05t19", "on Friday", "2025-04-11", coming(FRI)),
        ("s06t03", "the end of this month", "2025-05-31", last_of_month()),
        ("s06t13", "on Wednesday", "2025-04-30", past(WED)),
        ("s06t18", "a week earlier, on the twenty-fourth", "2025-05-24", last(SAT, 5, weeks=-1)),
        ("s06t21", "twelve days ago", "2025-04-22", days(-12)),
        (
            "s06t22",
            "the weekend after next",
            "2025-05-17/2025-05-18",
            coming(SAT, weeks=1, until=SUN),
        ),
        ("s07t01", "the end of the month", "2025-06-30", last_of_month()),
        ("s07t05", "a week ago today", "2025-06-02", days(-7)),
        ("s07t10", "yesterday", "2025-06-08", days(-1)),
        ("s07t12", "on Thursday evening", "2025-06-05", past(THU)),
        ("s07t17", "Three weeks now", "2025-05-19", days(-21)),
        ("s08t07", "first thing tomorrow", "2025-07-05", days(1)),
        ("s09t11", "on Wednesday", "2025-07-02", past(WED)),
        ("s10t02", "yesterday", "2025-08-12", days(-1)),
        ("s10t06", "three weeks ago", "2025-07-23", days(-21)),
        ("s10t08", "a week on Saturday", "2025-08-23", coming(SAT, weeks=1)),
        ("s10t12", "the last Thursday of September", "2025-09-25", last(THU, 9)),
        ("s10t16", "on Monday", "2025-08-11", past(MON)),
        ("s11t03", "On Saturday", "2025-09-13", past(SAT)),
        ("s11t09", "for exactly two weeks", "2025-09-01", days(-14)),
        ("s11t13", "Tuesday evening, the fourteenth", "2025-10-14", named(10, 14, TUE)),
        ("s11t18", "in ten days", "2025-09-25", days(10)),
        ("s12t04", "on Sunday", "2025-10-19", past(SUN)),
        ("s12t09", "on Friday", "2025-10-17", past(FRI)),
        ("s12t12", "this morning", "2025-10-21", days(0)),
        ("s12t12", "in eleven days", "2025-11-01", days(11)),
        ("s12t19", "on Saturday", "2025-10-18", past(SAT)),
        ("s13t03", "Last night", "2025-11-09", days(-1)),
        ("s13t10", "until Friday", "2025-11-14", coming(FRI)),
        ("s13t16", "last Thursday", "2025-11-06", past(THU)),
        ("s13t16", "on Friday", "2025-11-07", past(FRI)),
        ("s14t02", "yesterday", "2025-12-05", days(-1)),
        ("s14t06", "on Monday", "2025-12-01", past(MON)),
        ("s14t08", "on Thursday", "2025-12-04", past(THU)),
        ("s14t12", "on Wednesday", "2025-12-03", past(WED)),
        ("s14t14", "The day before yesterday", "2025-12-04", days(-2)),
        ("s15t10", "tomorrow", "2026-01-19", days(1)),
        ("s15t12", "twelve weeks from today", "2026-04-12", days(84)),
        ("s15t16", "the day before yesterday", "2026-01-16", days(-2)),
        ("s15t17", "On Friday", "2026-01-16", past(FRI)),
    ],
    "assistant-desk": [
        ("s02t05", "within thirty days from today", "2025-03-12", days(30)),
        ("s02t09", "by Thursday", "2025-02-13", coming(THU)),
        ("s03t08", "next Wednesday", "2025-03-12", coming(WED)),
        ("s04t07", "on Friday", "2025-03-28", past(FRI)),
        ("s04t08", "yesterday", "2025-03-31", days(-1)),
        ("s05t02", "two weeks ago yesterday", "2025-04-09", days(-15)),
        ("s05t07", "Tuesday the sixth of May", "2025-05-06", named(5, 6, TUE)),
        ("s06t01", "on Sunday night", "2025-05-18", past(SUN)),
        ("s06t06", "this Saturday", "2025-05-24", coming(SAT)),
        ("s06t09", "yesterday", "2025-05-20", days(-1)),
        ("s07t05", "last Thursday", "2025-06-26", past(THU)),
        ("s07t11", "Tomorrow", "2025-07-01", days(1)),
        ("s08t01", "since Monday", "2025-07-21", past(MON)),
        ("s09t01", "yesterday", "2025-09-01", days(-1)),
        ("s10t01", "on Friday", "2025-10-10", past(FRI)),
        ("s10t09", "last Tuesday", "2025-10-07", past(TUE)),
        ("s11t02", "Tuesday the ninth", "2025-12-09", named(12, 9, TUE)),
        ("s12t03", "on Monday", "2025-12-15", past(MON)),
        ("s13t02", "the day after tomorrow", "2026-01-15", days(2)),
        ("s13t04", "last week", "2026-01-05/2026-01-11", weeks(-1)),
    ],
}

FUNCTION_WORDS = """
a an and any are at be been before but by can did do does for from had has have he her
how i in into is it its may me my no not now of on or our out say she should so that the their them
then there they this to up was we were what when where which who will with you
"""
STOP = frozenset(FUNCTION_WORDS.split())
STEM = Stemmer.Stemmer("english").stemWord

each_file = pytest.mark.parametrize("name", sorted(FILES))


def span(written):
    first_day, _, last_day = written.partition("/")
    return date.fromisoformat(first_day), date.fromisoformat(last_day or first_day)


def turns_by_id(name):
    return {turn["id"]: turn for turn in FILES[name]["turns"]}


def said_at(turn):
    return datetime.fromisoformat(turn["at"])


def words(text):
    """Stems of the content words, without apostrophes."""
    plain = re.sub(r"['’]\w*", "", text.lower())
    return {STEM(word) for word in re.findall(r"\w+", plain) if word not in STOP}


def spoken(turn):
    return words(f"{turn['speaker']} {turn['text']}")


# Schema


def test_there_are_the_two_conversations_and_importing_tells_their_format():
    assert set(FILES) == set(LEAST)
    assert detect(FOLDER).name == "conversations"


def test_the_importer_reads_every_turn_with_its_id_speaker_session_and_time():
    found = {(m.namespace, m.key, m.speaker, m.session, m.at, m.text) for m in read(FOLDER, "auto")}
    assert found == {
        (name, turn["id"], turn["speaker"], turn["session"], said_at(turn), turn["text"])
        for name, content in FILES.items()
        for turn in content["turns"]
    }


@each_file
def test_a_file_holds_exactly_the_fields_of_the_open_format(name):
    content = FILES[name]
    assert list(content) == ["id", "turns", "questions"]
    assert content["id"] == name
    for turn in content["turns"]:
        assert list(turn) == ["id", "session", "at", "speaker", "text"]
        assert all(isinstance(value, str) and value.strip() == value for value in turn.values())
        assert re.fullmatch(turn["session"] + r"t\d\d", turn["id"])
    for question in content["questions"]:
        answer = ["answer"] if question["category"] != "unanswerable" else []
        assert list(question) == ["question", "evidence", "category", "asked_at", *answer]


@each_file
def test_ids_are_unique_and_count_up_inside_their_session(name):
    content = FILES[name]
    per_session = Counter(turn["session"] for turn in content["turns"])
    assert list(per_session) == [f"s{n:02d}" for n in range(1, len(per_session) + 1)]
    assert [turn["id"] for turn in content["turns"]] == [
        f"{session}t{n:02d}" for session, count in per_session.items() for n in range(1, count + 1)
    ]


@each_file
def test_there_is_as_much_of_everything_as_promised(name):
    content = FILES[name]
    n_sessions, n_turns, n_questions = LEAST[name]
    assert len({turn["session"] for turn in content["turns"]}) >= n_sessions
    assert len(content["turns"]) >= n_turns
    assert len(content["questions"]) >= n_questions
    assert len({turn["speaker"] for turn in content["turns"]}) >= 2


@each_file
def test_no_two_texts_or_questions_are_alike(name):
    content = FILES[name]
    long = [turn["text"] for turn in content["turns"] if len(turn["text"]) > 20]
    assert len(set(long)) == len(long)
    asked = [question["question"] for question in content["questions"]]
    assert len(set(asked)) == len(asked)


@each_file
def test_turns_are_of_very_different_lengths(name):
    lengths = [len(turn["text"].split()) for turn in FILES[name]["turns"]]
    assert min(lengths) <= 4
    assert max(lengths) >= 35
    assert 3 <= min(lengths) <= max(lengths) <= 70


# Time


@each_file
def test_times_are_aware_and_never_run_backwards(name):
    times = [said_at(turn) for turn in FILES[name]["turns"]]
    assert all(moment.tzinfo is not None for moment in times)
    assert times == sorted(times)


@each_file
def test_the_offset_is_that_of_central_europe_on_the_day(name):
    for turn in FILES[name]["turns"]:
        at = said_at(turn)
        forward, back = last(SUN, 3)(at.date())[0], last(SUN, 10)(at.date())[0]
        assert at.utcoffset() == timedelta(hours=2 if forward <= at.date() < back else 1)


@each_file
def test_a_conversation_goes_on_for_a_year_with_irregular_gaps(name):
    starts = [said_at(turn).date() for turn in FILES[name]["turns"] if turn["id"].endswith("t01")]
    assert (starts[-1] - starts[0]).days >= 360
    gaps = [(later - earlier).days for earlier, later in pairwise(starts)]
    assert max(gaps) >= 1.5 * min(gaps)
    assert len(set(gaps)) >= 6


@pytest.mark.parametrize(
    ("name", "turn_id", "expression", "meant", "rule"),
    [(name, *row) for name, rows in DATES.items() for row in rows],
)
def test_a_relative_date_stands_in_its_turn_and_follows_from_when_it_was_said(
    name, turn_id, expression, meant, rule
):
    turn = turns_by_id(name)[turn_id]
    assert re.search(rf"\b{re.escape(expression)}\b", turn["text"])
    assert rule(said_at(turn).date()) == span(meant)


def test_the_table_of_dates_has_at_least_thirty_rows_of_many_kinds():
    rows = [row for table in DATES.values() for row in table]
    assert len(rows) >= 30
    assert len({expression.lower() for _, expression, _, _ in rows}) >= 30


@each_file
def test_every_weekday_in_an_answer_is_that_of_its_date(name):
    pattern = r"(Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day (\d+ [A-Z][a-z]+ \d{4})"
    found = [
        (weekday, datetime.strptime(written, "%d %B %Y"))
        for question in FILES[name]["questions"]
        for weekday, written in re.findall(pattern, question.get("answer", ""))
    ]
    assert len(found) >= 5
    for weekday, day in found:
        assert day.strftime("%A") == f"{weekday}day"


@each_file
def test_a_date_in_a_temporal_answer_is_one_its_evidence_resolves_to(name):
    meant = {}
    for turn_id, _, written, _ in DATES[name]:
        meant.setdefault(turn_id, set()).add(span(written)[0])
    for question in FILES[name]["questions"]:
        written = re.search(r"\d+ [A-Z][a-z]+ \d{4}", question.get("answer", ""))
        if question["category"] == "temporal" and written:
            day = datetime.strptime(written[0], "%d %B %Y").date()
            assert day in set().union(*(meant.get(key, set()) for key in question["evidence"]))


def test_the_spans_of_the_two_answers_that_count_days():
    lost, found = span("2025-04-30")[0], span("2025-11-09")[0]
    assert (found - lost).days == 193
    due, born = span("2025-06-15")[0], span("2025-06-05")[0]
    assert (due - born).days == 10


# Questions


@each_file
def test_evidence_names_turns_in_order_that_were_spoken_before_the_question(name):
    turns = turns_by_id(name)
    for question in FILES[name]["questions"]:
        asked_at = datetime.fromisoformat(question["asked_at"])
        assert asked_at.tzinfo is not None
        assert question["evidence"] == sorted(set(question["evidence"]))
        assert all(said_at(turns[key]) <= asked_at for key in question["evidence"])


@each_file
def test_every_category_is_asked_and_only_the_unanswerable_have_no_evidence(name):
    questions = FILES[name]["questions"]
    assert {question["category"] for question in questions} == set(CATEGORIES)
    for question in questions:
        assert bool(question["evidence"]) == (question["category"] != "unanswerable")
        assert len(question["evidence"]) > 1 or question["category"] != "multi-hop"


def test_at_most_four_of_at_least_sixty_questions_are_unanswerable():
    counts = Counter(q["category"] for content in FILES.values() for q in content["questions"])
    assert counts.total() >= 60
    assert counts["unanswerable"] <= 4


@each_file
def test_about_half_of_the_questions_use_other_words_than_their_evidence(name):
    turns = turns_by_id(name)
    shared = []
    for question in FILES[name]["questions"]:
        if question["evidence"]:
            asked = words(question["question"])
            said = set().union(*(spoken(turns[key]) for key in question["evidence"]))
            shared.append(len(asked & said) / len(asked))
    other = sum(share <= 0.5 for share in shared) / len(shared)
    assert 0.4 <= other <= 0.7


@each_file
def test_some_answers_are_good_only_at_the_time_of_asking(name):
    asked = {question["asked_at"] for question in FILES[name]["questions"]}
    end = max(said_at(turn) for turn in FILES[name]["turns"])
    assert sum(datetime.fromisoformat(moment) < end for moment in asked) >= 2


# README


def demonstrations():
    return re.findall(r"^\| [\w ]+ \| (.+\?) \| `(s\d\dt\d\d)` \|", README, flags=re.MULTILINE)


def test_the_readme_names_three_demonstrations_with_their_single_evidence():
    asked = {q["question"]: q for q in FILES["ana-and-tom"]["questions"]}
    assert [asked[question]["evidence"] for question, _ in demonstrations()] == [
        [turn_id] for _, turn_id in demonstrations()
    ]
    assert [asked[question]["category"] for question, _ in demonstrations()] == [
        "single-hop",
        "temporal",
        "knowledge-update",
    ]


def test_the_rare_words_of_a_demonstration_point_plainly_to_its_evidence():
    turns = turns_by_id("ana-and-tom")
    held = {key: spoken(turn) for key, turn in turns.items()}
    n_holding = Counter(word for found in held.values() for word in found)
    for question, turn_id in demonstrations():
        asked = words(question)
        points = {
            key: sum(math.log(len(held) / n_holding[word]) for word in asked & found)
            for key, found in held.items()
        }
        runner_up = max(value for key, value in points.items() if key != turn_id)
        assert points[turn_id] >= 1.4 * runner_up


def test_the_readme_states_the_sizes_that_the_files_have():
    for name, content in FILES.items():
        sessions = len({turn["session"] for turn in content["turns"]})
        sizes = f"{sessions} | {len(content['turns'])} | {len(content['questions'])}"
        assert re.search(rf"`{name}\.json` \| .+ \| {re.escape(sizes)} \|", README)


def test_the_readme_counts_the_categories_as_they_are():
    counts = Counter(q["category"] for content in FILES.values() for q in content["questions"])
    for category in CATEGORIES:
        assert re.search(rf"^\| {category} \| .+ \| {counts[category]} \|$", README, re.MULTILINE)


def test_the_json_in_the_readme_shows_the_first_turn_and_a_question_as_they_are():
    (block,) = re.findall(r"```json\n(.+?)```", README, flags=re.DOTALL)
    shown, content = json.loads(block), FILES["ana-and-tom"]
    assert shown["id"] == content["id"]
    assert all(turn in content["turns"] for turn in shown["turns"])
    assert all(question in content["questions"] for question in shown["questions"])
