"""Pixels of every kind that a picture file may hold, as RGB with 8 bits a channel."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps

from restoration_core.errors import InputError

_SIXTEEN_BIT = ("I;16", "I;16L", "I;16B", "I;16N")
_TIFF_BITS, _TIFF_PHOTOMETRIC, _TIFF_WHITE_IS_ZERO = 258, 262, 0
_KINDS = "grey of 1 to 16 bits, palette, RGB, CMYK, YCbCr or LAB, with or without transparency"


def to_rgb(image: Image.Image) -> Image.Image:
    """Return a decoded picture as RGB with 8 bits a channel, upright as its EXIF says, transparency over white.

    Raises:
        InputError: pixels whose scale or colours cannot be known; the message is to stand behind the picture's name.
    """
    most = _white(image)
    paper = image.info.get("transparency")
    image = _upright(image)
    if most is not None:
        return _from_grey(np.asarray(image).astype(np.int64), most, paper)
    if image.mode in ("I", "F"):
        raise InputError("pixels of 32 bits have no known scale; valid: 8 or 16 bits a channel")
    if image.mode == "LAB":
        image = _from_lab(image)
    try:
        if not image.has_transparency_data:
            return image.convert("RGB")
        image = image.convert("RGBA")
    except ValueError as error:
        raise InputError(f"colours of the kind {image.mode} cannot be read; valid: {_KINDS}") from error
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def _white(image: Image.Image) -> int | None:
    """Return the value of white in a grey picture of 9 to 16 bits, negative where 0 is white; None for any other."""
    tags = getattr(image, "tag_v2", {})
    if image.format == "PPM" and image.mode == "I":
        return 65535  # Pillow has stretched the file's own largest value to this
    if image.mode not in _SIXTEEN_BIT:
        return None
    bits = tags.get(_TIFF_BITS, (16,))
    most = 2 ** int(bits[0] if isinstance(bits, tuple) else bits) - 1
    return -most if tags.get(_TIFF_PHOTOMETRIC) == _TIFF_WHITE_IS_ZERO else most


def _from_grey(values: NDArray[np.int64], most: int, paper: Any) -> Image.Image:
    """Return grey values as RGB.

    Args:
        values: ``(H, W)``, 0 to ``|most|``.
        most: white; negative where 0 is white and ``-most`` is black.
        paper: the value that is transparent, if any.
    """
    shades = values if most > 0 else -most - values
    shades = (shades * 510 + abs(most)) // (2 * abs(most))  # 255 x rounded
    if isinstance(paper, int):
        shades = np.where(values == paper, 255, shades)
    return Image.fromarray(np.clip(shades, 0, 255).astype(np.uint8)).convert("RGB")


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # metadata that cannot be read says nothing of how the camera was held
        return image


def _from_lab(image: Image.Image) -> Image.Image:
    lab, rgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    converted = ImageCms.profileToProfile(image, lab, rgb, outputMode="RGB")
    assert converted is not None
    return converted
