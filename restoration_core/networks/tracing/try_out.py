"""Whether each layer's output follows the picture row by row: tried on two pictures, together and each alone."""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn

from restoration_core.networks.tracing.trace import NO_GRADIENT, said
from restoration_core.networks.user_code import kept_from_ending
from restoration_core.seeds import derive_seed

Key = tuple[str, int]
"""A module's path, and which of its calls in a pass."""
_TOLERANCE, _COARSE_TOLERANCE = 1e-3, 2e-2
"""Norm of a difference over the norm of the values that counts as rounding: float32 and finer, and half precision."""


@dataclass(frozen=True)
class TryOut:
    """What became of a network's layers when two pictures went through it.

    Attributes:
        faults: calls whose output is not a function of each picture, and why.
        ran: all calls of the pass.
        error: what the network raised for two pictures, None when it took them.
        refusal: why the network as a whole gives no features; None where it does.
    """

    faults: dict[Key, str] = field(default_factory=dict)
    ran: frozenset[Key] = frozenset()
    error: str | None = None
    refusal: str | None = None


def two_pictures(size: int, like: Tensor) -> Tensor:
    """Return two different pictures of noise in [0, 1], ``(2, 3, size, size)``, in the type and place of ``like``."""
    generator = torch.Generator().manual_seed(derive_seed("network", "try-out"))
    return torch.rand(2, 3, size, size, generator=generator).to(like.device, like.dtype)


def try_out(module: nn.Module, run: Callable[[Tensor], object], pictures: Tensor) -> TryOut:
    """Watch every module of a network while two pictures pass through it, each alone and together.

    Args:
        module: in evaluation mode, its parameters without gradients.
        run: passes pictures through ``module``.
        pictures: ``(2, 3, H, W)``, different ones.
    """
    first, second, together = (_Watch(module) for _ in range(3))
    leaf = pictures[:1].clone().requires_grad_()
    try:
        with quietly(), kept_from_ending():
            with torch.enable_grad():
                first.watch(run, leaf)
                faults = _without_gradient(first, leaf)
            with torch.no_grad():
                together.watch(run, pictures)
                second.watch(run, pictures[1:])
        faults |= _without_rows(together)
        compared = [key for key in together.order if key not in faults]
        mixed = {key for key in compared if not _row_by_row(key, together, (first, second))}
        random = next(_changed(module, run, pictures, together), None) if mixed else None
    except Exception as problem:  # a user's own network may raise anything
        return TryOut(ran=frozenset(together.order), error=said(problem))
    finally:
        forget_graphs(module)
    refusal = None
    if random is not None:
        refusal = f"{_name(random)} gives other values when the same pictures pass again"
    elif mixed and compared[-1] in mixed:
        refusal = f"{_name(min(mixed, key=compared.index))} gives a picture other values beside another in the batch"
    faults |= dict.fromkeys(mixed, "its values for a picture depend on the other pictures of the batch")
    return TryOut(faults, frozenset(together.order), refusal=refusal)


def _changed(module: nn.Module, run: Callable[[Tensor], object], pictures: Tensor, before: _Watch) -> Iterator[Key]:
    """Yield the calls that give other values when the same pictures pass again."""
    again = _Watch(module)
    with quietly(), torch.no_grad():
        again.watch(run, pictures)
    yield from (
        key for key, value in before.values.items() if key not in again.values or not _same(value, again.values[key])
    )


def forget_graphs(module: nn.Module) -> None:
    """Detach the tensors that modules keep for themselves: with their graph they could be neither copied nor sent."""
    for part in module.modules():
        for name, value in vars(part).items():
            if isinstance(value, Tensor) and value.grad_fn is not None:
                part.__dict__[name] = value.detach()


class _Watch:
    """What every module returned in one pass: the tensor in its graph, and its values at that moment."""

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self._counts: Counter[str] = Counter()
        self.order: list[Key] = []
        self.outputs: dict[Key, Tensor] = {}
        self.values: dict[Key, Tensor] = {}

    def watch(self, run: Callable[[Tensor], object], pictures: Tensor) -> None:
        handles = [m.register_forward_hook(partial(self._keep, path)) for path, m in self._module.named_modules()]
        try:
            run(pictures)
        finally:
            for handle in handles:
                handle.remove()

    def _keep(self, path: str, module: nn.Module, inputs: object, output: object) -> None:
        self._counts[path] += 1
        if path and isinstance(output, Tensor):
            key = path, self._counts[path]
            self.order.append(key)
            self.outputs[key] = output
            self.values[key] = output.detach().clone()


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Keep what a network prints out of tables and JSON, and its warnings for the passes that count."""
    with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _name(key: Key) -> str:
    path, number = key
    return f"layer {path!r}" if number == 1 else f"layer '{path}:{number}'"


def _without_rows(watch: _Watch) -> dict[Key, str]:
    """Return the calls whose output for two pictures has not two rows."""
    return {
        key: f"its first axis is not the batch: two pictures give the shape {tuple(value.shape)}"
        for key, value in watch.values.items()
        if value.ndim < 2 or len(value) != 2
    }


def _without_gradient(watch: _Watch, leaf: Tensor) -> dict[Key, str]:
    """Return the calls from which no gradient comes back to the pictures, and what torch says where it tries."""
    faults = {key: NO_GRADIENT for key, output in watch.outputs.items() if not output.requires_grad}
    left = {key: output for key, output in watch.outputs.items() if key not in faults}

    def fault(outputs: list[Tensor]) -> str | None:
        slopes = [torch.ones_like(output) for output in outputs]
        try:
            (gradient,) = torch.autograd.grad(outputs, [leaf], slopes, retain_graph=True, allow_unused=True)
        except (RuntimeError, NotImplementedError) as problem:
            return f"its values cannot be differentiated ({said(problem)})"
        return NO_GRADIENT if gradient is None else None

    if left and fault(list(left.values())) is not None:
        faults |= {key: reason for key, output in left.items() if (reason := fault([output])) is not None}
    return faults


def _row_by_row(key: Key, together: _Watch, alone: Sequence[_Watch]) -> bool:
    values = together.values[key]
    return all(
        key in watch.values and watch.values[key].shape[1:] == values.shape[1:] and _same(row, watch.values[key])
        for row, watch in zip(values.split(1), alone, strict=True)
    )


def _same(one: Tensor, other: Tensor) -> bool:
    """Return whether two outputs agree to rounding; NaN agrees with NaN."""
    if one.shape != other.shape:
        return False
    if not one.is_floating_point():
        return torch.equal(one, other)
    tolerance = _COARSE_TOLERANCE if torch.finfo(one.dtype).bits < 32 else _TOLERANCE
    first, second = (torch.nan_to_num(value.detach().double()) for value in (one, other))
    return bool((first - second).norm() <= tolerance * first.norm() + 1e-30)
