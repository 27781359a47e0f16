"""What MLflow was told: where a sweep is tracked, as which runs, and which entries were delivered or failed."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, update

from sweeps.store.models import OutboxEntry, Sweep, Trial, utcnow


def note_run(connection: Connection, run_id: str, sweep_id: int | None, trial_id: int | None) -> None:
    """Note the MLflow run of a trial, or of a sweep where no trial is given."""
    statement = (
        update(Sweep).where(Sweep.id == sweep_id) if trial_id is None else update(Trial).where(Trial.id == trial_id)
    )
    connection.execute(statement.values(mlflow_run_id=run_id))


def note_destination(connection: Connection, sweep_id: int, mlflow_uri: str) -> None:
    """Note where a sweep is tracked."""
    connection.execute(update(Sweep).where(Sweep.id == sweep_id).values(mlflow_uri=mlflow_uri))


def deliver(connection: Connection, ids: Sequence[int]) -> None:
    """Mark entries as delivered; what is delivered already keeps its time."""
    if ids:
        connection.execute(
            update(OutboxEntry)
            .where(OutboxEntry.id == bindparam("entry"), OutboxEntry.delivered_at.is_(None))
            .values(delivered_at=utcnow(), attempts=OutboxEntry.attempts + 1, error=None),
            [{"entry": entry} for entry in ids],
        )


def fail(connection: Connection, ids: Sequence[int], error: str) -> None:
    """Count a failed delivery and keep its reason; the entries stay pending."""
    if ids:
        connection.execute(
            update(OutboxEntry)
            .where(OutboxEntry.id == bindparam("entry"), OutboxEntry.delivered_at.is_(None))
            .values(attempts=OutboxEntry.attempts + 1, error=error),
            [{"entry": entry} for entry in ids],
        )
