"""Progress of long work on stderr: only where somebody watches, gone when it is done."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from memsieve.cli.show import console


class Rate(ProgressColumn):
    """How many a second, once that is known."""

    def render(self, task: Task) -> Text:
        """'1,730/s', or nothing."""
        return Text(f"{task.speed:,.0f}/s" if task.speed else "", style="dim")


def bars() -> Progress:
    """A progress display with name, bar, count, rate and remaining time; none in a pipe."""
    out = console(stderr=True)
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeRemainingColumn(),
        console=out,
        transient=True,
        disable=not out.is_terminal,
    )


@contextmanager
def bar(name: str) -> Iterator[Callable[[int, int], None]]:
    """A bar that is moved by calling what this gives with (done, total)."""
    with bars() as shown:
        task = shown.add_task(name, total=None)
        yield lambda done, total: shown.update(task, completed=done, total=total)


@contextmanager
def bar_for_each() -> Iterator[Callable[[str, int, int], None]]:
    """A bar for each name that what this gives is called with: (name, done, total)."""
    tasks: dict[str, TaskID] = {}
    with bars() as shown:

        def move(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = shown.add_task(name)
            shown.update(tasks[name], completed=done, total=total)

        yield move


@contextmanager
def resumable() -> Iterator[None]:
    """Say at an interruption that the work is taken up again."""
    try:
        yield
    except KeyboardInterrupt as stopped:
        raise KeyboardInterrupt("the same command goes on where this one stopped") from stopped
