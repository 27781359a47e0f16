"""Readable layer names for networks made of blocks: ResNet, SqueezeNet, Inception-v3.

The thesis's notation, ``conv1/lin`` and ``conv1/relu``, goes on inside the blocks: ``layer1.0/conv1/relu``,
``fire2/squeeze/lin``, ``mixed_5b/branch1x1/relu``. A block's own name is its output: behind the addition and the ReLU
(ResNet), behind the concatenation (SqueezeNet, Inception).
"""

from __future__ import annotations

from torch import nn


def resnet_layers(module: nn.Module) -> dict[str, str]:
    """Return readable name -> module path for torchvision's ``ResNet`` (ResNeXt and Wide ResNet are of its build).

    ``conv1/lin conv1/bn conv1/relu pool1 layer1.0/conv1/lin ... layer1.0 ... layer4.1 avgpool fc/lin``; the
    projection on a skip connection is ``layer2.0/shortcut/lin``, ``/bn``.

    Args:
        module: a ``torchvision.models.ResNet``; blocks have one ReLU, called behind every convolution.
    """
    names = {"conv1/lin": "conv1", "conv1/bn": "bn1", "conv1/relu": "relu", "pool1": "maxpool"}
    for stage in range(1, 5):
        for index, block in enumerate(module.get_submodule(f"layer{stage}").children()):
            name = f"layer{stage}.{index}"
            convolutions = sum(isinstance(part, nn.Conv2d) for part in block.children())
            for number in range(1, convolutions + 1):
                names[f"{name}/conv{number}/lin"] = f"{name}.conv{number}"
                names[f"{name}/conv{number}/bn"] = f"{name}.bn{number}"
                if number < convolutions:
                    names[f"{name}/conv{number}/relu"] = f"{name}.relu" + (f":{number}" if number > 1 else "")
            if isinstance(getattr(block, "downsample", None), nn.Sequential):
                names[f"{name}/shortcut/lin"] = f"{name}.downsample.0"
                names[f"{name}/shortcut/bn"] = f"{name}.downsample.1"
            names[name] = name
    return {**names, "avgpool": "avgpool", "fc/lin": "fc"}


def squeezenet_layers(features: nn.Sequential, classifier: nn.Sequential) -> dict[str, str]:
    """Return readable name -> module path for torchvision's SqueezeNet, numbered as in its paper.

    ``conv1/lin conv1/relu pool1 fire2/squeeze/lin fire2/squeeze/relu fire2/expand1x1/lin ... fire2 ... fire9
    conv10/lin conv10/relu pool10``; ``fire2/expand`` is another name of ``fire2``, the concatenation of both ReLUs.

    Args:
        features: the module ``features``: a convolution, a ReLU, fire modules and max pooling.
        classifier: the module ``classifier``: dropout, a convolution, a ReLU, average pooling.

    Source:
        Iandola et al. 2016, fig. 2: pooling is called after the module it follows.
    """
    names: dict[str, str] = {}
    count = 0
    for part, children in (("features", features), ("classifier", classifier)):
        for position, layer in enumerate(children):
            path = f"{part}.{position}"
            if isinstance(layer, nn.Conv2d):
                count += 1
                names[f"conv{count}/lin"] = path
            elif isinstance(layer, nn.ReLU):
                names[f"conv{count}/relu"] = path
            elif isinstance(layer, nn.MaxPool2d | nn.AdaptiveAvgPool2d):
                names[f"pool{count}"] = path
            elif not isinstance(layer, nn.Dropout):
                count += 1
                for step in ("squeeze", "expand1x1", "expand3x3"):
                    names[f"fire{count}/{step}/lin"] = f"{path}.{step}"
                    names[f"fire{count}/{step}/relu"] = f"{path}.{step}_activation"
                names[f"fire{count}"] = names[f"fire{count}/expand"] = path
    return names


def inception_v3_layers(module: nn.Module) -> dict[str, str]:
    """Return readable name -> module path for torchvision's ``Inception3``.

    ``conv1a/lin conv1a/bn conv1a/relu conv2a/lin ... pool1 ... mixed_5b/branch1x1/lin ... mixed_5b ... mixed_7c avgpool
    fc/lin``: the stem's ``Conv2d_1a_3x3`` is ``conv1a``, ``Mixed_5b`` is ``mixed_5b``.

    Args:
        module: a ``torchvision.models.Inception3``.
    """
    names: dict[str, str] = {}
    for path, part in module.named_children():
        if path.startswith("Conv2d_"):
            names |= _convolution(f"conv{path.split('_')[1]}", path)
        elif path.startswith("maxpool"):
            names[f"pool{path.removeprefix('maxpool')}"] = path
        elif path.startswith("Mixed_"):
            for branch, _ in part.named_children():
                names |= _convolution(f"{path.lower()}/{branch}", f"{path}.{branch}")
            names[path.lower()] = path
    return {**names, "avgpool": "avgpool", "fc/lin": "fc"}


def _convolution(name: str, path: str) -> dict[str, str]:
    """Names inside torchvision's ``BasicConv2d``, whose ReLU is no module: its output is the whole's."""
    return {f"{name}/lin": f"{path}.conv", f"{name}/bn": f"{path}.bn", f"{name}/relu": path}
