"""add, recall, get, list, forget and history: what goes in comes out, for people and programs."""

import os
import re
import subprocess
import sys

import pytest

import memsieve

LETTERS = {
    "right to left": ("גרתי בחיפה לפני המלחמה", "איפה גרת? חיפה"),
    "right to left, joined": ("انتقلت إلى لشبونة في الربيع", "لشبونة"),
    "without spaces": ("私は去年の春にリスボンへ引っ越しました。", "リスボン"),
    "emoji": ("We adopted a puppy 🐶🏽‍🦱 on Monday", "puppy 🐶"),
    "null byte": ("one\0two unicorn", "unicorn"),
    "combining": ("Cafe\u0301 and na\u00efve re\u0301sume\u0301", "Café"),
    "markup": ("[bold red]not markup[/] :smile: {0} %s", "markup"),
    "long": ("harbour " * 120_000, "harbour"),
}


@pytest.mark.parametrize(("text", "question"), LETTERS.values(), ids=LETTERS)
def test_text_of_every_kind_is_stored_as_it_is_and_found(good, text, question):
    id_ = good("add", "-", input=text + "\n").out.strip()
    assert good("get", id_, "--json").json["text"] == text
    found = good("recall", question, "--json").json
    assert [hit["id"] for hit in found["hits"]] == [id_]
    assert good("recall", question, "--context", "--no-dates").out.endswith(f"{text}\n")


def test_add_keeps_everything_it_is_told(good):
    id_ = good(
        "add", "I moved to Lisbon.", "--at", "2026-03-02T14:05+01:00", "--session", "s1",
        "--speaker", "Ana", "--role", "user", "--kind", "note", "--key", "k1",
        "--metadata", "topic=home", "--metadata", "year=2026", "--namespace", "friends",
    ).out.strip()  # fmt: skip
    item = good("get", id_, "--json").json
    assert item.items() >= {
        "id": id_, "text": "I moved to Lisbon.", "said_at": "2026-03-02T13:05:00+00:00",
        "session": "s1", "speaker": "Ana", "role": "user", "kind": "note", "key": "k1",
        "metadata": {"topic": "home", "year": 2026}, "namespace": "friends", "source": "user",
    }.items()  # fmt: skip


def test_a_slot_is_kept_and_recall_gives_what_holds_unless_told_otherwise(good):
    good("add", "Ana lives in Rome.", "--at", "2020-01-01", "--slot", "Ana/home")
    id_ = good("add", "Ana lives in Bonn.", "--at", "2021-01-01", "--slot", " ana/home").out.strip()
    assert good("get", id_, "--json").json["slot"] == [" ana", "home"]
    assert "slot       ana, home" in good("get", id_).out
    assert len(good("recall", "Ana", "--json").json["hits"]) == 1
    assert "no longer holds, [Ana, home] is said by hit 1" in good("recall", "Ana").out
    assert len(good("recall", "Ana", "--stale", "--json").json["hits"]) == 2


@pytest.mark.parametrize("arguments", [[], ["-"]])
def test_add_reads_the_pipe_and_drops_one_line_break(good, arguments):
    id_ = good("add", *arguments, "--json", input="two\n\nlines\n\n").json["id"]
    assert good("get", id_, "--json").json["text"] == "two\n\nlines\n"


def test_add_takes_the_windows_line_break_as_one(good):
    assert good("add", input=b"text\r\n").code == 0
    assert good("list", "--json").json[0]["text"] == "text"


def test_the_longest_text_goes_through_the_pipe(good, cli):
    longest = "a" * (1 << 20)
    assert good("add", input=longest + "\r\n").code == 0
    assert cli("add", input=longest + "a").code == 1


def test_a_known_key_gives_the_old_id_or_a_new_version(good):
    first = good("add", "I live in Ghent.", "--key", "home").out
    assert good("add", "I live in Ghent.", "--key", "home").out == first
    second = good("add", "I live in Lisbon.", "--key", "home").out
    assert second != first
    assert [item["text"] for item in good("list", "--json").json] == ["I live in Lisbon."]
    assert len(good("list", "--superseded", "--json").json) == 2
    assert "(replaced) I live in Ghent." in good("list", "--superseded").lines[0]


def test_the_first_line_of_a_recall_is_the_best_evidence_whole(good, talk):
    long = f"The ferry to Trafaria leaves {'very, ' * 100}late.\nAnd again."
    good("add", long, "--speaker", "Ben", "--at", "2026-03-10")
    first, *others = good("recall", "How does the ferry leave?").lines
    assert first == f"1  10 Mar 2026  Ben: {long.replace(chr(10), ' ')}"
    assert others[0].lstrip().startswith("score ")
    assert any(line.endswith("candidates") for line in others)


