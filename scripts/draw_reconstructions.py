"""Draw a sweep's originals beside its baselines' and its best trial's reconstructions; the README's picture.

python scripts/draw_reconstructions.py demo --store sqlite:///restoration.db --to docs/images/reconstructions.png
"""

from __future__ import annotations

import io
from pathlib import Path

import click
from PIL import Image, ImageDraw

from sweeps.store import open_reader

GAP, CAPTION = 12, 22


@click.command()
@click.argument("sweep")
@click.option("--store", default="sqlite:///restoration.db", show_default=True)
@click.option("--to", "path", type=click.Path(path_type=Path), required=True)
@click.option("--side", default=192, show_default=True, help="Pixels of each picture's side.")
def draw(sweep: str, store: str, path: Path, side: int) -> None:
    """Write one row a picture: the original, each baseline, the best searched trial."""
    reader = open_reader(store)
    originals = {image.image: image.sha256 for image in reader.sweep(sweep).images if image.split == "search"}
    trials = reader.trials(sweep, ["complete"])
    baselines = [(int(row.number), str(row.baseline)) for row in trials[trials["baseline"].notna()].itertuples()]
    best = reader.best(sweep, len(trials))
    winner = int(best[best["baseline"].isna()]["number"].iloc[0])
    columns = [*baselines, (winner, f"best of {len(trials) - len(baselines)} trials")]
    width = (len(columns) + 1) * (side + GAP) + GAP
    sheet = Image.new("RGB", (width, len(originals) * (side + GAP) + GAP + CAPTION), "white")
    pen = ImageDraw.Draw(sheet)
    for column, (number, label) in enumerate([(-1, "original"), *columns]):
        left = GAP + column * (side + GAP)
        pen.text((left, 6), label, fill="black", font_size=13)
        made = {} if number < 0 else {p.image: p.sha256 for p in reader.trial(sweep, number).pictures if p.final}
        for row, (image, original) in enumerate(originals.items()):
            picture = Image.open(io.BytesIO(reader.picture(made.get(image, original))))
            place = (left, CAPTION + GAP + row * (side + GAP))
            sheet.paste(picture.resize((side, side), Image.Resampling.NEAREST), place)
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)
    click.echo(f"{len(originals)} pictures of {sweep} drawn to {path}")


if __name__ == "__main__":
    draw()
