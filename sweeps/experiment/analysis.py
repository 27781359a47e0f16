"""What an experiment found, as numbers: scores of every cell, paired differences, and whether the goal is met."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from restoration_core.seeds import derive_seed
from sweeps.experiment.cells import Cell, cells
from sweeps.experiment.folder import MEAN, TRUTH, Folder, picture_rows, read_lines
from sweeps.experiment.models import WITH_MAPS, ExperimentSpec
from sweeps.experiment.search import Winner, winner
from sweeps.lifecycle.bootstrap_interval import bootstrap_interval
from sweeps.search.pareto import best

SCORES = ("psnr", "ssim", "feature_error", "feature_loss", "objective")

GOAL_SSIM, GOAL_PSNR = 0.01, -0.1
"""The goal: how far the best learned arm is to be ahead of the best hand-crafted one, in SSIM and in dB."""
GOAL_SHARE = 2 / 3
SAME_BASIN = 1.05
"""A start has found as good a minimum if its objective is at most this many times that of the run from the truth."""

Values = NDArray[np.float64]


@dataclass(frozen=True)
class CellResult:
    """A cell whose evaluation is complete.

    Attributes:
        cell: which one.
        winner: of its search.
        noise: by score, ``(photographs, starts)``: of runs from random starts.
        truth, mean: by score, ``(photographs,)``: from the truth; of the mean picture of the random starts.
        finite: share of the runs that stayed finite.
        compute_s: seconds of the evaluation.
    """

    cell: Cell
    winner: Winner
    noise: Mapping[str, Values]
    truth: Mapping[str, Values]
    mean: Mapping[str, Values]
    finite: float
    compute_s: float

    def photographs(self, score: str, start: str = "") -> Values:
        """Return ``(photographs,)``: the mean over random starts, or of the start named (``truth``, ``mean``)."""
        return {"": self.noise[score].mean(axis=1), TRUTH: self.truth[score], MEAN: self.mean[score]}[start]

    @property
    def gaps(self) -> Values:
        """Objectives from random starts over that from the truth, ``(photographs, starts)``; infinite over one of 0."""
        floor = self.truth["objective"][:, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(floor > 0, self.noise["objective"] / floor, np.inf)


@dataclass(frozen=True)
class Difference:
    """One arm minus another, paired by photograph: mean, 95 % interval, photographs it is ahead on, photographs."""

    value: float
    low: float
    high: float
    ahead: int
    photographs: int

    @property
    def clear(self) -> bool:
        """Whether the interval does not contain 0."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class DepthVerdict:
    """The goal at one depth: which arms were chosen on the photographs searched on, and how far apart they are.

    Attributes:
        depth: its name.
        learned, hand_crafted: results of the chosen arms.
        ssim, psnr: learned minus hand-crafted, on the test photographs from random starts.
        met: whether the goal is met here.
    """

    depth: str
    learned: CellResult
    hand_crafted: CellResult
    ssim: Difference
    psnr: Difference

    @property
    def met(self) -> bool:
        return self.ssim.value >= GOAL_SSIM and self.psnr.value >= GOAL_PSNR


def load_results(spec: ExperimentSpec, folder: Folder) -> dict[Cell, CellResult]:
    """Return the results of all finished cells, in their order."""
    found = {}
    for cell in cells(spec):
        rows = picture_rows(read_lines(folder.evaluation(cell)))
        best = winner(spec, cell, folder.store_url)
        result = None if best is None else _result(spec, cell, best, rows)
        if result is not None:
            found[cell] = result
    return found


def _result(spec: ExperimentSpec, cell: Cell, best: Winner, rows: Sequence[Mapping[str, Any]]) -> CellResult | None:
    by_start = {(row["picture"], row["start"]): row for row in rows}
    starts = [str(index) for index in range(spec.starts)]
    wanted = [(name, start) for name in spec.test_images for start in (*starts, TRUTH, MEAN)]
    if any(key not in by_start for key in wanted):
        return None

    def column(score: str, start: str) -> Values:
        return np.array([by_start[name, start].get(score, math.nan) for name in spec.test_images], dtype=np.float64)

    return CellResult(
        cell=cell,
        winner=best,
        noise={score: np.stack([column(score, start) for start in starts], axis=1) for score in SCORES},
        truth={score: column(score, TRUTH) for score in SCORES},
        mean={score: column(score, MEAN) for score in SCORES},
        finite=float(np.mean([by_start[key]["finite"] for key in wanted])),
        compute_s=sum(float(row["compute_s"]) for row in rows),
    )


def difference(ours: Values, theirs: Values, *seed: object) -> Difference:
    """Return how far one arm is ahead of another; positive where ``ours`` is higher.

    Args:
        ours, theirs: ``(photographs,)``, in the same order.
        seed: of the resampling.
    """
    apart = ours - theirs
    low, high = bootstrap_interval(apart, derive_seed(*seed))
    return Difference(float(apart.mean()), low, high, int((apart > 0).sum()), len(apart))


def compare(spec: ExperimentSpec, ours: CellResult, theirs: CellResult, score: str, start: str = "") -> Difference:
    """Return how far a cell is ahead of another at the same depth in a score."""
    mine, others = ours.photographs(score, start), theirs.photographs(score, start)
    return difference(mine, others, spec.seed, "bootstrap", ours.cell.depth, ours.cell.arm, theirs.cell.arm, score)


def chosen(spec: ExperimentSpec, results: Sequence[CellResult], learned: bool) -> CellResult | None:
    """Return the best cell of one kind **by its search**, on photographs that are not tested on."""
    from restoration_core.metrics import parse_metric

    entrants = [result for result in results if spec.is_learned(result.cell.arm) == learned]
    values = [(place, (result.winner.value,)) for place, result in enumerate(entrants)]
    found = best(values, [parse_metric(spec.metric)[0].goal])
    return None if found is None else entrants[found.number]


def at_depth(results: Mapping[Cell, CellResult], depth: str) -> list[CellResult]:
    """Return the results at a depth, in the order of the arms."""
    return [result for cell, result in results.items() if cell.depth == depth]


def judge_depth(spec: ExperimentSpec, results: Mapping[Cell, CellResult], depth: str) -> DepthVerdict | None:
    """Return the verdict at a depth, None while it lacks a learned or a hand-crafted arm."""
    here = at_depth(results, depth)
    learned, crafted = chosen(spec, here, learned=True), chosen(spec, here, learned=False)
    if learned is None or crafted is None:
        return None
    ssim, psnr = (compare(spec, learned, crafted, score) for score in ("ssim", "psnr"))
    return DepthVerdict(depth, learned, crafted, ssim, psnr)


def map_differences(spec: ExperimentSpec, results: Mapping[Cell, CellResult], score: str) -> dict[Cell, Difference]:
    """Return for every arm what the feature-map priors add to it: the arm with them minus the arm without."""
    found = {}
    for cell, result in results.items():
        partner = results.get(Cell(cell.depth, f"{cell.arm}{WITH_MAPS}"))
        if partner is not None:
            found[cell] = compare(spec, partner, result, score)
    return found


def depths_needed(spec: ExperimentSpec) -> int:
    """Return at how many depths the goal must be met: two of three."""
    return math.ceil(GOAL_SHARE * len(spec.depths) - 1e-9)
