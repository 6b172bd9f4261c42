"""The options of every command, declared once, and those that several commands share.

A command is a function whose first parameter is a `Door`; `with_options` turns it into what
Typer takes: the door goes, the options of `Options` come. They may stand before the command's
name as well; what stands after it wins.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Annotated, Any

import typer

from memsieve.cli.door import Door
from memsieve.types import KINDS
from memsieve.version import __version__

_EVERYWHERE = "For every command"
_DATE = "A date such as 2026-03-02 or 2026-03-02T14:05+01:00, now, today or yesterday."


def _print_version(asked: bool | None) -> None:
    if asked:
        print(f"memsieve {__version__}")
        raise typer.Exit


@dataclass(frozen=True, slots=True)
class Options:
    """Which memory, which part of it, and how to answer; None where nothing was said."""

    db: Annotated[
        str | None,
        typer.Option(
            "--db",
            metavar="PATH",
            help="The memory's file. Default: MEMSIEVE_DB from the environment, else memory.db in"
            " your account's data folder.",
            rich_help_panel=_EVERYWHERE,
        ),
    ] = None
    namespace: Annotated[
        str | None,
        typer.Option(
            "--namespace",
            metavar="NAME",
            help="The part of the memory to work in; parts never mix. Default: default.",
            rich_help_panel=_EVERYWHERE,
        ),
    ] = None
    json: Annotated[
        bool | None,
        typer.Option(
            "--json",
            help="Answer in JSON; errors too, as one line on stderr.",
            rich_help_panel=_EVERYWHERE,
        ),
    ] = None
    embedder: Annotated[
        str | None,
        typer.Option(
            "--embedder",
            metavar="SPEC",
            help="static, sentence-transformers:MODEL, openai:MODEL@URL (its key from"
            " MEMSIEVE_API_KEY or OPENAI_API_KEY) or none. Default: the one the file was made"
            " with, static for a new file.",
            rich_help_panel=_EVERYWHERE,
        ),
    ] = None
    verbose: Annotated[
        bool | None,
        typer.Option(
            "--verbose",
            help="Tell on stderr what happens, and where an error came from.",
            rich_help_panel=_EVERYWHERE,
        ),
    ] = None
    version: Annotated[
        bool | None,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            help="Print the version and stop.",
            rich_help_panel=_EVERYWHERE,
        ),
    ] = None

    def then(self, later: "Options") -> "Options":
        """These options, but for those that `later` states."""
        stated = {f.name: getattr(later, f.name) for f in fields(later)}
        return replace(self, **{name: v for name, v in stated.items() if v is not None})


PARAMETERS = tuple(
    inspect.Parameter(f.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=f.type)
    for f in fields(Options)
)
_CONTEXT = inspect.Parameter(
    "ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context
)


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """`command` as Typer takes it; an option that it declares itself keeps its own meaning."""
    _, *own = inspect.signature(command).parameters.values()
    names = {parameter.name for parameter in own}
    added = [parameter for parameter in PARAMETERS if parameter.name not in names]

    def run(ctx: typer.Context, **given: Any) -> None:
        after = Options(**{parameter.name: given.pop(parameter.name) for parameter in added})
        before = ctx.obj if isinstance(ctx.obj, Options) else Options()
        command(opened(before.then(after)), **given)

    by_name = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own]
    return disguised(run, command, [*by_name, *added])


def disguised(
    run: Callable[..., None], model: Callable[..., None], parameters: list[inspect.Parameter]
) -> Callable[..., None]:
    """`run` with the name and docstring of `model`, and a context and `parameters` to Typer."""
    listed = [_CONTEXT, *parameters]
    run.__name__, run.__doc__ = model.__name__, _unwrapped(inspect.getdoc(model) or "")
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in listed}
    run.__signature__ = inspect.Signature(listed)  # type: ignore[attr-defined]
    return run


def _unwrapped(text: str) -> str:
    """Paragraphs on one line each: the help is wrapped to the terminal, not to the source."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def opened(options: Options) -> Door:
    """The door that the options describe, with its log on if they ask for it."""
    if options.verbose:
        import logging

        logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
        logging.getLogger("memsieve").setLevel(logging.DEBUG)  # other libraries stay silent
    return Door(
        db=options.db,
        namespace=options.namespace,
        embedder=options.embedder,
        json=bool(options.json),
    )


SystemName = Annotated[
    str | None,
    typer.Option(
        "--system",
        metavar="NAME",
        help="How to recall: see 'memsieve systems'. Default: memsieve.",
    ),
]
ModelSpec = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="SPEC",
        help="A chat model: http(s)://...#MODEL for an OpenAI-compatible endpoint, such as a local"
        " server, openai:MODEL or anthropic:MODEL. Default: MEMSIEVE_MODEL from the environment,"
        " else none.",
    ),
]
KeyEnv = Annotated[
    str | None,
    typer.Option(
        "--key-env",
        metavar="NAME",
        help="The environment variable that holds its key. Default: MEMSIEVE_MODEL_KEY.",
    ),
]
Speaker = Annotated[str | None, typer.Option(metavar="NAME", help="Only what NAME said.")]
Session = Annotated[str | None, typer.Option(metavar="NAME", help="Only this conversation.")]
Role = Annotated[str | None, typer.Option(metavar="ROLE", help="Only what was said as ROLE.")]
Kind = Annotated[
    str | None, typer.Option(metavar="KIND", help=f"Only this kind: {', '.join(KINDS)}.")
]
Since = Annotated[
    str | None, typer.Option(metavar="DATE", help=f"Only what was said from then on. {_DATE}")
]
Until = Annotated[str | None, typer.Option(metavar="DATE", help="Only what was said before then.")]
During = Annotated[
    str | None,
    typer.Option(
        metavar="WORDS",
        help="What was said or happened then: 'last spring', 'between 3 and 9 April 2023' (words"
        " are read against --now), or 2026-03-01/2026-04-01, the end excluded.",
    ),
]
Metadata = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=VALUE",
        help="Only where the metadata NAME has this VALUE; repeatable. A VALUE that is a JSON"
        " number, true, false, null or quoted string is read as that, all else as text.",
    ),
]
