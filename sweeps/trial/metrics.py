"""Metrics of reconstructions against their originals: the sweep's own, the usual ones, and held-out layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from restoration_core.metrics import METRICS, metric_layers, parse_metric, ssim_components
from sweeps.execution.worker_context import PackContext, held_out_layers

FEATURE_ERROR = "feature_error"
SSIM_WINDOW = 11
"""Side of SSIM's window in pixels; smaller pictures have no SSIM."""


class Measuring:
    """Measures batches of reconstructions of a context's pictures.

    These are all metrics of pictures (SSIM from 11 px on), ``feature_error`` (the mean over the matched layers),
    ``feature_error@LAYER`` at two held-out layers, and the metrics that the spec names.

    Args:
        context: the pictures and the network.
    """

    def __init__(self, context: PackContext) -> None:
        self._context = context
        self._index = {image: place for place, image in enumerate(context.images)}
        size = context.spec.image_size
        held_out = held_out_layers(context.classifier, context.spec.layers, size)
        named = [*context.spec.metric_names, *context.spec.save.metrics]
        wanted = [*named, FEATURE_ERROR, *(f"{FEATURE_ERROR}@{layer}" for layer in held_out)]
        self._features: dict[str, tuple[str, ...]] = {}
        for name in wanted:
            if layers := metric_layers(name, context.classifier, context.spec.layers, size):
                self._features[name] = layers
        self._images = [name for name, metric in METRICS.items() if metric.needs == "images"]
        if size < SSIM_WINDOW:
            self._images = [name for name in self._images if not name.startswith("ssim") or name in named]

    def measure(self, rows: Sequence[tuple[str, Tensor]]) -> list[dict[str, float]]:
        """Return the metrics of each row.

        Args:
            rows: name of the original, and the reconstruction ``(3, S, S)``, RGB in [0, 1].
        """
        if not rows:
            return []
        device = self._context.device
        x = torch.stack([picture for _, picture in rows]).to(device)
        places = torch.tensor([self._index[image] for image, _ in rows])
        originals = torch.stack(list(self._context.images.values()))[places].to(device)
        with torch.no_grad():
            columns = self._of_images(x, originals) | self._of_features(x, places.to(device))
        values = {name: column.tolist() for name, column in columns.items()}
        return [{name: values[name][row] for name in values} for row in range(len(rows))]

    def _of_images(self, x: Tensor, originals: Tensor) -> dict[str, Tensor]:
        columns = {name: METRICS[name].compute(x, originals) for name in self._images if not name.startswith("ssim")}
        if any(name.startswith("ssim") for name in self._images):
            parts = ssim_components(x, originals)
            columns |= {
                "ssim": parts.ssim,
                "ssim_luminance": parts.luminance,
                "ssim_contrast": parts.contrast,
                "ssim_structure": parts.structure,
            }
        return columns

    def _of_features(self, x: Tensor, places: Tensor) -> dict[str, Tensor]:
        layers = list(dict.fromkeys(layer for matched in self._features.values() for layer in matched))
        padded = x if len(x) > 1 else torch.cat([x, x])
        maps = {layer: found[: len(x)] for layer, found in self._context.classifier.features(padded, layers).items()}
        targets = self._context.features(layers)
        columns = {}
        for name, matched in self._features.items():
            metric, _ = parse_metric(name)
            errors = [metric.compute(maps[layer], targets[layer][places]) for layer in matched]
            columns[name] = torch.stack(errors).mean(0)
        return columns


def mean_over_images(by_image: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Return the mean of every metric over the pictures."""
    names = next(iter(by_image.values()))
    return {name: sum(values[name] for values in by_image.values()) / len(by_image) for name in names}
