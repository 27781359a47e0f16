"""Difference views of two stored pictures."""

from __future__ import annotations

from typing import Literal

from restoration_core.errors import InputError, unknown
from restoration_core.images import absolute_difference, decode_png, encode_png, signed_difference

_VIEWS = {"signed": signed_difference, "absolute": absolute_difference}


def difference_png(
    original: bytes,
    reconstruction: bytes,
    kind: Literal["signed", "absolute"] = "signed",
    scale: float | None = 0.5,
) -> bytes:
    """Return the difference view of two pictures, all as PNG bytes.

    Args:
        kind: ``signed`` (grey: no error) or ``absolute`` (black: no error).
        scale: error shown as full deflection, > 0; None for the largest error of this pair.

    Raises:
        InputError: unknown kind, a scale that is not positive, or pictures of different sizes.
    """
    if kind not in _VIEWS:
        raise InputError(unknown("difference view", kind, _VIEWS))
    if scale is not None and not scale > 0:
        raise InputError(f"the scale of a difference view must be > 0, but got {scale}")
    first, second = decode_png(original), decode_png(reconstruction)
    if first.shape != second.shape:
        sizes = " and ".join(f"{width} x {height}" for _, height, width in (first.shape, second.shape))
        raise InputError(f"pictures of {sizes} pixels have no difference; valid: two pictures of one size")
    return encode_png(_VIEWS[kind](first, second, scale))
