"""How strong priors are against the feature loss: curvature along noise, errors, spreads, the rule for weights."""

from restoration_core.calibration.calibration import Calibration
from restoration_core.calibration.calibration_library import CalibrationLibrary
from restoration_core.calibration.measure import Calibrator
from restoration_core.calibration.recipe import CalibrationRecipe

__all__ = ["Calibration", "CalibrationLibrary", "CalibrationRecipe", "Calibrator"]
