"""Enlarging small pictures by repeating their pixels, so that nothing is added to them."""

from __future__ import annotations

import io

from PIL import Image

READABLE_PX = 288
_MAX_PIXELS = 64_000_000


def enlargement(width: int, height: int, target_px: int = READABLE_PX) -> int:
    """Return the largest whole factor with which the longer side is at most ``target_px``."""
    return max(1, target_px // max(width, height, 1))


def enlarge(png: bytes, target_px: int = READABLE_PX) -> bytes:
    """Return the picture with every pixel repeated an integer number of times (nearest neighbour), as PNG.

    Raises:
        ValueError: more pixels than any picture of a store has.
    """
    with Image.open(io.BytesIO(png)) as picture:
        if picture.width * picture.height > _MAX_PIXELS:
            raise ValueError(f"a picture of {picture.width} x {picture.height} pixels is too large to show")
        factor = enlargement(picture.width, picture.height, target_px)
        if factor == 1:
            return png
        size = (picture.width * factor, picture.height * factor)
        larger = picture.convert("RGB").resize(size, Image.Resampling.NEAREST)
    buffer = io.BytesIO()
    larger.save(buffer, format="PNG")
    return buffer.getvalue()
