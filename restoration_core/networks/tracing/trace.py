"""A dry forward pass: which layers run in which order, with which shapes, seeing which pixels."""

from __future__ import annotations

import contextlib
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain

import torch
from torch import Tensor, nn

from restoration_core.networks.tracing.geometry import Geometry, GeometryMode
from restoration_core.networks.user_code import kept_from_ending

NO_GRADIENT = "its values do not depend on the picture, or not in a way that can be differentiated"


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
        fault: why this output cannot be matched, whatever the picture; None where nothing speaks against it.
    """

    path: str
    number: int
    shape: tuple[int, ...]
    geometry: Geometry
    overwritten: bool
    value: int
    fault: str | None = None

    @property
    def key(self) -> str:
        """The call's own name: the module's path, with ``:2`` behind it for its second call."""
        return self.path if self.number == 1 else f"{self.path}:{self.number}"


@dataclass(frozen=True)
class Trace:
    """What a forward pass went through.

    Attributes:
        calls: in the order in which the modules finished.
        error: the message of the error that ended the pass (a size that does not fit), None when it went through.
        others: modules that ran without returning one tensor, path -> what they return instead.
    """

    calls: tuple[Call, ...]
    error: str | None
    others: Mapping[str, str] = field(default_factory=dict)


class _Recorder:
    """Forward hooks' memory: it keeps every tensor alive, so that identities stay unique."""

    def __init__(self, mode: GeometryMode, graph: bool) -> None:
        self.mode, self.graph = mode, graph
        self.calls: list[Call] = []
        self.outputs: list[tuple[Tensor, int]] = []
        self.counts: Counter[str] = Counter()
        self.values: dict[tuple[int, int], int] = {}
        self.others: dict[str, str] = {}

    def hook(self, path: str) -> Callable[[nn.Module, object, object], None]:
        return partial(self._record, path)

    def _record(self, path: str, module: nn.Module, inputs: object, output: object) -> None:
        self.counts[path] += 1
        if not isinstance(output, Tensor):
            self.others.setdefault(path, f"it returns {type(output).__name__}, not one tensor")
            return
        version = version_of(output)
        value = self.values.setdefault((id(output), version), len(self.values))
        shape, geometry = tuple(output.shape[1:]), self.mode.geometry(output)
        self.calls.append(Call(path, self.counts[path], shape, geometry, False, value, _fault(output, self.graph)))
        self.outputs.append((output, version))

    def finished(self) -> tuple[Call, ...]:
        pairs = zip(self.calls, self.outputs, strict=True)
        return tuple(replace(call, overwritten=version_of(tensor) != version) for call, (tensor, version) in pairs)


def trace(
    module: nn.Module,
    height: int,
    width: int,
    *,
    compute: bool = True,
    memory_format: torch.memory_format = torch.contiguous_format,
    graph: bool = False,
) -> Trace:
    """Run ``module`` on one black picture of ``height x width``.

    Args:
        module: network in evaluation mode, input ``(B, 3, H, W)``.
        height, width: picture size in pixels.
        compute: run it where its parameters are. Otherwise on meta tensors, which takes milliseconds and no memory
            whatever the size, but the first time in a process torch imports some 900 modules for it (seconds).
        memory_format: of the picture.
        graph: also find the calls whose values cannot be differentiated with respect to the picture.

    Returns:
        The calls up to the end, or up to the first operation that the size does not fit.
    """
    like = next((p for p in module.parameters() if p.is_floating_point()), torch.empty(0))
    picture = torch.zeros(1, 3, height, width, device=like.device if compute else "meta", dtype=like.dtype)
    picture = picture.contiguous(memory_format=memory_format)
    if graph:
        picture = picture.requires_grad_().clone()
    mode = GeometryMode(picture)
    recorder = _Recorder(mode, graph)
    handles = [m.register_forward_hook(recorder.hook(path)) for path, m in module.named_modules() if path]
    error = None
    try:
        # A network that prints would otherwise print into tables and JSON.
        with kept_from_ending(), torch.set_grad_enabled(graph), mode, contextlib.redirect_stdout(sys.stderr):
            if compute:
                module(picture)
            else:
                tensors = chain(module.named_parameters(), module.named_buffers())
                absent = {key: torch.empty_like(tensor, device="meta") for key, tensor in tensors}
                torch.func.functional_call(module, absent, (picture,))
    except Exception as problem:  # a user's own network may raise anything
        error = said(problem)
    finally:
        for handle in handles:
            handle.remove()
    calls = tuple(call for call in recorder.finished() if 0 not in call.shape)
    return Trace(calls, error, recorder.others)


def version_of(tensor: Tensor) -> int:
    """Return how often a tensor was changed in place; tensors made in inference mode do not count it."""
    return 0 if tensor.is_inference() else tensor._version


def said(problem: BaseException) -> str:
    """Return in one line what a network's own error says."""
    kind = "" if isinstance(problem, RuntimeError) and str(problem) else f"{type(problem).__name__}: "
    return f"{kind}{next(iter(str(problem).splitlines()), '')}".removesuffix(": ")


def _fault(output: Tensor, graph: bool) -> str | None:
    """Say why the output for a single picture is no map of that picture."""
    if output.ndim < 2 or len(output) != 1:
        return f"its first axis is not the batch: one picture gives the shape {tuple(output.shape)}"
    if not output.is_floating_point():
        return f"its values are {str(output.dtype).removeprefix('torch.')}, not floating-point numbers"
    return NO_GRADIENT if graph and not output.requires_grad else None
