"""systems and enrich: which ways to recall there are, and the notes that some of them keep."""

from typing import Annotated

import typer

from memsieve.cli.door import Door
from memsieve.cli.options import KeyEnv, ModelSpec, SystemName


def systems(
    door: Door,
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="One system, with all of its card.")
    ] = None,
) -> None:
    """List the memory systems: the six answers of each, its paper, where ours departs from it.

    Each of them works on the same file: 'memsieve recall --system NAME', 'memsieve bench --system
    NAME', memsieve.open(path, system=NAME).
    """
    from memsieve import registry
    from memsieve.cli import show

    cards = [registry.card(one) for one in ([name] if name else registry.names())]
    if door.json:
        from memsieve.cli import records

        records.as_json([records.record(card) for card in cards])
        return
    for n, card in enumerate(cards):
        if n:
            show.line("")
        show.card(card, whole=name is not None)


def enrich(
    door: Door, system: SystemName = None, model: ModelSpec = None, key_env: KeyEnv = None
) -> None:
    """Let a system write its notes: keywords, summaries, links, by a chat model.

    Notes are kept in the file, one by one: interrupted, it goes on where it was. Nothing is sent
    unless a model is named. Forgetting an item takes along every note that was made from it.
    """
    from memsieve.cli import show
    from memsieve.cli.progress import bar
    from memsieve.errors import ParameterError

    with door.model(model, key_env) as asked:
        if asked is None:
            raise ParameterError("enrich needs a chat model: --model SPEC, or MEMSIEVE_MODEL")
        with door.memory(system=system, model=asked) as memory, bar("enrich") as progress:
            written = memory.enrich(namespace=door.namespace, progress=progress)
            name = memory.system.name
        spent = asked.spent
    if door.json:
        from memsieve.cli import records

        records.as_json({"system": name, "notes": written, "spent": records.record(spent)})
        return
    show.line(f"{written:,} notes written by {name}")
    show.line(show.spending(spent))
