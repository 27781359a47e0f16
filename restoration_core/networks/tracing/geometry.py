"""Receptive fields and strides, followed through every operation of a forward pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

Pair = tuple[int, int]
aten = torch.ops.aten

_POOLS = {aten.max_pool2d_with_indices, aten.max_pool2d, aten.avg_pool2d}
_ADAPTIVE_POOLS = {aten._adaptive_avg_pool2d, aten.adaptive_avg_pool2d, aten.adaptive_max_pool2d}
_PADS = {aten.constant_pad_nd, aten.reflection_pad2d, aten.replication_pad2d}
_PRODUCTS = {aten.mm: 0, aten.addmm: 1}
_ATTENTION = {
    aten.bmm,
    aten.baddbmm,
    aten._scaled_dot_product_flash_attention_for_cpu,
    aten._scaled_dot_product_attention_math,
    aten._scaled_dot_product_efficient_attention,
    aten._scaled_dot_product_flash_attention,
    aten._scaled_dot_product_fused_attention_overrideable,
}


@dataclass(frozen=True)
class Geometry:
    """How positions of a map lie over the picture; pairs are (vertical, horizontal).

    Attributes:
        receptive_field: side in input pixels of what one position depends on, borders not clipped: fully connected
            layers count as convolutions over the whole map, as in MV16's tables.
        stride: distance in input pixels between neighbouring positions.
        positions: extent of the map in positions.
        start: first input pixel that position 0 depends on, negative where padding reaches over the border.
        window_size: side, in positions of its input and with the dilation counted, of the last sliding window wider
            than one position; 1 where there was none.
    """

    receptive_field: Pair
    stride: Pair
    positions: Pair
    start: Pair = (0, 0)
    window_size: Pair = (1, 1)

    def window(
        self, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int], out: Pair
    ) -> Geometry:
        """Return the geometry behind a sliding window: ``r += (k - 1) d s``, ``start -= p s`` and ``s *= stride``."""
        field = [
            r + (k - 1) * d * s for r, k, d, s in zip(self.receptive_field, kernel, dilation, self.stride, strict=True)
        ]
        steps = [s * t for s, t in zip(self.stride, stride, strict=True)]
        sides = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
        last = _two([side if side > 1 else before for side, before in zip(sides, self.window_size, strict=True)])
        moved = self.moved(padding)
        return replace(moved, receptive_field=_two(field), stride=_two(steps), positions=out, window_size=last)

    def moved(self, before: Sequence[int]) -> Geometry:
        """Return the geometry with that many positions put in front (< 0: taken away)."""
        return replace(self, start=_two([a - n * s for a, n, s in zip(self.start, before, self.stride, strict=True)]))

    def everything(self) -> Geometry:
        """Return the geometry of one value that depends on all positions."""
        field = [r + (n - 1) * s for r, n, s in zip(self.receptive_field, self.positions, self.stride, strict=True)]
        last = _two([n if n > 1 else before for n, before in zip(self.positions, self.window_size, strict=True)])
        return replace(self, receptive_field=_two(field), positions=(1, 1), window_size=last)

    def attended(self) -> Geometry:
        """Return the geometry where every position depends on all: at least the whole picture."""
        field = [max(r, n * s) for r, n, s in zip(self.receptive_field, self.positions, self.stride, strict=True)]
        return replace(self, receptive_field=_two(field))


def _two(values: Sequence[int]) -> Pair:
    return values[0], values[1]


def _pair(value: int | Sequence[int]) -> Pair:
    items = [value] if isinstance(value, int) else list(value)
    return items[0], items[-1]


def _merge(known: Sequence[Geometry], inputs: Sequence[Tensor], output: Tensor) -> Geometry:
    """Geometry behind sums, products, concatenations and everything else that keeps positions apart.

    One position sees what it sees through any branch: from the first pixel of all to the last of all. The last window
    is that of the branch that sees most, the larger one where several do: a shortcut past it adds none of its own.
    """
    widest = max(known, key=lambda g: g.positions[0] * g.positions[1])
    joined = [g for g in known if g.positions == widest.positions]
    start = _two([min(g.start[axis] for g in joined) for axis in (0, 1)])
    end = [max(g.start[axis] + g.receptive_field[axis] for g in joined) for axis in (0, 1)]
    # A single value that multiplies a whole map (a gate) is as wide wherever it is used.
    field = [max(end[axis] - start[axis], *(g.receptive_field[axis] for g in known)) for axis in (0, 1)]
    last = [max((g.receptive_field[axis], g.window_size[axis]) for g in joined)[1] for axis in (0, 1)]
    maps = any(tensor.ndim == 4 and tuple(tensor.shape[2:]) == widest.positions for tensor in inputs)
    positions = (output.shape[2], output.shape[3]) if maps and output.ndim == 4 else widest.positions
    return Geometry(_two(field), widest.stride, positions, start, _two(last))


class GeometryMode(TorchDispatchMode):
    """Follows the geometry of every tensor that depends on ``picture``, ``(1, 3, H, W)``, while it is entered.

    Exact for convolutions, pooling, padding, slices, dense layers, whatever acts at each position alone, and branches
    of these that join. Attention counts as seeing the whole picture. Transposed convolutions and resizing are not
    followed.
    """

    def __init__(self, picture: Tensor) -> None:
        super().__init__()
        start = Geometry((1, 1), (1, 1), (picture.shape[2], picture.shape[3]))
        # The tensors are kept with their geometry: an identity would be used again after one is freed.
        self._known: dict[int, tuple[Tensor, Geometry]] = {id(picture): (picture, start)}
        self._whole = Geometry((picture.shape[2], picture.shape[3]), (1, 1), (1, 1))

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # True (torch's default) imports torch._dynamo on first use, which takes seconds; nothing is compiled here.
        return False

    def geometry(self, tensor: Tensor) -> Geometry:
        """Return the geometry of a tensor (the whole picture where it is not known)."""
        return self._known.get(id(tensor), (tensor, self._whole))[1]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        inputs = [a for a in tree_leaves((args, kwargs)) if isinstance(a, Tensor) and id(a) in self._known]
        for output in tree_leaves(result):
            if inputs and isinstance(output, Tensor):
                self._known[id(output)] = (output, self._after(func.overloadpacket, args, inputs, output))
        return result

    def _after(self, operation: Any, args: Any, inputs: list[Tensor], output: Tensor) -> Geometry:
        known = [self.geometry(tensor) for tensor in inputs]
        first, size = known[0], (output.shape[-2:] if output.ndim == 4 else (1, 1))
        out = (int(size[0]), int(size[1]))
        if operation is aten.convolution and output.ndim == 4:
            return first.window(args[1].shape[2:], _pair(args[3]), _pair(args[4]), _pair(args[5]), out)
        if operation in _POOLS:
            kernel = _pair(args[1])
            stride = _pair(args[2]) if len(args) > 2 and args[2] else kernel
            dilation = _pair(args[4]) if operation is not aten.avg_pool2d and len(args) > 4 else (1, 1)
            padding = _pair(args[3]) if len(args) > 3 else (0, 0)
            return first.window(kernel, stride, padding, dilation, out)
        if operation in _ADAPTIVE_POOLS:
            kernel = -(-first.positions[0] // out[0]), -(-first.positions[1] // out[1])
            stride = max(first.positions[0] // out[0], 1), max(first.positions[1] // out[1], 1)
            return first.window(kernel, stride, (0, 0), (1, 1), out)
        if operation in _PADS and output.ndim == 4 and len(args[1]) == 4:
            left, _, top, _ = args[1]
            return replace(first.moved((top, left)), positions=out)
        if operation is aten.slice and output.ndim == 4 and len(args) > 2 and args[1] % 4 in (2, 3):
            axis, step = args[1] % 4 - 2, (args[4] if len(args) > 4 else 1)
            skipped = range(first.positions[axis])[slice(args[2], None)][0]
            cut = first.moved((-skipped, 0) if axis == 0 else (0, -skipped))
            return cut.window((1, 1), (step, 1) if axis == 0 else (1, step), (0, 0), (1, 1), out)
        if operation is aten.mean and len(args) > 1 and args[0].ndim == 4 and {d % 4 for d in args[1]} & {2, 3}:
            return first.everything()
        if operation in _PRODUCTS and args[_PRODUCTS[operation]].shape[0] == 1:
            return first.everything()  # one row for the one picture: its positions are flattened into the features
        merged = _merge(known, inputs, output)
        return merged.attended() if operation in _ATTENTION else merged
