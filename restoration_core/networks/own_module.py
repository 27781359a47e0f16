"""A user's own network by ``package.module:factory``."""

from __future__ import annotations

import difflib
import importlib
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from restoration_core.errors import InputError
from restoration_core.networks.building import seeded
from restoration_core.networks.classifier import Classifier
from restoration_core.networks.preparing import materialise, unwrap
from restoration_core.networks.user_code import user_code
from restoration_core.networks.weights import VALID, is_path, load_file_into
from restoration_core.paths import user_path

FACTORY = "factory"
"""Keyword of ``weights``: as the factory made them."""
NO_MEAN, NO_STD, SIZE = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), 224
_VALID = "valid: package.module:factory, importable here (the current folder is looked at too)"
_LARGEST_SIZE = 4096


def is_own_module(name: str) -> bool:
    """Whether a network's name means a factory rather than an entry of the catalogue."""
    return ":" in name


def open_own_module(
    reference: str,
    weights: str | None = None,
    seed: int = 0,
    layers: Mapping[str, str] | Sequence[str] | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    size: int | None = None,
) -> Classifier:
    """Return a user's network, cut open.

    Args:
        reference: ``package.module:factory``; the factory takes no arguments and returns a ``torch.nn.Module`` for
            input ``(B, 3, H, W)``, or a ready :class:`Classifier`, to which the other arguments do not apply.
        weights: ``factory`` (default: as the factory made them) or a path to a state dict.
        seed: of what the factory draws; the global random state is left alone.
        layers: layer name -> module path (``path:2`` for a module's second call), or the paths alone; None for all
            modules under their paths.
        mean, std: per channel, of RGB in [0, 1]: the network sees ``(x - mean) / std``; by default the pictures as
            they are.
        size: side in pixels of the square pictures it was trained on; 224 by default.

    Raises:
        InputError: it cannot be imported, called or cut open, or an argument is out of range.
    """
    _check_weights(reference, weights)
    factory = _find(reference)
    with user_code(f"network {reference!r}: the factory failed", "no arguments"), seeded(seed):
        made = factory()
    if isinstance(made, Classifier):
        return _ready(reference, made, weights, layers, mean, std, size)
    if not isinstance(made, nn.Module):
        what = f"{made.__module__}.{made.__name__}" if isinstance(made, type) else f"a {type(made).__name__}"
        raise InputError(f"network {reference!r}: the factory returned {what}; valid: a torch.nn.Module")
    native_size = _size(reference, size)
    module = unwrap(made, reference)
    notes: tuple[str, ...] = ()
    valid = f"a network that takes pictures of {native_size} x {native_size}"
    with user_code(f"network {reference!r}: its lazy modules cannot be made", valid), seeded(seed):
        materialise(module, native_size)
    if weights is not None and weights != FACTORY:
        notes = load_file_into(module, user_path(weights))
    names = layers if layers is None or isinstance(layers, Mapping) else {path: path for path in layers}
    colours = _three(reference, "mean", mean, NO_MEAN), _three(reference, "std", std, NO_STD)
    return Classifier(module, reference, names, *colours, native_size, notes=notes)


def _check_weights(reference: str, weights: str | None) -> None:
    if weights not in (None, FACTORY) and not is_path(str(weights)):
        raise InputError(f"unknown weights for {reference} {weights!r}; valid: {FACTORY}, or a path to {VALID}")


def _find(reference: str) -> Callable[[], Any]:
    path, _, attribute = reference.partition(":")
    if not all(part.isidentifier() for part in [*path.split("."), *attribute.split(".")]):
        raise InputError(f"network {reference!r}: not a module and a factory in it; {_VALID}")
    found: Any = _imported(reference, path)
    for part in attribute.split("."):
        if not hasattr(found, part):
            names = [name for name in dir(found) if not name.startswith("_") and callable(getattr(found, name))]
            near = difflib.get_close_matches(part, names, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise InputError(f"network {reference!r}: {path} has no {part!r}; {hint}{_VALID}")
        found = getattr(found, part)
    if not callable(found):
        what = f"is of type {type(found).__name__}, which cannot be called"
        raise InputError(f"network {reference!r}: {attribute} {what}; {_VALID}")
    factory: Callable[[], Any] = found
    return factory


def _imported(reference: str, path: str) -> ModuleType:
    folder = str(Path.cwd())
    if folder not in sys.path and "" not in sys.path:
        sys.path.append(folder)  # stays: processes that get the network must find its code as well
    with user_code(f"network {reference!r}: cannot import {path!r}", _VALID.removeprefix("valid: ")):
        return importlib.import_module(path)


def _ready(reference: str, made: Classifier, *given: object) -> Classifier:
    names = ("weights", "layers", "mean", "std", "size")
    if superfluous := [name for name, value in zip(names, given, strict=True) if value not in (None, FACTORY)]:
        message = f"the factory returned a Classifier, which has its own {', '.join(superfluous)}"
        raise InputError(f"network {reference!r}: {message}; valid: leave them out")
    made.name = reference
    return made


def _three(
    reference: str, name: str, values: Sequence[float] | None, default: tuple[float, float, float]
) -> tuple[float, float, float]:
    if values is None:
        return default
    numbers = [float(value) for value in values]
    if len(numbers) != 3 or not all(map(math.isfinite, numbers)) or (name == "std" and min(numbers) <= 0):
        rule = "three numbers > 0" if name == "std" else "three numbers"
        raise InputError(f"network {reference!r}: {name} must be {rule} (red, green, blue), but got {list(values)}")
    return numbers[0], numbers[1], numbers[2]


def _size(reference: str, size: int | None) -> int:
    if size is not None and not 1 <= size <= _LARGEST_SIZE:
        raise InputError(f"network {reference!r}: size must lie in 1..{_LARGEST_SIZE} pixels, but got {size}")
    return SIZE if size is None else size
