"""The conversion of units against energies and steps computed in both."""

from __future__ import annotations

import pytest

from restoration_core.objectives.units import (
    ADAGRAD_RATE,
    DESCENT_RATE,
    LENGTH,
    Units,
    to_unit_pixels,
    weight_of_degree,
)

UNITS = Units(levels=10.0, feature_weight=4.0, sum_scale=6.0)


def test_a_weight_makes_the_same_term_up_to_the_feature_weight() -> None:
    # Six equal pixels x = 0.5: the published sum is w * 6 * (10 * 0.5)^3, ours a mean times w', a quarter of it.
    weight = to_unit_pixels(2.0, weight_of_degree(3), UNITS)
    assert weight * 0.5**3 == pytest.approx(2.0 * 6 * 5**3 / 4)


def test_a_step_of_descent_ends_at_the_same_picture() -> None:
    # Published: E(z) = z^2, z = 10 x, a step at rate 0.1 from x = 0.5. Ours: F(x) = E / 4 = 25 x^2.
    z = 5.0 - 0.1 * 2 * 5.0
    x = 0.5 - to_unit_pixels(0.1, DESCENT_RATE, UNITS) * 50 * 0.5
    assert 10 * x == pytest.approx(z)


def test_an_adagrad_like_step_ends_at_the_same_picture() -> None:
    # dz = -g / (1 / 0.1 + |g|), g = 2 z = 10; ours: g' = 25, and the step is counted in published levels, a tenth.
    z = 5.0 - 10 / (1 / 0.1 + 10)
    x = 0.5 - 0.1 * 25 / (1 / to_unit_pixels(0.1, ADAGRAD_RATE, UNITS) + 25)
    assert 10 * x == pytest.approx(z)


def test_a_length_is_divided_by_the_levels_alone() -> None:
    assert to_unit_pixels(25.0, LENGTH, UNITS) == 2.5
