"""Being the only one who writes a sweep: take its lease, keep it alive from a thread, give it back.

Whoever starts or resumes a sweep holds one lease from its first row to its last status: while packs run, during the
verdict, and when the status is set. All that is written carries the lease's token, and the store refuses every other.
"""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol

from restoration_core.errors import Failure
from sweeps.execution.holder import is_dead
from sweeps.store.errors import StoreFailed, StoreMoved
from sweeps.store.leases import LeaseHeld, StaleLease
from sweeps.store.models import utcnow
from sweeps.store.writer import Writer

LEASE_TTL_S = 12.0


class Held(Protocol):
    """A lease as those see it who write under it."""

    @property
    def token(self) -> int:
        """What the store wants to see with everything that is written."""

    def check(self) -> None:
        """Do nothing while the lease is good, as far as is known here.

        Raises:
            StaleLease, StoreMoved: nothing can be written any more.
        """


@dataclass(frozen=True)
class Token:
    """A lease that another process holds and renews."""

    token: int

    def check(self) -> None:
        """Do nothing: the process that holds the lease looks after it, and the store checks each write."""


class Lease:
    """The right to write one sweep, renewed from a thread until it is given back.

    A dead holder on this host is taken over at once; a silent one elsewhere when its lease runs out, which this
    waits for, at most for one lease's time.

    Args:
        writer: of the store.
        sweep_id: the sweep.
        holder: see :func:`sweeps.execution.holder.new_holder`. The same holder gets the lease back at once, under a
            new token.
        ttl_s: seconds until the lease of a silent holder ends.

    Raises:
        LeaseHeld: somebody else runs the sweep, and renews.
    """

    def __init__(self, writer: Writer, sweep_id: int, holder: str, ttl_s: float = LEASE_TTL_S) -> None:
        self._writer = writer
        self._sweep_id = sweep_id
        self._ttl_s = ttl_s
        self._over = threading.Event()
        self._ended_by: Failure | None = None
        self.token = _take(writer, sweep_id, holder, ttl_s)
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)
        self._thread.start()

    @property
    def lost(self) -> bool:
        """Whether the lease can no longer be renewed."""
        return self._ended_by is not None

    def check(self) -> None:
        """Do nothing while the lease is renewed.

        Raises:
            StaleLease: the sweep changed hands.
            StoreMoved: the store was deleted, moved or replaced.
        """
        if self._ended_by is not None:
            raise self._ended_by

    def release(self) -> None:
        """Stop renewing and give the lease back; without effect when it changed hands or was given up.

        In a store that cannot be written it ends by itself.
        """
        if self._over.is_set():
            return
        self._over.set()
        self._thread.join()
        if not self.lost:
            with contextlib.suppress(StoreFailed):
                self._writer.release_lease(self._sweep_id, self.token)

    def give_up(self) -> None:
        """Stop renewing and leave the lease to run out: the store cannot be written, and trying takes long."""
        self._over.set()

    def __enter__(self) -> Lease:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _keep(self) -> None:
        while not self._over.wait(self._ttl_s / 4):
            try:
                self._writer.renew_lease(self._sweep_id, self.token, self._ttl_s)
            except (StaleLease, StoreMoved) as error:
                self._ended_by = error
                return
            except Exception:  # a store that cannot be reached now is tried again; every write checks the lease itself
                continue


def _take(writer: Writer, sweep_id: int, holder: str, ttl_s: float) -> int:
    deadline = time.monotonic() + ttl_s + 1.0
    while True:
        try:
            return writer.acquire_lease(sweep_id, holder, ttl_s)
        except LeaseHeld as held:
            if is_dead(held.holder):
                # Taken in the dead holder's name and given back, the lease is free for whoever asks next.
                with contextlib.suppress(LeaseHeld):
                    writer.release_lease(sweep_id, writer.acquire_lease(sweep_id, held.holder, ttl_s))
                continue
            left_s = (held.expires_at - utcnow()).total_seconds()
            if time.monotonic() + max(left_s, 0.0) > deadline:
                raise
            time.sleep(min(max(left_s, 0.05), 0.5))
