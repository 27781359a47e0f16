"""Draw what every layer of the bundled network still tells about a picture; the contact sheet of the documentation.

    python scripts/draw_layers.py

Needs the package only: its network, its sample pictures, preset ``best``. A few minutes on one core. With ``--work``
the reconstructions are kept, and the same command goes on where it was.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import click
from PIL import Image

from restoration_core.commands.reconstruct import reconstruct

PICTURES = ("sample:astronaut", "sample:chelsea", "sample:flower")
TO = Path(__file__).parent.parent / "docs" / "images" / "layers.jpg"
QUALITY = 82


@click.command()
@click.option("--to", type=click.Path(path_type=Path), default=TO, show_default=True)
@click.option("--work", type=click.Path(path_type=Path), help="Folder of the reconstructions; default: temporary.")
@click.option("--size", default=64, show_default=True, help="Side of the pictures in pixels.")
@click.option("--iterations", type=int, help="Steps; default: the preset's.")
def draw(to: Path, work: Path | None, size: int, iterations: int | None) -> None:
    """Write the contact sheet over all layers as a JPEG file."""
    with tempfile.TemporaryDirectory() as temporary:
        out = work or Path(temporary)
        options = ["--layers", "all", "--size", str(size), "--preset", "best", "--no-gap", "--out", str(out)]
        if iterations is not None:
            options += ["--iterations", str(iterations)]
        reconstruct.main([*PICTURES, *options], prog_name="reconstruct", standalone_mode=False)
        to.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(out / "contact_sheet.png") as sheet:
            # No chroma subsampling: it would blur the pixels of the small pictures.
            sheet.convert("RGB").save(to, format="JPEG", quality=QUALITY, subsampling=0, optimize=True)
            click.echo(f"{to}: {sheet.width} x {sheet.height} px, {to.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    draw()
