"""What people read: recollections, items and tables, on a terminal or down a pipe.

On a terminal texts are wrapped and cut to a readable length. Down a pipe every entry is one
line, so that grep and head see whole texts. Texts never reach the terminal's control codes,
whatever they hold; `--json` and `--context` print them as they are.
"""

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from memsieve.cli.years import Telling, Year
from memsieve.recollection import Recollection, spoken, voice
from memsieve.timeline import spell
from memsieve.types import Hit, Interval, Item

if TYPE_CHECKING:
    from memsieve.asking import Answer
    from memsieve.llm import Spent
    from memsieve.stages import Card

_MAX_SHOWN = 2_000  # characters of one text on a terminal; the whole of it is in 'get'
_MAX_LEFT_OUT = 60
_N_FEATURES = 4
_MIN_ROOM = 20
_MAX_NAME = 30
_MAX_DATE = 22  # columns that dates are lined up in; longer ones push their text aside
_UNBOUNDED = 100_000  # columns: a pipe has no edge to wrap at

# C0 controls have pictures of their own from U+2400 on; C1 controls have none.
_PICTURES = {
    **{code: 0x2400 + code for code in range(32) if chr(code) not in "\t\n"},
    0x7F: 0x2421,
    **dict.fromkeys(range(0x80, 0xA0), 0xFFFD),
}


def console(*, stderr: bool = False) -> Console:
    """Where people read: no markup, no emoji codes, no guessed colours inside their texts."""
    made = Console(stderr=stderr, markup=False, emoji=False, highlight=False)
    if not made.is_terminal:
        made.width = _UNBOUNDED
    return made


def visible(text: str) -> str:
    """The text with control characters as pictures; tabs and line breaks stay.

    Examples
    --------
    >>> visible("red" + chr(27) + "[31m" + chr(0))
    'red␛[31m␀'
    """
    return text.replace("\r\n", "\n").translate(_PICTURES)


def one_line(text: str, limit: int | None = None) -> str:
    """The text without line breaks, cut to `limit` characters with an ellipsis."""
    line = " ".join(visible(text).split())
    return line if limit is None or len(line) <= limit else f"{line[: limit - 1]}…"


def day(moment: datetime) -> str:
    """'02 Mar 2026', on the moment's own clock."""
    return f"{moment:%d %b %Y}"


def minute(moment: datetime) -> str:
    """'2026-03-02 14:05', on the moment's own clock."""
    return f"{moment:%Y-%m-%d %H:%M}"


def recollection(found: Recollection, during: Interval | None = None) -> None:
    """Hits best first, each with its date, text, score and the features that made it.

    Beneath them stands what was worked out, and `during` as it was understood.
    """
    out = console()
    width = len(str(len(found)))
    for hit in found:
        _hit(out, hit, width, dates=found.dates)
    for one in found.computed:
        out.print(Text(one_line(one.line), style="bold"), soft_wrap=not out.is_terminal)
    budget = "" if found.budget_tokens is None else f" of {found.budget_tokens:,}"
    hits = "1 hit" if len(found) == 1 else f"{len(found):,} hits"
    asked = "" if during is None else f" (during: {spell(during)})"
    out.print(
        f"{hits}, {found.tokens:,}{budget} tokens, chosen among {found.n_candidates:,}"
        f" candidates{asked}",
        style="dim",
    )
    if found.by_event:
        out.print("a question of order: the context goes by when things happened", style="dim")
    for line in _left_out(found):
        out.print(line, style="dim", soft_wrap=True)


def _hit(out: Console, hit: Hit, width: int, *, dates: bool) -> None:
    said = day(hit.item.said_local)
    lead = Text.assemble((f"{hit.rank:>{width}}  ", "bold"), (f"{said}  ", "dim"))
    _paragraph(out, lead, spoken(hit.item, dates=dates), "green" if hit.rank == 1 else "")
    parts = sorted(hit.why.items(), key=lambda part: -abs(part[1]))[:_N_FEATURES]
    why = ": " + ", ".join(f"{name} {share:+.2f}" for name, share in parts) if parts else ""
    place = ", ".join(part for part in (hit.item.session, hit.item.key, hit.id) if part)
    line = f"score {hit.score:.2f}{why} ({place})"
    _paragraph(out, Text(" " * lead.cell_len), line, "dim")


def _paragraph(out: Console, lead: Text, body: str, style: str) -> None:
    """`lead`, then `body` beside it: wrapped with a hanging indent, or on one line in a pipe."""
    if not out.is_terminal:
        out.print(lead + Text(one_line(body)), soft_wrap=True)
        return
    text = visible(body)
    if len(text) > _MAX_SHOWN:
        text = f"{text[: _MAX_SHOWN - 1]}…"
    room = max(out.width - lead.cell_len, _MIN_ROOM)
    for number, line in enumerate(Text(text, style=style).wrap(out, room)):
        out.print((Text(" " * lead.cell_len) if number else lead) + line, soft_wrap=True)


