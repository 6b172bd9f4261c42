"""The one place where whatever went wrong becomes a line on stderr and an exit code."""

import io
import json
import logging
import os
import sys
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperGroup

from memsieve.errors import MemsieveError, ParameterError

log = logging.getLogger(__name__)

DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130

# Typer brings Click's exceptions in itself or imports them from Click, depending on its version.
# Their root is a parent of the one that every version exports: BadParameter, UsageError, this.
ClickError: type[Exception] = typer.BadParameter.__mro__[2]


class Program(TyperGroup):
    """The group of all commands."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run the arguments, print what went wrong, and leave with an exit code."""
        given = kwargs.pop("args", args[0] if args else None)
        argv = list(sys.argv[1:] if given is None else given) or ["--help"]
        kwargs.update(prog_name="memsieve", standalone_mode=False)
        if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal that cannot show all letters
            sys.stdout.reconfigure(errors="backslashreplace")
        try:
            code = int(super().main(argv, **kwargs) or DONE)
            sys.stdout.flush()
        except Exception as error:
            log.debug("the command failed", exc_info=True)
            _drop_output()
            code, kind, message = _told(error)
            if message:
                report(kind, message, as_json="--json" in _before_dashes(argv))
        sys.exit(code)

    def invoke(self, *args: Any, **kwargs: Any) -> Any:
        """Run a command; an interruption is turned here, before Typer prints of its own."""
        try:
            return super().invoke(*args, **kwargs)
        except KeyboardInterrupt as stopped:
            raise typer.Abort(*stopped.args) from stopped


def report(kind: str, message: str, *, as_json: bool) -> None:
    """Print one line on stderr, whatever the message holds."""
    line = "".join(letter if letter.isprintable() else " " for letter in message)
    plain = f"memsieve: {line}"
    shown = json.dumps({"error": {"type": kind, "message": line}}) if as_json else plain
    print(shown, file=sys.stderr, flush=True)


def _told(error: Exception) -> tuple[int, str, str]:
    """Exit code, kind and message of an error; a reader that went away needs no message."""
    kind = type(error).__name__
    if isinstance(error, typer.Abort):
        return INTERRUPTED, "KeyboardInterrupt", ": ".join(["interrupted", *map(str, error.args)])
    if isinstance(error, MemsieveError):
        return USAGE if isinstance(error, ParameterError) else FAILED, kind, str(error)
    if isinstance(error, ClickError):
        return int(getattr(error, "exit_code", USAGE)), "UsageError", _usage(error)
    if isinstance(error, OSError):
        what = error.strerror or str(error)
        message = f"cannot use {error.filename}: {what}" if error.filename else what
        return FAILED, kind, "" if isinstance(error, BrokenPipeError) else message
    what = f"a mistake in memsieve, please report it: {kind}: {error}"
    return FAILED, kind, f"{what} ('--verbose' tells where)"


def _usage(error: Exception) -> str:
    """A usage error of Typer with the way to the right page of help."""
    message = str(getattr(error, "format_message", error.__str__)()).rstrip(".")
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "memsieve"
    return f"{message[:1].lower()}{message[1:]}: see '{path} --help'"


def _drop_output() -> None:
    """Write what was printed; where stdout takes no more, Python is not to try again at its end."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _before_dashes(argv: Sequence[str]) -> Sequence[str]:
    return argv[: argv.index("--")] if "--" in argv else argv
