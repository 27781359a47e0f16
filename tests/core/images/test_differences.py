from __future__ import annotations

import numpy as np
import pytest

from restoration_core.images import absolute_difference, signed_difference, spread_view


def flat(value: float) -> np.ndarray:
    return np.full((3, 2, 2), value, np.float32)


@pytest.mark.parametrize("scale", [0.5, 0.1, None])
def test_equal_pictures_are_grey_in_the_signed_view_and_black_in_the_absolute_one(scale: float | None) -> None:
    assert (signed_difference(flat(0.3), flat(0.3), scale) == 0.5).all()
    assert (absolute_difference(flat(0.3), flat(0.3), scale) == 0).all()


def test_brighter_reconstructions_are_brighter_than_grey_in_proportion() -> None:
    assert signed_difference(flat(0.5), flat(0.6)) == pytest.approx(flat(0.6))
    assert signed_difference(flat(0.5), flat(0.4)) == pytest.approx(flat(0.4))
    assert absolute_difference(flat(0.5), flat(0.4)) == pytest.approx(flat(0.2))
    assert absolute_difference(flat(0.5), flat(0.6), scale=0.2) == pytest.approx(flat(0.5))


def test_errors_beyond_the_scale_are_clipped() -> None:
    assert (signed_difference(flat(0), flat(1), scale=0.25) == 1).all()
    assert (signed_difference(flat(1), flat(0), scale=0.25) == 0).all()
    assert (absolute_difference(flat(1), flat(0), scale=0.25) == 1).all()


def test_without_a_scale_the_largest_error_of_the_picture_is_the_scale() -> None:
    reconstruction = flat(0.5)
    reconstruction[0, 0, 0], reconstruction[1, 1, 1] = 0.52, 0.49
    view = signed_difference(flat(0.5), reconstruction, scale=None)
    assert view[0, 0, 0] == pytest.approx(1)
    assert view[1, 1, 1] == pytest.approx(0.25)
    assert absolute_difference(flat(0.5), reconstruction, scale=None)[1, 1, 1] == pytest.approx(0.5)


def test_other_shapes_and_scales_are_refused() -> None:
    with pytest.raises(ValueError, match="one shape"):
        signed_difference(flat(0), np.zeros((3, 3, 3)))
    with pytest.raises(ValueError, match="scale must be > 0"):
        absolute_difference(flat(0), flat(0), scale=0)


def test_the_spread_is_black_where_restarts_agree_and_white_from_its_scale_on() -> None:
    spread = np.array([[0.0, 0.05], [0.25, 0.4]])
    assert spread_view(spread) == pytest.approx(np.array([[[0, 0.2], [1, 1]]] * 3))
    assert spread_view(spread, scale=0.5) == pytest.approx(np.array([[[0, 0.1], [0.5, 0.8]]] * 3))
    with pytest.raises(ValueError, match=r"spread must be \(H, W\)"):
        spread_view(flat(0.1))
