"""The transaction that makes results count: rows, metrics, curves, pictures and outbox entries of one pack."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from sweeps.execution.protocol import Acknowledgement, EncodedPicture, TrialRecord
from sweeps.store.models import (
    Curve,
    ImageMetric,
    OutboxEntry,
    OutboxKind,
    Picture,
    Trial,
    TrialPicture,
    TrialState,
    utcnow,
)
from sweeps.store.records import FinishedTrial
from sweeps.store.strict_json import require_json


def validate(trials: Sequence[FinishedTrial]) -> None:
    """Refuse what must never reach the database, before anything is written.

    Raises:
        ValueError: a non-finite objective, a complete trial without one, a trial still running, a curve with
            more steps than values or fewer, or attributes that are not strict JSON.
    """
    for trial in trials:
        where = f"trial {trial.record.number}"
        if trial.state == TrialState.RUNNING:
            raise ValueError(f"{where}: a finished trial cannot be running")
        values = [*([] if trial.objective is None else [trial.objective]), *(trial.objectives or ())]
        if not all(math.isfinite(value) for value in values):
            raise ValueError(f"{where}: the objective must be finite, but got {values}; store it as FAILED")
        if trial.state == TrialState.COMPLETE and not values:
            raise ValueError(f"{where}: a complete trial must have an objective")
        for curve in trial.record.curves:
            if len(curve.steps) != len(curve.values):
                raise ValueError(
                    f"{where}: curve {curve.name!r} must have a value for each step, "
                    f"but got {len(curve.steps)} steps and {len(curve.values)} values"
                )
        require_json(
            where,
            sampler_attributes=dict(trial.sampler_attributes),
            raw_parameters=dict(trial.record.raw_parameters),
        )


def finish(connection: Connection, sweep_id: int, trials: Sequence[FinishedTrial]) -> list[Acknowledgement]:
    """Write what is accepted; one acknowledgement a trial, in order."""
    numbers = {trial.record.number for trial in trials}
    known = {
        row.number: row
        for row in connection.execute(
            select(Trial.id, Trial.number, Trial.state, Trial.token, Trial.asked_at, Trial.sampler_attributes).where(
                Trial.sweep_id == sweep_id, Trial.number.in_(numbers)
            )
        )
    }
    written: set[int] = set()
    accepted: list[tuple[Any, FinishedTrial]] = []
    answers: list[Acknowledgement] = []
    for trial in trials:
        number, token = trial.record.number, trial.record.token
        row = known.get(number)
        if row is None:
            answers.append(Acknowledgement(number, False, "unknown trial"))
        elif row.token != token:
            answers.append(Acknowledgement(number, False, f"stale token {token}, the current one is {row.token}"))
        elif row.state != TrialState.RUNNING or number in written:
            # The same attempt again: its acknowledgement was lost on the way, the first record stands.
            answers.append(Acknowledgement(number, True, "already committed"))
        else:
            written.add(number)
            accepted.append((row, trial))
            answers.append(Acknowledgement(number, True))
    if accepted:
        _write(connection, sweep_id, accepted)
    return answers


def insert_pictures(connection: Connection, pictures: Iterable[EncodedPicture]) -> None:
    """Store the pictures that are not there yet; the same pixels are stored once."""
    rows = {
        picture.sha256: {
            "sha256": picture.sha256,
            "png": picture.png,
            "thumbnail": picture.thumbnail,
            "width": picture.width,
            "height": picture.height,
        }
        for picture in pictures
    }
    if rows:
        dialect: Any = postgresql if connection.dialect.name == "postgresql" else sqlite
        # In the order of the keys, so that two writers on one server cannot wait for each other in a ring.
        ordered = [rows[key] for key in sorted(rows)]
        connection.execute(dialect.insert(Picture.__table__).on_conflict_do_nothing(), ordered)


def finite(value: float | None) -> float | None:
    """Return the value, None for what is not finite: SQL has no portable NaN, JSON has none at all."""
    return None if value is None or not math.isfinite(value) else float(value)


def _write(connection: Connection, sweep_id: int, accepted: Sequence[tuple[Any, FinishedTrial]]) -> None:
    last = connection.execute(select(func.max(Trial.finish_order)).where(Trial.sweep_id == sweep_id)).scalar() or 0
    now = utcnow()
    updates: list[dict[str, Any]] = []
    image_metrics: list[dict[str, Any]] = []
    curves: list[dict[str, Any]] = []
    pictures: list[dict[str, Any]] = []
    for order, (row, trial) in enumerate(accepted, start=last + 1):
        record = trial.record
        updates.append(
            {
                **_row(record),
                "trial_id": row.id,
                "state": trial.state.value,
                "objective": None if trial.objective is None else float(trial.objective),
                "objectives": None if trial.objectives is None else [float(value) for value in trial.objectives],
                "sampler_attributes": {**row.sampler_attributes, **trial.sampler_attributes},
                "started_at": min(row.asked_at + timedelta(seconds=max(record.queue_s, 0.0)), now),
                "finished_at": now,
                "finish_order": order,
            }
        )
        image_metrics += _image_metrics(row.id, record.image_metrics)
        curves += _curves(row.id, record)
        pictures += _pictures(row.id, record)
    insert_pictures(connection, (item.picture for _, trial in accepted for item in trial.record.pictures))
    table = Trial.__table__
    names = [name for name in updates[0] if name != "trial_id"]
    connection.execute(
        update(Trial).where(table.c.id == bindparam("trial_id")).values({name: bindparam(name) for name in names}),
        updates,
    )
    outbox = [{"sweep_id": sweep_id, "trial_id": row.id, "kind": OutboxKind.TRIAL.value} for row, _ in accepted]
    for model, rows in (
        (ImageMetric, image_metrics),
        (Curve, curves),
        (TrialPicture, pictures),
        (OutboxEntry, outbox),
    ):
        if rows:
            connection.execute(insert(model), rows)


def _row(record: TrialRecord) -> dict[str, Any]:
    return {
        "metrics": {name: finite(value) for name, value in record.metrics.items()},
        "raw_parameters": dict(record.raw_parameters),
        "failure": record.failure,
        "queue_s": finite(record.queue_s),
        "compute_s": finite(record.compute_s),
        "iterations": record.iterations,
        "device": record.device,
        "worker": record.worker,
        "pack": record.pack,
    }


def _image_metrics(trial_id: int, metrics: Mapping[str, Mapping[str, float]]) -> list[dict[str, Any]]:
    return [
        {"trial_id": trial_id, "image": image, "name": name, "value": finite(value)}
        for image, values in metrics.items()
        for name, value in values.items()
    ]


def _curves(trial_id: int, record: TrialRecord) -> list[dict[str, Any]]:
    return [
        {
            "trial_id": trial_id,
            "image": curve.image,
            "name": curve.name,
            "steps": [int(step) for step in curve.steps],
            "values": [finite(value) for value in curve.values],
        }
        for curve in record.curves
    ]


def _pictures(trial_id: int, record: TrialRecord) -> list[dict[str, Any]]:
    rows: dict[tuple[str, int], dict[str, Any]] = {}
    # The final picture last: where its step was kept as well, both are one row.
    for item in sorted(record.pictures, key=lambda item: item.final):
        rows[item.image, item.step] = {
            "trial_id": trial_id,
            "image": item.image,
            "step": item.step,
            "final": item.final,
            "sha256": item.picture.sha256,
        }
    return list(rows.values())
