"""``restoration prior``: train, list and show learned priors."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from restoration_core.commands.prior_calibrate import calibrate
from restoration_core.errors import InputError

if TYPE_CHECKING:
    from restoration_core.priors.photographs import Photographs
    from restoration_core.priors.prior_library import Entry, PriorLibrary

# torch is imported inside the commands, so that `--help` answers at once.

_LIBRARY = click.option(
    "--library",
    type=click.Path(path_type=Path),
    help="Folder of the library; default: RESTORATION_PRIORS or the cache.",
)


@click.group()
def prior() -> None:
    """Train, list and show learned patch priors (ICA and fields of experts)."""


prior.add_command(calibrate)


@prior.command()
@click.option(
    "--images", default="samples", show_default=True, metavar="DIR|samples", help="Photographs to learn from."
)
@click.option("--expert", default="logistic", show_default=True, help="logistic (ICA) or student_t (field of experts).")
@click.option("--patch-size", default=8, show_default=True, help="Side of a patch in pixels.")
@click.option("--experts", type=int, help="Number of filters; default: twice the dimensions, at most 512.")
@click.option("--whitening", default="pca", show_default=True, help="pca or zca.")
@click.option("--dims", type=int, help="Whitened dimensions kept; default: all.")
@click.option("--sigma", default=0.006, show_default=True, help="White noise on the patches, RGB in [0, 1].")
@click.option("--remove-dc", is_flag=True, help="Subtract each patch's mean per channel.")
@click.option("--free-norms", is_flag=True, help="Filters of any norm instead of norm 1.")
@click.option(
    "--short-side", default=160, show_default=True, help="Resize photographs to this shorter side, in pixels."
)
@click.option("--patches", default=50_000, show_default=True, help="Patches drawn from the photographs.")
@click.option("--iterations", default=2000, show_default=True, help="Most optimiser steps.")
@click.option("--learning-rate", default=0.05, show_default=True, help="Of Adam, at the start.")
@click.option("--seed", default=0, show_default=True, help="Of patches, first filters and order.")
@click.option("--out", type=click.Path(path_type=Path), help="Also write the prior to this file.")
@_LIBRARY
def train(
    images: str,
    expert: str,
    patch_size: int,
    experts: int | None,
    whitening: str,
    dims: int | None,
    sigma: float,
    remove_dc: bool,
    free_norms: bool,
    short_side: int,
    patches: int,
    iterations: int,
    learning_rate: float,
    seed: int,
    out: Path | None,
    library: Path | None,
) -> None:
    """Train a prior by score matching, unless the library has it already."""
    from restoration_core.priors.map_source import SAMPLES
    from restoration_core.priors.recipe import Recipe

    photographs = _photographs(images, short_side)
    recipe = Recipe(
        expert=expert,
        patch_size=patch_size,
        experts=min(512, 6 * max(patch_size, 1) ** 2) if experts is None else experts,
        pictures=photographs.identity,
        short_side=short_side,
        whitening=whitening,
        dims=dims,
        sigma=sigma,
        remove_dc=remove_dc,
        free_norms=free_norms,
        patches=patches,
        iterations=iterations,
        learning_rate=learning_rate,
        seed=seed,
    )
    if out is not None and not out.parent.is_dir():
        raise InputError(f"--out {out}: no folder {out.parent}; valid: a file in a folder that exists")
    shelf = _library(library)
    source = "sample pictures" if images == SAMPLES else "photographs"
    description = f"{len(photographs.pictures)} {source}, shorter side {short_side} px"
    if any(entry.key == recipe.key for entry in shelf.list()):
        click.echo("the library has this prior already", err=True)
    shelf.get(recipe, lambda: photographs, _report, description)
    entry = shelf.entry(recipe.key)
    if out is not None:
        aside = out.with_name(out.name + ".part")
        aside.write_bytes(shelf.blob(entry.key))
        aside.replace(out)
    report = entry.report
    click.echo(
        f"{entry.key}  {entry.name}: {report.iterations} steps in {report.train_time_s:.0f} s,"
        f" {report.dims} dimensions, held-out loss {report.losses[0][1]:.2f} -> {report.best_loss:.2f}"
    )
    click.echo(str(entry.path if out is None else out))


@prior.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@_LIBRARY
def list_priors(as_json: bool, library: Path | None) -> None:
    """List the priors that ship with the package and those in the library."""
    entries = _library(library).list()
    if as_json:
        click.echo(json.dumps([_plain(entry) for entry in entries], indent=2))
        return
    from restoration_core.commands.tables import make_table, print_table
    from restoration_core.priors.recipe import Recipe

    table = make_table("key", "name", "expert", "patch", "experts", "dims", "loss", "where", "learned from")
    for entry in entries:
        recipe, report = entry.recipe, entry.report
        if not isinstance(recipe, Recipe):
            continue
        size = f"{recipe.patch_size} x {recipe.patch_size}"
        where = "bundled" if entry.bundled else "library"
        numbers = (str(recipe.experts), str(report.dims), f"{report.best_loss:.1f}")
        table.add_row(entry.key, entry.name, recipe.expert, size, *numbers, where, entry.description)
    print_table(table)


@prior.command()
@click.argument("name", metavar="KEY|NAME")
@click.option("--to", type=click.Path(path_type=Path), help="Draw the filters into this picture file.")
@click.option(
    "--order", default="alpha", show_default=True, help="alpha (heaviest first) or frequency (coarsest first)."
)
@click.option("--columns", default=32, show_default=True, help="Filters in a row.")
@click.option("--scale", default=4, show_default=True, help="Pixels for a weight.")
@click.option("--limit", type=int, help="Draw only the first so many.")
@_LIBRARY
def show(
    name: str, to: Path | None, order: str, columns: int, scale: int, limit: int | None, library: Path | None
) -> None:
    """Print what a prior was made of and draw its filters."""
    from PIL import Image

    from restoration_core.priors.drawing import draw_filters
    from restoration_core.priors.patch_experts import PatchExperts

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
    kept = shelf.load(entry.key)
    if not isinstance(kept, PatchExperts):
        raise InputError(f"{entry.name}: has no patch filters to draw; valid: a prior of patch experts")
    drawn = draw_filters(kept, order=order, columns=columns, scale=scale, limit=limit)
    drawn.save(to)
    click.echo(f"{to}: {drawn.width} x {drawn.height} px, filters of {entry.name} ({entry.key}) by {order}")


def _library(folder: Path | None) -> PriorLibrary:
    from restoration_core.priors.prior_library import PriorLibrary

    return PriorLibrary(folder)


def _photographs(images: str, short_side: int) -> Photographs:
    from restoration_core.priors.map_source import SAMPLES
    from restoration_core.priors.photographs import load_folder, load_samples

    if short_side < 1:
        raise InputError(f"--short-side: short_side >= 1 must hold, but got {short_side}")
    return load_samples(short_side) if images == SAMPLES else load_folder(Path(images), short_side)


def _report(step: int, steps: int, loss: float) -> None:
    click.echo(f"step {step} of {steps}: held-out loss {loss:.3f}", err=True)


def _plain(entry: Entry) -> dict[str, object]:
    return {
        "key": entry.key,
        "name": entry.name,
        "bundled": entry.bundled,
        "path": str(entry.path),
        "description": entry.description,
        "recipe": json.loads(entry.recipe.to_json()),
        "report": {**asdict(entry.report), "losses": [list(pair) for pair in entry.report.losses]},
    }