def _left_out(found: Recollection) -> list[str]:
    """A line for each reason that kept the next best out, naming the first it hit."""
    lines = []
    for reason, group in groupby(zip(found.left_out, found.reasons, strict=True), lambda p: p[1]):
        first, *others = [hit for hit, _ in group]
        more = f" and {len(others)} more" if others else ""
        text = one_line(spoken(first.item, dates=found.dates), _MAX_LEFT_OUT)
        lines.append(f"left out: {text}{more} ({reason.removeprefix('dropped: ')})")
    return lines


def items(listed: Sequence[Item]) -> None:
    """One line for each item: its id, the day it was said, who said what."""
    out = console()
    for item in listed:
        lead = Text(f"{item.id}  {day(item.said_local)}  ", style="dim")
        replaced = "" if item.invalid_at is None else "(replaced) "
        text = Text(one_line(replaced + spoken(item)))
        if out.is_terminal:
            text.truncate(max(out.width - lead.cell_len, _MIN_ROOM), overflow="ellipsis")
        out.print(lead + text, soft_wrap=True)


def chronology(years: Sequence[Year]) -> None:
    """Entries under their years and months: a date, who said what, and the words for the time.

    On a terminal an entry is one line of its width; a long text begins at the sentence that names
    the time. Down a pipe texts and dates are whole.
    """
    out = console()
    for year in years:
        out.print(Text(str(year.number), style="bold"))
        for month in year.months:
            if month.name:
                out.print(Text(f"  {month.name}", style="bold"))
            spelled = [
                spell(told.when, told.begins if out.is_terminal else None) for told in month.told
            ]
            column = min(max(map(len, spelled)), _MAX_DATE) if out.is_terminal else 0
            for told, date in zip(month.told, spelled, strict=True):
                _told(out, told, f"    {date:<{column}}  ")


def _told(out: Console, told: Telling, date: str) -> None:
    item = told.item
    name = one_line(voice(item.speaker, item.role), _MAX_NAME if out.is_terminal else None)
    lead = Text.assemble((date, "cyan"), (f"{name} " if name else "", "bold"))
    named = ", ".join(f'"{one_line(word)}"' for word in told.words)
    tail = Text(f" ({named}, said {day(item.said_local)})" if named else "", style="dim")
    text = item.text
    if out.is_terminal:
        room = max(out.width - lead.cell_len - tail.cell_len, _MIN_ROOM)
        body = Text(one_line(told.from_sentence() if told.ends > room else text))
        body.truncate(room, overflow="ellipsis")
    else:
        body = Text(one_line(text))
    line = lead + body + tail
    if out.is_terminal:
        line.truncate(out.width, overflow="ellipsis")
    out.print(line, soft_wrap=True)


def item(one: Item) -> None:
    """One item: every field that says something, then the whole text.

    When it was said is on the speaker's clock, when it was stored and replaced in UTC.
    """
    out = console()
    shown = {
        "id": one.id,
        "said": _on_clock(one.said_local),
        "stored": _on_clock(one.stored_at),
        "replaced": one.invalid_at and _on_clock(one.invalid_at),
        "replaces": one.supersedes,
        "happened": one.happened and spell(one.happened),
        "namespace": one.namespace,
        "session": one.session and f"{one.session}, turn {one.ordinal}",
        "speaker": one.speaker,
        "role": one.role,
        "kind": one.kind,
        "source": f"{one.source}, trust {one.trust:g}",
        "key": one.key,
        "slot": one.slot and f"{one.slot[0]}, {one.slot[1]}",
        "tokens": f"{one.tokens:,}",
        "metadata": ", ".join(f"{name}={value!r}" for name, value in one.metadata.items()),
    }
    for name, value in shown.items():
        if value:
            out.print(_field(name) + one_line(value), soft_wrap=True)
    for mention in one.mentions:
        words = one_line(one.text[mention.first : mention.last])
        sure = "" if mention.weight == 1 else f" (weight {mention.weight:.2g})"
        out.print(_field("names") + f'"{words}": {spell(mention.interval)}{sure}', soft_wrap=True)
    out.print()
    out.print(Text(visible(one.text)), soft_wrap=True)


def _field(name: str) -> Text:
    return Text(f"{name:<10} ", style="dim")


def _on_clock(moment: datetime) -> str:
    """'2026-03-02 14:05 UTC+01:00'."""
    return f"{minute(moment)} {moment:%Z}"


def piece(text: str) -> None:
    """A piece of an answer, as soon as it is there."""
    console().print(Text(visible(text)), end="", soft_wrap=True)


