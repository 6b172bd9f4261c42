"""What people read: wrapped on a terminal, whole lines down a pipe, never a control code."""

import re

import pytest
from rich.text import Text

from memsieve.cli.show import figures, one_line, visible

ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


def plain(text):
    return ESCAPES.sub("", text)


def test_a_terminal_gets_hits_wrapped_under_a_hanging_indent(good, terminal):
    good(
        "add",
        "The ferry to Trafaria was late again, and nobody knew why. " * 3,
        "--at",
        "2026-03-10",
    )
    lines = plain(terminal("recall", "ferry", columns=60).out).splitlines()
    assert lines[0].startswith("1  10 Mar 2026  The ferry to Trafaria")
    assert {line[:16] for line in lines[1:6]} == {" " * 16}
    assert max(map(len, lines[:6])) <= 60


def test_a_long_text_is_cut_on_a_terminal_and_whole_down_a_pipe(good, terminal):
    text = "harbour " * 2_000 + "lighthouse"
    good("add", text)
    assert "lighthouse" not in terminal("recall", "harbour").out
    assert "…" in terminal("recall", "harbour").out
    assert text in good("recall", "harbour").lines[0]


def test_a_list_on_a_terminal_is_one_line_of_its_width_for_each(good, terminal):
    good("add", "word " * 100)
    (line,) = plain(terminal("list", columns=80).out).splitlines()
    assert len(line) == 80
    assert line.endswith("…")


def test_wide_letters_are_wrapped_by_their_width(good, terminal):
    good("add", "私は去年の春にリスボンへ引っ越しました。" * 6, "--at", "2026-03-10")
    for command in (["recall", "リスボン"], ["list"]):
        lines = plain(terminal(*command, columns=80).out).splitlines()
        assert 78 <= max(Text(line).cell_len for line in lines) <= 80


@pytest.mark.parametrize("command", [["recall", "unicorn"], ["list"]])
def test_control_codes_in_a_text_do_not_reach_the_terminal(good, terminal, command):
    good("add", input="unicorn \x1b]0;title\x07 \x1b[31mred \x9b1m \x00 \x7f end")
    for out in (terminal(*command, columns=120).out, good(*command).out):
        assert "unicorn ␛]0;title␇ ␛[31mred \ufffd1m ␀ ␡ end" in " ".join(plain(out).split())
        assert not set(plain(out)) & {"\x1b", "\x07", "\x9b", "\x00", "\x7f"}


def test_markup_and_emoji_codes_stay_letters(good, terminal):
    good("add", "[bold]x[/] :smile:")
    assert "[bold]x[/] :smile:" in plain(terminal("recall", "smile").out)
    assert "[bold]x[/] :smile:" in plain(terminal("list", columns=90).out)


def test_one_line_cuts_at_its_limit():
    assert one_line("a\nb\t c  d") == "a b c d"
    assert one_line("abcdef", 6) == "abcdef"
    assert one_line("abcdefg", 6) == "abcde…"


def test_visible_keeps_tabs_and_line_breaks():
    assert visible("a\tb\r\nc\rd") == "a\tb\nc␍d"


def test_the_best_figure_of_each_column_is_bold(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "xterm")
    heading = ("system", "R@10", "tokens of 1,000", "p50 ms")
    figures(heading, [("ours", "0.800", "998", "2.00"), ("theirs", "0.700", "900", "0.50")])
    _, ours, theirs = capsys.readouterr().out.splitlines()
    assert re.findall(r"\x1b\[1;32m *([\d.]+)", ours) == ["0.800"]
    assert re.findall(r"\x1b\[1;32m *([\d.]+)", theirs) == ["0.50"]


def test_a_single_row_and_a_missing_figure_are_not_best(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    figures(("system", "R@10"), [("ours", "0.800")])
    figures(("system", "R@10"), [("ours", "-"), ("theirs", "-")])
    assert "\x1b[1;32m" not in capsys.readouterr().out
