"""Objectives of reconstructions: the feature match, and presets with published settings."""

from restoration_core.objectives.best import best
from restoration_core.objectives.feature_match import feature_targets
from restoration_core.objectives.mv2015 import mv2015
from restoration_core.objectives.mv2016 import mv2016, mv2016_adam, mv2016_thesis, none
from restoration_core.objectives.preset import Preset, make_problem
from restoration_core.objectives.registry import PRESETS, open_preset
from restoration_core.objectives.thesis import thesis_fig9, thesis_fig10, thesis_foe
from restoration_core.objectives.units import Constant

__all__ = [
    "PRESETS",
    "Constant",
    "Preset",
    "best",
    "feature_targets",
    "make_problem",
    "mv2015",
    "mv2016",
    "mv2016_adam",
    "mv2016_thesis",
    "none",
    "open_preset",
    "thesis_fig9",
    "thesis_fig10",
    "thesis_foe",
]
