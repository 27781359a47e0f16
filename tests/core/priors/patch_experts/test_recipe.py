"""Recipes: same content, same key; every field counts; bad values are all told."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Any

import pytest

from restoration_core.errors import InputErrors
from restoration_core.priors.maps.source import LayerMaps
from restoration_core.priors.patch_experts.default_recipes import default_recipe, thesis_recipe
from restoration_core.priors.patch_experts.recipe import Recipe

BASE = Recipe("logistic", 5, 20)
OTHERS: dict[str, Any] = {
    "expert": "student_t",
    "patch_size": 6,
    "experts": 21,
    "pictures": "sha256:00",
    "short_side": 161,
    "whitening": "zca",
    "dims": 70,
    "sigma": 0.007,
    "remove_dc": True,
    "free_norms": True,
    "patches": 100_001,
    "iterations": 2001,
    "batch": 257,
    "learning_rate": 0.02,
    "seed": 1,
    "maps": LayerMaps("cifar_alexnet", "0123456789abcdef", "conv1/relu"),
    "bank": "separable",
    "channels": (0, 2),
    "multiplier": 3,
}


def test_key_is_the_hash_of_canonical_json() -> None:
    fields = {name: value for name, value in dataclasses.asdict(BASE).items() if name not in Recipe.later_fields}
    fields["version"] = 1
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    assert BASE.key == hashlib.sha256(text.encode()).hexdigest()[:16]


def test_shipped_priors_keep_their_keys() -> None:
    assert thesis_recipe("logistic").key == "8236c1862d271295"
    assert thesis_recipe("student_t").key == "b4c0bcb5fcc08c58"
    assert default_recipe("logistic", 8).key == "e3166a7d0880d709"
    assert default_recipe("student_t", 8).key == "5558c79414898563"


def test_every_field_changes_the_key() -> None:
    assert set(OTHERS) == {field.name for field in dataclasses.fields(Recipe)}
    keys = {dataclasses.replace(BASE, **{name: value}).key for name, value in OTHERS.items()}
    assert len(keys | {BASE.key}) == len(OTHERS) + 1


def test_json_goes_round() -> None:
    recipe = dataclasses.replace(BASE, **OTHERS)
    assert Recipe.from_mapping(json.loads(recipe.to_json())) == recipe


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(InputErrors) as caught:
        Recipe("logistik", 1, 0, sigma=-1, whitening="none", learning_rate=0)
    lines = "\n".join(caught.value.lines)
    assert len(caught.value.lines) == 6
    for part in (
        "did you mean 'logistic'",
        "unknown whitening 'none'",
        "2 <= patch_size <= 32",
        "experts >= 1",
        "0 <= sigma",
    ):
        assert part in lines


def test_unknown_and_missing_fields_are_refused() -> None:
    with pytest.raises(InputErrors) as caught:
        Recipe.from_mapping({"expert": "logistic", "patchsize": 3, "experts": 3, "version": 99})
    assert caught.value.lines == (
        "unknown recipe field 'patchsize'; did you mean 'patch_size'? valid: " + ", ".join(OTHERS),
        "recipe: field 'patch_size' is missing",
        "recipe version 99 is unknown; valid: 1",
    )


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("experts", 6.0, "a whole number"),
        ("experts", True, "a whole number"),
        ("sigma", "0.1", "a number"),
        ("remove_dc", 1, "true or false"),
        ("bank", None, "a text"),
        ("channels", [0, "1"], "a list, each a whole number, or null"),
        ("maps", {"network": "a"}, "a layer with network, weights_id and layer or null"),
    ],
)
def test_values_of_another_type_are_refused(name: str, value: object, wanted: str) -> None:
    fields = {**json.loads(BASE.to_json()), name: value}
    with pytest.raises(InputErrors, match=f"{name}: {wanted} is needed, but got") as caught:
        Recipe.from_mapping(fields)
    assert len(caught.value.lines) == 1


def test_a_whole_number_may_stand_for_a_number() -> None:
    assert Recipe.from_mapping({**json.loads(BASE.to_json()), "sigma": 0}).sigma == 0


@pytest.mark.parametrize(("size", "experts"), [(3, 54), (5, 150), (12, 256)])
def test_other_sizes_learn_from_the_samples(size: int, experts: int) -> None:
    recipe = default_recipe("student_t", size)
    assert (recipe.pictures, recipe.experts, recipe.patch_size) == ("samples", experts, size)


def test_default_recipe_names_the_nearest_expert() -> None:
    with pytest.raises(InputErrors, match="unknown expert 'ica'"):
        default_recipe("ica", 5)
