"""Many reconstructions as one batch."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor

from restoration_core.errors import InputError, InputErrors
from restoration_core.networks.classifier import Classifier
from restoration_core.reconstruction.batch_objective import BatchObjective
from restoration_core.reconstruction.groups import VariableGroup, group_key
from restoration_core.reconstruction.problem import Problem, Result, Status
from restoration_core.reconstruction.rows import Row, start_row
from restoration_core.reconstruction.validation import check_problem

Key = TypeVar("Key", bound=Hashable)

_LONGEST_RUN = 256
"""Steps prepared at once; bounds the memory of the coefficients."""


@dataclass(frozen=True)
class Current:
    """The latest record of a running row: ``losses`` at ``iteration``, of ``iterations`` in all."""

    iteration: int
    iterations: int
    losses: dict[str, float]


class BatchSolver(Generic[Key]):
    """Runs problems as rows of one batch; rows come and go, each at its own iteration.

    A row gives the same picture whatever its neighbours: to rounding in general, to the last bit on CPUs for
    convolutional layers. Losses are recorded from the row's first step on, every ``record_every`` of its own steps, as
    seen through the jitter window of that step, and once more at the end on the centre crop.

    Args:
        classifier: the network; moved to ``device`` and ``dtype``.
        size: side of the pictures in pixels.
        dtype: of pictures and network.
        device: where to compute.
        record_every: steps between two records of a row.
        pad_singletons: run a batch of one as two equal rows, for bit-equality with larger batches (twice the work).

    Raises:
        InputError: for a record interval below 1.
    """

    def __init__(
        self,
        classifier: Classifier,
        size: int,
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
        record_every: int = 10,
        pad_singletons: bool = True,
    ) -> None:
        if record_every < 1:
            raise InputError(f"record_every must be >= 1, but got {record_every}")
        self._classifier = classifier.to(device, dtype)
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
            InputError: when a row of this key is running.
        """
        if key in self._rows:
            raise InputError(f"row {key!r} is running already; valid: a key of its own for every row")
        check_problem(problem, self._classifier, self._size)
        self._unpack()
        row = start_row(key, problem, self._size, self._dtype, self._device)
        if 0 in problem.snapshots:
            row.snapshots[0] = _shown(row.picture(row.variable))
        self._rows[key] = row

    def remove(self, key: Key) -> Result:
        """End a running row before its time and return what it has, with ``Status.STOPPED``.

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
        """Return the latest record of a running row, None before its first step.

        Raises:
            KeyError: when no such row is running.
        """
        row = self._rows[key]
        if not row.steps:
            return None
        losses = {name: values[-1] for name, values in row.curves.items()}
        return Current(row.steps[-1], row.problem.iterations, losses)

    def advance(self, max_iterations: int | None = None) -> list[tuple[Key, Result]]:
        """Run all rows until one or more end, or for ``max_iterations`` steps.

        Returns:
            What ended, in the order of :attr:`keys`; its rows have left the batch.
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
        """Bring rows into their stages and their variables into groups; nothing when nobody came or left."""
        if self._objective is not None:
            return
        members: dict[tuple[Hashable, ...], list[Row]] = {}
        for row in self._rows.values():
            if row.next_factor() != row.factor:
                row.enter_stage()
            members.setdefault(group_key(row), []).append(row)
        self._groups = [VariableGroup(rows, self._classifier.mean) for rows in members.values()]
        self._order = [row for group in self._groups for row in group.rows]
        problems = [row.problem for row in self._order]
        self._objective = BatchObjective(self._classifier, problems, self._size, self._pad_singletons)
        shape = (len(self._order), 3, self._size, self._size)
        self._x = torch.empty(shape, dtype=self._dtype, device=self._device)
        self._gradient = torch.empty_like(self._x)

    def _unpack(self) -> None:
        for group in self._groups:
            group.release()
        self._groups, self._objective = [], None

    def _run(self, steps: int) -> int:
        """Take up to ``steps`` steps; fewer when a row's objective is found to be no number."""
        assert self._objective is not None
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
            recorded = self._objective.gradient(self._x, self._gradient, patches, due)
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
                    row.snapshots[row.iteration] = _shown(group.picture(place))

    def _finish(self, rows: Sequence[Row]) -> list[tuple[Key, Result]]:
        """Take unpacked rows out of the batch and judge their centre crops."""
        started = time.perf_counter()
        x = torch.stack([row.picture(row.variable) for row in rows])
        problems = [row.problem for row in rows]
        final = BatchObjective(self._classifier, problems, self._size, self._pad_singletons).losses(x)
        share = (time.perf_counter() - started) / len(rows)
        results = []
        for row, picture, losses in zip(rows, x, final, strict=True):
            del self._rows[row.key]  # type: ignore[arg-type]
            if not all(map(math.isfinite, losses.values())):
                row.status = Status.NON_FINITE
            if not row.steps or row.steps[-1] != row.iteration:
                row.record(losses)
            results.append((row.key, _result(row, picture, losses, row.compute_s + share)))
        return results  # type: ignore[return-value]


def _result(row: Row, picture: Tensor, losses: dict[str, float], compute_s: float) -> Result:
    assert row.status is not None
    return Result(
        image=_shown(picture),
        status=row.status,
        iterations=row.iteration,
        losses=losses,
        curve_steps=tuple(row.steps),
        curves={name: tuple(values) for name, values in row.curves.items()},
        snapshots=dict(row.snapshots),
        compute_s=compute_s,
    )


def _shown(picture: Tensor) -> Tensor:
    """Return a picture as shown: in [0, 1], on the host, what is not a number black."""
    return picture.detach().nan_to_num(nan=0.0).clamp(0, 1).cpu().clone()


def solve(
    classifier: Classifier,
    problems: Sequence[Problem],
    size: int,
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
    record_every: int = 10,
    progress: Callable[[int, int], None] | None = None,
) -> list[Result]:
    """Solve problems as one batch.

    Args:
        classifier: the network.
        problems: rows; they may differ in everything but network and picture size.
        size: side of the pictures in pixels.
        dtype, device: where and how to compute.
        record_every: steps between two recorded losses.
        progress: called now and then with (steps taken, steps in all), summed over the rows.

    Returns:
        One result per problem, in order.

    Raises:
        InputErrors: one line per fault, before anything runs.
    """
    faults: list[str] = []
    for number, problem in enumerate(problems):
        try:
            check_problem(problem, classifier, size)
        except InputErrors as error:
            faults += [f"problem {number}: {line}" if len(problems) > 1 else line for line in error.lines]
    if faults:
        raise InputErrors(faults)
    solver: BatchSolver[int] = BatchSolver(classifier, size, dtype=dtype, device=device, record_every=record_every)
    for number, problem in enumerate(problems):
        solver.add(number, problem)
    results: dict[int, Result] = {}
    total = sum(problem.iterations for problem in problems)
    while solver.keys:
        results.update(solver.advance(record_every))
        if progress is not None:
            running = sum(solver.iteration(key) for key in solver.keys)
            ended = sum(problems[number].iterations for number in results)
            progress(ended + running, total)
    return [results[number] for number in range(len(problems))]
