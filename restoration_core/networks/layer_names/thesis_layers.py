"""Readable layer names in the thesis's notation, ``conv3/relu``, for networks of AlexNet's and VGG's build."""

from __future__ import annotations

from torch import nn


def alexnet_layers() -> dict[str, str]:
    """Return readable name -> module path of the package's own AlexNets, whose modules have AlexNet's names."""
    names: dict[str, str] = {}
    for stage in range(1, 9):
        kind = "conv" if stage <= 5 else "fc"
        names[f"{kind}{stage}/lin"] = f"{kind}{stage}"
        if stage < 8:
            names[f"{kind}{stage}/relu"] = f"relu{stage}"
        if stage <= 2:
            names[f"lrn{stage}"] = f"lrn{stage}"
        if stage in (1, 2, 5):
            names[f"pool{stage}"] = f"pool{stage}"
    return {**names, "softmax": "softmax"}


def sequential_layers(features: nn.Sequential, classifier: nn.Sequential) -> dict[str, str]:
    """Return readable name -> module path for a stack of convolutions followed by one of linear layers.

    Networks with several convolutions before the first pooling (VGG) count ``conv{stage}_{i}``, those with one
    (AlexNet) number their convolutions through. Pooling is called after the stage, or the convolution, it follows.

    Args:
        features: the module ``features``: convolutions, batch normalisations, ReLUs, max pooling.
        classifier: the module ``classifier``: linear layers, ReLUs, dropout.
    """
    kinds = [type(layer) for layer in features]
    staged = kinds[: kinds.index(nn.MaxPool2d)].count(nn.Conv2d) > 1 or kinds.count(nn.MaxPool2d) == 5
    names: dict[str, str] = {}
    stage, index, count = 1, 0, 0
    for position, layer in enumerate(features):
        path = f"features.{position}"
        if isinstance(layer, nn.Conv2d):
            index, count = index + 1, count + 1
        block = f"conv{stage}_{index}" if staged else f"conv{count}"
        if isinstance(layer, nn.MaxPool2d):
            names[f"pool{stage}" if staged else f"pool{count}"] = path
            stage, index = stage + 1, 0
        else:
            names[f"{block}/{_role(layer)}"] = path
    if not staged:
        stage = count + 1
    for position, layer in enumerate(classifier):
        if isinstance(layer, nn.Linear):
            block = f"fc{stage}"
            stage += 1
        if not isinstance(layer, nn.Dropout):
            names[f"{block}/{_role(layer)}"] = f"classifier.{position}"
    return names


def _role(layer: nn.Module) -> str:
    return {nn.Conv2d: "lin", nn.Linear: "lin", nn.ReLU: "relu", nn.BatchNorm2d: "bn"}[type(layer)]
