"""Tables as every command prints them: for a terminal of 80 columns, for a wider one, and for a pipe.

A table that fits is a plain grid, one line a row. Where only the last column is too wide, its text goes on below
itself. Otherwise the first columns stay, and each row's other values follow below it as ``name: value``. Nothing is
cut or broken inside a word, so that keys and names can be copied; a pipe or a file gets the whole grid, however wide.
"""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import click
from rich.cells import cell_len

from restoration_core.paths import as_text

_GAP = "  "
_BETWEEN_PAIRS = "   "
_INDENT = "    "
_LEAST_WIDTH = 20
_LEAST_LAST_COLUMN = 16

Rows = Sequence[Mapping[str, Any]]


def print_table(rows: Rows, columns: Sequence[str], title: str | None = None, head: int | None = None) -> None:
    """Print a table to standard output.

    Args:
        rows: values by column name; None is an empty cell.
        columns: which to show, in order; those that are empty in all rows are left out.
        title: a line above.
        head: how many columns stay in the grid where not all fit; by default as many as do.
    """
    width = output_width()
    if title:
        click.secho("\n".join(wrapped(title, width)), bold=True)
    first, *lines = table_lines(rows, columns, width, head)
    click.secho(first, bold=True)
    for line in lines:
        click.echo(line)


def print_pairs(pairs: Mapping[str, Any], title: str | None = None) -> None:
    """Print names and values, one a line; a long value goes on below itself. Empty values are left out."""
    width = output_width()
    if title:
        click.secho("\n".join(wrapped(title, width)), bold=True)
    shown = {name: cell(value) for name, value in pairs.items() if cell(value)}
    left = max((cell_len(name) for name in shown), default=0)
    for name, text in shown.items():
        label = _padded(name, left, False) + _GAP
        for number, line in enumerate(wrapped(text, None if width is None else max(width - len(label), _LEAST_WIDTH))):
            click.echo((" " * len(label) if number else label) + line)


def output_width() -> int | None:
    """Return how many columns standard output has: ``COLUMNS``, else the terminal's; None for a pipe or a file."""
    if os.environ.get("COLUMNS", "").isdecimal():
        return max(int(os.environ["COLUMNS"]), 1)
    try:
        return shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    except (ValueError, AttributeError):
        return None


def table_lines(rows: Rows, columns: Sequence[str], width: int | None, head: int | None = None) -> list[str]:
    """Return a table's lines, the header first.

    Args:
        rows, columns, head: see :func:`print_table`.
        width: of a line; None for any.
    """
    shown = [name for name in columns if any(row.get(name) is not None for row in rows)] or list(columns)
    cells = [{name: cell(row.get(name)) for name in shown} for row in rows]
    numeric = {name: all(_is_number(row[name]) for row in cells) for name in shown}
    widths = {name: max(map(cell_len, [name, *(row[name] for row in cells)])) for name in shown}
    room = _room_for_last(shown, widths, width)
    if room is not None and all(cell_len(word) <= room for row in cells for word in row[shown[-1]].split()):
        return _with_last_wrapped(cells, shown, widths, numeric, room)
    kept = _columns_that_fit(shown, widths, width)
    if len(kept) < len(shown) and head is not None:
        kept = kept[: max(1, sum(name in kept for name in columns[:head]))]
    below = shown[len(kept) :]
    lines = [_line({name: name for name in kept}, kept, widths, numeric)]
    for row in cells:
        lines.append(_line(row, kept, widths, numeric))
        lines += _pairs_below([(name, row[name]) for name in below if row[name]], width)
    return lines


def pair_lines(pairs: Sequence[tuple[str, str]], width: int | None) -> list[str]:
    """Return ``name: value`` pairs, as many to a line as fit; a pair is broken only between its words."""
    lines: list[str] = []
    for name, value in pairs:
        pair = f"{name}: {value}"
        if lines and (width is None or cell_len(lines[-1] + _BETWEEN_PAIRS + pair) <= width):
            lines[-1] += _BETWEEN_PAIRS + pair
        else:
            lines += wrapped(pair, width)
    return lines


def wrapped(text: str, width: int | None) -> list[str]:
    """Return the text in lines of a width, broken between words only."""
    if width is None or cell_len(text) <= width:
        return [text]
    return textwrap.wrap(text, max(width, 1), break_long_words=False, break_on_hyphens=False) or [""]


def cell(value: Any) -> str:
    """Return a value as a table shows it: four significant digits, nothing for None, one line of printable text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    return as_text(str(value).replace("\n", " "))


def _is_number(text: str) -> bool:
    """Return whether a cell may stand to the right, below other numbers; so may an empty one."""
    try:
        float(text)
    except ValueError:
        return text in {"", "-"}
    return True


def _room_for_last(names: Sequence[str], widths: Mapping[str, int], width: int | None) -> int | None:
    """Return how wide the last column may be where all others fit; None where it fits whole or there is no room."""
    *others, last = names
    before = sum(widths[name] + len(_GAP) for name in others)
    if width is None or before + widths[last] <= width or width - before < _LEAST_LAST_COLUMN:
        return None
    return width - before


def _with_last_wrapped(
    cells: Sequence[Mapping[str, str]],
    names: Sequence[str],
    widths: Mapping[str, int],
    numeric: Mapping[str, bool],
    room: int,
) -> list[str]:
    last = names[-1]
    lines = [_line({name: name for name in names}, names, widths, numeric)]
    before = sum(widths[name] + len(_GAP) for name in names[:-1])
    for row in cells:
        first, *more = wrapped(row[last], room)
        lines.append(_line({**row, last: first}, names, {**widths, last: 0}, numeric))
        lines += [" " * before + line for line in more]
    return lines


def _columns_that_fit(names: Sequence[str], widths: Mapping[str, int], width: int | None) -> list[str]:
    """Return the first columns that fit together, at least one."""
    kept: list[str] = []
    for name in names:
        together = sum(widths[each] for each in [*kept, name]) + len(_GAP) * len(kept)
        if kept and width is not None and together > width:
            break
        kept.append(name)
    return kept


def _line(row: Mapping[str, str], names: Sequence[str], widths: Mapping[str, int], numeric: Mapping[str, bool]) -> str:
    return _GAP.join(_padded(row[name], widths[name], numeric[name]) for name in names).rstrip()


def _pairs_below(pairs: Sequence[tuple[str, str]], width: int | None) -> list[str]:
    inner = None if width is None else max(width - len(_INDENT), _LEAST_WIDTH)
    return [_INDENT + line for line in pair_lines(pairs, inner)]


def _padded(text: str, width: int, to_the_right: bool) -> str:
    space = " " * max(width - cell_len(text), 0)
    return space + text if to_the_right else text + space
