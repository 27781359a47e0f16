"""Rules that the recipes of several families share."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

from restoration_core.errors import unknown
from restoration_core.priors.maps import SAMPLES
from restoration_core.priors.training.family import PriorRecipe


def common_faults(
    recipe: PriorRecipe,
    *,
    choices: Mapping[str, Collection[str]],
    at_least: Mapping[str, int],
    within: Mapping[str, tuple[int, int]],
) -> list[str]:
    """Return one line for each field that breaks a rule; pictures and learning rate are looked at in every recipe.

    Args:
        recipe: to be checked.
        choices: field -> texts that it may be.
        at_least: field -> least value.
        within: field -> least and largest value.
    """
    values = {name: getattr(recipe, name) for name in (*choices, *at_least, *within, "pictures", "learning_rate")}
    faults = [unknown(name, values[name], valid) for name, valid in choices.items() if values[name] not in valid]
    pictures, rate = values["pictures"], values["learning_rate"]
    if pictures != SAMPLES and not pictures.startswith("sha256:"):
        faults.append(f"pictures: {SAMPLES!r} or 'sha256:...' is needed, but got {pictures!r}")
    for name, low in at_least.items():
        if values[name] < low:
            faults.append(f"{name}: {name} >= {low} must hold, but got {values[name]}")
    for name, (low, high) in within.items():
        if not low <= values[name] <= high:
            faults.append(f"{name}: {low} <= {name} <= {high} must hold, but got {values[name]}")
    if not 0 < rate < math.inf:
        faults.append(f"learning_rate: learning_rate > 0 must hold, but got {rate}")
    return faults
