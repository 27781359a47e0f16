"""Trained priors as blobs in the store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select

from sweeps.store.models import StoredPrior
from sweeps.store.records import PriorEntry


def put(connection: Connection, key: str, family: str, description: Mapping[str, Any], blob: bytes) -> None:
    """Store a prior under its key, in place of one that is there."""
    connection.execute(delete(StoredPrior).where(StoredPrior.key == key))
    connection.execute(
        insert(StoredPrior), [{"key": key, "family": family, "description": dict(description), "blob": blob}]
    )


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
