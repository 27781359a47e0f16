from __future__ import annotations

import hashlib
import io

import numpy as np
import pytest
from PIL import Image

from restoration_core.errors import InputError
from restoration_core.images import decode_png, encode_png, pixel_sha256, thumbnail, to_uint8
from restoration_core.images import encode as encode_module


def picture(height: int = 5, width: int = 7) -> np.ndarray:
    return np.random.default_rng(0).random((3, height, width), dtype=np.float32)


def test_bytes_are_the_nearest_and_clipped() -> None:
    values = np.array([-1, 0, 0.4 / 255, 0.6 / 255, 1, 2], np.float32)
    image = np.broadcast_to(values, (3, 1, 6))
    assert to_uint8(image)[0, :, 0].tolist() == [0, 0, 0, 1, 255, 255]
    assert to_uint8(picture()).shape == (5, 7, 3)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_picture_that_is_not_finite_is_never_stored(value: float) -> None:
    image = picture()
    image[0, 0, 0] = value
    with pytest.raises(ValueError, match="must be finite"):
        encode_png(image)


def test_png_keeps_the_bytes_and_pillow_reads_the_same() -> None:
    image = picture()
    png = encode_png(image)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(png))), to_uint8(image))
    np.testing.assert_array_equal(to_uint8(decode_png(png)), to_uint8(image))


def test_the_hash_is_of_shape_and_pixels() -> None:
    pixels = to_uint8(picture())
    assert pixel_sha256(pixels) == hashlib.sha256(b"5x7x3\0" + pixels.tobytes()).hexdigest()
    assert pixel_sha256(pixels) == pixel_sha256(np.asfortranarray(pixels))
    assert pixel_sha256(pixels) != pixel_sha256(pixels.reshape(7, 5, 3))
    with pytest.raises(ValueError, match="uint8"):
        pixel_sha256(pixels.astype(np.int64))


def test_a_thumbnail_keeps_the_shape_and_never_grows() -> None:
    assert decode_png(thumbnail(encode_png(picture(100, 200)), 50)).shape == (3, 25, 50)
    assert decode_png(thumbnail(encode_png(picture()))).shape == (3, 5, 7)


def test_bytes_that_are_no_png_are_refused() -> None:
    jpeg = io.BytesIO()
    Image.fromarray(to_uint8(picture())).save(jpeg, format="JPEG")
    for data in (b"", b"nonsense", jpeg.getvalue(), encode_png(picture(64, 64))[:2000]):
        with pytest.raises(InputError, match="not a readable PNG"):
            decode_png(data)


def test_a_png_with_too_many_pixels_is_refused_before_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encode_module, "MAX_PIXELS", 34)
    with pytest.raises(InputError, match="too large: 7 x 5"):
        decode_png(encode_png(picture())[:60])
