"""One page of HTML of what happened when: a strip of the months, then years, months and entries.

The page stands alone: no font, no picture, no address to load from, and a policy that forbids
any. The one script, which filters, is in it, and all is there to read without. It follows the
reader's light or dark setting and prints.
"""

import re
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from html import escape
from itertools import groupby
from zlib import crc32

from memsieve.cli.chronology_look import CSS, SCRIPT
from memsieve.cli.show import minute, one_line, visible
from memsieve.cli.years import Month, Telling, Year
from memsieve.formats.when import MONTHS
from memsieve.timeline import spell
from memsieve.types import Interval

_N_COLOURS = 12
_MAX_NAME = 60
_MAX_CHARS = 1_200  # of one entry; a document that names a thousand times would come as often
_LEAD_CHARS = 300  # of these before the words that name the time
_STRIP = (10.0, 60.0)  # width of a month and height, in SVG units
_MIN_BAR = 2.0
_MAX_MONTH_PX = 56
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline';"
    f" script-src 'sha256-{b64encode(sha256(SCRIPT.encode()).digest()).decode()}'"
)


def page(
    years: Sequence[Year], *, title: str, namespace: str, during: Interval | None = None
) -> str:
    """The whole page as HTML text.

    Whatever stands in texts, names and title is escaped: none can bring markup along. Of a text of
    more than 1,200 characters the part around the words that name the time is shown.

    Parameters
    ----------
    title
        What it is about.
    namespace, during
        Where it was looked for, and of which stretch; None for all of time.
    """
    told = [one for year in years for month in year.months for one in month.told]
    colours = _colours(told)
    main = "".join(
        (
            f'<header><p class="over">What happened when</p><h1>{_text(title)}</h1>',
            f"{_lead(told, namespace, during)}{_legend(told, colours)}{_strip(years)}</header>",
            _bar(years),
            *(_year(year, colours) for year in years),
            "" if years else '<p class="nothing">Nothing is told of this.</p>',
        )
    )
    script = f"<script>{SCRIPT}</script>" if years else ""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY)}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{_text(title)}: what happened when</title><style>{CSS}{_palette()}</style></head>"
        f"<body><main>{main}</main>{script}</body></html>\n"
    )


def _lead(told: Sequence[Telling], namespace: str, during: Interval | None) -> str:
    n_items = len({one.item.id for one in told})
    parts = [f"{_counted(len(told), 'entry', 'entries')} of {_counted(n_items, 'item', 'items')}"]
    if during is not None:
        parts.append(f"during: {spell(during)}")
    elif told:
        first, last = (_day(one) for one in (told[0], told[-1]))
        parts.append(first if first == last else f"from {first} to {last}")
    parts.append(f"namespace {namespace}")
    return f'<p class="soft">{_text(", ".join(parts))}</p>'


def _day(one: Telling) -> str:
    """Where it stands, as finely as it speaks: '8 May 2023', or '1911'."""
    year, month = one.place
    return f"{one.begins.day} {one.begins:%B} {year}" if month else f"{year}"


def _counted(n: int, one: str, several: str) -> str:
    return f"{n:,} {one if n == 1 else several}"


def _legend(told: Sequence[Telling], colours: Mapping[str, int]) -> str:
    voices = Counter(_voice(one) for one in told)
    entries = "".join(
        f'<li class="c{colours[name]}"><bdi>{_text(name)}</bdi> {n:,}</li>'
        for name, n in voices.most_common()
        if name
    )
    return f'<ul class="legend">{entries}</ul>'


def _strip(years: Sequence[Year]) -> str:
    """How many entries fall into each month; years without any are left out."""
    drawn = [year for year in years if any(month.number for month in year.months)]
    if not drawn:
        return ""
    most = max(len(m.told) for year in drawn for m in year.months if m.number)
    parts, n_months = [], 0
    for before, year in zip([None, *drawn], drawn, strict=False):
        numbers = [month.number for month in year.months if month.number]
        first = min(numbers) if year is drawn[0] else 1
        last = max(numbers) if year is drawn[-1] else 12
        n_months += last - first + 1
        far = before is not None and year.number - before.number > 1
        parts.append(
            f'<div class="y{" far" if far else ""}" style="flex-grow:{last - first + 1}">'
            f"{_bars(year, first, last, most)}{_letters(first, last) if len(drawn) <= 3 else ''}"
            f'<a href="#y{year.number}">{year.number}</a></div>'
        )
    key = (
        '<p class="key"><span><i></i>name a time</span>'
        '<span><i class="o"></i>on the day they were said</span></p>'
    )
    return (
        '<figure class="strip" aria-label="Entries by month">'
        f'<div style="max-width:{n_months * _MAX_MONTH_PX}px">{"".join(parts)}</div></figure>{key}'
    )


def _letters(first: int, last: int) -> str:
    letters = "".join(f"<span>{name[0].upper()}</span>" for name in MONTHS[first - 1 : last])
    return f'<div class="letters" aria-hidden="true">{letters}</div>'


