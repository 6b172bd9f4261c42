"""recall, get, list and history."""

from typing import Annotated

import typer

from memsieve.cli.door import Door, pairs, stretch, when
from memsieve.cli.options import (
    During,
    Kind,
    Metadata,
    Role,
    Session,
    Since,
    Speaker,
    SystemName,
    Until,
)


def recall(
    door: Door,
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="What to look for.")],
    budget: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="At most N tokens of context. Default: no bound, but ten hits."
        ),
    ] = None,
    k: Annotated[
        int | None,
        typer.Option(
            "--k", metavar="N", help="At most N hits. Default: ten, or what the budget takes."
        ),
    ] = None,
    now: Annotated[
        str | None,
        typer.Option(
            metavar="DATE",
            help="The clock of the question: nothing later is recalled, and 'last spring' is the"
            " one before it.",
        ),
    ] = None,
    during: During = None,
    window: Annotated[
        str,
        typer.Option(
            metavar="HOW",
            help="soft: what lies outside of --during comes after all that lies inside; hard: it"
            " does not come at all. Without --during, hard goes by the time that the question"
            " names.",
        ),
    ] = "soft",
    as_of: Annotated[
        str | None,
        typer.Option(
            metavar="DATE",
            help="Answer as the memory stood then: of what has newer versions, the one that held.",
        ),
    ] = None,
    speaker: Speaker = None,
    session: Session = None,
    role: Role = None,
    kind: Kind = None,
    since: Since = None,
    until: Until = None,
    metadata: Metadata = None,
    neighbours: Annotated[
        int, typer.Option(metavar="N", help="Turns before and after a hit that come with it.")
    ] = 0,
    cite: Annotated[
        bool, typer.Option("--cite", help="Number the lines of the context by rank.")
    ] = False,
    dates: Annotated[
        bool,
        typer.Option(
            "--dates/--no-dates",
            help="Put the dates that relative words mean behind them: yesterday [7 May].",
        ),
    ] = True,
    track: Annotated[
        bool,
        typer.Option("--track", help="Keep what was weighed, for 'memsieve feedback'."),
    ] = False,
    stale: Annotated[
        bool,
        typer.Option(
            "--stale", help="Leave in what no longer holds: see --slot of 'memsieve add'."
        ),
    ] = False,
    policy: Annotated[
        str | None,
        typer.Option(
            metavar="POLICY",
            help="What scores: a shipped policy or a file. Default: the one that this memory has"
            " adopted, else default.",
        ),
    ] = None,
    system: SystemName = None,
    context: Annotated[
        bool,
        typer.Option(
            "--context/--table", help="The bare context for a prompt, or hits with their reasons."
        ),
    ] = False,
) -> None:
    """Select what answers a question, within a budget.

    The best evidence comes first. The context has the same hits in the order of time, each day
    under its date. A question of how long gets the length worked out, one of what came first gets
    a context in the order in which things happened.

    With time: memsieve recall 'What did Ana plan?' --during 'last spring' --now 2026-03-02
    """
    clock, then = when("--now", now), when("--as-of", as_of)
    with door.memory(policy=policy, system=system) as memory:
        meant = stretch("--during", during, clock or then, memory.timeline_reader)
        found = memory.recall(
            question,
            budget_tokens=budget,
            k=k,
            now=clock,
            speaker=speaker,
            session=session,
            role=role,
            kind=kind,
            since=when("--since", since),
            until=when("--until", until),
            metadata=pairs(metadata),
            during=meant,
            window=window,
            as_of=then,
            neighbours=neighbours,
            cite=cite,
            dates=dates,
            track=track,
            stale=stale,
            namespace=door.namespace,
        )
        others = elsewhere(memory.namespace, memory.namespaces()) if not found else ""
    if door.json:
        from memsieve.cli import records

        records.as_json(records.recollection(found))
    elif context:
        print(found.context())
    else:
        from memsieve.cli import show

        show.recollection(found, meant)
        if track:
            show.line(f"kept: 'memsieve feedback {found.id} --used ID' says which hits answered")
        if others:
            show.line(others)


def elsewhere(namespace: str, known: list[str]) -> str:
    """Where one might have looked instead."""
    others = [name for name in known if name != namespace]
    shown = ", ".join(others[:10]) + (", ..." if len(others) > 10 else "")
    return f"looked in the namespace {namespace}; there are also: {shown}" if others else ""


def get(
    door: Door, id_: Annotated[str, typer.Argument(metavar="ID", help="The id of an item.")]
) -> None:
    """Show one item with all that is known of it, and its whole text."""
    with door.memory(embeds=False) as memory:
        item = memory.get(id_)
    if door.json:
        from memsieve.cli import records

        records.as_json(records.record(item))
    else:
        from memsieve.cli import show

        show.item(item)


def list_(
    door: Door,
    limit: Annotated[int, typer.Option(metavar="N", help="At most N items.")] = 100,
    all_: Annotated[bool, typer.Option("--all", help="Every item, whatever the limit.")] = False,
    newest: Annotated[
        bool, typer.Option("--newest", help="The last written first, not the first.")
    ] = False,
    superseded: Annotated[
        bool, typer.Option("--superseded", help="Old versions too, which recall passes over.")
    ] = False,
    speaker: Speaker = None,
    session: Session = None,
    role: Role = None,
    kind: Kind = None,
    since: Since = None,
    until: Until = None,
    metadata: Metadata = None,
) -> None:
    """List items in the order in which they were written."""
    with door.memory(embeds=False) as memory:
        items = memory.list(
            limit=None if all_ else limit,
            speaker=speaker,
            session=session,
            role=role,
            kind=kind,
            since=when("--since", since),
            until=when("--until", until),
            metadata=pairs(metadata),
            newest_first=newest,
            with_superseded=superseded,
            namespace=door.namespace,
        )
        others = elsewhere(memory.namespace, memory.namespaces()) if not items else ""
    if door.json:
        from memsieve.cli import records

        records.as_json([records.record(item) for item in items])
        return
    from memsieve.cli import show

    show.items(items)
    if not items:
        show.line(f"no items; {others}" if others else "no items")


def history(
    door: Door, id_: Annotated[str, typer.Argument(metavar="ID", help="The id of an item.")]
) -> None:
    """Show what was ever done to an item and its earlier versions.

    The journal keeps no texts, so it still knows what was forgotten.
    """
    with door.memory(embeds=False) as memory:
        events = memory.history(id_)
    if door.json:
        from memsieve.cli import records

        records.as_json([records.record(event) for event in events])
        return
    from memsieve.cli import show

    show.table(
        ("at (UTC)", "operation", "by", "item", "detail"),
        [
            (
                show.minute(event.at),
                event.operation,
                event.actor,
                ", ".join(event.ids),
                ", ".join(f"{name}={value}" for name, value in event.detail.items()),
            )
            for event in events
        ],
    )
