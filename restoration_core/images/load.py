"""Pictures from files: one square, one scale, bounded before anything is decoded."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from restoration_core.errors import InputError, in_one_line
from restoration_core.images.pixels import to_rgb
from restoration_core.images.references import picture_path
from restoration_core.images.samples import sample_names
from restoration_core.paths import check_file, reason, shown

MAX_PIXELS = 64_000_000
MAX_SIZE = 4096
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM")
_MOST = f"valid: at most {MAX_PIXELS // 10**6} million pixels"


def load_image(reference: str | os.PathLike[str], size: int) -> NDArray[np.float32]:
    """Return a picture's central square, resized with anti-aliasing.

    EXIF orientation is applied, transparency is laid over white, grey becomes RGB, 16 bits become 8 and an animation
    gives its first frame. Values are multiples of 1/255, so that the PNG of a target is the target.

    Args:
        reference: path of a JPEG, PNG, WebP, TIFF, BMP, GIF or PPM file, or ``sample:NAME``.
        size: side of the result in pixels, 1..4096.

    Returns:
        ``(3, size, size)`` RGB in [0, 1], contiguous.

    Raises:
        InputError: for a missing or damaged file, one of more than :data:`MAX_PIXELS` pixels (checked before
            decoding), or an invalid size.
    """
    if not 1 <= size <= MAX_SIZE:
        raise InputError(f"picture size must be 1 to {MAX_SIZE} pixels, but got {size}")
    square = _square(open_picture(picture_path(reference)), size)
    return np.ascontiguousarray(np.asarray(square, dtype=np.float32).transpose(2, 0, 1) / np.float32(255))


def open_picture(path: Path) -> Image.Image:
    """Return a decoded picture of any shape as RGB with 8 bits a channel, treated as :func:`load_image` says.

    Raises:
        InputError: as :func:`load_image`.
    """
    check_file(path, "picture", f"a picture file or sample:NAME ({', '.join(sample_names())})")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own, later bound and its remarks on odd metadata
            with Image.open(path, formats=FORMATS) as image:
                _check_size(*image.size)
                image.load()
                return to_rgb(image)
    except InputError as error:
        raise InputError(f"{shown(path)}: {error}") from error
    except UnidentifiedImageError as error:
        raise InputError(f"{shown(path)}: not a picture; valid: {', '.join(FORMATS)}") from error
    except Image.DecompressionBombError as error:  # Pillow's own bound, met before the size can be asked for
        raise InputError(f"{shown(path)}: too large ({_brief(error)}); {_MOST}") from error
    except OSError as error:
        if error.errno is not None:
            raise InputError(f"{shown(path)}: cannot be read ({reason(error)}); valid: a readable picture") from error
        raise InputError(f"{shown(path)}: damaged picture ({_brief(error)})") from error
    except Exception as error:  # decoders raise anything at all on damaged files
        raise InputError(f"{shown(path)}: damaged picture ({_brief(error)})") from error


def short_side(reference: str | os.PathLike[str]) -> int:
    """Return the shorter side of a picture in pixels, of one that :func:`load_image` takes; it is not decoded."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(picture_path(reference), formats=FORMATS) as image:
            return min(image.size)


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise InputError(f"too large, {width} x {height} pixels; {_MOST}")
    if width < 1 or height < 1:
        raise InputError(f"{width} x {height} pixels; valid: a picture of one pixel or more")


def _brief(error: Exception) -> str:
    """Return a decoder's words on one line."""
    return in_one_line(error)[:200] or type(error).__name__


def _square(image: Image.Image, size: int) -> Image.Image:
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.resize((size, size), Image.Resampling.LANCZOS, box=(left, top, left + side, top + side))
