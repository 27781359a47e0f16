"""``sweep pictures``: the pictures of a trial as files."""

from __future__ import annotations

import click

from restoration_core.paths import as_text
from sweeps.commands.common import MOST_TRIALS, Addresses, address_options


@click.command(short_help="Write the pictures of the best trial, or of another.")
@click.argument("name")
@click.argument("number", required=False, metavar="[TRIAL]", type=click.IntRange(0, MOST_TRIALS))
@click.option("--to", "folder", required=True, metavar="DIR", help="Folder for the files, made when it is missing.")
@address_options
def pictures(name: str, number: int | None, folder: str, addresses: Addresses) -> None:
    """Write the pictures of a trial of sweep NAME into a folder, as PNG: of the best trial when none is named.

    For each picture: the original, the reconstruction, the difference of the two (signed: grey is no error, black and
    white are 0.5; absolute: black is no error), and what was kept of earlier iterations. A file that is there with
    other content is not replaced.
    """
    from sweeps.store import open_reader, write_pictures

    reader = open_reader(addresses.store)
    try:
        done = write_pictures(reader, name, number, folder)
    finally:
        reader.close()
    for file in done.written:
        click.echo(as_text(file))
    already = f", {len(done.already)} were there already" if done.already else ""
    what = f"trial {done.number} of {name}" if number is not None else f"trial {done.number} of {name}, the best"
    click.echo(f"{what}: {len(done.written)} files written to {as_text(done.folder)}{already}")
