import io

import numpy as np
import pytest
from PIL import Image

from dashboard.pictures import enlarge, enlargement


def png(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("size", "factor"), [((32, 32), 9), ((48, 32), 6), ((288, 10), 1), ((600, 400), 1), ((1, 1), 288)]
)
def test_the_factor_is_the_largest_that_fits(size, factor):
    assert enlargement(*size) == factor


def test_every_pixel_is_repeated_and_none_invented():
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    shown = np.asarray(Image.open(io.BytesIO(enlarge(png(pixels), target_px=30))))
    np.testing.assert_array_equal(shown, pixels.repeat(4, axis=0).repeat(4, axis=1))


def test_a_large_picture_is_passed_on_byte_by_byte():
    original = png(np.zeros((300, 300, 3), dtype=np.uint8))
    assert enlarge(original) == original
