"""What a reconstruction is asked for: the feature match, and published settings around it."""

from restoration_core.objectives.feature_match import feature_targets
from restoration_core.objectives.presets import PRESETS, Preset, make_problem, mv2016, none, open_preset

__all__ = ["PRESETS", "Preset", "feature_targets", "make_problem", "mv2016", "none", "open_preset"]