def _bars(year: Year, first: int, last: int, most: int) -> str:
    """The months from `first` to `last` of a year, the tallest possible bar standing for `most`."""
    width, height = _STRIP
    bars = []
    for month in year.months:
        if not month.number:
            continue
        x = (month.number - first) * width
        named = sum(bool(one.places) for one in month.told)
        tall = max(len(month.told) / most * (height - 4), _MIN_BAR)
        low = tall * named / len(month.told)
        entries = _counted(len(month.told), "entry", "entries")
        bars.append(
            f'<a href="#{_anchor(year, month)}">'
            f"<title>{month.name} {year.number}: {entries}, {named:,} of them name a time</title>"
            f'<rect class="hit" x="{x:g}" y="0" width="{width:g}" height="{height:g}"/>'
            f"{_rect('rest', x, height - tall, tall - low)}{_rect('named', x, height - low, low)}"
            "</a>"
        )
    box = f"0 0 {(last - first + 1) * width:g} {height:g}"
    return f'<svg viewBox="{box}" preserveAspectRatio="none">{"".join(bars)}</svg>'


def _rect(name: str, x: float, y: float, height: float) -> str:
    if not height:
        return ""
    return f'<rect class="{name}" x="{x + 1:g}" y="{y:.1f}" width="8" height="{height:.1f}"/>'


def _bar(years: Sequence[Year]) -> str:
    """The way to each year, and the filter, which its script shows."""
    if not years:
        return ""
    links = "".join(f'<a href="#y{year.number}">{year.number}</a>' for year in years)
    return (
        f'<div class="bar"><nav aria-label="Years">{links}</nav><form hidden>'
        '<input type="search" placeholder="Filter: a word, a name" aria-label="Filter">'
        '<label><input type="checkbox"> times named</label><output></output></form></div>'
    )


def _year(year: Year, colours: Mapping[str, int]) -> str:
    months = "".join(_month(year, month, colours) for month in year.months)
    return f'<section class="year"><h2 id="y{year.number}">{year.number}</h2>{months}</section>'


def _month(year: Year, month: Month, colours: Mapping[str, int]) -> str:
    heading = f'<h3 id="{_anchor(year, month)}">{month.name}</h3>' if month.name else ""
    days = "".join(
        f'<div class="day" data-date="{_text(f"{date} {year.number}")}">'
        f'<div class="date">{_text(date)}</div><ol>'
        f"{''.join(_entry(one, colours) for one in told)}</ol></div>"
        for date, told in groupby(month.told, key=lambda one: spell(one.when, one.begins))
    )
    return f'<section class="month">{heading}{days}</section>'


def _anchor(year: Year, month: Month) -> str:
    return f"m{year.number}-{month.number:02}"


def _entry(one: Telling, colours: Mapping[str, int]) -> str:
    item, voice = one.item, _voice(one)
    who = f'<bdi class="who">{_text(voice)}</bdi> ' if voice else ""
    kind = f"c{colours[voice]}" if one.places else f"rest c{colours[voice]}"
    about = f"said {minute(item.said_local)} {item.said_local:%Z}, item {item.id}"
    notes = "; ".join(_notes(one))
    note = f'<p class="note">{_text(notes)}</p>' if notes else ""
    return (
        f'<li class="e {kind}" title="{_text(about)}"><p dir="auto">{who}'
        f"{''.join(_marked(one))}</p>{note}</li>"
    )


def _notes(one: Telling) -> Iterator[str]:
    said, when = one.item.said_local, one.begins
    if one.places and said.date() != when.date():
        yield f"said {said.day} {said:%B}" + ("" if said.year == when.year else f" {said.year}")
    if one.when.start is None:
        yield "its start is unknown: it stands at its end"
    if len(one.item.text) > _MAX_CHARS:
        yield f"a part of {len(one.item.text):,} characters: memsieve get {one.item.id}"


def _marked(one: Telling) -> Iterator[str]:
    """The text, or a part of it, with the words that name the time highlighted."""
    text = one.item.text
    begin = max(one.places[0][0] - _LEAD_CHARS, 0) if one.places else 0
    begin, end = (begin, begin + _MAX_CHARS) if len(text) > _MAX_CHARS else (0, len(text))
    if begin:
        yield "…"
    done = begin
    for first, last in one.places:
        if done <= first and last <= end:
            yield f"{_text(text[done:first])}<mark>{_text(text[first:last])}</mark>"
            done = last
    yield _text(text[done:end])
    if end < len(text):
        yield "…"


def _voice(one: Telling) -> str:
    return one_line(one.item.speaker or one.item.role or "", _MAX_NAME)


def _text(text: str) -> str:
    """Text for the page: escaped, control characters as signs, no more than one empty line."""
    return escape(re.sub(r"\n{3,}", "\n\n", visible(text)))


def _colours(told: Sequence[Telling]) -> dict[str, int]:
    """A colour for each voice: that of its name on every page, or the next that is free."""
    found: dict[str, int] = {}
    for name in sorted({_voice(one) for one in told}):
        colour = crc32(name.encode()) % _N_COLOURS
        taken = set(found.values())
        while colour in taken and len(taken) < _N_COLOURS:
            colour = (colour + 1) % _N_COLOURS
        found[name] = colour
    return found


def _palette() -> str:
    """Hues in equal steps and of equal lightness, which the scheme of the page sets."""
    return "".join(
        f".c{i}{{--who:oklch(var(--l) var(--c) {i * 360 / _N_COLOURS + 15:g})}}"
        for i in range(_N_COLOURS)
    )
