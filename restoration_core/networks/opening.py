"""The first passes of a network that is opened: in which memory format it runs, and which modules are no layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from restoration_core.errors import InputError
from restoration_core.networks.preparing import lay_out
from restoration_core.networks.tracing.trace import Trace, trace
from restoration_core.networks.tracing.try_out import TryOut, try_out, two_pictures

_TRIED_SIZE = 64
"""Side in pixels of the two pictures that a network is tried with, where it takes them."""


@dataclass(frozen=True)
class Opened:
    """What the first passes showed.

    Attributes:
        memory_format: in which the network takes its pictures.
        passed: what ran at the native size.
        faults: calls that are no layers, and why, beside those that ``passed`` shows.
    """

    memory_format: torch.memory_format
    passed: Trace
    faults: Mapping[tuple[str, int], str]


def first_passes(
    module: nn.Module, name: str, size: int, like: Tensor, normalise: Callable[[Tensor], Tensor], *, known: bool
) -> Opened:
    """Pass pictures through a prepared network.

    Args:
        module: the network.
        name: what errors call it.
        size: its native size in pixels.
        like: of the type and in the place of its pictures.
        normalise: pictures in [0, 1] -> the network's input.
        known: its features are known to be functions of each row: it is not tried with two pictures.

    Raises:
        InputError: for a network that does not take such pictures, or not two together, or that is no function of each
            picture.
    """
    # On CPUs channels_last takes 0.6-0.9 of the time, and it is what GPUs' convolutions want. A network that looks at
    # its maps through view() takes the other.
    faults = []
    for memory_format in (torch.channels_last, torch.contiguous_format):
        lay_out(module, memory_format)
        passed = trace(module, size, size, memory_format=memory_format, graph=True)
        if passed.error is not None:
            faults.append(does_not_take(name, size, passed.error))
            continue

        def run(x: Tensor, memory_format: torch.memory_format = memory_format) -> None:
            module(normalise(x).contiguous(memory_format=memory_format))

        tried = TryOut() if known else _try_out(module, run, passed, size, like)
        if tried.refusal is not None:
            raise InputError(
                f"network {name!r} is no function of each picture: {tried.refusal}; valid: a network whose eval() "
                "turns dropout off and batch statistics to the stored ones"
            )
        if tried.error is None:
            return Opened(memory_format, passed, tried.faults)
        faults.append(f"{name}: takes one picture but not two together: {tried.error}; valid: a batch")
    raise InputError(faults[-1])


def does_not_take(name: str, size: int, reason: str) -> str:
    """Return the message for a network that does not take pictures of its native size."""
    return f"{name}: does not take pictures of {size} x {size}: {reason}"


def _try_out(module: nn.Module, run: Callable[[Tensor], None], passed: Trace, size: int, like: Tensor) -> TryOut:
    """Try a network at a small size, and at the native one where that runs other layers."""
    ran = {(call.path, call.number) for call in passed.calls}
    for side in sorted({min(_TRIED_SIZE, size), size}):
        tried = try_out(module, run, two_pictures(side, like))
        if tried.error is None and ran <= tried.ran:
            break
    return tried
