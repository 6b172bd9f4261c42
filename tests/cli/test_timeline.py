"""timeline: what happened when, on a terminal, down a pipe, as a page and for programs."""

import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import pytest
from rich.text import Text

import memsieve
from memsieve.carrying import whole_file
from memsieve.cli.chronology_page import page
from memsieve.cli.years import tellings, years
from memsieve.errors import StoreAccessError

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "conversations"
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")
LIVE = {"script", "style", "link", "img", "iframe", "object", "embed", "base"}
VOID = {"meta", "input", "img", "br", "hr", "link"}
HOSTILE = '<script>alert(1)</script> & "quotes" yesterday </mark><b onclick="x">bold'


class Page(HTMLParser):
    """A page taken apart: elements with their attributes and texts, in order.

    `stack` is empty at the end if every element was closed in the order it was opened.
    """

    def __init__(self, text):
        super().__init__()
        self.source, self.stack, self.elements = text, [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append({"tag": tag, "text": "", **dict(attrs)})
        if tag not in VOID and not self.get_starttag_text().endswith("/>"):
            self.stack.append(self.elements[-1])

    def handle_endtag(self, tag):
        if tag not in VOID and not (tag in ("rect", "path") and self.stack[-1]["tag"] != tag):
            assert self.stack.pop()["tag"] == tag

    def handle_startendtag(self, tag, attrs):
        self.elements.append({"tag": tag, "text": "", **dict(attrs)})

    def handle_data(self, data):
        for element in self.stack:
            element["text"] += data

    def all(self, tag=None, name=None):
        """The elements of a tag, of a class, or both."""
        return [
            one
            for one in self.elements
            if tag in (None, one["tag"]) and (name is None or name in one.get("class", "").split())
        ]

    def texts(self, tag=None, name=None):
        return [one["text"] for one in self.all(tag, name)]


@pytest.fixture
def trip(good):
    """Four turns of a trip; gives their ids."""
    said = [
        ("Ana", "The tickets came yesterday. We fly on 3 May 2025.", "2025-04-02T09:00+02:00"),
        ("Ben", "I pack.", "2025-04-02T09:01+02:00"),
        ("Ana", "The visa must be here by Friday.", "2025-04-02T09:02+02:00"),
        ("Ben", "Lisbon was great in 2019.", "2025-04-03T00:30+02:00"),
    ]
    return [
        good("add", text, "--speaker", speaker, "--at", at, "--session", "s").out.strip()
        for speaker, text, at in said
    ]


@pytest.fixture
def read_page(good, tmp_path):
    """Writes the page of a timeline and takes it apart."""

    def read(*arguments, **options):
        path = tmp_path / "page.html"
        good("timeline", *arguments, "--html", path, **options)
        return Page(path.read_text(encoding="utf-8"))

    return read


class TestOnTheTerminal:
    """Years and months as headings, a line for each entry."""

    def test_it_reads_from_the_earliest_to_the_latest_under_years_and_months(self, good, trip):
        assert good("timeline").lines == [
            "2019",
            '    2019  Ben: Lisbon was great in 2019. ("2019", said 03 Apr 2025)',
            "2025",
            "  April",
            "    1 April 2025  Ana: The tickets came yesterday. We fly on 3 May 2025."
            ' ("yesterday", said 02 Apr 2025)',
            "    2 April 2025  Ben: I pack.",
            "    before 5 April 2025  Ana: The visa must be here by Friday."
            ' ("by Friday", said 02 Apr 2025)',
            "  May",
            "    3 May 2025  Ana: The tickets came yesterday. We fly on 3 May 2025."
            ' ("3 May 2025", said 02 Apr 2025)',
            "5 entries",
        ]

    def test_an_entry_is_one_line_of_the_terminal_and_its_year_is_the_headings(
        self, good, terminal, trip
    ):
        good("add", "word " * 60 + "and we moved on 4 May 2025.", "--speaker", "名" * 40)
        out = ESCAPES.sub("", terminal("timeline", columns=70).out).splitlines()
        assert max(Text(line).cell_len for line in out) <= 70
        (yesterday,) = [line for line in out if '("yesterday"' in line]
        assert yesterday.startswith("    1 April ")
        assert "2025" not in yesterday.split("Ana")[0]

    def test_a_long_text_begins_at_the_sentence_that_names_the_time(self, good, terminal):
        good("add", f"{'Boats and more boats. ' * 9}We met on 4 May 2024. Bye.")
        out = ESCAPES.sub("", terminal("timeline", columns=80).out)
        assert "…We met on 4 May 2024. Bye." in out
        assert "Boats" not in out
        assert "Boats and more boats. " * 9 + "We met" in good("timeline").out

    def test_control_codes_do_not_reach_the_terminal(self, good, terminal):
        good("add", input="unicorn \x1b]0;title\x07 yesterday\r \x9b1m \x00 end")
        for out in (terminal("timeline", columns=120).out, good("timeline").out):
            assert "␛]0;title␇ yesterday" in out
            assert not set(ESCAPES.sub("", out)) & {"\x1b", "\x07", "\x9b", "\x00", "\r"}

    def test_a_name_of_two_lines_stays_on_one(self, good):
        good("add", "I pack.", "--speaker", "Ana\nof Lisbon", "--at", "2025-04-02")
        assert "    2 April 2025  Ana of Lisbon: I pack." in good("timeline").lines

    def test_it_says_which_part_it_shows(self, good, trip):
        assert good("timeline", "--limit", "2").lines[-1] == "the first 2 entries"
        words = ["--during", "last month", "--now", "2025-05-10"]
        assert good("timeline", "Ben", *words).lines[-1] == "1 entry (during: April 2025)"
        dates = ["--during", "2025-05-01/2025-06-01"]
        assert good("timeline", *dates).lines[-1] == "1 entry (during: May 2025)"

    def test_a_subject_is_a_speaker_or_words_of_the_text(self, good, trip):
        assert {e["item"]["speaker"] for e in good("timeline", "ben", "--json").json} == {"Ben"}
        (about,) = good("timeline", "great Lisbon", "--json").json
        assert about["item"]["id"] == trip[3]

    def test_nothing_told_says_what_to_try(self, good, trip):
        good("add", "The bank closes at four.", "--namespace", "bank")
        assert good("timeline", "xylophone", "--during", "May 1990").lines == [
            "0 entries about 'xylophone' (during: May 1990)",
            "a wider --during may hold something, or none at all",
            "a subject is the name of a speaker, or words that all stand in one text",
            "looked in the namespace default; there are also: bank",
        ]
        assert good("timeline", "xylophone", "--json").json == []

    def test_it_needs_no_embedder_that_is_gone(self, good, trip, sql):
        sql("UPDATE meta SET value = 'sentence-transformers:gone' WHERE key = 'embedder'")
        assert good("timeline").lines[-1] == "5 entries"


def test_json_is_every_entry_of_the_library(good, trip, database):
    entries = good("timeline", "--json").json
    with memsieve.open(database) as memory:
        found = memory.timeline()
    assert [(e["words"], e["item"]["id"]) for e in entries] == [(e.words, e.item.id) for e in found]
    (yesterday,) = [e for e in entries if e["words"] == "yesterday"]
    item = good("get", trip[0], "--json").json
    assert yesterday == {
        "start": "2025-04-01T00:00:00+02:00", "end": "2025-04-02T00:00:00+02:00",
        "precision": "day", "spelled": "1 April 2025", "words": "yesterday", "item": item,
    }  # fmt: skip
    (visa,) = [e for e in entries if "visa" in e["item"]["text"]]
    assert (visa["start"], visa["spelled"][:7]) == (None, "before ")
    (plain,) = [e for e in entries if e["item"]["id"] == trip[1]]
    assert (plain["words"], plain["spelled"]) == ("", "2 April 2025")


class TestThePage:
    """One file that stands alone."""

    def test_it_has_years_months_and_entries_in_order(self, read_page, trip):
        read = read_page()
        assert read.stack == []
        assert read.texts("h1") == ["default"]
        assert read.texts("h2") == ["2019", "2025"]
        assert read.texts("h3") == ["April", "May"]
        assert len(read.all("li", "e")) == 5
        dates = read.texts("div", "date")
        assert (dates[0], dates[1], dates[2], dates[-1]) == ("2019", "1 April", "2 April", "3 May")
        assert read.texts("mark")[-1] == "3 May 2025"
        assert "5 entries of 4 items, from 2019 to 3 May 2025" in read.texts("p", "soft")[0]

    def test_its_title_is_the_subject_and_names_the_stretch(self, read_page, trip):
        read = read_page("Ben", "--during", "April 2025")
        assert read.texts("title")[0] == "Ben: what happened when"
        assert read.texts("h1") == ["Ben"]
        assert read.texts("p", "soft") == [
            "1 entry of 1 item, during: April 2025, namespace default"
        ]

    def test_the_day_of_saying_stands_where_it_is_another(self, read_page, trip):
        notes = read_page().texts("p", "note")
        assert notes[0] == "said 3 April 2025"
        assert notes[1] == "said 2 April"
        assert len(notes) == 4  # "I pack." was said on the day it stands under

    def test_a_time_without_a_start_says_so_and_stands_at_its_end(self, read_page, trip):
        (visa,) = [e for e in read_page().all("li", "e") if "visa" in e["text"]]
        assert "its start is unknown: it stands at its end" in visa["text"]

    def test_what_names_no_time_is_told_apart(self, read_page, trip):
        (rest,) = read_page().all("li", "rest")
        assert rest["text"] == "Ben I pack."
        assert "said 2025-04-02 09:01 UTC+02:00, item " in rest["title"]

    def test_the_strip_has_a_bar_for_each_month_in_proportion(self, read_page, good):
        for day in range(1, 5):
            good("add", f"Rain on {day} May 2024.", "--at", "2024-05-30")
        good("add", "Sun on 2 July 2024.", "--at", "2024-07-30")
        good("add", "I pack.", "--at", "2024-07-30")
        read = read_page()
        (figure,) = read.all("figure", "strip")
        assert figure["text"].startswith("May 2024: 4 entries, 4 of them name a time")
        assert figure["text"].endswith("MJJ2024")
        heights = [float(r["height"]) for r in read.all("rect") if r["class"] != "hit"]
        assert heights == pytest.approx([56, 14, 14])  # May; of July what names none, what does
        assert [a["href"] for a in read.all("a") if a["href"].startswith("#m")] == [
            "#m2024-05", "#m2024-07",
        ]  # fmt: skip

    def test_every_link_leads_to_a_place_on_the_page(self, read_page, good):
        good("import", EXAMPLES)
        read = read_page("--namespace", "assistant-desk")
        ids = [one["id"] for one in read.elements if "id" in one]
        assert len(set(ids)) == len(ids)
        links = {one["href"] for one in read.all("a")}
        assert {link.removeprefix("#") for link in links} <= set(ids)
        assert {"#y1911", "#y2025", "#m2025-03"} <= links

    def test_a_year_far_from_the_next_is_set_apart(self, read_page, trip, good):
        good("add", "The tower fell in May 1990.", "--at", "2025-04-02")
        assert [one["text"][-4:] for one in read_page().all("div", "far")] == ["2025"]

    def test_a_speaker_has_one_colour_which_is_that_of_another_page(self, read_page, trip):
        def colours(read):
            return {
                e["text"].split()[0]: re.search(r"\bc\d+", e["class"])[0]
                for e in read.all("li", "e")
            }

        both, ben = colours(read_page()), colours(read_page("Ben"))
        assert both["Ana"] != both["Ben"] == ben["Ben"]

    def test_thirty_speakers_share_twelve_colours(self, read_page, good):
        for n in range(30):
            good("add", "I pack.", "--speaker", f"S{n}", "--at", "2025-04-02")
        read = read_page()
        assert len({re.search(r"\bc\d+", e["class"])[0] for e in read.all("li", "e")}) == 12

    def test_nothing_of_a_text_a_name_or_the_subject_becomes_markup(self, read_page, good):
        good("add", HOSTILE, "--speaker", '"><img src=x onerror=alert(1)>', "--at", "2025-04-02")
        read = read_page()
        assert read.stack == []
        assert {one["tag"] for one in read.elements} & LIVE == {"script", "style"}
        assert len(read.all("script")) == 1
        assert not [name for one in read.elements for name in one if name.startswith("on")]
        (entry,) = read.all("li", "e")
        assert HOSTILE in entry["text"]
        assert '"><img src=x onerror=alert(1)>' in entry["text"]
        assert read.texts("mark") == ["yesterday"]
        assert read_page("<b>x</b>").texts("h1") == ["<b>x</b>"]

    def test_it_loads_nothing_and_forbids_to(self, read_page, trip):
        read = read_page()
        assert not re.search(r"https?:|url\(|@import|\bsrc=", read.source)
        (policy,) = [one["content"] for one in read.all("meta") if "http-equiv" in one]
        assert policy.startswith("default-src 'none'; ")
        assert "prefers-color-scheme:dark" in read.source
        assert "width=device-width" in read.source

    def test_its_policy_admits_the_one_script_by_its_digest(self, read_page, trip):
        read = read_page()
        (script,) = read.texts("script")
        (policy,) = [one["content"] for one in read.all("meta") if "http-equiv" in one]
        assert f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" in policy

    def test_without_its_script_all_entries_are_shown_and_the_filter_is_not(self, read_page, trip):
        read = read_page()
        assert [one["tag"] for one in read.elements if "hidden" in one] == ["form"]

    @pytest.mark.parametrize(
        "text",
        [
            "גרתי בחיפה לפני המלחמה",
            "🐶🏽‍🦱 yesterday",
            "私は去年の春に",
            "Cafe\u0301",
            "a\ttab\nline",
        ],
    )
    def test_texts_of_every_kind_stand_as_they_are_in_their_own_direction(
        self, read_page, good, text
    ):
        good("add", text, "--speaker", "דנה", "--at", "2025-04-02")
        (line,) = [one for one in read_page().all("p") if one.get("dir") == "auto"]
        assert line["text"] == f"דנה {text}"

    def test_control_characters_are_signs(self, read_page, good):
        good("add", input="red \x1b[31m \x00 end")
        assert "red ␛[31m ␀ end" in read_page().texts("li", "e")[0]

    def test_of_a_very_long_text_the_part_that_names_the_time_is_shown(self, read_page, good):
        text = f"{'boats and ' * 9_000}on 4 May 2024 we left. {'and so on ' * 9_000}"
        id_ = good("add", input=text).out.strip()
        good("add", "x" * 5_000, "--speaker", "n" * 500, "--at", "2024-05-05")
        read = read_page()
        left, plain = read.texts("li", "e")
        assert "boats and on 4 May 2024 we left. and so on" in left
        assert f"a part of {len(text):,} characters: memsieve get {id_}" in left
        assert len(left) < 1_400
        assert plain.startswith(f"{'n' * 59}… x")
        assert len(read.source) < 20_000

    def test_a_page_of_nothing_says_so(self, read_page, trip, good, tmp_path):
        read = read_page("xylophone")
        assert read.texts("p", "nothing") == ["Nothing is told of this."]
        assert read.all("form") == read.all("figure") == []
        lines = good("timeline", "xylophone", "--html", tmp_path / "page.html").lines
        assert lines[0] == f"0 entries about 'xylophone', in {tmp_path / 'page.html'}"

    def test_the_examples_make_a_sound_page(self, read_page, good):
        good("import", EXAMPLES)
        for namespace in ("ana-and-tom", "assistant-desk"):
            read = read_page("--namespace", namespace)
            assert read.stack == []
            assert len(read.all("li", "e")) > 100
            shown = int(read.texts("p", "soft")[0].split()[0])
            assert len(read.all("li", "e")) == shown


class TestTheFile:
    """Where the page is written."""

    def test_it_says_where_the_page_is(self, good, trip, tmp_path):
        path = tmp_path / "page.html"
        assert good("timeline", "--html", path).lines == [f"5 entries, in {path}"]
        assert good("timeline", "--html", path, "--json").json == {
            "path": str(path), "namespace": "default", "entries": 5,
        }  # fmt: skip
        assert [file.name for file in tmp_path.glob("*.html*")] == ["page.html"]

    def test_it_is_the_page_of_the_same_entries(self, read_page, trip, database):
        with memsieve.open(database) as memory:
            found = years(tellings(memory.timeline()))
        assert read_page().source == page(found, title="default", namespace="default")

    def test_where_no_page_can_be_written_nothing_is_read(self, cli, tmp_path):
        answer = cli("timeline", "--html", tmp_path / "away" / "page.html", db=tmp_path / "no.db")
        assert "its folder is missing or read-only" in answer.error
        assert answer.code == 1

    def test_the_database_is_not_overwritten(self, cli, trip, database):
        before = database.read_bytes()
        answer = cli("timeline", "--html", database)
        assert "is the database itself: name another file" in answer.error
        assert answer.code == 2
        assert database.read_bytes() == before

    def test_a_file_that_cannot_be_completed_leaves_the_old_one(self, tmp_path):
        target = tmp_path / "page.html"
        with whole_file(target) as file:
            file.write("old")
        with pytest.raises(UnicodeEncodeError), whole_file(target) as file:
            file.write("half \ud800")
        assert target.read_text() == "old"
        assert list(tmp_path.iterdir()) == [target]

    def test_a_folder_in_its_place_is_one_error(self, tmp_path):
        (tmp_path / "page.html").mkdir()
        with (
            pytest.raises(StoreAccessError, match=r"^cannot write .*page\.html: "),
            whole_file(tmp_path / "page.html") as file,
        ):
            file.write("text")
