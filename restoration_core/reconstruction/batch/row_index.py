"""Choosing some rows of a batch, without a copy where they lie side by side."""

from __future__ import annotations

import torch
from torch import Tensor

RowIndex = Tensor | slice | None
"""Rows of a batch: a tensor of their places, a slice where they lie side by side, None for all of them in order."""


def index_of(rows: list[int], count: int, device: torch.device) -> RowIndex:
    """Return the index of ``rows`` among ``count`` rows: the cheapest of the three forms that fits."""
    if rows == list(range(count)):
        return None
    if rows == list(range(rows[0], rows[0] + len(rows))):
        return slice(rows[0], rows[0] + len(rows))
    return torch.tensor(rows, device=device)


def pick(rows: Tensor, index: RowIndex) -> Tensor:
    """Return the rows of that index; a view unless it is a tensor."""
    if index is None:
        return rows
    return rows[index] if isinstance(index, slice) else rows.index_select(0, index)


def spread(rows: Tensor, index: RowIndex, like: Tensor) -> Tensor:
    """Put picked rows back among the rows of ``like``, zeros elsewhere: the adjoint of :func:`pick`."""
    if index is None:
        return rows
    whole = torch.zeros_like(like)
    whole[index] = rows
    return whole