def test_a_recall_says_what_it_left_out_and_why(good, talk):
    lines = good("recall", "Where did Ana move?", "--k", "1").lines
    assert lines[0] == "1  02 Mar 2026  Ana: I moved to Lisbon last spring [spring 2025]."
    assert lines[2] == "1 hit, 19 tokens, chosen among 3 candidates"
    (left_out,) = lines[3:]
    assert left_out.startswith("left out: ")
    assert left_out.endswith(" and 1 more (the budget of 1 item is full)")


def test_a_recall_without_evidence_says_where_else_to_look(good, talk):
    good("add", "The bank closes at four.", "--namespace", "bank")
    lines = good("recall", "xylophone", "--since", "2030-01-01").lines
    assert lines == [
        "0 hits, 0 tokens, chosen among 0 candidates",
        "looked in the namespace default; there are also: bank",
    ]
    assert good("list", "--since", "2030-01-01").lines[0].startswith("no items; looked in")


def test_a_recall_in_json_is_that_of_the_library(good, talk, database):
    question, budget = "Where did Ana move?", 20
    answer = good("recall", question, "--budget", budget, "--json").json
    with memsieve.open(database) as memory:
        found = memory.recall(question, budget_tokens=budget)
    assert [hit["id"] for hit in answer["hits"]] == list(found.ids)
    assert answer["hits"][0].items() >= {
        "rank": 1, "text": "I moved to Lisbon last spring.", "speaker": "Ana", "key": None,
        "session": "s-2026-03-02", "said_at": "2026-03-02T00:00:00+00:00",
    }.items()  # fmt: skip
    assert answer["hits"][0]["score"] == pytest.approx(found[0].score, abs=1e-6)
    assert answer["hits"][0]["why"] == pytest.approx(dict(found[0].why), abs=1e-6)
    assert [session["session"] for session in answer["sessions"]] == [
        session.session for session in found.sessions
    ]
    assert [left["reason"] for left in answer["left_out"]] == list(found.reasons)
    assert {name: answer[name] for name in ("question", "tokens", "budget_tokens")} == {
        "question": question, "tokens": found.tokens, "budget_tokens": budget,
    }  # fmt: skip
    assert answer["context"] == found.context()
    assert answer["n_candidates"] == found.n_candidates


def test_the_context_is_printed_bare_and_cited_on_request(good, talk, database):
    with memsieve.open(database) as memory:
        plain = memory.recall("Where did Ana move?", budget_tokens=40)
        cited = memory.recall("Where did Ana move?", budget_tokens=40, cite=True)
    arguments = ["recall", "Where did Ana move?", "--budget", 40, "--context"]
    assert good(*arguments).out == plain.context() + "\n"
    assert good(*arguments, "--cite").out == cited.context() + "\n"
    assert "[1] Ana: I moved" in cited.context()


@pytest.mark.parametrize(
    ("options", "texts"),
    [
        (["--speaker", "Ben"], [1]),
        (["--session", "s-2026-03-09"], [2]),
        (["--since", "2026-03-03"], [2]),
        (["--until", "2026-03-03"], [0, 1]),
        (["--role", "assistant"], []),
        (["--kind", "turn"], [0, 1, 2]),
        (["--metadata", "topic=home"], []),
    ],
    ids=str,
)
def test_recall_and_list_filter_alike(good, talk, options, texts):
    wanted = {talk[i] for i in texts}
    found = good("recall", "Ana, Lisbon, bake, street", *options, "--json").json
    assert {hit["id"] for hit in found["hits"]} == wanted
    assert {item["id"] for item in good("list", *options, "--json").json} == wanted


def test_recall_goes_by_the_clock_of_the_question(good, talk):
    found = good("recall", "bake", "--now", "2026-03-05", "--json").json
    assert {hit["id"] for hit in found["hits"]} == set(talk[:2])


@pytest.fixture
def moves(good):
    """Three turns that tell of two springs and a summer; gives their ids."""
    said = [
        ("I moved to Ghent in April 2024.", "2025-01-10T23:30-05:00"),
        ("I moved to Lisbon last spring.", "2026-03-02T09:00+01:00"),
        ("I move again in July.", "2026-03-02T09:01+01:00"),
    ]
    return [
        good("add", text, "--speaker", "Ana", "--at", at, "--session", "s").out.strip()
        for text, at in said
    ]


