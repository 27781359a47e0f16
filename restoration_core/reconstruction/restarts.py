"""One problem solved from several starts: their mean picture and spread, and how far they end above the truth."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from restoration_core.errors import InputError
from restoration_core.networks import FeatureNetwork
from restoration_core.reconstruction.batch.objective import BatchObjective
from restoration_core.reconstruction.problem import OBJECTIVE, Problem, Result, Status
from restoration_core.reconstruction.solving import solve


@dataclass(frozen=True)
class Restarts:
    """One problem solved from several seeds.

    Attributes:
        seeds: of the runs.
        results: one per seed, in order.
        mean: mean picture ``(C, H, W)`` of the runs that stayed finite.
        mean_losses: of the mean picture, named as in :class:`Result`.
        spread: ``(H, W)``: at each pixel the standard deviation over those runs (root of the mean of the channels'
            variances). It is large where the matched layers and priors do not determine the picture. Zeros for a
            single run.
        best: index of the run with the lowest final objective.
    """

    seeds: tuple[int, ...]
    results: tuple[Result, ...]
    mean: Tensor
    mean_losses: Mapping[str, float]
    spread: Tensor
    best: int


@dataclass(frozen=True)
class GapToTruth:
    """How far runs ended above one that started at the truth and took as many iterations.

    Attributes:
        truth: the run that started at the truth.
        ratios: final objective of each run divided by that of ``truth``. With 1 or less the run found a minimum as
            good as the one beside the truth. Infinite for a run that did not stay finite, or where only the run from
            the truth reached zero.
    """

    truth: Result
    ratios: tuple[float, ...]


def solve_restarts(
    network: FeatureNetwork,
    problem: Problem,
    size: int,
    seeds: Sequence[int],
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
    record_every: int = 10,
    progress: Callable[[int, int], None] | None = None,
) -> Restarts:
    """Solve one problem from several seeds as rows of one batch.

    Args:
        network: a classifier, or a classifier's tail.
        problem: its own seed is not used.
        size: side of the pictures or maps.
        seeds: one run each, all different.
        dtype, device, record_every, progress: as in :func:`solve`.

    Raises:
        InputError: for no seed, a seed named twice, a start that no seed changes, or runs of which none stayed finite.
        InputErrors: one line per fault of the problem.
    """
    if not seeds or len(set(seeds)) < len(seeds):
        raise InputError(f"seeds must be different, one or more, but got {list(seeds)}")
    if problem.initial is not None and len(seeds) > 1 and problem.jitter == 1:
        raise InputError("problem.initial is given, so restarts would start alike; valid: None, or one seed")
    rows = [replace(problem, seed=seed) for seed in seeds]
    results = solve(network, rows, size, dtype=dtype, device=device, record_every=record_every, progress=progress)
    return gather_restarts(network, problem, seeds, results, dtype=dtype, device=device)


def gather_restarts(
    network: FeatureNetwork,
    problem: Problem,
    seeds: Sequence[int],
    results: Sequence[Result],
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> Restarts:
    """Return mean, spread and best of several runs of one problem, however they were batched.

    Args:
        network: that the results were computed with.
        problem: that was solved; its own seed is not used.
        seeds: of the runs.
        results: one per seed.
        dtype, device: as in :func:`solve`, for the losses of the mean picture.

    Raises:
        InputError: none of the runs stayed finite.
    """
    finite = [result for result in results if result.status is not Status.NON_FINITE]
    if not finite:
        raise InputError(f"problem: no restart stayed finite; {Status.NON_FINITE.value}")
    pictures = torch.stack([result.image for result in finite])
    mean = pictures.mean(0)
    return Restarts(
        seeds=tuple(seeds),
        results=tuple(results),
        mean=mean,
        mean_losses=picture_losses(network, problem, mean, dtype=dtype, device=device),
        spread=pictures.var(0, unbiased=len(finite) > 1).mean(0).sqrt(),
        best=min(range(len(results)), key=lambda place: _judged(results[place])),
    )


def gap_to_truth(
    network: FeatureNetwork,
    problem: Problem,
    truth: Tensor,
    results: Sequence[Result],
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> GapToTruth:
    """Compare final objectives with that of the same problem started at the truth.

    For tests and experiments, where the original is known: the result must not be used in a reconstruction.

    Args:
        network: that the results were computed with.
        problem: that was solved. The run from the truth has its schedules and iterations, but no coarse stages, which
            would blur the truth.
        truth: the original picture ``(3, H, H)`` in [0, 1], or map.
        results: runs of ``problem``.
        dtype, device: as in :func:`solve`.

    Raises:
        InputErrors: one line per fault of the problem.
    """
    given = started_at(problem, truth)
    (reference,) = solve(network, [given], truth.shape[-1], dtype=dtype, device=device, record_every=problem.iterations)
    return compare_with_truth(reference, results)


def started_at(problem: Problem, truth: Tensor) -> Problem:
    """Return the problem whose run starts at the truth, to be compared with by :func:`compare_with_truth`.

    It has no coarse stages: they would blur the truth, and the run would end where other starts end.
    """
    return replace(problem, initial=truth, snapshots=(), coarse_to_fine=())


def compare_with_truth(reference: Result, results: Sequence[Result]) -> GapToTruth:
    """Return how far ``results`` ended above ``reference``, the run of :func:`started_at`."""
    floor = _judged(reference)
    return GapToTruth(reference, tuple(_ratio(_judged(result), floor) for result in results))


def picture_losses(
    network: FeatureNetwork,
    problem: Problem,
    picture: Tensor,
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> dict[str, float]:
    """Return a picture's final losses under a problem, named as in :class:`Result`.

    Args:
        network: a classifier, or a classifier's tail.
        problem: checked; its terms count as in its last iteration.
        picture: ``(3, H, W)`` in [0, 1], or a map.
        dtype, device: as in :func:`solve`.
    """
    moved = network.to(device, dtype)
    objective = BatchObjective(moved, [problem], [problem.iterations - 1])
    return objective.losses(picture.to(device, dtype)[None])[0]


def _judged(result: Result) -> float:
    return math.inf if result.status is Status.NON_FINITE else result.losses[OBJECTIVE]


def _ratio(objective: float, floor: float) -> float:
    if floor > 0:
        return objective / floor
    return 1.0 if objective <= floor else math.inf
