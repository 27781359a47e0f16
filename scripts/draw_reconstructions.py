"""Draw the pictures that a sweep was not searched on, as its baselines and its best trial reconstruct them.

It is the README's picture, made from the store that `make demo` leaves:

    python scripts/draw_reconstructions.py demo --store sqlite:///restoration.db --to docs/images/reconstructions.png

The store keeps no reconstructions of validation pictures: they are solved again, from the first of the verdict's seeds.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import click
import torch
from PIL import Image, ImageDraw

from restoration_core.images import encode_png
from restoration_core.seeds import derive_seed
from sweeps.execution.pack import run_pack
from sweeps.execution.protocol import Assignment, TrialRecord
from sweeps.execution.sizing import usable_cores
from sweeps.lifecycle.given_trials import GivenTrials
from sweeps.lifecycle.stored_sweep import VALIDATION, stored_context, view_sweep
from sweeps.lifecycle.verdict import contestants
from sweeps.store import open_writer

GAP, CAPTION = 12, 22


@click.command()
@click.argument("sweep")
@click.option("--store", default="sqlite:///restoration.db", show_default=True)
@click.option("--to", "path", type=click.Path(path_type=Path), required=True)
@click.option("--side", default=192, show_default=True, help="Pixels of each picture's side.")
def draw(sweep: str, store: str, path: Path, side: int) -> None:
    """Write one row a validation picture: the original, each baseline, the best searched trial."""
    view = view_sweep(store, sweep)
    winner, rivals, _ = contestants(store, sweep, view.metric_names, view.metric_goals)
    if winner is None or not view.spec["validate_on"]:
        raise click.ClickException(f"sweep {sweep} has no searched trial or no validation pictures")
    with open_writer(store) as writer:
        context = stored_context(store, writer, view, VALIDATION)
    save = context.spec.save.model_copy(update={"images": "all", "steps": []})
    context = replace(context, spec=context.spec.model_copy(update={"save": save}), threads=usable_cores()).on("cpu")
    seed = derive_seed(view.seed, "verdict", 0)
    entrants = [*rivals, winner]
    given = GivenTrials([Assignment(item.number, 0, item.parameters, seed, item.baseline) for item in entrants])
    run_pack(given, context, width=len(entrants), quota=len(entrants), pack="drawing")
    records = {record.number: record for record in given.records}
    labels = [f"{item.baseline or 'best trial'}: {_psnr(records[item.number])}" for item in entrants]
    columns = [("original", _originals(context.images))]
    columns += [(label, _made(records[item.number])) for label, item in zip(labels, entrants, strict=True)]
    path.parent.mkdir(parents=True, exist_ok=True)
    _sheet(columns, list(context.images), side).save(path)
    click.echo(f"{len(context.images)} pictures that {sweep} was not searched on drawn to {path}")


def _psnr(record: TrialRecord) -> str:
    return f"{record.metrics['psnr']:.1f} dB" if record.failure is None else "failed"


def _originals(images: Mapping[str, torch.Tensor]) -> dict[str, bytes]:
    return {name: encode_png(image.numpy()) for name, image in images.items()}


def _made(record: TrialRecord) -> dict[str, bytes]:
    return {item.image: item.picture.png for item in record.pictures if item.final}


def _sheet(columns: Sequence[tuple[str, Mapping[str, bytes]]], images: Sequence[str], side: int) -> Image.Image:
    size = (len(columns) * (side + GAP) + GAP, len(images) * (side + GAP) + GAP + CAPTION)
    sheet = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(sheet)
    for column, (label, pictures) in enumerate(columns):
        left = GAP + column * (side + GAP)
        pen.text((left, 6), label, fill="black", font_size=13)
        for row, image in enumerate(images):
            if image in pictures:
                shown = Image.open(io.BytesIO(pictures[image])).resize((side, side), Image.Resampling.NEAREST)
                sheet.paste(shown, (left, CAPTION + GAP + row * (side + GAP)))
    return sheet


if __name__ == "__main__":
    draw()
