"""Names of parameters: groups with dots and slashes, and choices that are the core's own."""

from __future__ import annotations

import pytest

from restoration_core.priors.expert_functions import EXPERTS as PATCH_FUNCTIONS
from restoration_core.priors.patch_experts.banks import BANKS
from restoration_core.reconstruction.optimizers import RULES
from restoration_core.reconstruction.problem import INITIAL_NOISES, JITTER_CANVASES
from sweeps.spec.parameter_names import (
    OF_TRAINED,
    OPTIMISER,
    PATCH_EXPERTS,
    at_layer,
    group_of,
    is_trained_group,
    known_parameter,
    layer_of,
    split_name,
)


@pytest.mark.parametrize(
    ("name", "group", "child"),
    [
        ("priors.image.weight", "priors.image", "weight"),
        ("priors.features.4.weight", "priors.features.4", "weight"),
        ("priors.conv2/relu.patch_size", "priors.conv2/relu", "patch_size"),
        ("priors.layer1.0.conv1@second.noise_level", "priors.layer1.0.conv1@second", "noise_level"),
        ("total_variation.schedule", "total_variation", "schedule"),
        ("learning_rate", None, "learning_rate"),
    ],
)
def test_a_flat_name_is_cut_at_its_last_dot(name: str, group: str | None, child: str) -> None:
    assert split_name(name) == (group, child)
    assert group_of(name) == group
    assert known_parameter(name) is not None


@pytest.mark.parametrize("name", ["priors.weight", "priors..weight", "priors.image@.weight", "prior.image.weight"])
def test_a_name_without_a_place_is_no_parameter(name: str) -> None:
    assert known_parameter(name) is None


def test_a_group_names_its_layer_and_moves_to_another_keeping_its_label() -> None:
    assert layer_of("priors.image@denoiser") is None
    assert layer_of("priors.features.4@b") == "features.4"
    assert at_layer("priors.features.4@b", "conv3/relu") == "priors.conv3/relu@b"
    assert at_layer("priors.relu1", "conv1/relu") == "priors.conv1/relu"
    assert not is_trained_group("priors.image@two words")


def test_choices_are_those_of_the_core() -> None:
    assert set(OPTIMISER["optimizer"].choices) == set(RULES)
    assert set(OPTIMISER["jitter_canvas"].choices) == set(JITTER_CANVASES)
    assert set(OPTIMISER["initial_noise"].choices) == set(INITIAL_NOISES)
    assert set(OF_TRAINED["bank"].choices) == set(BANKS)
    assert set(PATCH_EXPERTS) == set(PATCH_FUNCTIONS)
