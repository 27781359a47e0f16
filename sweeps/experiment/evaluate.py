"""The evaluation of a cell: its winner on photographs that were not searched on, from noise and from the truth."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from restoration_core.images import encode_png
from restoration_core.reconstruction import (
    FEATURE_LOSS,
    OBJECTIVE,
    BatchObjective,
    BatchSolver,
    Problem,
    Result,
    Status,
)
from restoration_core.seeds import derive_seed
from sweeps.execution.worker_context import PackContext
from sweeps.experiment.cells import Cell
from sweeps.experiment.folder import MEAN, TRUTH, Folder, append_lines, keep_file, picture_rows, read_lines
from sweeps.experiment.models import ExperimentSpec
from sweeps.experiment.search import Winner
from sweeps.lifecycle.stored_sweep import stored_context, view_sweep
from sweeps.store.writer import open_writer
from sweeps.trial.metrics import Measuring
from sweeps.trial.pictures import load

KEPT = ("psnr", "ssim", "image_mse", "feature_error")
ROWS_AT_A_TIME = 32
Check = Callable[[], None]


@dataclass(frozen=True)
class _Start:
    """A run on one photograph: ``0``, ``1``, ... from noise, or ``truth`` from the photograph itself."""

    picture: str
    start: str


def evaluate(spec: ExperimentSpec, cell: Cell, winner: Winner, folder: Folder, check: Check = lambda: None) -> None:
    """Compute what is missing of a cell's evaluation, a few photographs at a time, and write each when it is done.

    Every photograph is reconstructed from ``spec.starts`` seeds, which are new to the search and the same for all arms.
    Once more the run starts at the photograph itself, without coarse stages, which would blur it. The mean of the
    pictures from random starts is measured too.

    Args:
        spec, cell: what to evaluate.
        winner: of the cell's search.
        folder: where the rows go.
        check: called between photographs; what it raises ends the evaluation.
    """
    path = folder.evaluation(cell)
    chosen = {"trial": winner.number, "parameters": dict(winner.parameters)}
    rows = read_lines(path)
    if rows and {key: rows[0].get(key) for key in chosen} != chosen:
        # If the search went on after the evaluation, its winner is another and the rows written before do not count.
        path.unlink()
        rows = []
    if not rows:
        append_lines(path, [chosen])
    done = {row["picture"] for row in picture_rows(rows)}
    missing = [name for name in spec.test_images if name not in done]
    if not missing:
        return
    evaluation = _Evaluation(spec, cell, winner, folder)
    step = max(1, ROWS_AT_A_TIME // (spec.starts + 1))
    for first in range(0, len(missing), step):
        check()
        append_lines(path, evaluation.rows(missing[first : first + step]))


def is_evaluated(spec: ExperimentSpec, cell: Cell, folder: Folder) -> bool:
    """Return whether every test photograph of a cell is there."""
    return {row["picture"] for row in picture_rows(read_lines(folder.evaluation(cell)))} >= set(spec.test_images)


class _Evaluation:
    def __init__(self, spec: ExperimentSpec, cell: Cell, winner: Winner, folder: Folder) -> None:
        self._spec, self._cell, self._winner, self._folder = spec, cell, winner, folder
        view = view_sweep(folder.store_url, cell.sweep_name(spec.name))
        with open_writer(folder.store_url) as writer:
            self._context = stored_context(folder.store_url, writer, view)

    def rows(self, pictures: Sequence[str]) -> list[dict[str, Any]]:
        """Return the rows of some photographs: one for each start, one for the mean picture."""
        started = time.perf_counter()
        # A new cache of target features: those of the searched photographs are not needed here.
        context = replace(self._context, images=load(pictures, self._spec.image_size), _features={}).on("cpu")
        problems = self._problems(context)
        results = _solve(context, problems)
        means = self._means(results, pictures)
        measured = self._measure(context, results, means)
        losses = {key: result.losses for key, result in results.items()} | self._losses(context, problems, means)
        self._keep_pictures(context.images, results, means)
        seconds = (time.perf_counter() - started) / len(measured)
        return [
            {
                "picture": key.picture,
                "start": key.start,
                "finite": key not in results or results[key].status is not Status.NON_FINITE,
                **{name: metrics[name] for name in KEPT if name in metrics},
                **{name: float(losses[key][name]) for name in (OBJECTIVE, FEATURE_LOSS)},
                "compute_s": seconds,
            }
            for key, metrics in measured.items()
        ]

    def _problems(self, context: PackContext) -> dict[_Start, Problem]:
        found: dict[_Start, Problem] = {}
        for index in range(self._spec.starts):
            # The same seed for all arms, so that a photograph starts from the same noise in each.
            seed = derive_seed(self._spec.seed, "experiment", "test", index)
            for name, problem in context.problems(context.raw_parameters(self._winner.parameters), seed).items():
                found[_Start(name, str(index))] = replace(problem, snapshots=())
        for name, picture in context.images.items():
            noise = found[_Start(name, "0")]
            found[_Start(name, TRUTH)] = replace(noise, initial=picture, coarse_to_fine=())
        return found

    def _means(self, results: Mapping[_Start, Result], pictures: Sequence[str]) -> dict[_Start, Tensor]:
        starts = [str(index) for index in range(self._spec.starts)]
        return {
            _Start(name, MEAN): torch.stack([results[_Start(name, start)].image for start in starts]).mean(0)
            for name in pictures
        }

    def _measure(
        self, context: PackContext, results: Mapping[_Start, Result], means: Mapping[_Start, Tensor]
    ) -> dict[_Start, dict[str, float]]:
        shown = {key: result.image for key, result in results.items()} | dict(means)
        found = Measuring(context).measure([(key.picture, picture) for key, picture in shown.items()])
        return dict(zip(shown, found, strict=True))

    def _losses(
        self, context: PackContext, problems: Mapping[_Start, Problem], means: Mapping[_Start, Tensor]
    ) -> dict[_Start, dict[str, float]]:
        rows = [problems[_Start(key.picture, "0")] for key in means]
        objective = BatchObjective(context.classifier, rows, [row.iterations - 1 for row in rows])
        return dict(zip(means, objective.losses(torch.stack(list(means.values()))), strict=True))

    def _keep_pictures(
        self, originals: Mapping[str, Tensor], results: Mapping[_Start, Result], means: Mapping[_Start, Tensor]
    ) -> None:
        shown = self._spec.test_images[: self._spec.shown]
        for index, name in enumerate(shown):
            if name not in originals:
                continue
            for start in ("0", MEAN, TRUTH):
                key = _Start(name, start)
                picture = means[key] if start == MEAN else results[key].image
                keep_file(self._folder.picture(self._cell, index, start), encode_png(picture.numpy()))
            keep_file(self._folder.original(index), encode_png(originals[name].numpy()))


def _solve(context: PackContext, problems: Mapping[_Start, Problem]) -> dict[_Start, Result]:
    solver: BatchSolver[_Start] = BatchSolver(
        context.classifier, context.spec.image_size, device=context.device, record_every=1_000_000
    )
    for key, problem in problems.items():
        solver.add(key, problem)
    results: dict[_Start, Result] = {}
    while solver.keys:
        results.update(solver.advance())
    return {key: results[key] for key in problems}
