"""What MLflow has yet to be told, in order."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, func, or_, select

from sweeps.store.models import OutboxEntry, Sweep, Trial
from sweeps.store.records import OutboxItem


def pending(connection: Connection, limit: int, sweep: str | None, destination: str | None) -> list[OutboxItem]:
    """Return the oldest entries that are not delivered, of one sweep or of all, and for one MLflow or for any.

    A sweep whose destination nobody has said goes to every MLflow, one that is not tracked to none.
    """
    query = (
        select(
            OutboxEntry.id,
            OutboxEntry.kind,
            OutboxEntry.sweep_id,
            Sweep.name,
            OutboxEntry.trial_id,
            Trial.number,
            OutboxEntry.created_at,
            OutboxEntry.attempts,
            OutboxEntry.error,
        )
        .join(Sweep, Sweep.id == OutboxEntry.sweep_id)
        .outerjoin(Trial, Trial.id == OutboxEntry.trial_id)
        .where(*_untold(sweep, destination))
        .order_by(OutboxEntry.id)
        .limit(limit)
    )
    return [OutboxItem(*row) for row in connection.execute(query)]


def count(connection: Connection, sweep: str | None, destination: str | None) -> dict[str, int]:
    """Return how many entries `pending` would return, by sweep, the sweep with the oldest entry first."""
    query = (
        select(Sweep.name, func.count())
        .select_from(OutboxEntry)
        .join(Sweep, Sweep.id == OutboxEntry.sweep_id)
        .where(*_untold(sweep, destination))
        .group_by(Sweep.name)
        .order_by(func.min(OutboxEntry.id))
    )
    return {name: number for name, number in connection.execute(query)}  # noqa: C416


def _untold(sweep: str | None, destination: str | None) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [OutboxEntry.delivered_at.is_(None)]
    if sweep is not None:
        conditions.append(Sweep.name == sweep)
    if destination is not None:
        conditions.append(or_(Sweep.mlflow_uri.is_(None), Sweep.mlflow_uri == destination))
    return conditions
