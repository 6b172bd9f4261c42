"""Import the example conversations and ask three questions; `make demo` runs this."""

import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

import memsieve

CONVERSATIONS = Path(__file__).parent / "conversations"
QUESTIONS = (
    ("Who found Tom's dog after the thunderstorm?", "ana-and-tom"),
    ("When did Tom slip on the towpath and break his wrist?", "ana-and-tom"),
    ("Where does Ana live now, and what is her new address?", "ana-and-tom"),
)
BUDGET_TOKENS = 160


def main(path: str) -> None:
    """Fill the database at `path` (a second time adds nothing) and show what it recalls."""
    console = Console(highlight=False)
    with memsieve.open(path) as memory:
        started = time.perf_counter()
        done = memory.import_(CONVERSATIONS)
        took_s = time.perf_counter() - started
        console.print(
            f"{done['messages']} turns of {len(done['namespaces'])} conversations in {path}:"
            f" {done['added']} new, {took_s:.2f} s"
        )
        for question, namespace in QUESTIONS:
            _ask(console, memory, question, namespace)
    program = Path(sys.executable).with_name("memsieve")
    if program.is_relative_to(Path.cwd()):
        program = program.relative_to(Path.cwd())
    console.print("\n[dim]Ask your own:[/dim]")
    console.print(
        f"{program} recall 'QUESTION' --db {path} --namespace ana-and-tom", soft_wrap=True
    )


def _ask(console: Console, memory: memsieve.Memory, question: str, namespace: str) -> None:
    started = time.perf_counter()
    found = memory.recall(question, budget_tokens=BUDGET_TOKENS, namespace=namespace)
    took_ms = (time.perf_counter() - started) * 1e3
    console.print(f"\n[bold]{question}[/bold]")
    table = Table.grid(padding=(0, 2))
    for hit in found:
        item = hit.item
        reasons = ", ".join(f"{name} {share:+.1f}" for name, share in list(hit.why.items())[:3])
        table.add_row(
            Text(f"{item.said_at:%d %b %Y}", style="dim"),
            Text.assemble(
                (f"{item.speaker}: {item.text}", "green" if hit.rank == 1 else ""),
                (f"\n{item.key}, score {hit.score:.1f}: {reasons}", "dim"),
            ),
        )
    console.print(table)
    console.print(
        f"[dim]{len(found)} turns, {found.tokens} of {BUDGET_TOKENS} tokens,"
        f" chosen among {found.n_candidates} candidates in {took_ms:.1f} ms[/dim]"
    )


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "demo.db")
