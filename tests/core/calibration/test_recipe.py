"""The recipe of a calibration: its key changes with every field, and invalid values are refused."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from restoration_core.calibration.curvature import NOISES
from restoration_core.calibration.recipe import (
    LEVELS,
    NOISE_KINDS,
    CalibrationRecipe,
    ErrorRun,
    hand_crafted_key,
)
from restoration_core.errors import InputErrors
from restoration_core.priors.hand_crafted.isotropic_range import IsotropicRange
from restoration_core.priors.hand_crafted.total_variation import TotalVariation

RECIPE = CalibrationRecipe("0" * 16, "conv3/relu", "abc", None, 32, "sha256:1")


@pytest.mark.parametrize(
    "change",
    [
        {"weights_id": "1" * 16},
        {"match_layer": "conv4/relu"},
        {"prior": "abd"},
        {"prior_layer": "conv1/relu"},
        {"size": 33},
        {"pictures": "sha256:2"},
        {"noise": "pink"},
        {"levels": (0.01, 0.2)},
        {"draws": 3},
        {"seed": 1},
        {"error_run": ErrorRun(level="rmse")},
        {"error_run": ErrorRun(start_level=0.06)},
        {"error_run": ErrorRun(photographs=5)},
        {"error_run": ErrorRun(iterations=99)},
        {"error_run": ErrorRun(learning_rate=0.05)},
        {"error_run": ErrorRun(betas=(0.9, 0.9))},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_key_changes_with_everything_that_decides_the_numbers(change: dict[str, Any]) -> None:
    assert dataclasses.replace(RECIPE, **change).key != RECIPE.key


def test_every_field_is_covered_above() -> None:
    changed = {field.name for field in dataclasses.fields(CalibrationRecipe)}
    assert changed == {
        *("weights_id", "match_layer", "prior", "prior_layer", "size", "pictures"),
        *("noise", "levels", "draws", "seed", "error_run"),
    }


def test_json_gives_the_same_recipe_and_key() -> None:
    recipe = dataclasses.replace(RECIPE, prior_layer="conv1/relu", error_run=ErrorRun(betas=(0.5, 0.25)))
    again = CalibrationRecipe.from_mapping(json.loads(recipe.to_json()))
    assert again == recipe
    assert again.key == recipe.key


def test_a_hand_crafted_prior_is_called_by_all_its_values() -> None:
    assert hand_crafted_key("isotropic_range", IsotropicRange(6.0, (0.5, 0.4, 0.3))) == (
        "isotropic_range(alpha=6.0,mean=(0.5, 0.4, 0.3))"
    )
    keys = {hand_crafted_key("total_variation", TotalVariation(beta)) for beta in (1.0, 1.5, 2.0)}
    assert len(keys) == 3


def test_the_kinds_of_noise_are_those_that_can_be_drawn() -> None:
    assert set(NOISE_KINDS) == set(NOISES)


def test_the_default_levels_span_a_grey_level_to_the_worst_reconstruction() -> None:
    assert LEVELS[0] <= 2 / 255
    assert LEVELS[-1] > 0.58  # two pictures of uniform noise differ by sqrt(1/6) = 0.41, black and white by 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"noise": "whyte"}, "unknown noise 'whyte'; did you mean 'white'"),
        ({"levels": (0.1,)}, "levels: two or more rising values above 0"),
        ({"levels": (0.2, 0.1)}, "levels: two or more rising values above 0"),
        ({"levels": (0.0, 0.1)}, "levels: two or more rising values above 0"),
        ({"draws": 0}, "draws: draws >= 1 must hold, but got 0"),
        ({"size": 0}, "size: size >= 1 must hold, but got 0"),
        ({"error_run": ErrorRun(level="rms")}, "unknown error_run.level 'rms'; did you mean 'rmse'?"),
        ({"error_run": ErrorRun(start_level=0.9)}, "error_run.start_level: 0.005 <= start_level <= 0.64 must hold"),
        ({"error_run": ErrorRun(iterations=0)}, "error_run.iterations: iterations >= 1 must hold, but got 0"),
        ({"error_run": ErrorRun(learning_rate=0)}, "error_run.learning_rate: learning_rate > 0 must hold"),
        ({"error_run": ErrorRun(betas=(0.9, 1.0))}, "error_run.betas: two values with 0 <= beta < 1"),
    ],
    ids=[
        "noise",
        "one-level",
        "falling",
        "zero-level",
        "draws",
        "size",
        "level",
        "start",
        "iterations",
        "rate",
        "betas",
    ],
)
def test_values_out_of_range_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputErrors) as refused:
        dataclasses.replace(RECIPE, **change)
    assert len(refused.value.lines) == 1
    assert refused.value.lines[0].startswith(message)


def test_all_faults_of_a_mapping_are_told_at_once() -> None:
    fields = json.loads(RECIPE.to_json())
    del fields["size"]
    with pytest.raises(InputErrors) as refused:
        CalibrationRecipe.from_mapping(fields | {"nois": "white", "version": 7})
    assert [line.split(";")[0] for line in refused.value.lines] == [
        "unknown calibration field 'nois'",
        "calibration: field 'size' is missing",
        "calibration version 7 is unknown",
    ]
