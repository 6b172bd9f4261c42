"""The program: every command under its name, with an example that can be copied."""

from collections.abc import Callable
from typing import Any

import typer

from memsieve.cli import (
    commands_ask,
    commands_bench,
    commands_care,
    commands_carry,
    commands_kv,
    commands_learn,
    commands_read,
    commands_systems,
    commands_time,
    commands_write,
)
from memsieve.cli.options import PARAMETERS, Options, disguised, with_options
from memsieve.cli.program import Program

app = typer.Typer(
    cls=Program,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 failed with one line on stderr, 2 not written as it must be,"
    " 130 interrupted.",
)


def memsieve(ctx: typer.Context, **given: Any) -> None:
    """Selective memory for AI: keep what was said, recall what answers, within a budget.

    Everything lies in one file on this machine. Start with 'memsieve import' or 'memsieve add',
    then 'memsieve recall'. 'memsieve COMMAND --help' shows an example of each.
    """
    ctx.obj = Options(**given)


app.callback()(disguised(memsieve, memsieve, list(PARAMETERS)))

_USE, _CARRY, _CARE = "Remember and recall", "Carry in and out", "Care and measure"
_COMMANDS: tuple[tuple[str, str, Callable[..., None], str], ...] = (
    (
        _USE,
        "add",
        commands_write.add,
        "memsieve add 'I moved to Lisbon.' --speaker Ana --at 2026-03-02",
    ),
    (_USE, "recall", commands_read.recall, "memsieve recall 'Where does Ana live?' --budget 800"),
    (_USE, "ask", commands_ask.ask, "memsieve ask 'Where does Ana live?'"),
    (
        _USE,
        "timeline",
        commands_time.timeline,
        "memsieve timeline Lisbon --during 'last year' --html lisbon.html",
    ),
    (_USE, "get", commands_read.get, "memsieve get 019cad1e-5f2c-7000-8d3a-0b1f6a2c9e44"),
    (_USE, "list", commands_read.list_, "memsieve list --newest --limit 20 --speaker Ana"),
    (_USE, "forget", commands_write.forget, "memsieve forget 019cad1e-5f2c-7000-8d3a-0b1f6a2c9e44"),
    (
        _USE,
        "history",
        commands_read.history,
        "memsieve history 019cad1e-5f2c-7000-8d3a-0b1f6a2c9e44",
    ),
    (
        _USE,
        "enrich",
        commands_systems.enrich,
        "memsieve enrich --system a-mem --model http://127.0.0.1:11434/v1#qwen3",
    ),
    (_CARRY, "import", commands_carry.import_, "memsieve import chatgpt-export.zip --db agent.db"),
    (_CARRY, "export", commands_carry.export, "memsieve export backup.jsonl --namespace default"),
    (_CARE, "check", commands_care.check, "memsieve check --fix"),
    (_CARE, "stats", commands_care.stats, "memsieve stats --json"),
    (_CARE, "reindex", commands_care.reindex, "memsieve reindex --embedder static"),
    (
        _CARE,
        "feedback",
        commands_learn.feedback,
        "memsieve feedback 01a218bb-9961-7000-a188-921f987fabb2 --used"
        " 019cad1e-5f2c-7000-8d3a-0b1f6a2c9e44",
    ),
    (
        _CARE,
        "train",
        commands_learn.train,
        "memsieve train policy conversations/ --out mine.json",
    ),
    (_CARE, "systems", commands_systems.systems, "memsieve systems memgas"),
    (_CARE, "bench", commands_bench.bench, "memsieve bench conversations/ --json figures.json"),
    (_CARE, "kv", commands_kv.kv, "memsieve kv bench llama --policy snapkv --policy quest"),
)
for _panel, _name, _function, _example in _COMMANDS:
    app.command(_name, epilog=f"Example: {_example}", rich_help_panel=_panel)(
        with_options(_function)
    )
