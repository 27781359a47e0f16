"""Rows that do not see how many others are in the batch, to the last bit, on CPUs.

Matrix products and convolutions choose their way of computing by the number of rows, and with it how a row is rounded;
some hundred steps of an optimiser make visible differences of that. Mended here are dense layers, attention and, by
passing at most eight rows at once, narrow convolutions. Not mended: RegNet-Y's gates (seen at one layer; likely where
the number of a map's values is no multiple of 32), some float64 convolutions, a user's own subclasses of ``Linear``.
:func:`layer_with_other_rows` finds out.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from restoration_core.networks.feature_network import FeatureNetwork

MOST_ROWS = 8
"""Rows that pass through a network at once on a CPU. 1 x 1 convolutions change their way at 16 rows."""


def row_chunks(x: Tensor) -> list[Tensor]:
    """Return pieces of a batch of at most :data:`MOST_ROWS` rows on a CPU, none of one row unless the batch is one.

    Pieces of ``(B, ...)`` are as equal as they can be; on other devices the batch stays whole.
    """
    if x.device.type != "cpu" or len(x) <= MOST_ROWS:
        return [x]
    return list(torch.tensor_split(x, -(-len(x) // MOST_ROWS)))


class SeparateRowsLinear(nn.Linear):
    """``y = W x + b``, where each row is the same to the last bit whatever the number of rows.

    In float32 two to seven rows are filled up to eight, so that the product always has that shape; beyond it the
    products were equal to the last bit. In float64 each row is multiplied alone. A single row stays one: rows are equal
    in batches of two or more.
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu" or x.ndim < 2 or 0 in x.shape:
            return F.linear(x, self.weight, self.bias)
        if x.dtype == torch.float64:
            return torch.cat([F.linear(row, self.weight, self.bias) for row in x.split(1)])
        rows = x.reshape(-1, x.shape[-1])
        missing = MOST_ROWS - len(rows)
        if missing <= 0 or len(rows) == 1:
            return F.linear(x.contiguous(), self.weight, self.bias)
        filled = F.linear(F.pad(rows, (0, 0, 0, missing)), self.weight, self.bias)
        return filled[: len(rows)].reshape(*x.shape[:-1], -1)


class SeparateRowsAttention(nn.MultiheadAttention):
    """Multi-head attention whose rows are the same to the last bit whatever the number of rows.

    With the batch first, torch projects one position of all rows at a time, a product with as many rows as pictures.
    Here the positions are brought to the front in memory too, and the product runs over positions and rows together;
    in float64 each picture passes alone.
    """

    def forward(self, query: Tensor, key: Tensor, value: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Any]:
        if not self.batch_first or query.ndim != 3 or query.device.type != "cpu":
            return super().forward(query, key, value, *args, **kwargs)
        masked = any(
            mask is not None for mask in (*args[:1], *args[2:3], *map(kwargs.get, ("key_padding_mask", "attn_mask")))
        )
        if query.dtype == torch.float64 and len(query) > 1 and not masked:
            rows = zip(query.split(1), key.split(1), value.split(1), strict=True)
            outputs, weights = zip(
                *(super(SeparateRowsAttention, self).forward(*row, *args, **kwargs) for row in rows), strict=True
            )
            return torch.cat(outputs), None if weights[0] is None else torch.cat(weights)
        moved = {id(tensor): tensor.transpose(0, 1).contiguous() for tensor in (query, key, value)}
        self.batch_first = False
        try:
            output, weight = super().forward(moved[id(query)], moved[id(key)], moved[id(value)], *args, **kwargs)
        finally:
            self.batch_first = True
        return output.transpose(0, 1), weight


def layer_with_other_rows(network: FeatureNetwork, layers: Iterable[str], size: int) -> str | None:
    """Return the first of some layers where a row differs in some bit between batches of other widths; else None.

    Args:
        network: on the device and in the type of numbers that are in question.
        layers: to be tried, one after the other, with the gradient of the sum of squares.
        size: side of its input in pixels or positions.
    """
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(MOST_ROWS, network.channels, size, size, generator=generator).to(network.device, network.dtype)
    for layer in sorted(layers, key=network.depth):
        rows: dict[int, tuple[Tensor, Tensor]] = {}
        for width in (2, 3, 5, MOST_ROWS):
            for start in (0, MOST_ROWS - width):
                leaf = x[start : start + width].clone().requires_grad_()
                with torch.enable_grad():
                    values = network.features(leaf, [layer])[layer]
                (slopes,) = torch.autograd.grad(values, leaf, values.detach())
                for row, found in enumerate(zip(values.detach(), slopes, strict=True), start):
                    if not all(map(torch.equal, rows.setdefault(row, found), found)):
                        return layer
    return None


_SEPARATE: dict[type[nn.Module], type[nn.Module]] = {
    nn.Linear: SeparateRowsLinear,
    nn.MultiheadAttention: SeparateRowsAttention,
}


def separate_rows(module: nn.Module) -> None:
    """Turn every plain dense layer and attention inside ``module`` into its kind with separate rows, in place."""
    for part in module.modules():
        if kind := _SEPARATE.get(type(part)):
            part.__class__ = kind
