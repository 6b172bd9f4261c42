"""timeline: what happened when, on the terminal, as a page or for programs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from memsieve.carrying import whole_file
from memsieve.cli.commands_read import elsewhere
from memsieve.cli.door import Door, stretch, when
from memsieve.cli.files import require_room
from memsieve.cli.options import During
from memsieve.errors import ParameterError

if TYPE_CHECKING:
    from memsieve.types import Interval


def timeline(
    door: Door,
    subject: Annotated[
        str | None,
        typer.Argument(
            metavar="SUBJECT",
            help="Who or what it is about: a speaker, or words that stand in one text. Default:"
            " everything.",
            show_default=False,
        ),
    ] = None,
    during: During = None,
    now: Annotated[
        str | None,
        typer.Option(metavar="DATE", help="The clock that --during is read against. Default: now."),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(metavar="N", help="At most N entries, the earliest first. Default: all."),
    ] = None,
    html: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Write a page to read in a browser, all in this file."),
    ] = None,
) -> None:
    """Show what happened when, in order.

    Every time that a text names is an entry, on the day that its words mean: 'yesterday' stands
    under the day before it was said. What names no time stands under the day on which it was said.
    """
    _require_page(door, html)
    clock = when("--now", now)
    with door.memory(embeds=False) as memory:
        meant = stretch("--during", during, clock, memory.timeline_reader)
        found = memory.timeline(subject, during=meant, limit=limit, namespace=door.namespace)
        namespace = memory.namespace
        others = elsewhere(namespace, memory.namespaces()) if not found else ""
    if door.json and html is None:
        from memsieve.cli import records

        records.as_json(records.chronology(found))
        return
    from memsieve.cli import show
    from memsieve.cli.years import tellings, years

    shelves = years(tellings(found))
    n_told = sum(year.n_told for year in shelves)
    if html is not None:
        from memsieve.cli.chronology_page import page

        title = subject or namespace
        with whole_file(Path(html)) as file:
            file.write(page(shelves, title=title, namespace=namespace, during=meant))
    else:
        show.chronology(shelves)
    if door.json:
        from memsieve.cli import records

        records.as_json({"path": html, "namespace": namespace, "entries": n_told})
        return
    where = "" if html is None else f", in {html}"
    if shelves:
        first = "the first " if len(found) == limit else ""
        show.line(f"{first}{_counted(n_told)}{_stretch(meant)}{where}", style="dim")
        return
    about = "" if subject is None else f" about {subject!r}"
    show.line(f"0 entries{about}{_stretch(meant)}{where}")
    _show_ways(subject, meant, others)


def _require_page(door: Door, html: str | None) -> None:
    """Fail before the long work where the page can or must not be written."""
    require_room([html])
    if html is not None and Path(html).resolve() == door.path.resolve():
        raise ParameterError(f"{html} is the database itself: name another file")


def _show_ways(subject: str | None, during: "Interval | None", others: str) -> None:
    """What one might try where nothing was found."""
    from memsieve.cli import show

    if during is not None:
        show.line("a wider --during may hold something, or none at all")
    if subject is not None:
        show.line("a subject is the name of a speaker, or words that all stand in one text")
    if others:
        show.line(others)


def _counted(n: int) -> str:
    return "1 entry" if n == 1 else f"{n:,} entries"


def _stretch(during: "Interval | None") -> str:
    from memsieve.timeline import spell

    return "" if during is None else f" (during: {spell(during)})"
