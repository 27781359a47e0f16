"""Difference views of two stored pictures."""

from __future__ import annotations

import io
from typing import Literal

import numpy as np
from PIL import Image

from restoration_core.errors import InputError


def difference_png(
    original: bytes, reconstruction: bytes, kind: Literal["signed", "absolute"] = "signed", scale: float = 0.5
) -> bytes:
    """Return the difference view of two pictures, all as PNG bytes.

    Raises:
        InputError: unknown kind, or pictures of different sizes.
    """
    from restoration_core.images import differences

    view = getattr(differences, kind, None)
    if kind not in ("signed", "absolute") or view is None:
        raise InputError(f"unknown difference view {kind!r}; valid: signed, absolute")
    first, second = _pixels(original), _pixels(reconstruction)
    if first.shape != second.shape:
        raise InputError(f"pictures of {first.shape} and {second.shape} pixels have no difference; sizes must agree")
    shown = view(first, second, scale=scale)
    buffer = io.BytesIO()
    Image.fromarray(np.rint(np.clip(shown, 0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)).save(buffer, format="PNG")
    return buffer.getvalue()


def _pixels(png: bytes) -> np.ndarray:
    """Return the decoded picture, (3, H, W) float32 in [0, 1]."""
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image.convert("RGB"), dtype=np.float32).transpose(2, 0, 1) / 255