@pytest.mark.parametrize(
    "during", ["last spring", "between 1 April and 9 May 2025", "2025-03-01/2025-06-01"]
)
def test_a_recall_is_of_a_stretch_named_in_words_or_dates(good, moves, during):
    arguments = ["recall", "Where did Ana move?", "--during", during, "--now", "2026-03-03"]
    found = good(*arguments, "--json").json
    assert found["hits"][0]["id"] == moves[1]
    assert len(found["hits"]) == 3
    found = good(*arguments, "--window", "hard", "--json").json
    assert [hit["id"] for hit in found["hits"]] == [moves[1]]


def test_a_recall_says_what_the_words_were_read_as(good, moves):
    arguments = ["recall", "Where did Ana move?", "--during", "last spring"]
    lines = good(*arguments, "--as-of", "2026-03-03").lines
    assert "3 candidates (during: spring 2025)" in next(n for n in lines if "candidates" in n)
    lines = good(*arguments, "--as-of", "2025-03-03").lines
    assert "1 candidates (during: spring 2024)" in next(n for n in lines if "candidates" in n)


def test_a_recall_as_of_a_day_has_the_version_that_held(good):
    good("add", "I live in Ghent.", "--key", "home", "--at", "2024-05-01")
    good("add", "I live in Lisbon.", "--key", "home", "--at", "2025-05-01")
    question = ["recall", "Where do I live?", "--json"]
    assert [hit["text"] for hit in good(*question).json["hits"]] == ["I live in Lisbon."]
    then = good(*question, "--as-of", "2024-12-01").json
    assert [hit["text"] for hit in then["hits"]] == ["I live in Ghent."]


def test_dates_stand_beside_relative_words_unless_they_are_not_wanted(good, moves):
    question = ["recall", "Who moved to Lisbon?", "--during", "spring 2025", "--k", "1"]
    with_dates = "Ana: I moved to Lisbon last spring [spring 2025]."
    assert good(*question).lines[0] == f"1  02 Mar 2026  {with_dates}"
    assert good(*question, "--context").lines[-1] == with_dates
    assert good(*question, "--no-dates").lines[0].endswith("  Ana: I moved to Lisbon last spring.")
    assert "[" not in good(*question, "--no-dates", "--context").out
    assert good(*question, "--json").json["hits"][0]["text"] == "I moved to Lisbon last spring."


def test_the_day_shown_is_that_of_the_speakers_clock(good, moves):
    assert good("recall", "Ghent", "--k", "1").lines[0].startswith("1  10 Jan 2025  Ana: ")
    assert good("list").lines[0].split("  ")[1] == "10 Jan 2025"
    lines = good("get", moves[0]).lines
    assert "said       2025-01-10 23:30 UTC-05:00" in lines
    assert re.fullmatch(r"stored     \d{4}-\d\d-\d\d \d\d:\d\d UTC", lines[2])


LENGTH = "How many days are there between moving to Ghent and moving to Lisbon?"


def test_a_length_that_was_worked_out_stands_beneath_the_hits(good, database):
    good("add", "I moved to Ghent yesterday.", "--at", "2025-03-02")
    good("add", "We painted the boats.", "--at", "2025-03-05")
    good("add", "I moved to Lisbon on 11 March 2025.", "--at", "2025-03-20")
    with memsieve.open(database) as memory:
        (computed,) = memory.recall(LENGTH).computed
    assert computed.days == 10
    lines = good("recall", LENGTH).lines
    at = lines.index(computed.line)
    assert lines[0].startswith("1  ")
    assert lines[at + 1].startswith("3 hits, ")
    assert good("recall", LENGTH, "--json").json["computed"] == [
        {"answer": computed.answer, "working": computed.working, "days": 10, "count": 10,
         "support": computed.support},
    ]  # fmt: skip


def test_a_question_of_order_says_that_the_context_goes_by_what_happened(good, moves):
    order, note = "Which came first, Ghent or Lisbon?", "the context goes by when things happened"
    assert good("recall", order, "--json").json["by_event"] is True
    assert [line for line in good("recall", order).lines if note in line]
    assert good("recall", "Lisbon", "--json").json["by_event"] is False
    assert not [line for line in good("recall", "Lisbon").lines if note in line]


def test_get_shows_every_time_that_a_text_names_and_what_it_means(good):
    text = "We met last spring and on 3 May 2022."
    lines = good("get", good("add", text, "--at", "2026-03-02").out.strip()).lines
    named = [line for line in lines if line.startswith("names ")]
    assert named == [
        'names      "last spring": spring 2025',
        'names      "3 May 2022": 3 May 2022',
    ]
    assert "happened   spring 2025" in lines or "happened   3 May 2022" in lines


