"""State dicts from outside: torchvision's ImageNet weights, a file, checked against the network they go into."""

from __future__ import annotations

import contextlib
import pickle
import socket
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from restoration_core.errors import InputError
from restoration_core.paths import check_file

SUFFIXES = (".safetensors", ".pt", ".pth", ".npz")
_SILENCE_TIMEOUT_S = 30.0
_UNREADABLE = (
    *(OSError, RuntimeError, EOFError, KeyError, ValueError, TypeError),
    *(pickle.UnpicklingError, SafetensorError, zipfile.BadZipFile),
)
_NO_ARRAYS = "a .npy file holds one array or a pickled dictionary, which is not opened; save its arrays as .npz"


def is_path(weights: str) -> bool:
    """Whether a ``weights`` entry names a file rather than one of the keywords."""
    return weights.endswith(SUFFIXES) or "/" in weights


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Read a state dict from ``.safetensors``, ``.pt`` / ``.pth`` or ``.npz`` without running any code of the file.

    Args:
        path: the file. A checkpoint dictionary with an entry ``state_dict`` is accepted too.

    Raises:
        InputError: for a missing, unreadable or unsuitable file.
    """
    if path.suffix not in SUFFIXES:
        hint = f" ({_NO_ARRAYS})" if path.suffix == ".npy" else ""
        raise InputError(f"{path}: unknown kind of weights file {path.suffix!r}{hint}; valid: {', '.join(SUFFIXES)}")
    check_file(path, "weights file", f"a state dict as {', '.join(SUFFIXES)}")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                return {key: torch.from_numpy(arrays[key]) for key in arrays.files}
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except _UNREADABLE as error:
        raise InputError(f"{path}: not a readable state dict ({_first_line(error)})") from error
    content = content.get("state_dict", content) if isinstance(content, Mapping) else content
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise InputError(f"{path}: not a state dict; valid: a mapping from parameter names to tensors")
    return dict(content)


def load_into(module: nn.Module, state: Mapping[str, Tensor], where: str) -> None:
    """Copy a state dict into ``module``; every key and shape must agree.

    Args:
        module: the network.
        state: parameter and buffer name -> tensor.
        where: what the error calls the state dict.

    Raises:
        InputError: telling which keys are missing or unknown and which shapes differ.
    """
    expected = module.state_dict()
    # Written by batch normalisation since torch 0.4.1; older state dicts lack it, and evaluation does not read it.
    missing = sorted(k for k in expected if k not in state and not k.endswith("num_batches_tracked"))
    shapes = sorted(k for k in expected if k in state and state[k].shape != expected[k].shape)
    faults = [f"missing {_listed(missing)}"] if missing else []
    faults += [f"unknown {_listed(extra)}"] if (extra := sorted(set(state) - set(expected))) else []
    differing = [f"{k} {tuple(state[k].shape)} instead of {tuple(expected[k].shape)}" for k in shapes]
    faults += [f"shapes differ: {_listed(differing)}"] if differing else []
    if faults:
        raise InputError(f"{where}: does not fit the network: {'; '.join(faults)}")
    module.load_state_dict(dict(state), strict=False)


def download_state_dict(url: str, network: str) -> Mapping[str, Tensor]:
    """Return torchvision's state dict from torch's cache, downloaded once.

    Args:
        url: of the weights; its last part is the file's name in ``torch.hub.get_dir()/checkpoints``.
        network: what the error calls the network.

    Raises:
        InputError: when it can be neither read nor downloaded.
    """
    cached = Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[-1]
    was_there = cached.exists()
    try:
        # torch announces the download on stdout, where tables and JSON go.
        with contextlib.redirect_stdout(sys.stderr), _patience(_SILENCE_TIMEOUT_S):
            return torch.hub.load_state_dict_from_url(
                url, map_location="cpu", weights_only=True, progress=sys.stderr.isatty()
            )
    except _UNREADABLE as error:
        if was_there and not isinstance(error, URLError):
            what = f"{cached}: not a readable state dict ({_first_line(error)}); delete it to load it again"
            raise InputError(what) from error
        raise InputError(
            f"could not download the imagenet weights of {network} from {url} ({_first_line(error)}); valid: connect, "
            f"put that file at {cached}, or use weights: random or a path to a state dict"
        ) from error


@contextlib.contextmanager
def _patience(timeout_s: float) -> Iterator[None]:
    """Let a silent server raise after ``timeout_s``: torch's download sets no time limit of its own."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(timeout_s)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _listed(items: list[str], most: int = 4) -> str:
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(items[:most]) + more


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
