"""Pictures as PNG bytes, and their identity: the hash of the decoded pixels."""

from __future__ import annotations

import hashlib
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from restoration_core.errors import InputError
from restoration_core.images.load import MAX_PIXELS


def to_uint8(image: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """Return the picture as bytes, ``floor(255 x + 1/2)`` after clipping to [0, 1].

    Args:
        image: ``(3, H, W)``, RGB in [0, 1].

    Returns:
        ``(H, W, 3)``, contiguous.

    Raises:
        ValueError: for NaN or infinite values.
    """
    if not np.isfinite(image).all():
        raise ValueError("a picture must be finite, but got NaN or infinite values")
    scaled = np.clip(image.astype(np.float64), 0, 1) * 255 + 0.5
    return np.ascontiguousarray(scaled.astype(np.uint8).transpose(1, 2, 0))


def pixel_sha256(pixels: NDArray[np.uint8]) -> str:
    """Return the SHA-256 of ``HxWxC`` as text, a zero byte and the pixels in row order, 64 hex digits.

    Args:
        pixels: ``(H, W, C)``, as :func:`to_uint8` gives them.
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 3:
        raise ValueError(f"pixels must be (H, W, C) uint8, but got {pixels.dtype} {pixels.shape}")
    header = "x".join(str(side) for side in pixels.shape).encode() + b"\0"
    return hashlib.sha256(header + np.ascontiguousarray(pixels).tobytes()).hexdigest()


def encode_png(image: NDArray[np.floating[Any]]) -> bytes:
    """Return a picture ``(3, H, W)``, RGB in [0, 1], as an 8-bit PNG file."""
    return _png(Image.fromarray(to_uint8(image)))


def decode_png(png: bytes) -> NDArray[np.float32]:
    """Return the picture in a PNG file, ``(3, H, W)`` RGB in [0, 1].

    Raises:
        InputError: for bytes that are no PNG, or one of more than ``MAX_PIXELS`` pixels (checked before decoding).
    """
    pixels = np.asarray(_open(png), dtype=np.float32)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1) / np.float32(255))


def thumbnail(png: bytes, side: int = 96) -> bytes:
    """Return a PNG file of the picture whose longer side is at most ``side`` pixels; smaller pictures keep theirs."""
    image = _open(png)
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    return _png(image)


def _open(png: bytes) -> Image.Image:
    try:
        with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
            if image.width * image.height > MAX_PIXELS:
                raise InputError(f"PNG too large: {image.width} x {image.height} pixels; valid: at most {MAX_PIXELS}")
            return image.convert("RGB")
    except InputError:
        raise
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise InputError(f"not a readable PNG file ({' '.join(str(error).split())})") from error


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()
