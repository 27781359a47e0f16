"""Reconstruction problems as data, and the batched optimiser that solves them."""

from restoration_core.reconstruction.batch.objective import BatchObjective
from restoration_core.reconstruction.memory import keep_freed_memory
from restoration_core.reconstruction.problem import (
    CANVAS,
    FEATURE_LOSS,
    LBFGS,
    MEAN_SQUARED_ERROR,
    NORMAL,
    OBJECTIVE,
    SQUARED_NORM,
    UNIFORM,
    UNIT_NORM,
    WINDOW,
    ZERO_PADDED,
    FeatureMatch,
    Problem,
    Result,
    Schedule,
    Status,
    Term,
)
from restoration_core.reconstruction.restarts import (
    GapToTruth,
    Restarts,
    compare_with_truth,
    gap_to_truth,
    gather_restarts,
    picture_losses,
    solve_restarts,
    started_at,
)
from restoration_core.reconstruction.solver import BatchSolver, Current
from restoration_core.reconstruction.solving import solve
from restoration_core.reconstruction.validation import check_problem

__all__ = [
    "CANVAS",
    "FEATURE_LOSS",
    "LBFGS",
    "MEAN_SQUARED_ERROR",
    "NORMAL",
    "OBJECTIVE",
    "SQUARED_NORM",
    "UNIFORM",
    "UNIT_NORM",
    "WINDOW",
    "ZERO_PADDED",
    "BatchObjective",
    "BatchSolver",
    "Current",
    "FeatureMatch",
    "GapToTruth",
    "Problem",
    "Restarts",
    "Result",
    "Schedule",
    "Status",
    "Term",
    "check_problem",
    "compare_with_truth",
    "gap_to_truth",
    "gather_restarts",
    "keep_freed_memory",
    "picture_losses",
    "solve",
    "solve_restarts",
    "started_at",
]
