"""The command line: parse, call `memory.py`, print. Only doors read the environment.

Exit codes: 0 done; 1 failed; 2 the command was not written as it must be, which holds for an
unknown option and for every value that breaks its rule (`ParameterError`); 130 interrupted.
Errors are one line on stderr, with `--json` a line of JSON.
"""


def main() -> None:
    """Run the program on the arguments it was started with and leave with its exit code."""
    from memsieve.cli.app import app

    app()
