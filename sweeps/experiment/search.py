"""The search of a cell: its sweep is started or resumed, and its best trial is found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from restoration_core.errors import InputError
from sweeps.experiment.cells import Cell, sweep_of
from sweeps.experiment.models import ExperimentSpec
from sweeps.search.pareto import ranked
from sweeps.store.models import TrialState
from sweeps.store.reader import open_reader

Progress = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class Winner:
    """The best trial of a cell, the middle of the ranges included.

    Attributes:
        number: of the trial.
        value: of the metric, mean over the photographs searched on.
        parameters: as the sweep searched them, flat.
        trials: how many were completed.
        compute_s: seconds that all of them took.
    """

    number: int
    value: float
    parameters: Mapping[str, Any]
    trials: int
    compute_s: float


def search(spec: ExperimentSpec, cell: Cell, store_url: str, progress: Progress) -> None:
    """Run a cell's sweep to its end, or what is missing of it.

    Raises:
        InputError: the store has a sweep of this name that cannot be gone on with.
    """
    from sweeps.lifecycle.launch import start
    from sweeps.lifecycle.resume import resume

    if is_begun(spec, cell, store_url):
        name = cell.sweep_name(spec.name)
        resume(store_url, name, runner="inprocess", mlflow_uri=None, verdict=False, progress=progress)
        return
    sweep = sweep_of(spec, cell)
    start(sweep, runner="inprocess", store_url=store_url, mlflow_uri=None, verdict=False, progress=progress)


def is_begun(spec: ExperimentSpec, cell: Cell, store_url: str) -> bool:
    """Return whether the cell's sweep is in the store."""
    reader = open_reader(store_url)
    try:
        return cell.sweep_name(spec.name) in set(reader.sweeps()["name"])
    finally:
        reader.close()


def winner(spec: ExperimentSpec, cell: Cell, store_url: str) -> Winner | None:
    """Return the best completed trial of a cell by its metric on the photographs searched on, None without one."""
    reader = open_reader(store_url)
    try:
        view = reader.sweep(cell.sweep_name(spec.name))
        rows = reader.trial_rows(view.name, [TrialState.COMPLETE])
    except InputError:
        return None
    finally:
        reader.close()
    found = ranked([(row["number"], (row["objectives"] or ())[:1]) for row in rows], view.metric_goals[:1])
    if not found:
        return None
    return Winner(
        number=found[0].number,
        value=found[0].values[0],
        parameters=next(row["parameters"] for row in rows if row["number"] == found[0].number),
        trials=len(found),
        compute_s=sum(float(row["compute_s"] or 0.0) for row in rows),
    )
