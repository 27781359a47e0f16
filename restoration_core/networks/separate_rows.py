"""Dense layers whose rows do not see each other's number."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class SeparateRowsLinear(nn.Linear):
    """``y = W x + b``; in float64 one row at a time.

    A matrix product rounds a row differently for different numbers of rows, which convolutions do not, and some hundred
    steps of an optimiser make visible differences of it. float64 is for results that hold whatever the batch, so there
    each row is multiplied alone; float32 keeps the faster product.
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.dtype != torch.float64 or len(x) == 1:
            return F.linear(x, self.weight, self.bias)
        return torch.cat([F.linear(row, self.weight, self.bias) for row in x.split(1)])


def separate_rows(module: nn.Module) -> None:
    """Turn every plain ``nn.Linear`` inside ``module`` into a :class:`SeparateRowsLinear`, in place."""
    for part in module.modules():
        if type(part) is nn.Linear:
            part.__class__ = SeparateRowsLinear
