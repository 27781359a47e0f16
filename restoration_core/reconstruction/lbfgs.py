"""L-BFGS, one problem at a time, with steps found by a line search."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable

import torch
from torch import Tensor

from restoration_core.networks import FeatureNetwork
from restoration_core.reconstruction.batch.objective import BatchObjective
from restoration_core.reconstruction.batch.rows import Row, start_row
from restoration_core.reconstruction.line_search import Point, search_line
from restoration_core.reconstruction.problem import OBJECTIVE, Problem, Result, Status
from restoration_core.reconstruction.results import make_result, shown
from restoration_core.reconstruction.starts import upsample

_MEMORY = 20
"""How many pairs of step and gradient change are kept."""


class CurvatureMemory:
    """The last steps s and gradient changes y, from which the inverse Hessian is approximated.

    Source: Nocedal & Wright 2006, algorithm 7.4 (two-loop recursion), scaled by eq. 7.20.
    """

    def __init__(self) -> None:
        self._pairs: deque[tuple[Tensor, Tensor, float]] = deque(maxlen=_MEMORY)

    def __len__(self) -> int:
        return len(self._pairs)

    def add(self, step: Tensor, change: Tensor) -> None:
        """Keep a pair, unless its curvature ``s . y`` is not positive beyond rounding."""
        curvature = float((step * change).sum())
        if curvature > torch.finfo(step.dtype).eps * float(change.square().sum()) ** 0.5 * float(step.norm()):
            self._pairs.append((step, change, curvature))

    def direction(self, gradient: Tensor) -> Tensor:
        """Return ``-H gradient`` with the approximated H; minus the gradient while nothing is kept."""
        result = gradient.neg()
        shares = []
        for step, change, curvature in reversed(self._pairs):
            share = float((step * result).sum()) / curvature
            shares.append(share)
            result.sub_(change, alpha=share)
        if self._pairs:
            _, change, curvature = self._pairs[-1]
            result.mul_(curvature / float(change.square().sum()))
        for (step, change, curvature), share in zip(self._pairs, reversed(shares), strict=True):
            result.add_(step, alpha=share - float((change * result).sum()) / curvature)
        return result


class _Run:
    """One problem from its start to its end."""

    def __init__(self, network: FeatureNetwork, problem: Problem, size: int, record_every: int) -> None:
        self.row: Row = start_row(0, problem, size, network)
        self._network, self._record_every = network, record_every
        self._objective = BatchObjective(network, [problem], [0], pad_singletons=False)
        self._seen = torch.empty((1, network.channels, size, size), dtype=network.dtype, device=network.device)
        self._memory = CurvatureMemory()
        self._here: Point | None = None

    def iterate(self) -> None:
        """Take one step, or set the row's status where no step lowers the objective."""
        row = self.row
        if row.next_factor() != row.factor:
            row.enter_stage()
            self._here = None
        if row.terms_change():
            self._objective.move_to([row.iteration])
            self._here = None
        if self._here is None:  # the objective has changed, so its curvature is not known any more
            self._memory = CurvatureMemory()
            self._here = self._evaluate(row.variable)
        here = self._here
        if row.iteration % self._record_every == 0 and row.steps[-1:] != [row.iteration]:
            row.record(dict(here.losses))
        if not (math.isfinite(here.value) and bool(here.gradient.isfinite().all())):
            row.status = Status.NON_FINITE
            return
        self._here = self._step(here)
        if self._here is None:
            self._skip_ahead()
            return
        row.iteration += 1
        self._keep_snapshot()
        if row.iteration == row.problem.iterations:
            row.status = Status.FINISHED

    def _step(self, here: Point) -> Point | None:
        """Move the row to a lower point and return it; None where neither L-BFGS nor plain descent finds one."""
        largest = float(here.gradient.abs().max())
        while largest > 0:
            direction = self._memory.direction(here.gradient)
            slope = float((direction * here.gradient).sum())
            first = 1.0 if self._memory else self.row.problem.learning_rate.at(self.row.iteration) / largest
            found = None
            if slope < 0:
                start = Point(0.0, here.value, slope, here.gradient, here.losses)
                origin = self.row.variable

                def at(step: float, origin: Tensor = origin, direction: Tensor = direction) -> Point:
                    return self._evaluate(torch.add(origin, direction, alpha=step), step, direction)

                found = search_line(at, start, first)
            if found is not None:
                self.row.variable = torch.add(self.row.variable, direction, alpha=found.step)
                self._memory.add(direction.mul_(found.step), found.gradient - here.gradient)
                return found
            if not self._memory:
                return None
            self._memory = CurvatureMemory()
        return None

    def _evaluate(self, variable: Tensor, step: float = 0.0, direction: Tensor | None = None) -> Point:
        with torch.enable_grad():
            leaf = variable.detach().unsqueeze(0).requires_grad_()
            full = upsample(leaf, self.row.canvas)
        gradient = torch.empty_like(self._seen)
        (losses,) = self._objective.gradient(self._seen.copy_(full.detach()), gradient, record=[0])
        if full is not leaf:  # back through the interpolation
            (gradient,) = torch.autograd.grad(full, leaf, gradient)
        slope = 0.0 if direction is None else float((gradient[0] * direction).sum())
        return Point(step, losses[OBJECTIVE], slope, gradient[0], losses)

    def _skip_ahead(self) -> None:
        """Go on with the next stage or piece of a schedule; the run has converged where none is to come."""
        row = self.row
        starts = [start for start, _ in row.problem.coarse_to_fine]
        starts += [start for term in row.problem.terms if term.schedule for start, _ in term.schedule.pieces]
        coming = min((s for s in starts if row.iteration < s < row.problem.iterations), default=None)
        if coming is None:
            row.status = Status.CONVERGED
            return
        while row.iteration < coming:
            row.iteration += 1
            self._keep_snapshot()

    def _keep_snapshot(self) -> None:
        row = self.row
        if row.iteration in row.problem.snapshots:
            row.snapshots[row.iteration] = shown(row.picture(row.variable), self._network)

    def result(self, compute_s: float) -> Result:
        row = self.row
        picture = row.picture(row.variable)
        objective = BatchObjective(self._network, [row.problem], [row.last_iteration], pad_singletons=False)
        (losses,) = objective.losses(picture[None])
        if not row.steps or row.steps[-1] != row.iteration:
            row.record(losses)
        for step in row.problem.snapshots:  # the run has converged before this step, and the picture stays as it is
            row.snapshots.setdefault(step, shown(picture, self._network))
        return make_result(row, picture, losses, compute_s, self._network)


def minimise(
    network: FeatureNetwork,
    problem: Problem,
    size: int,
    record_every: int = 10,
    progress: Callable[[int], None] | None = None,
) -> Result:
    """Solve one checked problem by L-BFGS with a strong Wolfe line search and 20 pairs of memory.

    An iteration is one step, found with one or more evaluations. Where no step lowers the objective any more, the run
    goes on with the next stage or the next piece of a term's schedule, or ends as ``CONVERGED``. With each of them the
    memory is emptied. The first step after that is tried at a length that changes no value by more than the learning
    rate.

    Args:
        network: on the device and in the dtype to compute in. float64 gets closer to the minimum.
        problem: without jitter, bound, patch strides or priors without an energy.
        size: side of the pictures or maps.
        record_every: iterations between two recorded losses.
        progress: called after each iteration with their number.

    Source: Nocedal & Wright 2006, chapter 7.2.
    """
    started = time.perf_counter()
    run = _Run(network, problem, size, record_every)
    if 0 in problem.snapshots:
        run.row.snapshots[0] = shown(run.row.picture(run.row.variable), network)
    while run.row.status is None:
        run.iterate()
        if progress is not None:
            progress(run.row.iteration)
    return run.result(time.perf_counter() - started)
