"""Many reconstructions as one batch."""

from __future__ import annotations

import math
import time
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor

from restoration_core.errors import InputError
from restoration_core.networks import FeatureNetwork
from restoration_core.reconstruction.batch.objective import BatchObjective
from restoration_core.reconstruction.batch.rows import Row, start_row
from restoration_core.reconstruction.batch.term_groups import PriorInput
from restoration_core.reconstruction.batch.variable_groups import VariableGroup, group_key
from restoration_core.reconstruction.optimizers import RULES
from restoration_core.reconstruction.problem import LBFGS, Problem, Result, Status
from restoration_core.reconstruction.results import make_result, shown
from restoration_core.reconstruction.validation import check_problem

Key = TypeVar("Key", bound=Hashable)

_LONGEST_RUN = 256
"""Most steps whose coefficients are computed at once, which bounds their memory."""


@dataclass(frozen=True)
class Current:
    """The latest losses of a running row, recorded at ``iteration`` of ``iterations``."""

    iteration: int
    iterations: int
    losses: dict[str, float]


class BatchSolver(Generic[Key]):
    """Runs problems as rows of one batch. Rows may be added and removed at any time; each has its own iteration.

    A row gives the same picture whatever rows are beside it: up to rounding, and on a CPU to the last bit, but for what
    :mod:`~restoration_core.networks.separate_rows` names. Losses are recorded at a row's first step, then every
    ``record_every`` of its own steps, each time of what that step's jitter window shows, and once more at the end, of
    the centre crop.

    Args:
        network: a classifier, or a classifier's tail; moved to ``device`` and ``dtype``.
        size: side of the pictures in pixels, or of the maps that a tail starts from.
        dtype: of pictures and network.
        device: where to compute.
        record_every: steps between two records of a row.
        pad_singletons: run a batch of one as two equal rows, so that its bits are those of a larger batch (at twice
            the work).

    Raises:
        InputError: for a record interval below 1.
    """

    def __init__(
        self,
        network: FeatureNetwork,
        size: int,
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
        record_every: int = 10,
        pad_singletons: bool = True,
    ) -> None:
        if record_every < 1:
            raise InputError(f"record_every must be >= 1, but got {record_every}")
        self._network = network.to(device, dtype)
        self._size, self._dtype, self._device = size, dtype, torch.device(device)
        self._record_every, self._pad_singletons = record_every, pad_singletons
        self._rows: dict[Key, Row] = {}
        self._groups: list[VariableGroup] = []
        self._objective: BatchObjective | None = None
        self._order: list[Row] = []
        self._x, self._gradient = torch.empty(0), torch.empty(0)

    @property
    def keys(self) -> tuple[Key, ...]:
        """Keys of the running rows, in the order they were added."""
        return tuple(self._rows)

    def add(self, key: Key, problem: Problem) -> None:
        """Start a row.

        Raises:
            InputErrors: one line per fault of the problem.
            InputError: a row with this key is running, or the problem is for L-BFGS, which runs one at a time.
        """
        if key in self._rows:
            raise InputError(f"row {key!r} is running already; valid: a key of its own for every row")
        if problem.optimizer == LBFGS:
            raise InputError(f"row {key!r}: {LBFGS} runs in no batch; valid: a rule of {sorted(RULES)}, or solve()")
        check_problem(problem, self._network, self._size)
        self._unpack()
        row = start_row(key, problem, self._size, self._network)
        if 0 in problem.snapshots:
            row.snapshots[0] = self._shown(row.picture(row.variable))
        self._rows[key] = row

    def remove(self, key: Key) -> Result:
        """End a running row early and return what it has so far, with ``Status.STOPPED``.

        Raises:
            KeyError: when no such row is running.
        """
        row = self._rows[key]
        self._unpack()
        row.status = Status.STOPPED
        return self._finish([row])[0][1]

    def iteration(self, key: Key) -> int:
        """Return the number of steps a running row has taken.

        Raises:
            KeyError: when no such row is running.
        """
        return self._rows[key].iteration

    def current(self, key: Key) -> Current | None:
        """Return the latest losses of a running row; None before its first step.

        Raises:
            KeyError: when no such row is running.
        """
        row = self._rows[key]
        if not row.steps:
            return None
        losses = {name: values[-1] for name, values in row.curves.items() if not math.isnan(values[-1])}
        return Current(row.steps[-1], row.problem.iterations, losses)

    def advance(self, max_iterations: int | None = None) -> list[tuple[Key, Result]]:
        """Run all rows until one or more end, or for ``max_iterations`` steps.

        Returns:
            The rows that ended, in the order of :attr:`keys`. They have left the batch.
        """
        left = math.inf if max_iterations is None else max_iterations
        while self._rows and left > 0:
            started = time.perf_counter()
            self._pack()
            planned = min(row.steps_to_event() for row in self._order)
            taken = self._run(int(min(planned, left, _LONGEST_RUN)))
            left -= taken
            self._keep_snapshots()
            ended = [row for row in self._rows.values() if row.status is not None]
            if ended or any(row.next_factor() != row.factor for row in self._order):
                self._unpack()
            share = (time.perf_counter() - started) / len(self._order)
            for row in self._order:
                row.compute_s += share
            if ended:
                return self._finish(ended)
        return []

    def _pack(self) -> None:
        """Put the rows into groups, each at the resolution of its stage; nothing to do where no row came or left."""
        if self._objective is not None:
            return
        members: dict[tuple[Hashable, ...], list[Row]] = {}
        for row in self._rows.values():
            if row.next_factor() != row.factor:
                row.enter_stage()
            members.setdefault(group_key(row), []).append(row)
        self._groups = [VariableGroup(rows, self._network.mean) for rows in members.values()]
        self._order = [row for group in self._groups for row in group.rows]
        self._objective = BatchObjective(
            self._network,
            [row.problem for row in self._order],
            [row.iteration for row in self._order],
            self._pad_singletons,
            self._prior_inputs(),
        )
        shape = (len(self._order), self._network.channels, self._size, self._size)
        self._x = torch.empty(shape, dtype=self._dtype, device=self._device)
        self._gradient = torch.empty_like(self._x)

    def _prior_inputs(self) -> list[PriorInput]:
        """Return for each row what its image priors act on: its window, or its canvas in its group's."""
        prior_inputs: list[PriorInput] = []
        stacks = 0
        for group in self._groups:
            own = group.rows[0].priors_see_canvas
            stacks += own
            prior_inputs += [
                (stacks, place) if own else (0, len(prior_inputs) + place) for place in range(len(group.rows))
            ]
        return prior_inputs

    def _unpack(self) -> None:
        for group in self._groups:
            group.release()
        self._groups, self._objective = [], None

    def _run(self, steps: int) -> int:
        """Take ``steps`` steps, or fewer where a row ends or its objective is no number; return how many."""
        assert self._objective is not None
        if any(row.terms_change() for row in self._order):
            self._objective.move_to([row.iteration for row in self._order])
        for group in self._groups:
            group.prepare(steps)
        bounds = [0]
        for group in self._groups:
            bounds.append(bounds[-1] + len(group.rows))
        for index in range(steps):
            offsets = [row.offsets[row.iteration] for row in self._order]
            patches = [{name: drawn[row.iteration] for name, drawn in row.patch_offsets.items()} for row in self._order]
            due = [place for place, row in enumerate(self._order) if row.iteration % self._record_every == 0]
            for group, low, high in zip(self._groups, bounds, bounds[1:], strict=False):
                group.read(offsets[low:high], self._x[low:high])
            canvases = [group.canvases for group in self._groups if group.canvases is not None]
            recorded = self._objective.gradient(self._x, self._gradient, patches, due, canvases)
            for place, losses in zip(due, recorded, strict=True):
                self._order[place].record(losses)
                if not all(map(math.isfinite, losses.values())):
                    self._order[place].status = Status.NON_FINITE
            for group, low, high in zip(self._groups, bounds, bounds[1:], strict=False):
                group.step(index, self._gradient[low:high], offsets[low:high])
            for row in self._order:
                row.iteration += 1
                row.age += 1
                if row.iteration == row.problem.iterations and row.status is None:
                    row.status = Status.FINISHED
            if any(self._order[place].status is not None for place in due):
                return index + 1
        return steps

    def _keep_snapshots(self) -> None:
        for group in self._groups:
            for place, row in enumerate(group.rows):
                if row.iteration in row.problem.snapshots:
                    row.snapshots[row.iteration] = self._shown(group.picture(place))

    def _shown(self, picture: Tensor) -> Tensor:
        return shown(picture, self._network)

    def _finish(self, rows: Sequence[Row]) -> list[tuple[Key, Result]]:
        """Take rows out of the batch (not in groups any more) and compute the losses of their centre crops."""
        started = time.perf_counter()
        x = torch.stack([row.picture(row.variable) for row in rows])
        problems = [row.problem for row in rows]
        iterations = [row.last_iteration for row in rows]
        final = BatchObjective(self._network, problems, iterations, self._pad_singletons).losses(x)
        share = (time.perf_counter() - started) / len(rows)
        results = []
        for row, picture, losses in zip(rows, x, final, strict=True):
            del self._rows[row.key]  # type: ignore[arg-type]
            if not all(map(math.isfinite, losses.values())):
                row.status = Status.NON_FINITE
            if not row.steps or row.steps[-1] != row.iteration:
                row.record(losses)
            results.append((row.key, make_result(row, picture, losses, row.compute_s + share, self._network)))
        return results  # type: ignore[return-value]
