"""What people read: recollections, items and tables, on a terminal or down a pipe.

On a terminal texts are wrapped and cut to a readable length. Down a pipe every entry is one
line, so that grep and head see whole texts. Texts never reach the terminal's control codes,
whatever they hold; `--json` and `--context` print them as they are.
"""

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby

from rich.console import Console
from rich.table import Table
from rich.text import Text

from memsieve.recollection import Recollection, spoken
from memsieve.types import Hit, Item

_MAX_SHOWN = 2_000  # characters of one text on a terminal; the whole of it is in 'get'
_MAX_LEFT_OUT = 60
_N_FEATURES = 4
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
    """'02 Mar 2026', in UTC."""
    return f"{moment:%d %b %Y}"


def minute(moment: datetime) -> str:
    """'2026-03-02 14:05', in UTC."""
    return f"{moment:%Y-%m-%d %H:%M}"


def recollection(found: Recollection) -> None:
    """Hits best first, each with its date, text, score and the features that made it."""
    out = console()
    width = len(str(len(found)))
    for hit in found:
        _hit(out, hit, width)
    budget = "" if found.budget_tokens is None else f" of {found.budget_tokens:,}"
    hits = "1 hit" if len(found) == 1 else f"{len(found):,} hits"
    out.print(
        f"{hits}, {found.tokens:,}{budget} tokens, chosen among {found.n_candidates:,} candidates",
        style="dim",
    )
    for line in _left_out(found):
        out.print(line, style="dim", soft_wrap=True)


def _hit(out: Console, hit: Hit, width: int) -> None:
    lead = Text.assemble((f"{hit.rank:>{width}}  ", "bold"), (f"{day(hit.item.said_at)}  ", "dim"))
    _paragraph(out, lead, spoken(hit.item), "green" if hit.rank == 1 else "")
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
    room = max(out.width - lead.cell_len, 20)
    for number, line in enumerate(Text(text, style=style).wrap(out, room)):
        out.print((Text(" " * lead.cell_len) if number else lead) + line, soft_wrap=True)


def _left_out(found: Recollection) -> list[str]:
    """A line for each reason that kept the next best out, naming the first it hit."""
    lines = []
    for reason, group in groupby(zip(found.left_out, found.reasons, strict=True), lambda p: p[1]):
        first, *others = [hit for hit, _ in group]
        more = f" and {len(others)} more" if others else ""
        text = one_line(spoken(first.item), _MAX_LEFT_OUT)
        lines.append(f"left out: {text}{more} ({reason.removeprefix('dropped: ')})")
    return lines


def items(listed: Sequence[Item]) -> None:
    """One line for each item: its id, the day it was said, who said what."""
    out = console()
    for item in listed:
        lead = Text(f"{item.id}  {day(item.said_at)}  ", style="dim")
        replaced = "" if item.invalid_at is None else "(replaced) "
        text = Text(one_line(replaced + spoken(item)))
        if out.is_terminal:
            text.truncate(max(out.width - lead.cell_len, 20), overflow="ellipsis")
        out.print(lead + text, soft_wrap=True)


def item(one: Item) -> None:
    """One item: every field that says something, then the whole text."""
    out = console()
    happened = one.happened and [m and minute(m) for m in (one.happened.start, one.happened.end)]
    shown = {
        "id": one.id,
        "said": minute(one.said_at),
        "stored": minute(one.stored_at),
        "replaced": one.invalid_at and minute(one.invalid_at),
        "replaces": one.supersedes,
        "happened": happened and f"{happened[0] or '?'} to {happened[1] or '?'}",
        "namespace": one.namespace,
        "session": one.session and f"{one.session}, turn {one.ordinal}",
        "speaker": one.speaker,
        "role": one.role,
        "kind": one.kind,
        "source": f"{one.source}, trust {one.trust:g}",
        "key": one.key,
        "tokens": f"{one.tokens:,}",
        "metadata": ", ".join(f"{name}={value!r}" for name, value in one.metadata.items()),
    }
    for name, value in shown.items():
        if value:
            out.print(Text(f"{name:<10} ", style="dim") + one_line(value), soft_wrap=True)
    out.print()
    out.print(Text(visible(one.text)), soft_wrap=True)


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
