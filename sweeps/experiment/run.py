"""Running an experiment: its cells in order, in several processes, and on from where it was interrupted."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweeps.experiment.cells import Cell, cells
from sweeps.experiment.folder import Folder
from sweeps.experiment.models import ExperimentSpec
from sweeps.store.writer import open_writer

Notice = Callable[[str], None]


class Orphaned(KeyboardInterrupt):
    """The parent process is gone, so this one stops too."""


@dataclass(frozen=True)
class CellReport:
    """How a cell ended: the seconds it took in this run, and the reason if it has no result."""

    cell: Cell
    seconds: float
    failure: str | None


def run(spec: ExperimentSpec, folder: Folder, workers: int, notice: Notice) -> list[CellReport]:
    """Search and evaluate every cell that is not done; a killed run goes on where it was.

    A cell whose trials all fail, or that raises, is reported with the reason and the others go on.

    Args:
        spec: checked.
        folder: where everything goes; begun.
        workers: cells at a time, each in a process of one thread.
        notice: called with a line as each cell ends.
    """
    with open_writer(folder.store_url):
        pass  # so that not several processes make the tables at once
    wanted = cells(spec)
    left = [cell for cell in wanted if not _done(spec, cell, folder)]
    if len(left) < len(wanted):
        notice(f"{len(wanted) - len(left)} of {len(wanted)} cells are done already")
    reports: list[CellReport] = []

    def told(report: CellReport) -> None:
        reports.append(report)
        how = f"failed: {report.failure}" if report.failure else "done"
        done = len(wanted) - len(left) + len(reports)
        notice(f"[{done}/{len(wanted)}] {report.cell.depth} {report.cell.arm}: {how} in {report.seconds:.0f} s")

    if workers == 1:
        for cell in left:
            told(run_cell(spec, cell, folder.root))
        return reports
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # for the processes that are about to start
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        # Handed out one by one, so that no queue is left to work off after an interruption.
        waiting = iter(left)
        flying: set[Future[CellReport]] = set()
        while True:
            for cell in itertools.islice(waiting, workers - len(flying)):
                flying.add(pool.submit(run_cell, spec, cell, folder.root))
            if not flying:
                return reports
            ended, flying = wait(flying, return_when=FIRST_COMPLETED)
            for future in ended:
                told(future.result())


def run_cell(spec: ExperimentSpec, cell: Cell, root: Path) -> CellReport:
    """Search and evaluate one cell in this process."""
    import torch

    from sweeps.experiment.evaluate import evaluate
    from sweeps.experiment.search import search, winner

    torch.set_num_threads(1)
    folder, started = Folder(root), time.perf_counter()

    def report(failure: str | None) -> CellReport:
        return CellReport(cell, time.perf_counter() - started, failure)

    def check(state: Mapping[str, Any] | None = None) -> None:
        parent = multiprocessing.parent_process()
        if parent is not None and not parent.is_alive():
            raise Orphaned

    try:
        search(spec, cell, folder.store_url, check)
        best = winner(spec, cell, folder.store_url)
        if best is None:
            return report("no trial was completed")
        evaluate(spec, cell, best, folder, check)
    except Exception as error:
        return report(f"{type(error).__name__}: {' '.join(str(error).split())}")
    return report(None)


def _done(spec: ExperimentSpec, cell: Cell, folder: Folder) -> bool:
    from sweeps.experiment.evaluate import is_evaluated

    return is_evaluated(spec, cell, folder)
