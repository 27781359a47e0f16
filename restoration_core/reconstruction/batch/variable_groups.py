"""Rows whose variables share one tensor: same update rule, same resolution."""

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
    """Return what rows of one group have in common.

    At full size rows with different jitter share a canvas as large as the largest: what lies outside a row's own
    canvas is never seen and never moves. At a coarse stage the interpolation at the border would see it, and so would
    priors that act on the canvas, so those rows are grouped by canvas too.
    """
    own_canvas = row.factor > 1 or row.priors_see_canvas
    return (row.problem.optimizer, row.factor, row.priors_see_canvas, row.margin, row.canvas if own_canvas else 0)


class VariableGroup:
    """The packed variables of some rows and one step of their update rule.

    Args:
        rows: of one :func:`group_key`; their tensors are copied in.
        mean: the network's mean colour, centre of the bound.

    Attributes:
        rows: as given.
        variable: ``(B, C, h, w)``.
        canvases: since :meth:`read`, where image priors of these rows act on the canvas: the canvases
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
        # A coarse stage pulls the gradient back through one interpolation of all rows.
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
        """Give every row its own variable and state back."""
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
        """Compute the rule's coefficients for the coming ``steps``, over which the learning rates are constant.

        Rules that restart with the learning rate do so here.
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
