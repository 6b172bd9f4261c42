"""Write the reference in docs/cli.md from what `memsieve --help` and its commands' help say.

The words, names and defaults come from the program itself; only their lay-out is made here, so
that the page does not change with the version of Typer.

    python tools/cli_reference.py            # write it
    python tools/cli_reference.py --check    # exit 1 if it is not up to date
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.main import get_command

from memsieve.cli.app import app
from memsieve.cli.options import PARAMETERS

PAGE = Path(__file__).resolve().parents[1] / "docs" / "cli.md"
SHARED = {parameter.name for parameter in PARAMETERS}

MARK = "<!-- From here on written by tools/cli_reference.py from the program's own help. -->\n"


def page() -> str:
    """The whole page: what stands above the mark is kept."""
    return PAGE.read_text(encoding="utf-8").split(MARK)[0] + MARK + "".join(_reference())


def _reference() -> Iterator[str]:
    program: Any = get_command(app)
    commands = list(program.commands.items())
    yield f"\n## All commands\n\n{program.help}\n\n| command | |\n|---|---|\n"
    for name, one in commands:
        yield f"| [`{name}`](#{name}) | {str(one.help).splitlines()[0]} |\n"
    yield "\n## Options of every command\n\nBefore or after the command's name:\n\n"
    yield from _table(program.params)
    for name, one in commands:
        yield f"\n## {name}\n\n{one.help}\n\n```\n{_usage(name, one)}\n{_example(one)}\n```\n"
        yield from ["\n", *_table(own)] if (own := _own(name, one)) else []


def _own(name: str, command: Any) -> list[Any]:
    """What only this command takes; bench and kv give --json a meaning of their own."""
    return [
        p
        for p in command.params
        if p.name not in SHARED or (name in ("bench", "kv") and p.name == "json")
    ]


def _usage(name: str, command: Any) -> str:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    shown = [_name(p) if p.required else f"[{_name(p)}]" for p in arguments]
    return " ".join(["memsieve", name, *shown, "[OPTIONS]"])


def _example(command: Any) -> str:
    return str(command.epilog).partition(": ")[2]


def _table(parameters: list[Any]) -> Iterator[str]:
    yield "| | |\n|---|---|\n"
    for parameter in parameters:
        yield f"| `{_name(parameter)}` | {parameter.help}{_default(parameter)} |\n"


def _name(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return str(parameter.metavar)
    names = " / ".join([*parameter.opts, *parameter.secondary_opts])
    return names if parameter.is_flag else f"{names} {parameter.metavar}"


def _default(parameter: Any) -> str:
    value = parameter.default
    shown = isinstance(value, str | int) and not isinstance(value, bool)
    return f" Default: {value}." if shown else ""


def main() -> int:
    """Write the page, or say whether it is up to date."""
    if sys.argv[1:] != ["--check"]:
        PAGE.write_text(page(), encoding="utf-8")
        return 0
    if PAGE.read_text(encoding="utf-8") == page():
        return 0
    print(f"{PAGE.name} is not what the program says: run python tools/cli_reference.py")
    return 1


if __name__ == "__main__":
    sys.exit(main())
