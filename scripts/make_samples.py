"""Make the sample pictures of ``restoration_core/images/data`` from those that scikit-image and scikit-learn ship.

    python scripts/make_samples.py

Both are development requirements; nothing is downloaded. Authors, sources and licences are in the folder's README.md.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from skimage import data
from sklearn.datasets import load_sample_image

OUT = Path(__file__).parent.parent / "restoration_core" / "images" / "data"
SHORT_SIDE = 384
QUALITY = 92


def shrink(pixels: np.ndarray) -> Image.Image:
    """Return the picture with its short side at ``SHORT_SIDE`` pixels; smaller ones keep their size."""
    image = Image.fromarray(np.ascontiguousarray(pixels[..., :3])).convert("RGB")
    factor = SHORT_SIDE / min(image.size)
    if factor >= 1:
        return image
    size = round(image.width * factor), round(image.height * factor)
    return image.resize(size, Image.Resampling.LANCZOS)


def main() -> None:
    """Write one JPEG per picture."""
    OUT.mkdir(parents=True, exist_ok=True)
    pictures = {
        "astronaut": data.astronaut(),
        "chelsea": data.chelsea(),
        "china": load_sample_image("china.jpg"),
        "coffee": data.coffee(),
        "flower": load_sample_image("flower.jpg"),
        "rocket": data.rocket(),
    }
    for name, pixels in pictures.items():
        image = shrink(pixels)
        path = OUT / f"{name}.jpg"
        image.save(path, quality=QUALITY, subsampling=0, optimize=True)
        print(f"{path.name}: {image.width} x {image.height}, {path.stat().st_size // 1024} KiB")


if __name__ == "__main__":
    main()
