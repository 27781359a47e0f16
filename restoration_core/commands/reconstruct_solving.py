"""Solving many pictures and layers, a few at a time: restarts and runs from the truth are rows of one batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import torch
from torch import Tensor

from restoration_core.commands.reconstruct_request import LayerPlan, Plan
from restoration_core.errors import InputError, in_one_line
from restoration_core.metrics import METRICS, measure
from restoration_core.reconstruction import (
    LBFGS,
    GapToTruth,
    Problem,
    Restarts,
    Result,
    Status,
    compare_with_truth,
    gather_restarts,
    solve,
    started_at,
)

_ROWS_AT_ONCE = 16
_PIXELS_AT_ONCE = _ROWS_AT_ONCE * 128**2


@dataclass(frozen=True)
class Job:
    """One picture and layer.

    Attributes:
        name: what its files are called.
        reference: of the picture, as users see it.
        original: ``(3, H, W)``, RGB in [0, 1].
        layer: how it is reconstructed.
        settings: hash over all that decides the result.
    """

    name: str
    reference: str
    original: Tensor
    layer: LayerPlan
    settings: str


@dataclass(frozen=True)
class Outcome:
    """What a job gave.

    Attributes:
        job: what was to be done.
        status: of the best run, or what was wrong with the picture at this layer.
        restarts: the runs together; None when none stayed finite.
        results: of the runs, in the order of their seeds.
        gap: to the run from the truth; None when it was not asked for.
        metrics: of each run that stayed finite, in that order.
        mean_metrics: of the mean picture; None for a single run.
        truth_metrics: of the run from the truth.
    """

    job: Job
    status: str
    restarts: Restarts | None = None
    results: tuple[Result, ...] = ()
    gap: GapToTruth | None = None
    metrics: tuple[dict[str, float], ...] = ()
    mean_metrics: dict[str, float] | None = None
    truth_metrics: dict[str, float] | None = None

    @property
    def best(self) -> Result | None:
        """The run with the lowest final objective; None when none stayed finite."""
        return None if self.restarts is None else self.results[self.restarts.best]

    @property
    def best_metrics(self) -> dict[str, float]:
        """The metrics of :attr:`best`; empty when none stayed finite."""
        if self.restarts is None:
            return {}
        before = self.results[: self.restarts.best]
        return self.metrics[sum(run.status is not Status.NON_FINITE for run in before)]


def solve_jobs(plan: Plan, jobs: Sequence[Job], show: Callable[[int, str], None]) -> Iterator[list[Outcome]]:
    """Solve jobs chunk by chunk, layer by layer.

    Args:
        plan: that the jobs belong to.
        jobs: those of one layer one after the other.
        show: called with the steps taken so far, of :func:`total_steps`, and the layer.

    Yields:
        The outcomes of a chunk, in order.
    """
    before = 0
    for layer, group in groupby(jobs, key=lambda job: job.layer.layer):
        same = list(group)
        together = _jobs_together(plan, same[0])
        for first in range(0, len(same), together):
            chunk = same[first : first + together]

            def step(done: int, before: int = before, layer: str = layer) -> None:
                show(before + done, layer)

            yield _solve_chunk(plan, chunk, step)
            before += total_steps(plan, chunk)
            show(before, layer)


def total_steps(plan: Plan, jobs: Sequence[Job]) -> int:
    """Return the steps that jobs take, summed over their runs."""
    return sum(job.layer.preset.iterations for job in jobs) * _runs(plan)


def seeds(plan: Plan) -> list[int]:
    """Return the seeds of the restarts: the one given and those that follow."""
    return list(range(plan.request.seed, plan.request.seed + plan.request.restarts))


def frame_steps(iterations: int, frames: int) -> tuple[int, ...]:
    """Return the steps an animation shows, the start and the end included: close at first, then further apart.

    ``round(iterations (k / (frames - 1))^2)``, each once.
    """
    places = max(1, frames - 1)
    return tuple(sorted({round(iterations * (place / places) ** 2) for place in range(places + 1)}))


def _runs(plan: Plan) -> int:
    return plan.request.restarts + plan.request.gap


def _jobs_together(plan: Plan, job: Job) -> int:
    if job.layer.preset.optimizer == LBFGS:  # no batch gains anything
        return 1
    rows = min(_ROWS_AT_ONCE, _PIXELS_AT_ONCE // plan.size**2)
    return max(1, rows // _runs(plan))


def _solve_chunk(plan: Plan, jobs: Sequence[Job], show: Callable[[int], None]) -> list[Outcome]:
    request, rows = plan.request, []
    problems: list[Problem | str] = []
    for job in jobs:
        try:
            problem = plan.problem(job.layer, job.original)
        except InputError as error:
            problems.append(in_one_line(error))
            continue
        if request.animate:
            problem = replace(problem, snapshots=frame_steps(problem.iterations, request.frames))
        problems.append(problem)
        rows += [replace(problem, seed=seed) for seed in seeds(plan)]
        if request.gap:
            rows.append(started_at(problem, job.original))
    results = iter(
        solve(plan.classifier, rows, plan.size, device=request.device, progress=lambda done, total: show(done))
        if rows
        else ()
    )
    outcomes = []
    for job, given in zip(jobs, problems, strict=True):
        if isinstance(given, str):
            outcomes.append(Outcome(job, given))
            continue
        runs = tuple(next(results) for _ in seeds(plan))
        outcomes.append(_outcome(plan, job, given, runs, next(results) if request.gap else None))
    return outcomes


def _outcome(plan: Plan, job: Job, problem: Problem, runs: tuple[Result, ...], truth: Result | None) -> Outcome:
    finite = [run for run in runs if run.status is not Status.NON_FINITE]
    if not finite:
        return Outcome(job, Status.NON_FINITE.value, results=runs)
    restarts = gather_restarts(plan.classifier, problem, seeds(plan), runs, device=plan.request.device)
    gap = None if truth is None else compare_with_truth(truth, runs)
    # The truth's run may have broken down: then there is nothing to compare with.
    gap = None if gap is None or gap.truth.status is Status.NON_FINITE else gap
    pictures = [run.image for run in finite]
    several = len(finite) > 1
    pictures += [restarts.mean] if several else []
    pictures += [gap.truth.image] if gap is not None else []
    measured = _measure(plan, job, torch.stack(pictures))
    return Outcome(
        job,
        runs[restarts.best].status.value,
        restarts,
        runs,
        gap,
        tuple(measured[: len(finite)]),
        measured[len(finite)] if several else None,
        measured[-1] if gap is not None else None,
    )


def _measure(plan: Plan, job: Job, pictures: Tensor) -> list[dict[str, float]]:
    """Return every metric of each picture ``(B, 3, H, W)`` against the job's original."""
    place = plan.classifier.device
    columns = measure(plan.classifier, METRICS, pictures.to(place), job.original[None].to(place), [job.layer.layer])
    return [{name: float(values[row]) for name, values in columns.items()} for row in range(len(pictures))]
