"""check, stats and reindex."""

from typing import Annotated

import typer

from memsieve.cli.door import Door
from memsieve.errors import ParameterError, StoreError


def check(
    door: Door,
    fix: Annotated[
        bool, typer.Option("--fix", help="Rebuild what is derived: words, vectors and times.")
    ] = False,
) -> None:
    """Prove that the file is sound, or say what is not.

    Every text is analysed, embedded and read for times anew, and compared with what is stored. The
    exit code is 1 if findings remain.
    """
    from memsieve.cli import records, show
    from memsieve.cli.progress import bar

    with bar("checking"), door.memory() as memory:
        findings = memory.check(fix=fix)
    remaining = [finding for finding in findings if not finding.fixed]
    if door.json:
        listed = [records.record(finding) for finding in findings]
        records.as_json({"sound": not remaining, "findings": listed})
    elif findings:
        rows = [(f.what, f.where, "mended" if f.fixed else "") for f in findings]
        show.table(("finding", "where", ""), rows)
    else:
        show.line(f"{door.path} is sound")
    if remaining:
        way = "what is left is no derived data" if fix else "'memsieve check --fix' may mend them"
        raise StoreError(f"{door.path} has {len(remaining)} findings: {way}")


def stats(door: Door) -> None:
    """Count what is in the memory, by namespace."""
    from memsieve.cli import records, show

    with door.memory(embeds=False) as memory:
        found = memory.stats()
    if door.json:
        records.as_json(found)
        return
    show.line(
        f"{found['path']}: {found['file_bytes']:,} bytes, schema {found['schema']},"
        f" embedder {found['embedder']}, timeline {found['timeline']}, policy {found['policy']}"
    )
    if found["unread_times"]:
        show.line(f"times of {found['unread_times']:,} items not read: run memsieve reindex --time")
    names = ("items", "sessions", "tokens", "superseded")
    rows = [
        (namespace, *(f"{counts[name]:,}" for name in names))
        for namespace, counts in found["namespaces"].items()
    ]
    show.table(("namespace", *names), rows, right=names)


def reindex(
    door: Door,
    time: Annotated[
        bool, typer.Option("--time", help="Read the times that texts name, where unread.")
    ] = False,
    timeline: Annotated[
        str | None,
        typer.Option(
            "--timeline",
            metavar="SPEC",
            help="What to read times with, of all items if it is another than before."
            " Default: the one the file has its times from.",
        ),
    ] = None,
) -> None:
    """Move the memory to another embedder, read the times of its texts, or both.

    With --embedder every text is embedded anew; until that is done, items are found by their
    words. With --time the times are read that are unread: those of a file from before times were
    read, and all of them with another --timeline. What is interrupted goes on with the same
    command.
    """
    from dataclasses import replace

    from memsieve.cli import records, show
    from memsieve.cli.progress import bar, resumable
    from memsieve.timeline import from_spec

    chosen = door.named_embedder(door.embedder)
    if (chosen is None and not time) or (timeline is not None and not time):
        raise ParameterError(
            "reindex needs to know what: name it with --embedder SPEC, --time"
            " or --time --timeline SPEC"
        )
    reader = None if timeline is None else from_spec(timeline)
    done: dict[str, str | int] = {}
    # Opened as it is, with the embedder it is to leave, which may be gone from this machine.
    with replace(door, embedder=None).memory(embeds=False) as memory, resumable():
        if chosen is not None:
            chosen.embed(["tried before the old vectors go"])
            with bar(f"embedding with {chosen.identity}") as progress:
                done["items"] = memory.reindex(chosen, progress=progress)
            done["embedder"] = chosen.identity
        if time:
            with bar("reading times") as progress:
                done["times"] = memory.reindex(time=True, timeline=reader, progress=progress)
            done["timeline"] = memory.timeline_reader.identity
    if door.json:
        records.as_json(done)
        return
    if "embedder" in done:
        show.line(f"{done['items']:,} items embedded with {done['embedder']}")
    if "timeline" in done:
        show.line(f"times of {done['times']:,} items read with {done['timeline']}")
