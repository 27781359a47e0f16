"""Constants that were published by layer, and their values for other networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from restoration_core.networks import Classifier


@dataclass(frozen=True)
class PerLayer:
    """A constant that depends on the layer.

    In networks built like AlexNet or VGG, whose layers have the names used in the thesis, the value is looked up by the
    layer's name; in all others by the stride of the layer.

    Attributes:
        alexnet, vgg: value by layer (``conv1/lin``) or block (``conv1``); None where nothing was published.
        by_stride: ``(largest stride, value)`` pairs in rising order.
        beyond: value for larger strides, for fully connected layers, and for layers that the tables do not name.
        spatial: the constant is in pixels, so that names are only used in networks with AlexNet's own strides.
    """

    alexnet: Mapping[str, float] | None
    vgg: Mapping[str, float] | None
    by_stride: tuple[tuple[int, float], ...]
    beyond: float
    spatial: bool = False

    def at(self, classifier: Classifier, layer: str) -> float:
        """Return the value for a layer.

        Raises:
            InputError: for an unknown layer.
        """
        name = classifier.resolve(layer)
        table = self._named(classifier)
        if table is not None:
            return table.get(name, table.get(name.split("/")[0], self.beyond))
        if len(classifier.shape(name, classifier.native_size)) == 1:
            return self.beyond
        stride = classifier.stride(name)
        return next((value for largest, value in self.by_stride if stride <= largest), self.beyond)

    def _named(self, classifier: Classifier) -> Mapping[str, float] | None:
        if "conv1/lin" in classifier.layers and "fc8/lin" in classifier.layers:
            return None if self.spatial and classifier.stride("conv1/lin") != _ALEXNET_STRIDE else self.alexnet
        return self.vgg if "conv1_1/lin" in classifier.layers else None


_ALEXNET_STRIDE = 4
"""Stride of AlexNet's first convolution. The bundled network has layers of the same names with smaller strides."""


def _blocks(value: float, *names: str) -> dict[str, float]:
    return dict.fromkeys(names, value)


_VGG_CONV = {stage: [f"conv{stage}_{number}" for number in range(1, 5)] for stage in range(1, 6)}

FEATURE_WEIGHT = PerLayer(
    alexnet=_blocks(300, "conv1", "lrn1", "pool1", "conv2", "lrn2", "pool2", "conv3") | {"conv4": 100, "conv5": 20},
    vgg=_blocks(300, "pool1", "pool2", "pool3", *_VGG_CONV[1], *_VGG_CONV[2], *_VGG_CONV[3], *_VGG_CONV[4])
    | _blocks(100, "pool4", "conv5_1")
    | _blocks(20, *_VGG_CONV[5][1:]),
    by_stride=((8, 300), (16, 100)),
    beyond=1,
)
"""C, the factor of the normalised feature loss where priors have weight 1: by layer, which of the values 1, 20, 100 and
300 of MV16 the thesis author chose."""

MV2015_TOTAL_VARIATION = PerLayer(
    alexnet=_blocks(1, "conv1", "lrn1", "pool1", "conv2") | _blocks(10, "lrn2", "pool2", "conv3", "conv4"),
    vgg=None,
    by_stride=((8, 1), (16, 10)),
    beyond=100,
)
"""lambda_TV of MV15: 1 for layers 1-6 of its AlexNet, 10 for 7-12, 100 for 13-20."""

THESIS_JITTER = PerLayer(
    alexnet=_blocks(1, "conv1", "lrn1", "pool1")
    | _blocks(2, "conv2", "lrn2")
    | _blocks(4, "pool2", "conv3", "conv4", "conv5"),
    vgg=None,
    by_stride=((4, 1), (8, 2), (16, 4)),
    beyond=8,
    spatial=True,
)
"""t in the thesis author's code: each step shifts the picture by 0..t pixels."""

THESIS_FOE_JITTER = PerLayer(
    alexnet={**(THESIS_JITTER.alexnet or {}), "conv1": 0},
    vgg=None,
    by_stride=((4, 0), (8, 2), (16, 4)),
    beyond=8,
    spatial=True,
)
"""t in that code's runs with learned priors, which have no jitter at conv1."""

THESIS_FOE_WEIGHT = PerLayer(
    alexnet={"conv1/lin": 1e-6, "conv1/relu": 1e-4, "lrn1": 3e-4, "pool1": 1e-3}
    | _blocks(3e-3, "conv2", "lrn2")
    | _blocks(1e-3, "pool2", "conv3"),
    vgg=None,
    by_stride=((4, 1e-4), (8, 3e-3), (16, 1e-3)),
    beyond=1e-4,
)
"""Weight of the Student-t prior, where the feature loss is the plain mean squared error of the features."""


def mv_jitter(classifier: Classifier, layer: str) -> int:
    """Return MV16's number of window positions per axis, ``max(round(stride / 4), 1)``; 1 is no jitter.

    Halves are rounded up, as in the paper's MATLAB code.
    """
    return max(int(classifier.stride(layer) / 4 + 0.5), 1)
