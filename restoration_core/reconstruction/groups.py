"""Rows whose variables share one tensor: same update rule, same resolution."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
import torch
from torch import Tensor

from restoration_core.priors.isotropic_range import project_to_bound
from restoration_core.reconstruction.rows import Row, upsample
from restoration_core.reconstruction.windows import Offset, cached_chunks, read_windows, write_windows


def group_key(row: Row) -> tuple[Hashable, ...]:
    """Return what rows of one group have in common.

    At full size rows with different jitter share a canvas as large as the largest: what lies outside a row's own
    canvas is never seen and never moves. At a coarse stage the interpolation at the border would see it, so those
    rows are grouped by canvas too.
    """
    return (row.problem.optimizer, row.factor, row.canvas if row.factor > 1 else 0)


class VariableGroup:
    """The packed variables of some rows and one step of their update rule.

    Args:
        rows: of one :func:`group_key`; their tensors are copied in.
        mean: the network's mean colour, centre of the bound.
    """

    def __init__(self, rows: Sequence[Row], mean: Sequence[float]) -> None:
        self.rows = tuple(rows)
        self._rule, self._mean = rows[0].rule, mean
        self._canvas = max(row.canvas for row in rows)
        side = max(row.variable.shape[-1] for row in rows)
        like = rows[0].variable
        self.variable = like.new_zeros((len(rows), 3, side, side))
        self._states = [torch.zeros_like(self.variable) for _ in range(self._rule.states)]
        for place, row in enumerate(rows):
            height, width = row.variable.shape[-2:]
            self.variable[place, :, :height, :width] = row.variable
            for packed, own in zip(self._states, row.states, strict=True):
                packed[place, :, :height, :width] = own
        # A coarse stage pulls the gradient back through one interpolation of all rows.
        whole = [slice(0, len(rows))]
        self._chunks = whole if side != self._canvas else cached_chunks(self.variable)
        widest = max(chunk.stop - chunk.start for chunk in self._chunks)
        self._gradient = like.new_zeros((widest, 3, self._canvas, self._canvas))
        self._bounds = [self._make_bounds(chunk) for chunk in self._chunks]
        self._leaf: Tensor | None = None
        self._full: Tensor | None = None
        self._coefficients: Tensor = torch.empty(0)

    def _make_bounds(self, chunk: slice) -> tuple[list[int], Tensor] | None:
        bounds = [row.problem.bound for row in self.rows[chunk]]
        places = [place for place, bound in enumerate(bounds) if bound is not None]
        values = [bound for bound in bounds if bound is not None]
        return (places, self.variable.new_tensor(values).reshape(-1, 1, 1, 1)) if places else None

    def release(self) -> None:
        """Give every row its own variable and state back."""
        for place, row in enumerate(self.rows):
            height, width = row.variable.shape[-2:]
            row.variable = self.variable[place, :, :height, :width].clone()
            row.states = [state[place, :, :height, :width].clone() for state in self._states]

    def picture(self, place: int) -> Tensor:
        """Return the current centre crop ``(3, H, W)`` of a row, not clamped."""
        row = self.rows[place]
        height, width = row.variable.shape[-2:]
        return row.picture(self.variable[place, :, :height, :width])

    def prepare(self, steps: int) -> None:
        """Compute the rule's coefficients for the coming ``steps``, over which the learning rates are constant."""
        per_row = [
            row.rule.coefficients(
                row.problem,
                row.problem.learning_rate.at(row.iteration),
                np.arange(row.age + 1, row.age + steps + 1, dtype=np.float64),
            )
            for row in self.rows
        ]
        table = torch.from_numpy(np.stack(per_row, axis=2)).to(dtype=self.variable.dtype)  # (steps, K, B)
        self._coefficients = table.to(self.variable.device, non_blocking=True)[..., None, None, None]

    def read(self, offsets: Sequence[Offset], out: Tensor) -> None:
        """Copy every row's window at its offset into ``out``, ``(B, 3, H, W)``."""
        if self.variable.shape[-1] == self._canvas:
            read_windows(self.variable, offsets, out)
            return
        with torch.enable_grad():
            self._leaf = self.variable.detach().requires_grad_()
            self._full = upsample(self._leaf, self._canvas)
        read_windows(self._full.detach(), offsets, out)

    def step(self, index: int, gradient: Tensor, offsets: Sequence[Offset]) -> None:
        """Take step ``index`` of those prepared, then project to the bound.

        Args:
            index: counted from 0 since :meth:`prepare`.
            gradient: with respect to the windows, ``(B, 3, H, W)``.
            offsets: those of :meth:`read`.
        """
        coefficients = self._coefficients[index]
        for chunk, bounds in zip(self._chunks, self._bounds, strict=True):
            variable = self.variable[chunk]
            pulled = write_windows(gradient[chunk], offsets[chunk], self._gradient[: len(variable)])
            if self._leaf is not None and self._full is not None:  # the adjoint of the interpolation
                (pulled,) = torch.autograd.grad(self._full, self._leaf, pulled)
                self._leaf = self._full = None
            states = [state[chunk] for state in self._states]
            self._rule.step(variable, pulled, states, coefficients[:, chunk].unbind(0))
            if bounds is not None:
                self._project(variable, *bounds)

    def _project(self, variable: Tensor, places: list[int], bounds: Tensor) -> None:
        if len(places) == len(variable):
            project_to_bound(variable, bounds, self._mean)
        else:  # rows without a bound stay untouched to the last bit
            variable[places] = project_to_bound(variable[places], bounds, self._mean)
