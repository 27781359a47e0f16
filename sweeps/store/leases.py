"""One coordinator writes a sweep at a time: leases with fencing tokens."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, select, update

from restoration_core.errors import Failure, InputError
from sweeps.store.models import Sweep, utcnow


class LeaseHeld(InputError):
    """Another live coordinator writes this sweep.

    Attributes:
        holder: who. expires_at: until when (UTC), unless renewed.
    """

    def __init__(self, sweep: str, holder: str, expires_at: datetime) -> None:
        self.holder = holder
        self.expires_at = expires_at
        super().__init__(
            f"sweep {sweep!r} is being run by {holder} (lease until {expires_at:%Y-%m-%d %H:%M:%S} UTC); "
            "stop that run, or wait until its lease ends"
        )


class StaleLease(Failure):
    """The sweep changed hands: this coordinator may no longer write it."""

    def __init__(self, sweep_id: int, lease: int, current: int) -> None:
        self.current = current
        super().__init__(f"sweep {sweep_id} was taken over: lease {lease} is stale, the current one is {current}")


def is_held(holder: str | None, expires_at: datetime | None) -> bool:
    """Return whether a sweep's lease is somebody's now: taken, and not run out."""
    return holder is not None and expires_at is not None and expires_at > utcnow()


def acquire(connection: Connection, sweep_id: int, holder: str, ttl_s: float) -> int:
    """Take the lease and return its fencing token, one more than the last (the same holder's former one ends too)."""
    row = connection.execute(
        select(Sweep.name, Sweep.lease_holder, Sweep.lease_expires_at, Sweep.fencing_token)
        .where(Sweep.id == sweep_id)
        .with_for_update()
    ).one_or_none()
    if row is None:
        raise InputError(f"no sweep has the id {sweep_id}; it was deleted or never created")
    if row.lease_holder != holder and is_held(row.lease_holder, row.lease_expires_at):
        raise LeaseHeld(row.name, row.lease_holder, row.lease_expires_at)
    token: int = row.fencing_token + 1
    connection.execute(
        update(Sweep)
        .where(Sweep.id == sweep_id)
        .values(lease_holder=holder, lease_expires_at=utcnow() + timedelta(seconds=ttl_s), fencing_token=token)
    )
    return token


def renew(connection: Connection, sweep_id: int, token: int, ttl_s: float) -> None:
    """Extend the lease to ``ttl_s`` from now.

    Raises:
        StaleLease: the sweep changed hands.
    """
    check(connection, sweep_id, token)
    until = utcnow() + timedelta(seconds=ttl_s)
    connection.execute(update(Sweep).where(Sweep.id == sweep_id).values(lease_expires_at=until))


def release(connection: Connection, sweep_id: int, token: int) -> None:
    """Give the lease back; without effect when the sweep changed hands already."""
    connection.execute(
        update(Sweep)
        .where(Sweep.id == sweep_id, Sweep.fencing_token == token)
        .values(lease_holder=None, lease_expires_at=None)
    )


def check(connection: Connection, sweep_id: int, lease: int) -> None:
    """Hold the sweep's row until the transaction ends, and refuse a lease that is not the current one.

    Raises:
        StaleLease: the sweep changed hands, or is gone.
    """
    current = connection.execute(
        select(Sweep.fencing_token).where(Sweep.id == sweep_id).with_for_update()
    ).scalar_one_or_none()
    if current != lease:
        raise StaleLease(sweep_id, lease, -1 if current is None else current)
