"""Trained priors that the store keeps as blobs."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from sweeps.store.models import StoredPrior
from sweeps.store.records import PriorEntry


def get(connection: Connection, key: str) -> bytes | None:
    """Return the blob, None when the store has no such prior."""
    return connection.execute(select(StoredPrior.blob).where(StoredPrior.key == key)).scalar_one_or_none()


def entries(connection: Connection) -> list[PriorEntry]:
    """Return all priors without their blobs, the oldest first."""
    query = select(
        StoredPrior.key,
        StoredPrior.family,
        StoredPrior.description,
        func.length(StoredPrior.blob),
        StoredPrior.created_at,
    ).order_by(StoredPrior.created_at, StoredPrior.key)
    return [PriorEntry(*row) for row in connection.execute(query)]
