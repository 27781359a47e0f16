"""The command that trains the prior of a recipe, for messages about missing priors."""

from __future__ import annotations

import json
import shlex
from dataclasses import fields
from typing import Any

from restoration_core.priors.maps import SAMPLES
from restoration_core.priors.training import PriorRecipe

_SWITCHES = {
    "free_norms": {True: "--free-norms", False: "--unit-norms"},
    "remove_dc": {True: "--remove-dc"},
}
_OPTIONS = frozenset(
    {"expert", "patch_size", "experts", "bank", "multiplier", "whitening", "dims", "sigma", "short_side", "patches"}
    | {"iterations", "batch", "learning_rate", "seed"}
)
# The defaults of these depend on the layer or on each other, so they are always named.
_ALWAYS = {
    "patch_experts": {"sigma", "short_side", "free_norms", "patches", "iterations", "learning_rate"},
    "convolutional_experts": {"short_side"},
    "denoiser": {"short_side"},
}
_ALWAYS_ON_MAPS = {
    "patch_experts": {"dims"},
    "convolutional_experts": set(),
    "denoiser": {"levels", "held_out_levels", "factor"},
}


def training_command(recipe: PriorRecipe) -> str:
    """Return the ``restoration prior train`` that gives a prior with the recipe's key.

    FOLDER stands for a folder of photographs. Weights of a network other than its usual ones are not named.
    """
    words = ["restoration prior train"]
    if recipe.pictures != SAMPLES:
        words.append("--images FOLDER")
    if recipe.maps is not None:
        words.append(f"--network {shlex.quote(recipe.maps.network)} --layer {shlex.quote(recipe.maps.layer)}")
    if recipe.family != "patch_experts":
        words.append(f"--family {recipe.family}")
    named = _ALWAYS[recipe.family] | (_ALWAYS_ON_MAPS[recipe.family] if recipe.maps is not None else set())
    for field in fields(recipe):
        value = getattr(recipe, field.name)
        if field.name in ("pictures", "maps"):
            continue
        if value != field.default or field.name in named:
            words.append(_option(field.name, value))
    return " ".join(words)


def _option(name: str, value: Any) -> str:
    if name in _SWITCHES and value in _SWITCHES[name]:
        return _SWITCHES[name][value]
    if name == "channels" and value is not None:
        return f"--channels {','.join(map(str, value))}"
    if name in _OPTIONS and value is not None:
        return f"--{name.replace('_', '-')} {value}"
    text = json.dumps(value, separators=(",", ":"))
    return f"--set {shlex.quote(f'{name}={text}')}"
