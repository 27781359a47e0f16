"""Running one trial again from the store, and comparing what comes out pixel by pixel."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from restoration_core.errors import InputError
from sweeps.execution.pack import run_pack
from sweeps.execution.protocol import Assignment
from sweeps.lifecycle.given_trials import GivenTrials
from sweeps.lifecycle.stored_sweep import stored_context, view_sweep
from sweeps.spec.parameter_names import RAW_WEIGHT
from sweeps.store.models import TrialState
from sweeps.store.reader import open_reader
from sweeps.store.writer import open_writer

TOLERANCE = 1e-4
"""Relative difference of a metric up to which trials without stored pictures count as the same."""


@dataclass(frozen=True)
class ReplayReport:
    """What running a trial again gave.

    Attributes:
        identical: all stored pictures came out with the same pixels; without stored pictures, all metrics agree within
            1e-4 of their value; a failed trial failed again for the same reason.
        number: of the trial.
        pictures: how many were compared.
        differing: the ones that differ, as ``picture after STEP``.
        largest_metric_difference: relative, over all metrics of the trial.
        metrics: of this run.
        raw_weights: of this run's priors, in a sweep in calibrated units.
        note: what a reader should know.
    """

    identical: bool
    number: int
    pictures: int
    differing: tuple[str, ...]
    largest_metric_difference: float
    metrics: Mapping[str, float]
    raw_weights: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""


def replay(store_url: str, name: str, number: int) -> ReplayReport:
    """Run trial ``number`` of a sweep again; nothing is written.

    On the machine that ran it, on the CPU, the pictures are the same to the last bit, whatever batch the trial was in.

    Raises:
        InputError: no such sweep or trial, a trial that is running, or other weights here.
    """
    view = view_sweep(store_url, name)
    reader = open_reader(store_url)
    try:
        trial = reader.trial(name, number)
    finally:
        reader.close()
    if trial.state == TrialState.RUNNING:
        raise InputError(f"trial {number} of {name!r} is {trial.state}; valid: a finished trial")
    with open_writer(store_url) as writer:
        context = stored_context(store_url, writer, view)
    if not torch.cuda.is_available() and trial.device is not None and trial.device.startswith("cuda"):
        note = f"it ran on {trial.device}, now on the CPU: pixels differ"
    else:
        note = "" if trial.pictures else "its pictures were not kept (save.images), so metrics alone were compared"
    threads = torch.get_num_threads()
    try:
        device = "cuda" if trial.device is not None and trial.device.startswith("cuda") else "cpu"
        context = context.on(device if torch.cuda.is_available() else "cpu")
        single = GivenTrials([Assignment(number, 0, trial.parameters, trial.seed, trial.baseline)])
        run_pack(single, context, width=1, quota=1, pack="replay")
    finally:
        torch.set_num_threads(threads)
    (record,) = single.records
    raw = {name: value for name, value in record.raw_parameters.items() if name.endswith(f".{RAW_WEIGHT}")}
    if trial.failure is not None or record.failure is not None:
        before, now = (said or "complete" for said in (trial.failure, record.failure))
        note = f"failed again: {now}" if now == before else f"was: {before}; is now: {now}"
        return ReplayReport(now == before, number, 0, (), 0.0, dict(record.metrics), raw, note)
    here = {(item.image, item.step): item.picture.sha256 for item in record.pictures}
    differing = tuple(
        f"{item.image} after {item.step}" for item in trial.pictures if here.get((item.image, item.step)) != item.sha256
    )
    largest = _largest_difference(trial.metrics, record.metrics)
    identical = not differing if trial.pictures else largest <= TOLERANCE
    return ReplayReport(identical, number, len(trial.pictures), differing, largest, dict(record.metrics), raw, note)


def _largest_difference(stored: Mapping[str, float | None], found: Mapping[str, float]) -> float:
    return max(
        (
            abs(found[name] - value) / max(abs(value), 1e-12)
            for name, value in stored.items()
            if value is not None and name in found and math.isfinite(found[name])
        ),
        default=0.0,
    )
