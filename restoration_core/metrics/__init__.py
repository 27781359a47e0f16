"""Metrics of reconstructions: pure functions ``(B, C, H, W) x 2 -> (B,)``, and their registry."""

from restoration_core.metrics.feature import feature_error, feature_error_root
from restoration_core.metrics.image_error import image_mse, psnr
from restoration_core.metrics.measure import measure, metric_layers
from restoration_core.metrics.perceptual import gram_distance, gram_matrix, perceptual_distance
from restoration_core.metrics.registry import METRICS, Metric, parse_metric
from restoration_core.metrics.structural import WINDOW, SsimComponents, ssim, ssim_components

__all__ = [
    "METRICS",
    "WINDOW",
    "Metric",
    "SsimComponents",
    "feature_error",
    "feature_error_root",
    "gram_distance",
    "gram_matrix",
    "image_mse",
    "measure",
    "metric_layers",
    "parse_metric",
    "perceptual_distance",
    "psnr",
    "ssim",
    "ssim_components",
]
