"""One process at a time writes a sweep to MLflow: claims that run out."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Connection, or_, select, update

from sweeps.store.models import Sweep, utcnow


def claim(connection: Connection, sweep_id: int, holder: str, ttl_s: float, instead_of: str | None) -> str | None:
    """Claim the sweep for ``ttl_s`` seconds from now, or extend the claim; return whose it is then.

    Args:
        instead_of: a holder that is known to be dead; its claim ends at once.

    Returns:
        ``holder`` when the claim is its own, the other's name when that one's is live, None when the sweep is gone.
    """
    now = utcnow()
    free = or_(
        Sweep.tracked_by.is_(None),
        Sweep.tracked_until.is_(None),
        Sweep.tracked_until <= now,
        Sweep.tracked_by.in_([holder] if instead_of is None else [holder, instead_of]),
    )
    connection.execute(
        update(Sweep)
        .where(Sweep.id == sweep_id, free)
        .values(tracked_by=holder, tracked_until=now + timedelta(seconds=ttl_s))
    )
    found: str | None = connection.execute(select(Sweep.tracked_by).where(Sweep.id == sweep_id)).scalar()
    return found


def release(connection: Connection, sweep_id: int, holder: str) -> None:
    """End a claim; without effect when it has become somebody else's."""
    connection.execute(
        update(Sweep)
        .where(Sweep.id == sweep_id, Sweep.tracked_by == holder)
        .values(tracked_by=None, tracked_until=None)
    )
