"""Networks by name, with their weights."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from restoration_core.errors import InputError, unknown
from restoration_core.networks.building import WithoutDrawing, seeded
from restoration_core.networks.bundled import cifar_alexnet
from restoration_core.networks.classifier import Classifier
from restoration_core.networks.layer_names.block_layers import inception_v3_layers, resnet_layers, squeezenet_layers
from restoration_core.networks.layer_names.thesis_layers import alexnet_layers, sequential_layers
from restoration_core.networks.own_module import is_own_module, open_own_module
from restoration_core.networks.published import caffe_alexnet
from restoration_core.networks.published.published_tensors import load_published
from restoration_core.networks.weights import (
    VALID,
    download_state_dict,
    is_path,
    load_file_into,
    load_into,
    read_state_dict,
    without_optional,
)
from restoration_core.paths import user_path

BUNDLED = Path(__file__).parent / "bundled" / "data" / "cifar_alexnet.safetensors"
IMAGENET_MEAN, IMAGENET_STD, IMAGENET_SIZE = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), 224
OWN_NAMES = ("cifar_alexnet", "caffe_alexnet")
_AUXILIARIES = "aux"
"""How the names of the training-time side classifiers begin that Inception's and GoogLeNet's files hold."""
_READABLE = ("alexnet", "vgg", "resnet", "resnext", "wide_resnet", "squeezenet", "inception_v3")


@dataclass(frozen=True)
class NetworkEntry:
    """What is known of a network before it is built.

    Attributes:
        name: for :func:`open_network`.
        weights: keywords it takes besides a path.
        native_size: side in pixels of the pictures it was trained on.
        parameters: number of parameters.
        thesis_names: layers carry readable names (``conv3/relu``) besides their module paths.
    """

    name: str
    weights: tuple[str, ...]
    native_size: int
    parameters: int
    thesis_names: bool


def network_names() -> list[str]:
    """Return the names of all networks: the package's own, then torchvision's classifiers in alphabetical order."""
    return [*OWN_NAMES, *_torchvision_names()]


def network_entries() -> list[NetworkEntry]:
    """Return what is known of every network without building torchvision's."""
    own = [
        ("cifar_alexnet", ("bundled", "random"), cifar_alexnet.NATIVE_SIZE, cifar_alexnet.CifarAlexNet),
        ("caffe_alexnet", ("random",), caffe_alexnet.NATIVE_SIZE, caffe_alexnet.CaffeAlexNet),
    ]
    entries = []
    for name, weights, size, build in own:
        with torch.device("meta"):
            parameters = sum(p.numel() for p in build().parameters())
        entries.append(NetworkEntry(name, weights, size, parameters, True))
    return [*entries, *(_torchvision_entry(name) for name in _torchvision_names())]


def open_network(
    name: str = "cifar_alexnet",
    weights: str | None = None,
    seed: int = 0,
    *,
    layers: Mapping[str, str] | Sequence[str] | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    size: int | None = None,
) -> Classifier:
    """Return a network with its weights, cut open.

    Args:
        name: ``cifar_alexnet``, ``caffe_alexnet``, any classifier of torchvision (``alexnet``, ``vgg16``, ``resnet50``
            ...), or ``package.module:factory`` for a network of one's own.
        weights: ``bundled`` (cifar_alexnet only, its default), ``imagenet`` (torchvision's current weights, downloaded
            once; the default of torchvision's networks), the name of other torchvision weights (``IMAGENET1K_V1``),
            ``factory`` (the default of one's own), ``random``, or a path to a file of weights. caffe_alexnet has no
            default: its published tensors are read from a path.
        seed: of ``random`` weights; the global random state is left alone.
        layers, mean, std, size: of one's own network, see
            :func:`~restoration_core.networks.own_module.open_own_module`.

    Raises:
        InputError: for an unknown name or weights, and weights that cannot be had or do not fit.
    """
    if is_own_module(name):
        return open_own_module(name, weights, seed, layers, mean, std, size)
    given = {"layers": layers, "mean": mean, "std": std, "size": size}
    if superfluous := [key for key, value in given.items() if value is not None]:
        message = f"{', '.join(superfluous)}: for a network of one's own only, but {name!r} has its own"
        raise InputError(f"{message}; valid: leave them out, or package.module:factory for the name")
    if name == "cifar_alexnet":
        return _open_cifar_alexnet("bundled" if weights is None else weights, seed)
    if name == "caffe_alexnet":
        return _open_caffe_alexnet(weights, seed)
    if name not in _torchvision_names():
        raise InputError(
            f"{unknown('network', name, network_names(), 'restoration networks')}, or package.module:factory"
        )
    return _open_torchvision(name, "imagenet" if weights is None else weights, seed)


def outline_network(
    name: str,
    *,
    layers: Mapping[str, str] | Sequence[str] | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    size: int | None = None,
) -> Classifier:
    """Return a network without meaningful weights, for the names and the geometry of its layers: nothing is downloaded.

    One's own network is as its factory makes it.

    Args:
        name, layers, mean, std, size: as for :func:`open_network`.

    Raises:
        InputError: for an unknown name.
    """
    if name in _torchvision_names():
        with seeded(0), WithoutDrawing():
            return _cut_open(name, _build(name), _default_of(name))
    with WithoutDrawing() if name == "caffe_alexnet" else nullcontext():
        weights = None if is_own_module(name) else "random"
        return open_network(name, weights, layers=layers, mean=mean, std=std, size=size)


