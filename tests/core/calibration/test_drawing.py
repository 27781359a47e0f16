"""The picture of a calibration: what is drawn where, and calibrations that leave a panel empty."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ImageColor

from restoration_core.calibration.calibration import Calibration, Curve, Spread
from restoration_core.calibration.drawing import HEIGHT, WIDTH, draw_calibration
from restoration_core.errors import InputError
from tests.core.calibration.test_calibration import LEVELS, calibration

NATURAL, NOISE, PRIOR = "#1a7f37", "#6639ba", "#0969da"


def spreads(**values: float) -> dict[str, Spread]:
    kinds = {"natural": 1.0, "noisy": 2.0, "noise": 3.0} | values
    return {kind: Spread.of([0.9 * value, value, 1.1 * value]) for kind, value in kinds.items()}


def drawn(calibration: Calibration) -> NDArray[np.uint8]:
    return np.asarray(draw_calibration(calibration))


def columns_of(picture: NDArray[np.uint8], colour: str, left: int = 0, right: int = WIDTH) -> NDArray[np.intp]:
    found = (np.abs(picture[100:330, left:right].astype(int) - ImageColor.getrgb(colour)).sum(-1) < 12).any(0)
    return np.flatnonzero(found) + left


def whole(**changes: object) -> Calibration:
    plain = {"energies": spreads(), "gradient_norms": spreads()}
    return dataclasses.replace(calibration(), **plain | changes)


def test_larger_energies_are_further_right() -> None:
    picture = drawn(whole())
    assert picture.shape == (HEIGHT, WIDTH, 3)
    assert columns_of(picture, NATURAL, 96, 400).max() < columns_of(picture, NOISE, 96, 400).min()
    turned = drawn(whole(energies=spreads(natural=3.0, noise=1.0)))
    assert columns_of(turned, NOISE, 96, 400).max() < columns_of(turned, NATURAL, 96, 400).min()


def test_a_prior_without_energy_says_so_and_keeps_its_other_panels() -> None:
    with_energy, without = drawn(whole()), drawn(whole(energies={}))
    assert len(columns_of(without, NATURAL, 96, 400)) == 0
    assert np.array_equal(with_energy[:, 480:], without[:, 480:])


def test_curves_leave_out_what_is_not_positive() -> None:
    every = columns_of(drawn(whole()), PRIOR, 940)
    part = columns_of(drawn(whole(prior=Curve(LEVELS, (8.0, 2.0, -1.0, -2.0)))), PRIOR, 940)
    assert part.max() < every.max() - 100  # the two higher levels have no points


def test_nothing_positive_at_all_is_drawn_without_curves() -> None:
    negative = Curve(LEVELS, (-1.0, -2.0, -3.0, 0.0))
    picture = drawn(whole(prior=negative, features=negative))
    assert len(columns_of(picture, PRIOR)) == 0


@pytest.mark.parametrize("value", [0.0, -5.0, 1e-12, 1e9], ids=str)
def test_any_finite_values_can_be_drawn(value: float) -> None:
    same = dict.fromkeys(("natural", "noisy", "noise"), Spread.of([value]))
    picture = drawn(whole(energies=same, gradient_norms=same))
    ink = np.flatnonzero((picture[100:330, 96:388].astype(int).sum(-1) < 300).any(0)) + 96
    assert 236 < ink.min() <= ink.max() < 248  # the medians, in the middle of the panel


def test_values_that_are_not_finite_are_refused() -> None:
    with pytest.raises(InputError, match="energy: finite values are needed for a picture"):
        draw_calibration(whole(energies=spreads(noise=math.inf)))
