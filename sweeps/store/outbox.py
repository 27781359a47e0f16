"""The outbox: what MLflow has yet to be told, in order."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, select, update

from sweeps.store.models import OutboxEntry, Sweep, Trial, utcnow
from sweeps.store.records import OutboxItem


def pending(connection: Connection, limit: int, sweep: str | None) -> list[OutboxItem]:
    """Return the oldest entries that are not delivered, of one sweep or of all."""
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
        .where(OutboxEntry.delivered_at.is_(None))
        .order_by(OutboxEntry.id)
        .limit(limit)
    )
    if sweep is not None:
        query = query.where(Sweep.name == sweep)
    return [OutboxItem(*row) for row in connection.execute(query)]


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
