"""Solving a list of problems from start to end."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from restoration_core.errors import InputErrors
from restoration_core.networks import FeatureNetwork
from restoration_core.reconstruction.lbfgs import minimise
from restoration_core.reconstruction.problem import LBFGS, Problem, Result
from restoration_core.reconstruction.solver import BatchSolver
from restoration_core.reconstruction.validation import check_problem


def solve(
    network: FeatureNetwork,
    problems: Sequence[Problem],
    size: int,
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
    record_every: int = 10,
    progress: Callable[[int, int], None] | None = None,
) -> list[Result]:
    """Solve problems as one batch, and those for L-BFGS afterwards, one by one.

    Args:
        network: a classifier, or a classifier's tail.
        problems: rows; they may differ in everything but network and picture size.
        size: side of the pictures in pixels, or of the maps that a tail starts from.
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
            check_problem(problem, network, size)
        except InputErrors as error:
            faults += [f"problem {number}: {line}" if len(problems) > 1 else line for line in error.lines]
    if faults:
        raise InputErrors(faults)
    total = sum(problem.iterations for problem in problems)
    results: dict[int, Result] = {}

    def tell(running: int) -> None:
        if progress is not None:
            progress(sum(problems[number].iterations for number in results) + running, total)

    solver: BatchSolver[int] = BatchSolver(network, size, dtype=dtype, device=device, record_every=record_every)
    for number, problem in enumerate(problems):
        if problem.optimizer != LBFGS:
            solver.add(number, problem)
    while solver.keys:
        results.update(solver.advance(record_every))
        tell(sum(solver.iteration(key) for key in solver.keys))
    moved = network.to(device, dtype)
    for number, problem in enumerate(problems):
        if problem.optimizer == LBFGS:
            results[number] = minimise(moved, problem, size, record_every, tell)
            tell(0)
    return [results[number] for number in range(len(problems))]
