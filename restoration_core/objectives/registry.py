"""Presets by name."""

from __future__ import annotations

from collections.abc import Callable

from restoration_core.errors import InputError, unknown
from restoration_core.networks import Classifier
from restoration_core.objectives.best import best
from restoration_core.objectives.mv2015 import mv2015
from restoration_core.objectives.mv2016 import mv2016, mv2016_adam, mv2016_thesis, none
from restoration_core.objectives.preset import Preset
from restoration_core.objectives.thesis import thesis_fig9, thesis_fig10, thesis_foe

PRESETS: dict[str, Callable[[Classifier, str], Preset]] = {
    "best": best,
    "mv2015": mv2015,
    "mv2016": mv2016,
    "mv2016-adam": mv2016_adam,
    "mv2016-thesis": mv2016_thesis,
    "thesis-fig9": thesis_fig9,
    "thesis-fig10": thesis_fig10,
    "thesis-foe": thesis_foe,
    "none": none,
}


def open_preset(name: str, classifier: Classifier, layer: str) -> Preset:
    """Return a preset by name.

    Raises:
        InputError: for an unknown preset or layer.
    """
    if name not in PRESETS:
        raise InputError(unknown("preset", name, PRESETS))
    classifier.resolve(layer)
    return PRESETS[name](classifier, layer)
