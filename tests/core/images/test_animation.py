"""Animations, re-opened by Pillow."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from restoration_core.images import ANIMATIONS, animate, to_uint8
from restoration_core.images.animation import FRAME_MS, LAST_FRAME_MS

FRAMES = list(np.random.default_rng(0).random((4, 3, 40, 40)).astype(np.float32))
CAPTIONS = [f"step {number} of 3" for number in range(4)]


@pytest.mark.parametrize("kind", ANIMATIONS)
def test_pillow_finds_every_frame_in_order_for_its_time(kind: str) -> None:
    with Image.open(io.BytesIO(animate(FRAMES, CAPTIONS, kind))) as film:
        assert film.format == {"gif": "GIF", "webp": "WEBP", "apng": "PNG"}[kind]
        assert getattr(film, "n_frames", 1) == 4
        assert film.info["loop"] == 0
        for number, frame in enumerate(FRAMES):
            film.seek(number)
            shown = np.asarray(film.convert("RGB"), dtype=float)[: 4 * 40 : 4, : 4 * 40 : 4]
            error = np.abs(shown - to_uint8(frame))
            # GIF has 256 colours for the 1600 of this noise; the others lose nothing.
            assert error.mean() < 20 if kind == "gif" else error.max() == 0
            assert film.info["duration"] == (LAST_FRAME_MS if number == 3 else FRAME_MS)


def test_the_caption_stands_below_the_picture() -> None:
    still = [np.ones((3, 130, 130), np.float32)] * 2
    with Image.open(io.BytesIO(animate(still, ["step 0", "step 9"], "apng"))) as film:
        assert film.size[0] == 130
        first = np.asarray(film.convert("L"))
        film.seek(1)
        second = np.asarray(film.convert("L"))
    assert (first[:130] == 255).all()
    assert first[130:].min() < 128
    assert (first[130:] != second[130:]).any()


@pytest.mark.parametrize(
    ("frames", "captions", "kind", "message"),
    [
        ([], [], "gif", "one or more, but got 0 and 0"),
        (FRAMES, CAPTIONS[:2], "gif", "as many, one or more, but got 4 and 2"),
        ([FRAMES[0], FRAMES[0][:, :20]], CAPTIONS[:2], "gif", "frames must have one size"),
        (FRAMES, CAPTIONS, "mp4", "kind must be one of gif, webp, apng, but got 'mp4'"),
    ],
)
def test_what_cannot_be_animated_is_refused(
    frames: list[np.ndarray], captions: list[str], kind: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        animate(frames, captions, kind)
