"""How strong a prior is compared with the feature loss, so that weights mean the same for every prior and layer."""

from restoration_core.calibration.calibration import Calibration, Spread
from restoration_core.calibration.calibration_library import CalibrationLibrary
from restoration_core.calibration.curvature import NOISES, curvature_curve, draw_noise, feature_gradient, prior_gradient
from restoration_core.calibration.drawing import draw_calibration
from restoration_core.calibration.level import decaying
from restoration_core.calibration.measure import Calibrator, Squares, load_squares
from restoration_core.calibration.recipe import CalibrationRecipe, ErrorRun, hand_crafted_key

__all__ = [
    "NOISES",
    "Calibration",
    "CalibrationLibrary",
    "CalibrationRecipe",
    "Calibrator",
    "ErrorRun",
    "Spread",
    "Squares",
    "curvature_curve",
    "decaying",
    "draw_calibration",
    "draw_noise",
    "feature_gradient",
    "hand_crafted_key",
    "load_squares",
    "prior_gradient",
]