def answer(found: "Answer", *, is_streamed: bool) -> None:
    """What was answered, the lines it cites, and what it cost."""
    out = console()
    if is_streamed:
        out.print()
    if not is_streamed or not found.is_answered:
        style = "green" if found.is_answered else "yellow"
        out.print(Text(visible(found.text), style=style), soft_wrap=True)
    if not found.is_answered:
        out.print(Text(f"because {found.why}", style="dim"), soft_wrap=True)
    width = len(str(max(found.cited, default=0))) + 2
    for number, hit in sorted(found.cited.items()):
        said = day(hit.item.said_local)
        lead = Text.assemble((f"{f'[{number}]':>{width}}  ", "bold"), (f"{said}  ", "dim"))
        _paragraph(out, lead, spoken(hit.item, dates=True), "")
        out.print(Text(f"{' ' * lead.cell_len}{hit.id}", style="dim"), soft_wrap=True)
    cost = "no model was asked" if found.spent is None else spending(found.spent)
    again = f"; tried {len(found.attempts)} times" if len(found.attempts) > 1 else ""
    out.print(Text(f"{found.author}: {cost}{again}", style="dim"), soft_wrap=True)


def card(one: "Card", *, whole: bool) -> None:
    """How a system answers the six questions, and its differences, whole or counted."""
    out = console()
    out.print(Text(one.name, style="bold green") + Text(f"  {one.paper}"), soft_wrap=True)
    for question in ("unit", "written", "scored", "selected", "managed", "learns"):
        _paragraph(out, Text("  ") + _field(question), getattr(one, question), "")
    if one.differences and not whole:
        ours = f"{len(one.differences)} differences: 'memsieve systems {one.name}'"
        _paragraph(out, Text("  ") + _field("ours"), ours, "dim")
    for difference in one.differences if whole else ():
        _paragraph(out, Text("  ") + _field("ours"), difference, "")


def spending(spent: "Spent") -> str:
    """What a chat model cost: '3 calls (1 from before), 1,204 tokens read, 96 written'."""
    more = [
        f"{count:,} {what}"
        for count, what in ((spent.cached, "from before"), (spent.failed, "failed"))
        if count
    ]
    beside = f" ({', '.join(more)})" if more else ""
    unknown = f"; {spent.unknown:,} calls did not tell" if spent.unknown else ""
    calls = "1 call" if spent.calls == 1 else f"{spent.calls:,} calls"
    return (
        f"{calls}{beside}, {spent.prompt_tokens:,} tokens read, {spent.completion_tokens:,}"
        f" written{unknown}"
    )


def table(
    heading: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[str] = ()
) -> None:
    """A table of short cells; the columns named in `right` are ranged to the right."""
    out = console()
    made = Table(box=None, pad_edge=False, header_style="bold")
    for name in heading:
        made.add_column(name, justify="right" if name in right else "left", overflow="fold")
    for row in rows:
        made.add_row(*(Text(one_line(cell)) for cell in row))
    out.print(made)


def figures(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table of figures with the best of each column in bold, in parts if it is too wide.

    More is better, but for times, where less is; what a context took is neither.
    """
    out = console()
    columns = list(zip(heading, *rows, strict=True))
    marked = [_marked(name, column) for name, *column in columns]
    for part in _parts([max(map(len, column)) for column in columns], out.width):
        made = Table(box=None, pad_edge=False, header_style="dim")
        for at in part:
            made.add_column(heading[at], justify="right" if at else "left", no_wrap=True)
        for cells in zip(*(marked[at] for at in part), strict=True):
            made.add_row(*cells)
        out.print(made)


def _marked(name: str, column: Sequence[str]) -> list[Text]:
    """The cells of a column, the best of several in bold."""
    known = {float(cell) for cell in column if cell.replace(".", "", 1).isdigit()}
    if len(known) < 2 or name.startswith("tokens"):
        return [Text(cell) for cell in column]
    best = min(known) if name.endswith("ms") else max(known)
    return [
        Text(cell, style="bold green" if cell[:1].isdigit() and float(cell) == best else "")
        for cell in column
    ]


def _parts(widths: Sequence[int], room: int) -> list[list[int]]:
    """Columns in groups that fit side by side; each opens with the first column.

    Examples
    --------
    >>> _parts([10, 6, 6, 6], 26)
    [[0, 1, 2], [0, 3]]
    """
    parts: list[list[int]] = [[0]]
    for at in range(1, len(widths)):
        used = sum(widths[i] + 2 for i in parts[-1])
        if used + widths[at] > room and len(parts[-1]) > 1:
            parts.append([0])
        parts[-1].append(at)
    return parts


def line(text: str, *, style: str = "") -> None:
    """One line on stdout, never wrapped."""
    console().print(Text(visible(text), style=style), soft_wrap=True)
