"""Progress of long work on standard error: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

LINES = 10


@contextmanager
def show_progress(total: int, quiet: bool) -> Iterator[Callable[[int, str], None]]:
    """Give what is to be called with the steps done and a word on what is being done.

    Args:
        total: steps in all.
        quiet: show nothing.
    """
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        shown = 0

        def line(done: int, what: str) -> None:
            nonlocal shown
            if not quiet and done * LINES // total > shown:
                shown = done * LINES // total
                click.echo(f"{done} of {total} steps, {what}", err=True)

        yield line
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TextColumn("{task.percentage:.0f} %"))
    with Progress(*columns, TimeRemainingColumn(), console=console) as bar:
        task = bar.add_task("reconstructing", total=total)
        yield lambda done, what: bar.update(task, completed=done, description=what)
