"""Rows whose variables lie in one tensor, because they have the same update rule and resolution."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from restoration_core.priors.hand_crafted import project_to_bound
from restoration_core.reconstruction.batch.rows import Row
from restoration_core.reconstruction.batch.windows import Offset, cached_chunks, read_windows, write_windows
from restoration_core.reconstruction.starts import upsample


def group_key(row: Row) -> tuple[Hashable, ...]:
    """Return what the rows of a group have in common.

    Rows with different jitter may share a canvas of the largest size: the network never looks beyond a row's own
    canvas. Interpolation from a coarse stage would, and so would priors that act on the canvas; such rows are grouped
    by the size of their canvas too.
    """
    own_canvas = row.factor > 1 or row.priors_see_canvas
    return (row.problem.optimizer, row.factor, row.priors_see_canvas, row.margin, row.canvas if own_canvas else 0)


class VariableGroup:
    """The variables of some rows as one tensor, and the steps that their update rule takes on it.

    Args:
        rows: of one :func:`group_key`; their tensors are copied in.
        mean: the network's mean colour, centre of the bound.

    Attributes:
        rows: as given.
        variable: ``(B, C, h, w)``.
        canvases: where image priors of these rows act on the canvas, set by :meth:`read`: the canvases
            ``(B, C, H', W')``, and zeros of that shape to which the priors' gradient is to be added.
    """

    def __init__(self, rows: Sequence[Row], mean: Sequence[float]) -> None:
        self.rows = tuple(rows)
        self._rule, self._mean = rows[0].rule, mean
        self._canvas = max(row.canvas for row in rows)
        side = max(row.variable.shape[-1] for row in rows)
        like = rows[0].variable
        self._margin = rows[0].margin
        channels = len(like)
        self.variable = like.new_zeros((len(rows), channels, side, side))
        self._states = [torch.zeros_like(self.variable) for _ in range(self._rule.states)]
        for place, row in enumerate(rows):
            height, width = row.variable.shape[-2:]
            self.variable[place, :, :height, :width] = row.variable
            for packed, own in zip(self._states, row.states, strict=True):
                packed[place, :, :height, :width] = own
        # At a coarse stage the gradient goes back through one interpolation of all rows, so they stay together.
        whole = [slice(0, len(rows))]
        self._chunks = whole if side != self._canvas else cached_chunks(self.variable)
        widest = max(chunk.stop - chunk.start for chunk in self._chunks)
        seen = self._canvas + self._margin
        self._gradient = like.new_zeros((widest, channels, seen, seen))
        self.canvases: tuple[Tensor, Tensor] | None = None
        self._prior_gradient: Tensor | None = None
        if rows[0].priors_see_canvas:
            self._prior_gradient = like.new_zeros((len(rows), channels, self._canvas, self._canvas))
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
        """Copy variables and states back into the rows."""
        for place, row in enumerate(self.rows):
            height, width = row.variable.shape[-2:]
            row.variable = self.variable[place, :, :height, :width].clone()
            row.states = [state[place, :, :height, :width].clone() for state in self._states]

    def picture(self, place: int) -> Tensor:
        """Return the current centre crop ``(C, H, W)`` of a row, not clamped."""
        row = self.rows[place]
        height, width = row.variable.shape[-2:]
        return row.picture(self.variable[place, :, :height, :width])

    def prepare(self, steps: int) -> None:
        """Compute the rule's coefficients for the coming ``steps``, in which no learning rate changes.

        A rule that restarts when the learning rate changes does so here.
        """
        if self._rule.restarts_with_rate:
            for place, row in enumerate(self.rows):
                if row.age > 0 and row.rate_changes():
                    row.age = 0
                    for state in self._states:
                        state[place].zero_()
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
        """Copy every row's window at its offset into ``out``, ``(B, C, H, W)``."""
        full = self.variable
        if full.shape[-1] != self._canvas:
            with torch.enable_grad():
                self._leaf = self.variable.detach().requires_grad_()
                self._full = upsample(self._leaf, self._canvas)
            full = self._full.detach()
        if self._prior_gradient is not None:
            self.canvases = full, self._prior_gradient.zero_()
        if self._margin:
            full = F.pad(full, (self._margin, 0, self._margin, 0))
        read_windows(full, self._seen(offsets), out)

    def _seen(self, offsets: Sequence[Offset]) -> Sequence[Offset]:
        """Return the windows' corners on the canvas with its margin of zeros."""
        margin = self._margin
        return [(top + margin, left + margin) for top, left in offsets] if margin else offsets

    def step(self, index: int, gradient: Tensor, offsets: Sequence[Offset]) -> None:
        """Take step ``index`` of those prepared, then project to the bound.

        Args:
            index: counted from 0 since :meth:`prepare`.
            gradient: with respect to the windows, ``(B, C, H, W)``.
            offsets: those of :meth:`read`.
        """
        coefficients = self._coefficients[index]
        for chunk, bounds in zip(self._chunks, self._bounds, strict=True):
            variable = self.variable[chunk]
            pulled = write_windows(gradient[chunk], self._seen(offsets[chunk]), self._gradient[: len(variable)])
            if self._margin:
                pulled = pulled[..., self._margin :, self._margin :]
            if self._prior_gradient is not None:
                pulled.add_(self._prior_gradient[chunk])
            if self._leaf is not None and self._full is not None:  # back through the interpolation
                (pulled,) = torch.autograd.grad(self._full, self._leaf, pulled)
                self._leaf = self._full = None
            states = [state[chunk] for state in self._states]
            self._rule.step(variable, pulled, states, coefficients[:, chunk].unbind(0))
            if bounds is not None:
                self._project(variable, *bounds)

    def _project(self, variable: Tensor, places: list[int], bounds: Tensor) -> None:
        if len(places) == len(variable):
            project_to_bound(variable, bounds, self._mean)
        else:  # rows without a bound are not touched
            variable[places] = project_to_bound(variable[places], bounds, self._mean)
