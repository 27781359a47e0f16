"""Statements about trials before they finish: inserting, handing out again, reopening."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from sweeps.execution.protocol import Assignment
from sweeps.store.models import Curve, ImageMetric, OutboxEntry, Trial, TrialPicture, TrialState, utcnow
from sweeps.store.records import NewTrial

_OF_AN_END = (
    "objective",
    "objectives",
    "metrics",
    "started_at",
    "finished_at",
    "finish_order",
    "queue_s",
    "compute_s",
    "iterations",
    "device",
    "worker",
    "pack",
    "failure",
)


def add(connection: Connection, sweep_id: int, trials: Sequence[NewTrial]) -> None:
    """Insert trials as RUNNING.

    Raises:
        ValueError: a number is taken.
    """
    rows = [
        {
            "sweep_id": sweep_id,
            "number": trial.number,
            "state": TrialState.RUNNING.value,
            "token": trial.token,
            "baseline": trial.baseline,
            "parameters": dict(trial.parameters),
            "raw_parameters": {},
            "distributions": dict(trial.distributions),
            "sampler_attributes": dict(trial.sampler_attributes),
            "seed": trial.seed,
        }
        for trial in trials
    ]
    try:
        if rows:
            connection.execute(insert(Trial), rows)
    except IntegrityError as error:
        numbers = ", ".join(str(trial.number) for trial in trials)
        raise ValueError(f"sweep {sweep_id}: one of the trial numbers {numbers} is taken ({error.orig})") from error


def restart(connection: Connection, sweep_id: int, numbers: Sequence[int]) -> list[Assignment]:
    """Give running trials a new attempt and token; numbers that are not running are left out."""
    query = (
        select(Trial.id, Trial.number, Trial.token, Trial.attempt, Trial.parameters, Trial.seed, Trial.baseline)
        .where(Trial.sweep_id == sweep_id, Trial.number.in_(numbers), Trial.state == TrialState.RUNNING.value)
        .order_by(Trial.number)
    )
    rows = connection.execute(query).all()
    if rows:
        connection.execute(
            update(Trial)
            .where(Trial.id == bindparam("trial_id"))
            .values(attempt=Trial.attempt + 1, token=Trial.token + 1, asked_at=utcnow()),
            [{"trial_id": row.id} for row in rows],
        )
    return [
        Assignment(row.number, row.token + 1, row.parameters, row.seed, row.baseline, row.attempt + 1) for row in rows
    ]


def reopen(connection: Connection, sweep_id: int) -> list[int]:
    """Make failed trials running ones, as if their last attempt had not ended; return their numbers."""
    rows = connection.execute(
        select(Trial.id, Trial.number)
        .where(Trial.sweep_id == sweep_id, Trial.state == TrialState.FAILED.value)
        .order_by(Trial.number)
    ).all()
    ids = select(Trial.id).where(Trial.sweep_id == sweep_id, Trial.state == TrialState.FAILED.value)
    of_trials: tuple[Any, ...] = (Curve, ImageMetric, TrialPicture)
    for model in of_trials:
        connection.execute(delete(model).where(model.trial_id.in_(ids)))
    # What MLflow was not told of the failure yet is told of the next end instead.
    connection.execute(delete(OutboxEntry).where(OutboxEntry.trial_id.in_(ids), OutboxEntry.delivered_at.is_(None)))
    connection.execute(
        update(Trial)
        .where(Trial.sweep_id == sweep_id, Trial.state == TrialState.FAILED.value)
        .values(state=TrialState.RUNNING.value, raw_parameters={}, **dict.fromkeys(_OF_AN_END))
    )
    return [row.number for row in rows]
