"""Pure functions ``(B, C, H, W) x 2 -> (B,)`` that score reconstructions, and their registry."""

from restoration_core.metrics.feature import feature_error, feature_error_root
from restoration_core.metrics.image_error import image_mse, psnr
from restoration_core.metrics.registry import METRICS, Metric, parse_metric
from restoration_core.metrics.structural import SsimComponents, ssim, ssim_components

__all__ = [
    "METRICS",
    "Metric",
    "SsimComponents",
    "feature_error",
    "feature_error_root",
    "image_mse",
    "parse_metric",
    "psnr",
    "ssim",
    "ssim_components",
]
