"""Running one trial again from the store, and comparing what comes out pixel by pixel."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from restoration_core.errors import InputError
from restoration_core.networks import layer_with_other_rows
from sweeps.execution.pack import run_pack
from sweeps.execution.protocol import Assignment
from sweeps.lifecycle.given_trials import GivenTrials
from sweeps.lifecycle.stored_sweep import stored_context, view_sweep
from sweeps.spec.parameter_names import RAW_WEIGHT
from sweeps.store.models import TrialState
from sweeps.store.reader import open_reader
from sweeps.store.writer import open_writer

TOLERANCE = 1e-4
"""Relative difference up to which a metric counts as the same."""


@dataclass(frozen=True)
class ReplayReport:
    """What running a trial again gave.

    Attributes:
        identical: all that is stored came out again: pictures with the same pixels, metrics within 1e-4 of it,
            over all pictures and by picture; a failed trial failed again for the same reason.
        number: of the trial.
        pictures: how many were compared.
        differing: what differs: ``PICTURE after STEP``, ``METRIC``, or ``METRIC of PICTURE``.
        missing: what is stored but did not come out now, named alike.
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
    missing: tuple[str, ...] = ()


def replay(store_url: str, name: str, number: int) -> ReplayReport:
    """Run trial ``number`` of a sweep again; nothing is written.

    On the machine that ran it, on the CPU, the pictures are the same to the last bit, whatever batch the trial was in;
    where a network's rows are rounded differently in other batches, the note says so.

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
    pixels_here = {f"{item.image} after {item.step}": item.picture.sha256 for item in record.pictures}
    pixels = {f"{item.image} after {item.step}": item.sha256 for item in trial.pictures}
    values_here = dict(record.metrics)
    for image, metrics in record.image_metrics.items():
        values_here |= {f"{metric} of {image}": value for metric, value in metrics.items()}
    values = dict(trial.metrics)
    by_picture = trial.image_metrics[["image", "name", "value"]].itertuples(index=False, name=None)
    values |= {f"{metric} of {image}": value for image, metric, value in by_picture}
    missing = [name for name in (*pixels, *values) if name not in pixels_here and name not in values_here]
    differences = {name: _difference(value, values_here[name]) for name, value in values.items() if name in values_here}
    differing = [name for name, sha256 in pixels.items() if pixels_here.get(name, sha256) != sha256]
    differing += [name for name, difference in differences.items() if difference > TOLERANCE]
    if differing and context.device == "cpu" and not note:
        layer = layer_with_other_rows(context.classifier, context.spec.layers, context.spec.image_size)
        if layer is not None:
            note = f"here {layer} rounds a picture differently in batches of other widths: equal within rounding only"
    return ReplayReport(
        identical=not differing and not missing,
        number=number,
        pictures=len(pixels),
        differing=tuple(differing),
        largest_metric_difference=max(differences.values(), default=0.0),
        metrics=dict(record.metrics),
        raw_weights=raw,
        note=note,
        missing=tuple(missing),
    )


def _difference(stored: float | None, found: float) -> float:
    """Return the relative difference of two values of a metric; the store keeps what is not finite as None."""
    was_finite = stored is not None and math.isfinite(stored)
    if stored is None or not was_finite or not math.isfinite(found):
        return 0.0 if was_finite == math.isfinite(found) else math.inf
    return abs(found - stored) / max(abs(stored), 1e-12)
