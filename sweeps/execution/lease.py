"""Being the only coordinator of a sweep: take the lease, keep it alive from a thread, give it back."""

from __future__ import annotations

import contextlib
import getpass
import os
import re
import socket
import threading
import time
import uuid
from types import TracebackType

from sweeps.store.leases import LeaseHeld, StaleLease
from sweeps.store.models import utcnow
from sweeps.store.writer import Writer

LEASE_TTL_S = 12.0
_HOLDER = re.compile(r".+@(?P<host>[^ ]+) pid (?P<pid>\d+) ")


def user_name() -> str:
    """Return the name of the user who runs this process, the user's number where it has no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run under a number that nothing names
        return f"uid{os.getuid()}"


def new_holder() -> str:
    """Return a name for this process as a lease holder: ``user@host pid 123 (8 hex)``, unique by the last part."""
    return f"{user_name()}@{socket.gethostname()} pid {os.getpid()} ({uuid.uuid4().hex[:8]})"


def is_dead(holder: str) -> bool:
    """Return whether the holder is known to have died: it ran on this host, and its process is gone."""
    match = _HOLDER.match(holder)
    if match is None or match["host"] != socket.gethostname():
        return False
    try:
        os.kill(int(match["pid"]), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


class Lease:
    """The right to write one sweep, renewed from a thread until it is given back.

    A dead holder on this host is taken over at once; a silent one elsewhere when its lease runs out, which this
    waits for, at most for one lease's time.

    Args:
        writer: of the store.
        sweep_id: the sweep.
        holder: see :func:`new_holder`. The same holder gets the lease back at once, under a new token.
        ttl_s: seconds until the lease of a silent holder ends.

    Raises:
        LeaseHeld: somebody else runs the sweep, and renews.
    """

    def __init__(self, writer: Writer, sweep_id: int, holder: str, ttl_s: float = LEASE_TTL_S) -> None:
        self._writer = writer
        self._sweep_id = sweep_id
        self._ttl_s = ttl_s
        self._over = threading.Event()
        self.lost = False
        self.token = _take(writer, sweep_id, holder, ttl_s)
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)
        self._thread.start()

    def release(self) -> None:
        """Stop renewing and give the lease back; without effect when it changed hands."""
        self._over.set()
        self._thread.join()
        if not self.lost:
            self._writer.release_lease(self._sweep_id, self.token)

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
            except StaleLease:
                self.lost = True
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
                # Under its own name the dead holder's lease is handed over; given back, it is free for us.
                with contextlib.suppress(LeaseHeld):
                    writer.release_lease(sweep_id, writer.acquire_lease(sweep_id, held.holder, ttl_s))
                continue
            left_s = (held.expires_at - utcnow()).total_seconds()
            if time.monotonic() + max(left_s, 0.0) > deadline:
                raise
            time.sleep(min(max(left_s, 0.05), 0.5))
