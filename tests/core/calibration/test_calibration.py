"""A calibration as data: interpolation, weights both ways, JSON without loss, damaged files."""

from __future__ import annotations

import dataclasses
import json
import math
import re

import numpy as np
import pytest

from restoration_core.calibration.calibration import QUANTILES, Calibration, Curve, Spread
from restoration_core.calibration.recipe import CalibrationRecipe
from restoration_core.errors import InputError

LEVELS = (0.01, 0.05, 0.1, 0.4)


def calibration(prior: tuple[float, ...] = (8.0, 2.0, 1.0, 0.5)) -> Calibration:
    recipe = CalibrationRecipe("0" * 16, "conv3/relu", "abc", "conv1/relu", 32, "sha256:1", levels=LEVELS)
    spread = Spread.of([0.1, 1 / 3, 2.0])
    return Calibration(
        recipe,
        0.1,
        0.3,
        Curve(LEVELS, (0.1, 0.3, 0.2, 0.1)),
        Curve(LEVELS, prior),
        {"natural": spread, "noisy": spread, "noise": spread},
        {"natural": spread},
        "logistic",
    )


def test_a_power_law_is_interpolated_exactly() -> None:
    curve = Curve(LEVELS, tuple(3 * s**-1.5 for s in LEVELS))
    for level in (0.01, 0.02, 0.07, 0.1, 0.3999, 0.4):
        assert curve.at(level) == pytest.approx(3 * level**-1.5)


@pytest.mark.parametrize("level", [0.0099, 0.41, 0.0, math.nan])
def test_a_level_that_was_not_measured_is_refused(level: float) -> None:
    with pytest.raises(InputError, match=r"noise level: 0\.01 <= s <= 0\.4 must hold, but got"):
        Curve(LEVELS, (1.0, 1.0, 1.0, 1.0)).at(level)


def test_beside_a_curvature_that_is_not_positive_there_is_no_value() -> None:
    curve = Curve(LEVELS, (4.0, 2.0, 0.0, -1.0))
    assert curve.at(0.05) == pytest.approx(2.0)
    for level in (0.07, 0.1, 0.2, 0.4):
        with pytest.raises(InputError, match=r"kappa > 0 must hold, but got .*valid levels: 0\.01, 0\.05"):
            curve.at(level)


def test_a_raw_weight_balances_the_energies_of_the_typical_errors() -> None:
    found = calibration()
    assert found.raw_weight(1.0) == pytest.approx(0.2 * 0.3**2 / (1.0 * 0.1**2))
    assert found.raw_weight(3.0, 0.05) == pytest.approx(3 * 0.3 / 2.0 * (0.3 / 0.1) ** 2)
    assert found.raw_weight(0.0) == 0
    for level in (None, 0.01, 0.2):
        assert found.calibrated_weight(found.raw_weight(0.7, level), level) == pytest.approx(0.7)


def test_a_prior_that_does_not_pull_back_has_no_raw_weight_and_is_named() -> None:
    with pytest.raises(InputError, match=r"calibration of logistic at conv3/relu, prior logistic: curvature at noise"):
        calibration((8.0, 2.0, -1.0, 0.5)).raw_weight(1.0)


def test_json_brings_everything_back_bit_by_bit() -> None:
    found = calibration()
    assert Calibration.from_json(found.to_json()) == found
    without = dataclasses.replace(found, energies={})
    assert Calibration.from_json(without.to_json()) == without


def _edited(**changes: object) -> str:
    return json.dumps(json.loads(calibration().to_json()) | changes)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "Expecting value"),
        ("[]", "no calibration"),
        (calibration().to_json()[:-40], "Expecting property name"),
        (_edited(format="other"), "not of format 'calibration-1'"),
        (_edited(key="f" * 16), "key ffffffffffffffff but a recipe with key"),
        (_edited(prior={"levels": [1, 2], "values": [1, 2]}), "a curve over other levels than its recipe's"),
        (_edited(prior={"levels": LEVELS, "values": [1, 2]}), "a curve over other levels than its recipe's"),
        (_edited(recipe={"size": 32}), "field 'weights_id' is missing"),
        (_edited(energies={"natural": {"quantiles": [1, 2]}}), f"{len(QUANTILES)} quantiles"),
    ],
    ids=["empty", "list", "cut", "format", "key", "levels", "values", "recipe", "quantiles"],
)
def test_a_damaged_file_is_refused_in_one_line(text: str, reason: str) -> None:
    with pytest.raises(InputError, match=re.escape(reason)) as refused:
        Calibration.from_json(text, "here.json")
    assert str(refused.value).startswith("here.json: no calibration (")
    assert "\n" not in str(refused.value)


def test_quantiles_are_numpys() -> None:
    values = np.random.default_rng(0).normal(size=37)
    assert Spread.of(values.tolist()).quantiles == pytest.approx(np.quantile(values, QUANTILES).tolist())
    assert Spread.of([2.5]).quantiles == (2.5,) * len(QUANTILES)
    assert Spread.of([3.0, 1.0]).median == 2.0