def _open_cifar_alexnet(weights: str, seed: int) -> Classifier:
    if weights not in ("bundled", "random") and not is_path(weights):
        raise InputError(_unknown_weights("cifar_alexnet", weights, ("bundled", "random")))
    with seeded(seed):
        module = cifar_alexnet.CifarAlexNet()
    notes: tuple[str, ...] = ()
    if weights != "random":
        notes = load_file_into(module, BUNDLED if weights == "bundled" else user_path(weights))
    mean, std, size = cifar_alexnet.MEAN, cifar_alexnet.STD, cifar_alexnet.NATIVE_SIZE
    return Classifier(module, "cifar_alexnet", alexnet_layers(), mean, std, size, known=True, notes=notes)


def _open_caffe_alexnet(weights: str | None, seed: int) -> Classifier:
    if weights is None:
        raise InputError("caffe_alexnet needs weights; valid: random, or a path to its published tensors")
    if weights != "random" and not is_path(weights):
        raise InputError(_unknown_weights("caffe_alexnet", weights, ("random",)))
    with seeded(seed), nullcontext() if weights == "random" else WithoutDrawing():
        module = caffe_alexnet.CaffeAlexNet()
    if weights != "random":
        path = user_path(weights)
        load_published(module, read_state_dict(path), str(path))
    mean, std, size = caffe_alexnet.MEAN, caffe_alexnet.STD, caffe_alexnet.NATIVE_SIZE
    return Classifier(module, "caffe_alexnet", alexnet_layers(), mean, std, size, known=True)


def _open_torchvision(name: str, weights: str, seed: int) -> Classifier:
    from torchvision import models

    enum = models.get_model_weights(name)
    keywords = ("imagenet", "random", *(member.name for member in enum))
    if weights not in keywords and not is_path(weights):
        raise InputError(_unknown_weights(name, weights, keywords))
    chosen = enum[weights] if weights in keywords[2:] else _default(enum)
    if weights == "random":
        with seeded(seed):
            return _cut_open(name, _build(name), chosen)
    if chosen is None and not is_path(weights):
        raise InputError(f"torchvision has no imagenet weights for {name}; valid: random or a path to a state dict")
    with seeded(0), WithoutDrawing():
        module = _build(name)
    if is_path(weights):
        return _cut_open(name, module, chosen, load_file_into(module, user_path(weights), _AUXILIARIES))
    state = download_state_dict(chosen.url, name)
    load_into(module, without_optional(state, module, _AUXILIARIES), f"imagenet weights of {name}")
    return _cut_open(name, module, chosen)


def _build(name: str) -> nn.Module:
    from torchvision import models

    # The side classifiers serve training only; evaluation does not run them.
    options = {"aux_logits": False} if name in ("inception_v3", "googlenet") else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torchvision's note on a coming change of its initialisation
        module: nn.Module = models.get_model(name, weights=None, **options)
    if hasattr(module, "transform_input"):
        # Inception's and GoogLeNet's weights expect mean and deviation 0.5; torchvision sets this for its own only.
        setattr(module, "transform_input", True)  # noqa: B010 - nn.Module types its attributes as tensors
    return module


def _cut_open(name: str, module: nn.Module, chosen: Any, notes: tuple[str, ...] = ()) -> Classifier:
    from torchvision import models

    mean, std, size = _preprocessing(chosen)
    names = None
    if isinstance(module, models.AlexNet | models.VGG):
        names = sequential_layers(module.features, module.classifier)
    elif isinstance(module, models.ResNet):
        names = resnet_layers(module)
    elif isinstance(module, models.SqueezeNet):
        names = squeezenet_layers(module.features, module.classifier)
    elif isinstance(module, models.Inception3):
        names = inception_v3_layers(module)
    names = None if names is None else {**names, "softmax": "softmax"}
    return Classifier(_with_softmax(module), name, names, mean, std, size, known=True, notes=notes)


def _with_softmax(module: nn.Module) -> nn.Module:
    """Append the softmax that torchvision leaves to the loss, without changing the paths of the other modules."""
    module.add_module("softmax", nn.Softmax(dim=1))
    module.register_forward_hook(_probabilities)
    return module


def _probabilities(module: nn.Module, inputs: Any, logits: Tensor) -> Tensor:
    softmax = module.get_submodule("softmax")
    return softmax(logits)


def _torchvision_names() -> list[str]:
    from torchvision import models

    return models.list_models(module=models)


def _torchvision_entry(name: str) -> NetworkEntry:
    from torchvision import models

    enum = models.get_model_weights(name)
    chosen = _default(enum)
    parameters = int(chosen.meta["num_params"]) if chosen else 0
    versions = tuple(member.name for member in enum)
    keywords = ("imagenet", "random", *(versions if len(versions) > 1 else ())) if chosen else ("random",)
    return NetworkEntry(name, keywords, _preprocessing(chosen)[2], parameters, name.startswith(_READABLE))


def _default_of(name: str) -> Any:
    from torchvision import models

    return _default(models.get_model_weights(name))


def _default(enum: Any) -> Any:
    return getattr(enum, "DEFAULT", None)


def _preprocessing(chosen: Any) -> tuple[tuple[float, float, float], tuple[float, float, float], int]:
    if chosen is None:
        return IMAGENET_MEAN, IMAGENET_STD, IMAGENET_SIZE
    transform = chosen.transforms()
    mean, std = ((float(v[0]), float(v[1]), float(v[2])) for v in (transform.mean, transform.std))
    return mean, std, int(transform.crop_size[0])


def _unknown_weights(name: str, weights: str, keywords: tuple[str, ...]) -> str:
    return f"{unknown(f'weights for {name}', weights, keywords)}, or a path to {VALID}"
