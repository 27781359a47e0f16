"""Tables as every command prints them: plain columns, one line a row."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

_PIPED_WIDTH = 1000


def make_table(*columns: str) -> Table:
    """Return an empty table without rules; long words are folded only where a terminal is too narrow."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def print_table(table: Table) -> None:
    """Print to standard output. What goes into a pipe or a file is not folded to a width of 80."""
    width = None if Console().is_terminal else _PIPED_WIDTH
    Console(width=width, markup=False, emoji=False, highlight=False).print(table)  # a name in brackets is no style
