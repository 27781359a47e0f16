"""Finding sweeps by their names."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, func, select

from restoration_core.errors import InputError, unknown
from sweeps.store.models import Sweep, Trial


def find(connection: Connection, name: str) -> Any:
    """Return the sweep's row.

    Raises:
        InputError: no such sweep, with the nearest name.
    """
    row = None
    if _is_text(name):
        row = connection.execute(select(*Sweep.__table__.c).where(Sweep.name == name)).one_or_none()
    if row is None:
        there = names(connection)
        raise InputError(unknown("sweep", name, there) if there else f"unknown sweep {name!r}; the store has none yet")
    return row


def names(connection: Connection) -> list[str]:
    """Return the names of all sweeps, the oldest first."""
    return list(connection.execute(select(Sweep.name).order_by(Sweep.id)).scalars())


def count_trials(connection: Connection, sweep_id: int) -> int:
    """Return how many trials a sweep has, whatever their state."""
    return connection.execute(select(func.count()).select_from(Trial).where(Trial.sweep_id == sweep_id)).scalar_one()


def _is_text(name: str) -> bool:
    """Return whether databases take the name at all: on a command line it may hold bytes that are not UTF-8."""
    try:
        return b"\0" not in name.encode()
    except UnicodeEncodeError:
        return False
