"""What the coordinator makes of a record: a complete trial, or a failed one with the reason."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from sweeps.execution.coordination.flights import Flight
from sweeps.execution.coordination.picture_policy import PicturePolicy
from sweeps.execution.failures import not_finite
from sweeps.execution.protocol import TrialRecord
from sweeps.store.models import TrialState
from sweeps.store.records import FinishedTrial
from sweeps.store.writing.finishing import validate


def judge(record: TrialRecord, names: Sequence[str]) -> FinishedTrial:
    """Return the trial as it goes into the store.

    Args:
        record: of a pack.
        names: the sweep's metrics; a trial without a finite value for each of them has failed.
    """
    reason = record.failure or _no_result(record.metrics, names)
    if reason is not None:
        finished = FinishedTrial(replace(record, failure=reason, pictures=()), TrialState.FAILED)
    else:
        values = [float(record.metrics[name]) for name in names]
        finished = FinishedTrial(record, TrialState.COMPLETE, values[0] if len(values) == 1 else None, values)
    try:
        validate([finished])
    except (ValueError, TypeError) as error:
        # Without what cannot be stored, so that one trial's record does not keep the others of its pack from counting.
        bare = TrialRecord(
            record.number,
            record.token,
            failure=record.failure or f"its record cannot be stored: {error}",
            device=record.device,
            worker=record.worker,
            pack=record.pack,
        )
        return FinishedTrial(bare, TrialState.FAILED)
    return finished


def with_pictures(item: FinishedTrial, flight: Flight | None, pictures: PicturePolicy) -> FinishedTrial:
    """Return a trial with its pictures where they are to be kept, else without.

    Args:
        item: of one pack's record.
        flight: the trial's, None where its result will be refused.
        pictures: knows the trials that ended before.
    """
    if item.objectives is None or flight is None:
        return item
    keep = pictures.add(item.record.number, item.objectives, flight.baseline)
    return item if keep else replace(item, record=replace(item.record, pictures=()))


def _no_result(metrics: Mapping[str, float], names: Iterable[str]) -> str | None:
    """Return why the metrics are no result, None when each of the named ones is a finite number."""
    for name in names:
        value = metrics.get(name)
        if value is None:
            return f"the metric {name!r} was not computed"
        if not math.isfinite(value):
            return not_finite(name, value)
    return None
