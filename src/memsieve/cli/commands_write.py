"""add and forget."""

import sys
from typing import Annotated

import typer

from memsieve.cli.door import Door, pairs, pointed, when
from memsieve.errors import InputError, MemsieveError, ParameterError, StoreError
from memsieve.rules import MAX_TEXT_BYTES
from memsieve.types import KINDS


def add(
    door: Door,
    text: Annotated[
        str | None,
        typer.Argument(
            metavar="TEXT",
            help="What to remember; - or nothing reads it from standard input. A text that"
            " begins with a dash goes behind --.",
            show_default=False,
        ),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(metavar="DATE", help="When it was said; UTC without an offset. Default: now."),
    ] = None,
    session: Annotated[
        str | None, typer.Option(metavar="NAME", help="The conversation it belongs to.")
    ] = None,
    speaker: Annotated[str | None, typer.Option(metavar="NAME", help="Who said it.")] = None,
    role: Annotated[
        str | None, typer.Option(metavar="ROLE", help="As what: user, assistant, tool, ...")
    ] = None,
    kind: Annotated[str, typer.Option(metavar="KIND", help=f"One of {', '.join(KINDS)}.")] = "turn",
    key: Annotated[
        str | None,
        typer.Option(
            metavar="KEY",
            help="An id of your own. A known key adds nothing, or with another text a new version.",
        ),
    ] = None,
    metadata: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Something to filter by later; repeatable."),
    ] = None,
    slot: Annotated[
        str | None,
        typer.Option(
            metavar="SUBJECT/ATTRIBUTE",
            help="Whose attribute the text states, as Ana/home: of several such texts recall gives"
            " the one that holds.",
        ),
    ] = None,
) -> None:
    """Remember a text and print its id.

    One line break at the end of piped text is dropped, everything else is kept as it is.
    """
    from memsieve.intake import as_message

    # Checked before the file is opened: a mistake must not leave a new, empty memory behind.
    message = as_message(
        _piped() if text is None or text == "-" else text,
        at=when("--at", at),
        session=session,
        speaker=speaker,
        role=role,
        kind=kind,
        key=key,
        metadata=pairs(metadata),
        slot=pointed(slot),
    )
    with door.memory(makes=True) as memory:
        id_ = memory.add(message)
        namespace = memory.namespace
    if door.json:
        from memsieve.cli.records import as_json

        as_json({"id": id_, "namespace": namespace})
    else:
        print(id_)


def _piped() -> str:
    """What comes through the pipe, read no further than a text may be long."""
    if sys.stdin.isatty():
        raise ParameterError("there is nothing to add: give the text, or pipe it in")
    content = sys.stdin.buffer.read(MAX_TEXT_BYTES + 3)
    for end in (b"\r\n", b"\n"):
        if content.endswith(end):
            content = content.removesuffix(end)
            break
    if len(content) > MAX_TEXT_BYTES:
        raise InputError(
            f"the text from standard input has more than {MAX_TEXT_BYTES:,} bytes: split it into"
            " parts, or give 'memsieve import' a file of them"
        )
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise InputError(
            f"the text from standard input is not UTF-8: byte 0x{content[error.start]:02x} at"
            f" {error.start}; convert it first"
        ) from error


def forget(
    door: Door,
    ids: Annotated[
        list[str], typer.Argument(metavar="ID...", help="Ids as add, recall and list print them.")
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask, even on a terminal.")] = False,
) -> None:
    """Delete items for good, and prove it.

    Their text leaves the file, the indexes, the vectors and the log; older versions and what was
    derived from them alone go too. The file is then searched for the text. On a terminal it asks
    first.
    """
    with door.memory(embeds=False) as memory:
        if not yes and sys.stdin.isatty():
            _ask([memory.get(id_).text for id_ in dict.fromkeys(ids)])
        receipt = memory.forget(ids)
    if door.json:
        from memsieve.cli.records import as_json, record

        as_json(record(receipt))
    else:
        from memsieve.cli.show import minute

        rewritten = ", after rewriting it" if receipt.rewritten else ""
        print(f"forgot {len(receipt.ids)} at {minute(receipt.at)} UTC: {', '.join(receipt.ids)}")
        print(f"places in the file that still hold the text{rewritten}: {receipt.residue}")
    if receipt.residue:
        raise StoreError(
            f"{door.path} still holds forgotten text in {receipt.residue} places: close the other"
            " programs that have it open, and its log is emptied"
        )


def _ask(texts: list[str]) -> None:
    from memsieve.cli.show import console, one_line

    out = console(stderr=True)
    for text in texts:
        out.print(one_line(text, 200), soft_wrap=True)
    print(f"Forget {len(texts)} for good? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise MemsieveError("nothing was forgotten, as you chose")
