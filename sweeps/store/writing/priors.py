"""Trained priors as blobs in the store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, delete, insert

from sweeps.store.models import StoredPrior


def put(connection: Connection, key: str, family: str, description: Mapping[str, Any], blob: bytes) -> None:
    """Store a prior under its key, in place of one that is there."""
    connection.execute(delete(StoredPrior).where(StoredPrior.key == key))
    connection.execute(
        insert(StoredPrior), [{"key": key, "family": family, "description": dict(description), "blob": blob}]
    )
