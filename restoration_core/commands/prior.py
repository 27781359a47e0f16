"""``restoration prior``: train, list and show learned priors."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from restoration_core.commands.prior_calibrate import calibrate
from restoration_core.commands.prior_train import train
from restoration_core.errors import InputError
from restoration_core.informing import PrintingCommand

if TYPE_CHECKING:
    from restoration_core.priors.library import Entry, PriorLibrary

# torch is imported inside the commands, so that `--help` answers at once.

_LIBRARY = click.option(
    "--library",
    type=click.Path(path_type=Path),
    help="Folder of the library; default: RESTORATION_PRIORS or the cache.",
)


@click.group(short_help="Train, list, show and calibrate priors.")
def prior() -> None:
    """Train, list, show and calibrate learned priors on pictures and feature maps."""


prior.add_command(calibrate)
prior.add_command(train)


@prior.command(name="list", cls=PrintingCommand, short_help="List the priors that are there.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@_LIBRARY
def list_priors(as_json: bool, library: Path | None) -> None:
    """List the priors that ship with the package and those in the library."""
    entries = _library(library).list()
    if as_json:
        click.echo(json.dumps([_plain(entry) for entry in entries], indent=2))
        return
    from restoration_core.commands.tables import print_table

    rows = [
        {
            "key": entry.key,
            "name": entry.name,
            "where": "bundled" if entry.bundled else "library",
            "family": entry.recipe.family,
            "of": "pictures"
            if entry.recipe.maps is None
            else f"{entry.recipe.maps.layer} of {entry.recipe.maps.network}",
            "dims": entry.report.dims or None,
            "loss": entry.report.best_loss,
            "learned from": entry.description,
        }
        for entry in entries
    ]
    print_table(rows, ["key", "name", "where", "family", "of", "dims", "loss", "learned from"], head=3)


@prior.command(short_help="Print what a prior was made of; draw its filters.")
@click.argument("name", metavar="KEY|NAME")
@click.option("--to", type=click.Path(path_type=Path), help="Draw the filters into this picture file.")
@click.option(
    "--order",
    type=click.Choice(["alpha", "frequency"]),
    default="alpha",
    show_default=True,
    help="alpha: the heaviest first; frequency: the coarsest.",
)
@click.option(
    "--view",
    type=click.Choice(["largest", "mean"]),
    default="largest",
    show_default=True,
    help="Of filters over many channels, what is drawn: the channel where each is strongest, or the mean.",
)
@click.option("--columns", default=32, show_default=True, help="Filters in a row.")
@click.option("--scale", default=4, show_default=True, help="Pixels for a weight.")
@click.option("--limit", type=int, help="Draw only the first so many.")
@_LIBRARY
def show(
    name: str,
    to: Path | None,
    order: str,
    view: str,
    columns: int,
    scale: int,
    limit: int | None,
    library: Path | None,
) -> None:
    """Print what a prior was made of and draw its filters."""
    from PIL import Image

    from restoration_core.priors.drawing import draw_filters

    shelf = _library(library)
    entry = shelf.entry(name)
    if to is None:
        text = json.dumps(_plain(entry), indent=2)
        click.echo(re.sub(r"\[\s+(\S+),\s+(\S+)\s+\]", r"[\1, \2]", text))  # a (step, loss) pair on one line
        return
    if to.suffix.lower() not in Image.registered_extensions():
        raise InputError(f"--to {to}: unknown kind of picture {to.suffix!r}; valid: .png, .jpg, .webp")
    if not to.parent.is_dir():
        raise InputError(f"--to {to}: no folder {to.parent}; valid: a file in a folder that exists")
    drawn = draw_filters(shelf.load(entry.key), order=order, view=view, columns=columns, scale=scale, limit=limit)
    drawn.save(to)
    click.echo(f"{to}: {drawn.width} x {drawn.height} px, filters of {entry.name} ({entry.key}) by {order}")


def _library(folder: Path | None) -> PriorLibrary:
    from restoration_core.priors.library import PriorLibrary

    return PriorLibrary(folder)


def _plain(entry: Entry) -> dict[str, object]:
    return {
        "key": entry.key,
        "name": entry.name,
        "family": entry.recipe.family,
        "layer": None if entry.recipe.maps is None else entry.recipe.maps.layer,
        "network": None if entry.recipe.maps is None else entry.recipe.maps.network,
        "bundled": entry.bundled,
        "path": str(entry.path),
        "description": entry.description,
        "recipe": json.loads(entry.recipe.to_json()),
        "report": {**asdict(entry.report), "losses": [list(pair) for pair in entry.report.losses]},
    }
