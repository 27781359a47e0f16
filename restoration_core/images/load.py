"""Pictures from files: one square, one scale, bounded before anything is decoded."""

from __future__ import annotations

import fnmatch
import glob
import os
import struct
import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from restoration_core.errors import InputError, InputErrors, unknown
from restoration_core.images.samples import PREFIX, sample_names, sample_path

MAX_PIXELS = 64_000_000
MAX_SIZE = 4096
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM")
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".ppm", ".pgm")

_SIXTEEN_BIT = ("I;16", "I;16L", "I;16B", "I;16N")
# What Pillow's decoders raise on damaged files.
_DAMAGED = (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, struct.error)


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
    text = os.fspath(reference)
    path = sample_path(text.removeprefix(PREFIX)) if text.startswith(PREFIX) else Path(text).expanduser()
    square = _square(open_picture(path), size)
    return np.ascontiguousarray(np.asarray(square, dtype=np.float32).transpose(2, 0, 1) / np.float32(255))


def open_picture(path: Path) -> Image.Image:
    """Return a decoded picture of any shape as RGB with 8 bits a channel, treated as :func:`load_image` says.

    Raises:
        InputError: as :func:`load_image`.
    """
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "no such picture"
        raise InputError(f"{path}: {what}; valid: a picture file or sample:NAME ({', '.join(sample_names())})")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own, later bound and its remarks on odd metadata
            with Image.open(path, formats=FORMATS) as image:
                width, height = image.size
                if width * height > MAX_PIXELS:
                    raise InputError(
                        f"{path}: too large, {width} x {height} pixels; valid: at most {MAX_PIXELS // 10**6} million"
                    )
                image.load()
                return _rgb(ImageOps.exif_transpose(image), path)
    except InputError:
        raise
    except Image.DecompressionBombError as error:  # Pillow's own bound, met before the size can be asked for
        what = " ".join(str(error).split())
        raise InputError(f"{path}: too large ({what}); valid: at most {MAX_PIXELS // 10**6} million pixels") from error
    except UnidentifiedImageError as error:
        raise InputError(f"{path}: not a picture; valid: {', '.join(FORMATS)}") from error
    except _DAMAGED as error:
        raise InputError(f"{path}: damaged picture ({' '.join(str(error).split())})") from error


def _rgb(image: Image.Image, path: Path) -> Image.Image:
    if image.mode in _SIXTEEN_BIT:
        return Image.fromarray(((np.asarray(image, dtype=np.uint32) + 128) // 257).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        raise InputError(f"{path}: pixels of 32 bits have no known scale; valid: 8 or 16 bits a channel")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


def _square(image: Image.Image, size: int) -> Image.Image:
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.resize((size, size), Image.Resampling.LANCZOS, box=(left, top, left + side, top + side))


def folder_pictures(folder: Path) -> list[Path]:
    """Return the picture files that lie directly in a folder, known by their endings, in alphabetical order.

    Raises:
        InputError: no such folder, or no picture in it.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; valid: a folder of pictures")
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())
    if not found:
        raise InputError(f"{folder}: no picture in it; valid: files that end in {', '.join(SUFFIXES)}")
    return found


def expand_images(references: Iterable[str], base_dir: str | os.PathLike[str] = ".") -> list[str]:
    """Return one reference per picture: globs expanded in alphabetical order, duplicates dropped.

    Args:
        references: paths, globs (``photos/**/*.jpg``), ``sample:NAME`` or ``sample:*``.
        base_dir: folder that relative paths start from.

    Returns:
        ``sample:NAME`` and file paths (absolute where ``base_dir`` is).

    Raises:
        InputErrors: one line for each that names no picture.
    """
    found: dict[str, None] = {}
    faults: list[str] = []
    for reference in references:
        matches = _matches(reference, Path(base_dir))
        if not matches:
            faults.append(_no_match(reference, Path(base_dir)))
        found.update(dict.fromkeys(matches))
    if faults:
        raise InputErrors(faults)
    return list(found)


def _matches(reference: str, base_dir: Path) -> list[str]:
    if reference.startswith(PREFIX):
        pattern = reference.removeprefix(PREFIX)
        return [PREFIX + name for name in sample_names() if fnmatch.fnmatchcase(name, pattern)]
    path = str(base_dir / Path(reference).expanduser())
    if Path(path).is_file():
        return [path]
    pattern = (
        path if Path(reference).is_absolute() else str(Path(glob.escape(str(base_dir))) / Path(reference).expanduser())
    )
    return sorted(match for match in glob.glob(pattern, recursive=True) if Path(match).is_file())


def _no_match(reference: str, base_dir: Path) -> str:
    if reference.startswith(PREFIX):
        return unknown("sample picture", reference.removeprefix(PREFIX), sample_names())
    return f"{reference}: matches no picture in {base_dir.resolve()}; valid: a path, a glob, or {PREFIX}NAME"
