"""A dry forward pass: which layers run in which order, with which shapes, seeing which pixels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain

import torch
from torch import Tensor, nn

from restoration_core.networks.tracing.geometry import Geometry, GeometryMode


@dataclass(frozen=True)
class Call:
    """One call of one submodule during a forward pass.

    Attributes:
        path: the module's path, e.g. ``features.3``.
        number: 1 for its first call in the pass; a module used twice (ResNet's ReLU) has a second.
        shape: of its output, without the batch.
        geometry: what one position of its output sees.
        overwritten: a later operation changes this output in place, so a tap must copy it.
        value: calls that return the very same value share this number (a container and its last layer).
    """

    path: str
    number: int
    shape: tuple[int, ...]
    geometry: Geometry
    overwritten: bool
    value: int


@dataclass(frozen=True)
class Trace:
    """What a forward pass went through.

    Attributes:
        calls: in the order in which the modules finished.
        error: the message of the error that ended the pass (a size that does not fit), None when it went through.
    """

    calls: tuple[Call, ...]
    error: str | None


class _Recorder:
    """Forward hooks' memory: it keeps every tensor alive, so that identities stay unique."""

    def __init__(self, mode: GeometryMode) -> None:
        self.mode = mode
        self.calls: list[Call] = []
        self.outputs: list[tuple[Tensor, int]] = []
        self.counts: Counter[str] = Counter()
        self.values: dict[tuple[int, int], int] = {}

    def hook(self, path: str) -> Callable[[nn.Module, object, object], None]:
        return partial(self._record, path)

    def _record(self, path: str, module: nn.Module, inputs: object, output: object) -> None:
        self.counts[path] += 1
        if not isinstance(output, Tensor):
            return
        version = output._version
        value = self.values.setdefault((id(output), version), len(self.values))
        shape, geometry = tuple(output.shape[1:]), self.mode.geometry(output)
        self.calls.append(Call(path, self.counts[path], shape, geometry, False, value))
        self.outputs.append((output, version))

    def finished(self) -> tuple[Call, ...]:
        pairs = zip(self.calls, self.outputs, strict=True)
        return tuple(replace(call, overwritten=tensor._version != version) for call, (tensor, version) in pairs)


def trace(module: nn.Module, height: int, width: int, *, compute: bool = True) -> Trace:
    """Run ``module`` on one black picture of ``height x width``.

    Args:
        module: network in evaluation mode, input ``(B, 3, H, W)``.
        height, width: picture size in pixels.
        compute: run it where its parameters are. Otherwise on meta tensors, which takes milliseconds and no memory
            whatever the size, but the first time in a process torch imports some 900 modules for it (seconds).

    Returns:
        The calls up to the end, or up to the first operation that the size does not fit.
    """
    like = next((p for p in module.parameters() if p.is_floating_point()), torch.empty(0))
    picture = torch.zeros(1, 3, height, width, device=like.device if compute else "meta", dtype=like.dtype)
    mode = GeometryMode(picture)
    recorder = _Recorder(mode)
    handles = [m.register_forward_hook(recorder.hook(path)) for path, m in module.named_modules() if path]
    error = None
    try:
        with torch.no_grad(), mode:
            if compute:
                module(picture)
            else:
                tensors = chain(module.named_parameters(), module.named_buffers())
                absent = {key: torch.empty_like(tensor, device="meta") for key, tensor in tensors}
                torch.func.functional_call(module, absent, (picture,))
    except Exception as problem:  # a user's own network may raise anything
        kind = "" if isinstance(problem, RuntimeError) and str(problem) else f"{type(problem).__name__}: "
        error = f"{kind}{next(iter(str(problem).splitlines()), '')}".removesuffix(": ")
    finally:
        for handle in handles:
            handle.remove()
    calls = tuple(call for call in recorder.finished() if 0 not in call.shape)
    return Trace(calls, error)
