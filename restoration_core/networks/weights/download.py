"""Torchvision's weights, downloaded once into torch's cache."""

from __future__ import annotations

import contextlib
import socket
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.error import URLError

import torch
from torch import Tensor

from restoration_core.errors import InputError
from restoration_core.networks.weights.reading import UNREADABLE

_SILENCE_TIMEOUT_S = 30.0


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
    except UNREADABLE as error:
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


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
