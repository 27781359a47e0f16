"""Animations of an optimisation: frames that say which step they show."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from restoration_core.images.encode import to_uint8

ANIMATIONS = {"gif": "GIF", "webp": "WEBP", "apng": "PNG"}
"""Endings of files, and what Pillow calls their formats; GIF has 256 colours a frame, the others all."""

FRAME_MS, LAST_FRAME_MS = 120, 2000
_SMALLEST_SIDE = 128
_STRIP = 18


def animate(frames: Sequence[NDArray[np.floating[Any]]], captions: Sequence[str], kind: str = "gif") -> bytes:
    """Return a file that shows frames one after the other, for ever; the last one stays longer.

    Small pictures are enlarged by a whole factor to at least 128 px. Each caption stands in a strip below its picture.

    Args:
        frames: ``(3, H, W)`` each, RGB in [0, 1], of one size.
        captions: one a frame, all different, or viewers may be given equal frames as one.
        kind: a key of :data:`ANIMATIONS`.

    Raises:
        ValueError: no frame, another number of captions, frames of several sizes, or an unknown kind.
    """
    if not frames or len(frames) != len(captions):
        raise ValueError(f"frames and captions must be as many, one or more, but got {len(frames)} and {len(captions)}")
    if len({frame.shape for frame in frames}) > 1:
        raise ValueError(f"frames must have one size, but got {sorted({frame.shape for frame in frames})}")
    if kind not in ANIMATIONS:
        raise ValueError(f"kind must be one of {', '.join(ANIMATIONS)}, but got {kind!r}")
    pages = [_page(frame, caption) for frame, caption in zip(frames, captions, strict=True)]
    durations = [FRAME_MS] * (len(pages) - 1) + [LAST_FRAME_MS]
    buffer = io.BytesIO()
    options: dict[str, Any] = {"save_all": True, "append_images": pages[1:], "duration": durations, "loop": 0}
    if kind == "webp":
        options |= {"lossless": True}
    pages[0].save(buffer, format=ANIMATIONS[kind], **options)
    return buffer.getvalue()


def _page(frame: NDArray[np.floating[Any]], caption: str) -> Image.Image:
    picture = Image.fromarray(to_uint8(frame))
    factor = max(1, -(-_SMALLEST_SIDE // min(picture.size)))
    picture = picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)
    page = Image.new("RGB", (picture.width, picture.height + _STRIP), "white")
    page.paste(picture, (0, 0))
    ImageDraw.Draw(page).text((4, picture.height + 3), caption, fill="black", font_size=11)
    return page
