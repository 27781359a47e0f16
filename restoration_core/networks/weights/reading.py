"""A state dict from a file, without running any code of the file."""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from restoration_core.errors import InputError, brief
from restoration_core.networks.weights.kinds import Kind, kind_of
from restoration_core.paths import shown

UNREADABLE = (
    *(OSError, RuntimeError, EOFError, KeyError, ValueError, TypeError, AttributeError, IndexError),
    *(pickle.UnpicklingError, SafetensorError, zipfile.BadZipFile, MemoryError),
)
_ENTRIES = (
    *("state_dict", "model_state_dict", "model", "net", "network", "weights", "params", "module"),
    *("state_dict_ema", "model_ema", "params_ema", "ema", "ema_state_dict"),
)
"""Names under which training programs keep the weights; the first that is there is taken."""
_DEEPEST = 2
_LARGEST_UNPACKED = 2**30
_MOST_PACKED = 100
"""An .npz file of over 1 GB that unpacks to more than 100 times its size is no set of weights."""
_BLOCKED = re.compile(r"(?:GLOBAL|[Cc]lass|global:?) ([\w.]+\.\w+)")


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds of a network.

    Attributes:
        tensors: parameter and buffer name -> dense values.
        notes: what was taken off on the way to them, a line each.
    """

    tensors: dict[str, Tensor]
    notes: tuple[str, ...] = ()


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Return the tensors of :func:`read_checkpoint`."""
    return read_checkpoint(path).tensors


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a state dict from any kind of file of :data:`~restoration_core.networks.weights.kinds.SUFFIXES`.

    A dictionary around it, as training programs save one (``{"epoch": 9, "state_dict": ...}``), is taken off.

    Raises:
        InputError: for a missing, unreadable or unsuitable file, saying what it holds.
    """
    kind = kind_of(path)
    try:
        if kind is Kind.SAFETENSORS:
            content: Any = load_file(path)
        else:
            content = _read_arrays(path) if kind is Kind.NUMPY else _read_torch(path)
    except InputError:
        raise
    except UNREADABLE as error:
        raise InputError(f"{shown(path)}: {_cause(path, error)}") from error
    state, taken = _unwrapped(content)
    if fault := _fault(state):
        raise InputError(f"{shown(path)}: not a state dict: {fault}; valid: a mapping from parameter names to tensors")
    return Checkpoint(dict(state), taken)


def _read_torch(path: Path) -> Any:
    # Numbers that numpy left in a checkpoint (the best accuracy) carry no code.
    import numpy._core.multiarray as multiarray

    scalars = [type(np.dtype(code)) for code in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?")]
    harmless: list[Any] = [np.dtype, *scalars, multiarray.scalar, (multiarray.scalar, "numpy.core.multiarray.scalar")]
    with torch.serialization.safe_globals(harmless), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's notes to developers on sparse and quantised tensors
        return torch.load(path, map_location="cpu", weights_only=True)


def _read_arrays(path: Path) -> dict[str, Tensor]:
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            _check_array(archive, entry, path)
    with np.load(path, allow_pickle=False) as arrays:
        return {key: torch.from_numpy(np.ascontiguousarray(arrays[key])) for key in arrays.files}


def _check_array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path) -> None:
    """Refuse an array that declares more values than the file holds, before memory is asked for them."""
    with archive.open(entry) as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
        start = file.tell()
    if dtype.hasobject:
        return  # refused by numpy, in its own words
    declared, there = int(np.prod(shape, dtype=object)) * dtype.itemsize, entry.file_size - start
    name = brief(entry.filename.removesuffix(".npy"))
    if declared > there:
        raise InputError(f"{shown(path)}: array {name} declares {declared:,} bytes, but {max(there, 0):,} are there")
    if there > max(_LARGEST_UNPACKED, _MOST_PACKED * entry.compress_size):
        raise InputError(f"{shown(path)}: array {name} unpacks from {entry.compress_size:,} bytes to {there:,}")


def _unwrapped(content: Any) -> tuple[Any, tuple[str, ...]]:
    """Return the state dict inside the dictionaries around it, and what was said on the way."""
    taken: list[str] = []
    for _ in range(_DEEPEST):
        if not isinstance(content, Mapping) or _fault(content) is None:
            break
        inside = {key: value for key, value in content.items() if isinstance(value, Mapping) and _holds_tensors(value)}
        name = next((entry for entry in _ENTRIES if entry in inside), None)
        if name is None and len(inside) == 1:
            name = next(iter(inside))
        if name is None:
            break
        others = [str(key) for key in content if key != name]
        left = f" and not {', '.join(others[:4])}{' ...' if len(others) > 4 else ''}" if others else ""
        taken.append(f"read its entry {name!r}{left}")
        content = inside[name]
    return content, tuple(taken)


def _holds_tensors(value: Any, depth: int = _DEEPEST) -> bool:
    """Whether a dictionary is a state dict, or has one inside."""
    if not isinstance(value, Mapping) or depth == 0:
        return False
    return _fault(value) is None or any(_holds_tensors(inner, depth - 1) for inner in value.values())


def _fault(content: Any) -> str | None:
    """Say why something is no state dict."""
    if not isinstance(content, Mapping):
        return f"it holds a {type(content).__name__}"
    if not content:
        return "it holds nothing"
    for key, value in content.items():
        if not isinstance(key, str):
            return f"its keys are no names ({type(key).__name__} {brief(key)})"
        if not isinstance(value, Tensor):
            return f"its entry {brief(key)} is a {type(value).__name__}"
    return None


def _cause(path: Path, error: BaseException) -> str:
    """Say in our words why a file cannot be read."""
    text = str(error)
    blocked = _BLOCKED.search(text) if isinstance(error, pickle.UnpicklingError) else None
    if blocked is not None:
        classes = _classes(path) or [blocked[1]]
        own = [name for name in classes if not name.startswith(("torch.", "collections.", "numpy."))] or classes
        what = ", ".join(own[:3])
        if any(name.startswith("torch.nn.modules") for name in classes):
            return (
                f"it holds a whole module ({what}), and reading one runs its code; valid: a state dict, saved by "
                "torch.save(module.state_dict(), PATH)"
            )
        return (
            f"it holds objects of {what}, and reading them may run code; valid: the state dict alone, saved by "
            "torch.save(checkpoint['state_dict'], PATH)"
        )
    if isinstance(error, EOFError) or "unexpected" in text.lower() or "PytorchStreamReader" in text:
        return "it is cut off or damaged; valid: copy or download it again"
    if isinstance(error, MemoryError):
        return "it needs more memory than there is"
    if isinstance(error, ValueError) and "Object arrays" in text:
        return "not a readable state dict (an array of Python objects, which is not opened); valid: arrays of numbers"
    return "not a readable state dict (its content is damaged or of another program); valid: copy or download it again"


def _classes(path: Path) -> list[str]:
    """Return the classes in a torch file that its safe reader does not make."""
    try:
        return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path))
    except UNREADABLE:
        return []
