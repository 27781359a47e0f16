"""Pictures on their way to the store: tensors to PNG with hash and thumbnail, and back."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from restoration_core.images import decode_png, encode_png, pixel_sha256, thumbnail, to_uint8
from sweeps.execution.protocol import EncodedPicture


def encode(picture: Tensor) -> EncodedPicture:
    """Encode a picture.

    Args:
        picture: ``(3, H, W)``, RGB in [0, 1].
    """
    array = picture.detach().cpu().numpy()
    png = encode_png(array)
    return EncodedPicture(
        sha256=pixel_sha256(to_uint8(array)),
        png=png,
        thumbnail=thumbnail(png),
        width=array.shape[2],
        height=array.shape[1],
    )


def decode(png: bytes) -> Tensor:
    """Return the picture in a PNG file as the store holds it, ``(3, H, W)``, RGB in [0, 1]."""
    return torch.from_numpy(decode_png(png))


def load(references: Iterable[str], size: int) -> dict[str, Tensor]:
    """Return pictures by the name under which the spec knows them.

    Args:
        references: paths or ``sample:NAME``.
        size: side in pixels.
    """
    from restoration_core.images import load_image

    return {reference: torch.from_numpy(load_image(reference, size)) for reference in references}
