"""``sweep init`` and ``sweep keys``: a spec to begin with, and what every key of one means."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from restoration_core.commands.tables import output_width, wrapped
from restoration_core.errors import InputError, InputErrors, unknown
from restoration_core.informing import PrintingCommand
from restoration_core.paths import as_text, reason, shown, user_path
from sweeps.commands.common import json_option, print_json

if TYPE_CHECKING:
    from sweeps.spec.writing.entries import Entry

_STDOUT = "-"
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]+")


@click.command(cls=PrintingCommand, short_help="Write a commented spec to begin with.")
@click.argument("file", type=click.Path(path_type=str), default="sweep.yaml")
@click.option("--network", help="Network, in place of the bundled one: a name, or package.module:factory.")
@click.option("--layer", help="Layer to match; default: one in the middle of the network.")
def init(file: str, network: str | None, layer: str | None) -> None:
    """Write a commented spec that runs as it is to FILE (sweep.yaml), or with - to standard output."""
    from sweeps.spec.load import parse_spec
    from sweeps.spec.models import BUNDLED_NETWORK
    from sweeps.spec.writing.starter import starter

    path = user_path(file)
    stem = _NOT_IN_NAMES.sub("-", as_text(path.stem)).strip("-._")[:100] if file != _STDOUT else ""
    text = starter(stem or "mine", network or BUNDLED_NETWORK, layer)
    try:
        parse_spec(text, "spec")
    except InputErrors as error:  # only what was asked for can be wrong with it
        raise InputErrors(
            [f"--layer {shown(layer or '')}: {line.split(': ', 1)[1]}" for line in error.lines]
        ) from error
    if file == _STDOUT:
        click.echo(text, nl=False)
        return
    _write_new(path, text)
    click.echo(f"{as_text(path)} written; next: restoration sweep validate {shlex.quote(as_text(path))}")


def _write_new(path: Path, text: str) -> None:
    made = False
    try:
        with open(path, "x", encoding="utf-8") as file:
            made = True
            file.write(text)
    except FileExistsError as error:
        raise InputError(f"{shown(path)}: is there already; valid: the name of a new file, or - to print") from error
    except (OSError, ValueError) as error:
        if made:  # the disk is full; what is there of the file would be in the way of the next try
            path.unlink(missing_ok=True)
        why = reason(error) if isinstance(error, OSError) else "no name of a file"
        raise InputError(f"{shown(path)}: cannot be written ({why}); valid: the name of a new file") from error


@click.command(cls=PrintingCommand, short_help="Say what every key of a spec means.")
@click.argument("name", required=False)
@json_option
def keys(name: str | None, as_json: bool) -> None:
    """Print every key of a spec with what is valid, its default and its meaning; with NAME those whose name has it."""
    import dataclasses

    from sweeps.spec.old_names import current_name
    from sweeps.spec.writing.entries import sections

    sought = current_name(name or "")
    found = [
        (section, entries)
        for section in sections()
        if (entries := [entry for entry in section.entries if sought in entry.name])
    ]
    if not found:
        every = [entry.name for section in sections() for entry in section.entries]
        raise InputError(unknown("key", name, every, "restoration sweep keys"))
    if as_json:
        print_json([dataclasses.asdict(entry) for _, entries in found for entry in entries])
        return
    width = output_width()
    for section, entries in found:
        click.echo(_plain(section.title))
        for entry in entries:
            click.echo("\n".join(_told(entry, width)))
        click.echo()


def _told(entry: Entry, width: int | None) -> Iterator[str]:
    """Yield a key's lines: what is valid, what holds without it, what it does."""
    default = entry.otherwise
    head = _plain(f"  {entry.name}: {entry.valid}{'; ' if default else ''}{default}")
    if width is None or len(head) <= width or not default:
        yield head
    else:
        yield _plain(f"  {entry.name}: {entry.valid};")
        yield _plain(f"      {default}")
    for line in wrapped(_plain(entry.meaning), None if width is None else width - 4):
        yield f"    {line}"


def _plain(text: str) -> str:
    return text.replace("`", "")
