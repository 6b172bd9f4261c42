"""check, stats and reindex."""

from typing import Annotated

import typer

from memsieve.cli.door import Door
from memsieve.errors import ParameterError, StoreError


def check(
    door: Door,
    fix: Annotated[
        bool, typer.Option("--fix", help="Rebuild what is derived: index rows and vectors.")
    ] = False,
) -> None:
    """Prove that the file is sound, or say what is not.

    Every text is analysed and embedded anew and compared with what is stored. The exit code is 1
    if findings remain.
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
        f" embedder {found['embedder']}"
    )
    names = ("items", "sessions", "tokens", "superseded")
    rows = [
        (namespace, *(f"{counts[name]:,}" for name in names))
        for namespace, counts in found["namespaces"].items()
    ]
    show.table(("namespace", *names), rows, right=names)


def reindex(door: Door) -> None:
    """Move the memory to another embedder.

    Every text is embedded anew; until that is done, items are found by their words. An
    interrupted move goes on with the same command.
    """
    from dataclasses import replace

    from memsieve.cli import records, show
    from memsieve.cli.progress import bar, resumable

    chosen = door.named_embedder(door.embedder)
    if chosen is None:
        raise ParameterError("reindex needs to know where to: name it with --embedder SPEC")
    # Opened as it is, with the embedder it is to leave, which may be gone from this machine.
    with replace(door, embedder=None).memory(embeds=False) as memory:
        chosen.embed(["tried before the old vectors go"])
        with resumable(), bar(f"embedding with {chosen.identity}") as progress:
            n_items = memory.reindex(chosen, progress=progress)
    if door.json:
        records.as_json({"embedder": chosen.identity, "items": n_items})
    else:
        show.line(f"{n_items:,} items embedded with {chosen.identity}")
