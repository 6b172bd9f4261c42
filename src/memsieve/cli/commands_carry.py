"""import and export."""

import sys
from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer

from memsieve.cli.door import Door


def import_(
    door: Door,
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="A file, a folder or a zip of conversations.")
    ],
    format_: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="NAME",
            help="auto, bfcl, chatgpt, claude, conversations, jsonl, locomo or tau2.",
        ),
    ] = "auto",
) -> None:
    """Read conversations from a file or a folder.

    All of it is checked before the first item is written. Importing again adds only what is
    new, and an import that was interrupted goes on where it stopped. With --namespace all goes
    there; without it, formats that hold several conversations make a namespace for each.
    """
    from memsieve import formats
    from memsieve.cli.progress import bar, resumable

    started = perf_counter()
    with resumable(), bar(f"importing {path.name}") as progress:
        if not door.path.exists():  # a mistake must not leave a new, empty memory behind
            formats.scan(path, format_)
        with door.memory(makes=True) as memory:
            done = memory.import_(path, format=format_, namespace=door.namespace, progress=progress)
    took_s = perf_counter() - started
    if door.json:
        from memsieve.cli.records import as_json

        as_json({**done, "seconds": round(took_s, 3)})
        return
    from memsieve.cli import show

    known = done["messages"] - done["added"]
    show.line(
        f"{done['added']:,} new of {done['messages']:,} messages ({done['format']})"
        f"{f', {known:,} already there' if known else ''}, {took_s:.1f} s"
    )
    show.line(f"namespaces: {', '.join(done['namespaces'])}")


def export(
    door: Door,
    path: Annotated[str, typer.Argument(metavar="PATH", help="A file, or - for standard output.")],
) -> None:
    """Write the items of a namespace as JSON lines, which import reads back.

    A file appears under its name only when it is complete. Old versions are not in it.
    """
    from memsieve.cli.progress import bar

    with door.memory(embeds=False) as memory:
        if path == "-":
            memory.export(sys.stdout, namespace=door.namespace)
            return
        with bar(f"exporting {Path(path).name}") as progress:
            n_items = memory.export(path, namespace=door.namespace, progress=progress)
        namespace = memory.namespace
    if door.json:
        from memsieve.cli.records import as_json

        as_json({"path": path, "namespace": namespace, "items": n_items})
    else:
        from memsieve.cli import show

        show.line(f"{n_items:,} items of the namespace {namespace} in {path}")