def test_metadata_filters_by_number_as_well(good):
    id_ = good("add", "A leap year.", "--metadata", "year=2028").out.strip()
    good("add", "A year like others.", "--metadata", 'year="2028"')
    found = good("recall", "year", "--metadata", "year=2028", "--json").json
    assert [hit["id"] for hit in found["hits"]] == [id_]


def test_neighbours_come_with_a_hit(good, talk):
    arguments = ["recall", "Do you still bake?", "--k", "2", "--speaker", "Ben", "--json"]
    assert len(good(*arguments).json["hits"]) == 1
    found = good("recall", "still bake", "--k", "2", "--neighbours", "1", "--json").json
    assert {hit["id"] for hit in found["hits"]} == set(talk[:2])


def test_list_is_a_line_for_each_item_in_the_order_written(good, talk):
    lines = good("list").lines
    assert [line.split()[0] for line in lines] == talk
    assert lines[1].endswith("  02 Mar 2026  Ben: Do you still bake?")
    assert [line.split()[0] for line in good("list", "--newest", "--limit", "2").lines] == [
        talk[2], talk[1],
    ]  # fmt: skip
    assert len(good("list", "--limit", "1", "--all").lines) == 3


def test_get_shows_the_fields_and_the_whole_text(good):
    text = "First line.\nSecond line."
    id_ = good("add", text, "--at", "2026-03-02", "--metadata", "topic=home").out.strip()
    lines = good("get", id_).lines
    assert lines[0] == f"id         {id_}"
    assert lines[1] == "said       2026-03-02 00:00 UTC"
    assert "metadata   topic='home'" in lines
    assert lines[-3:] == ["", *text.split("\n")]


def test_forget_prints_the_receipt_and_the_text_is_gone(good, cli, talk, files_hold):
    assert files_hold("Lisbon last spring")
    out = good("forget", talk[0], talk[1]).lines
    assert out[0].startswith("forgot 2 at ")
    assert out[1].endswith("that still hold the text: 0")
    assert not files_hold("Lisbon last spring")
    assert cli("get", talk[0]).code == 1
    receipt = good("forget", talk[2], "--json").json
    assert receipt.items() >= {"ids": [talk[2]], "residue": 0}.items()


def test_one_unknown_id_keeps_all(cli, good, talk):
    answer = cli("forget", talk[0], "nothing", "--yes")
    assert "nothing was forgotten" in answer.error
    assert len(good("list", "--json").json) == 3


def test_history_knows_what_was_forgotten(good, talk):
    good("forget", talk[0])
    lines = good("history", talk[0]).lines
    assert [line.split()[2] for line in lines[1:]] == ["add", "forget"]
    events = good("history", talk[0], "--json").json
    assert [(event["operation"], event["actor"]) for event in events] == [
        ("add", "cli"), ("forget", "cli"),
    ]  # fmt: skip


@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals as POSIX has them")
class TestOnATerminal:
    """Where somebody can be asked."""

    @staticmethod
    def typed(letters, *arguments):
        """Run the program with `letters` typed into its terminal."""
        import pty

        ours, its = pty.openpty()
        os.write(ours, letters)
        done = subprocess.run(
            [sys.executable, "-m", "memsieve", *map(str, arguments)],
            stdin=its, capture_output=True, text=True, timeout=30,
        )  # fmt: skip
        os.close(ours)
        os.close(its)
        return done

    def test_forget_asks_and_a_no_keeps_everything(self, good, talk, database):
        done = self.typed(b"n\n", "forget", talk[0], "--db", database)
        assert (done.returncode, done.stdout) == (1, "")
        assert "I moved to Lisbon last spring." in done.stderr
        assert "Forget 1 for good?" in done.stderr
        assert done.stderr.endswith("memsieve: nothing was forgotten, as you chose\n")
        assert len(good("list", "--json").json) == 3

    def test_forget_goes_on_after_a_yes_or_without_asking(self, good, talk, database):
        assert self.typed(b"y\n", "forget", talk[0], "--db", database).returncode == 0
        assert self.typed(b"", "forget", talk[1], "--yes", "--db", database).returncode == 0
        assert [item["id"] for item in good("list", "--json").json] == [talk[2]]

    def test_an_unknown_id_is_not_asked_about(self, talk, database):
        done = self.typed(b"y\n", "forget", "nothing", "--db", database)
        assert done.stderr == "memsieve: no item has the id 'nothing'\n"

    def test_add_without_a_text_does_not_wait(self, database):
        done = self.typed(b"", "add", "--db", database)
        assert done.returncode == 2
        assert done.stderr.startswith("memsieve: there is nothing to add: give the text")
