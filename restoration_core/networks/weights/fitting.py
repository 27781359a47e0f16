"""A state dict put into a network: names without the prefixes that wrappers leave, shapes and types checked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from restoration_core.errors import InputError
from restoration_core.networks.weights.reading import read_checkpoint
from restoration_core.paths import shown

_COMPILED = "_orig_mod."
_COUNTER = "num_batches_tracked"
"""Written by batch normalisation since torch 0.4.1; older state dicts lack it, and evaluation does not read it."""
_LEVELS = 4


def load_file_into(module: nn.Module, path: Path, optional: str | None = None) -> tuple[str, ...]:
    """Copy the weights of a file into ``module``.

    Args:
        module: the network.
        path: the file.
        optional: how the names begin of what the file may hold and the network has no place for.

    Returns:
        What was taken off and converted, in one line; nothing where the file is the network's state dict as it is.

    Raises:
        InputError: for a file that cannot be read or does not fit.
    """
    where = shown(path)
    checkpoint = read_checkpoint(path)
    state, notes = without_prefix(checkpoint.tensors, module.state_dict(), where)
    if optional is not None:
        state = without_optional(state, module, optional)
    notes = (*checkpoint.notes, *notes, *load_into(module, state, where))
    return (f"{where}: {'; '.join(notes)}",) if notes else ()


def without_prefix(
    state: Mapping[str, Tensor], expected: Mapping[str, Tensor], where: str
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Return a state dict under the network's own names, and what was taken off them.

    Parallel training writes ``module.`` before every name, ``torch.compile`` ``_orig_mod.``, training programs
    ``model.``, ``backbone.`` and the like, in any order. A prefix goes when what it stands before is the whole network;
    what stands under other prefixes then is left out.

    Raises:
        InputError: when several networks in the file fit, each under a prefix of its own.
    """
    notes = []
    names = {key: key.replace(_COMPILED, "") for key in state}
    marked = any(_COMPILED in key for key in state) and not any(_COMPILED in key for key in expected)
    if marked and len(set(names.values())) == len(state):
        state = {name: state[key] for key, name in names.items()}
        notes.append(f"took {_COMPILED!r} out of its names")
    needed = {key for key in expected if not key.endswith(_COUNTER)}
    if not needed or needed <= set(state):
        return dict(state), tuple(notes)
    anchor = min(needed)
    prefixes = sorted({key.removesuffix(anchor) for key in state if key.endswith(f".{anchor}")}, key=len)
    fitting = [
        prefix
        for prefix in prefixes
        if prefix.count(".") <= _LEVELS
        and all(prefix + key in state and state[prefix + key].shape == expected[key].shape for key in needed)
    ]
    if len(fitting) > 1:
        told = ", ".join(map(repr, fitting))
        raise InputError(f"{where}: several networks in it fit, under the prefixes {told}; valid: a file with one")
    if not fitting:
        return _without_common_prefix(state, expected), tuple(notes)
    prefix = fitting[0]
    taken = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    left = sorted(key for key in state if not key.startswith(prefix))
    beside = f", and left out {_listed(left)}" if left else ""
    return taken, (*notes, f"took {prefix!r} off its names{beside}")


def without_optional(state: Mapping[str, Tensor], module: nn.Module, beginning: str) -> dict[str, Tensor]:
    """Drop what the network has no place for, where its name begins so, in any case of letters."""
    expected = module.state_dict()
    return {key: value for key, value in state.items() if key in expected or not key.lower().startswith(beginning)}


def _without_common_prefix(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the state dict as the message that it does not fit should show it."""
    first = {key.partition(".")[0] for key in state}
    prefix = f"{first.pop()}." if len(first) == 1 else ""
    taken = {key.removeprefix(prefix): value for key, value in state.items()}
    return taken if set(taken) & set(expected) else dict(state)


def load_into(module: nn.Module, state: Mapping[str, Tensor], where: str) -> tuple[str, ...]:
    """Copy a state dict into ``module``; every key and shape must agree.

    Args:
        module: the network.
        state: parameter and buffer name -> tensor.
        where: what the error calls the state dict.

    Returns:
        What was converted, a line for each type of numbers.

    Raises:
        InputError: telling which keys are missing or unknown, which shapes differ, and which tensors hold no weights.
    """
    expected = module.state_dict()
    missing = sorted(k for k in expected if k not in state and not k.endswith(_COUNTER))
    shapes = sorted(k for k in expected if k in state and state[k].shape != expected[k].shape)
    faults = [f"missing {_listed(missing)}"] if missing else []
    faults += [f"unknown {_listed(extra)}"] if (extra := sorted(set(state) - set(expected))) else []
    differing = [f"{k} {tuple(state[k].shape)} instead of {tuple(expected[k].shape)}" for k in shapes]
    faults += [f"shapes differ: {_listed(differing)}"] if differing else []
    if faults:
        raise InputError(f"{where}: does not fit the network: {'; '.join(faults)}")
    no_weights = [f"{k} {fault}" for k in sorted(state) if (fault := _fault(state[k], expected[k]))]
    if no_weights:
        raise InputError(f"{where}: no weights of this network: {_listed(no_weights)}; valid: dense, finite numbers")
    module.load_state_dict(dict(state), strict=False)
    pairs = {(state[k].dtype, expected[k].dtype) for k in state if state[k].is_floating_point()}
    return tuple(f"read {_type(a)} as {_type(b)}" for a, b in sorted(pairs, key=str) if a != b)


def _fault(tensor: Tensor, like: Tensor) -> str | None:
    """Say why a tensor cannot become a parameter or buffer like ``like``."""
    if tensor.is_meta:
        return "has a shape but no values (it is on the device meta)"
    if tensor.layout != torch.strided or tensor.is_nested:
        return f"is sparse ({_type(tensor.layout)}; to_dense() makes it dense)"
    if tensor.is_quantized:
        return "is quantised (dequantize() makes numbers of it)"
    if like.is_floating_point() and not (tensor.is_floating_point() and torch.finfo(tensor.dtype).bits >= 16):
        return f"is {_type(tensor.dtype)}, where the network has {_type(like.dtype)}"
    if not like.is_floating_point() and tensor.is_floating_point() | tensor.is_complex():
        return f"is {_type(tensor.dtype)}, where the network has {_type(like.dtype)}"
    if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
        return "has values that are not finite"
    return None


def _type(value: object) -> str:
    return str(value).removeprefix("torch.")


def _listed(items: list[str], most: int = 4) -> str:
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(items[:most]) + more
