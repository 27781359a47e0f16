"""The right to write one sweep to MLflow: of several trackers and `sync` one has it, and a dead one's ends."""

from __future__ import annotations

import contextlib
import time
from types import TracebackType

from sweeps.execution.holder import is_dead
from sweeps.store.writer import Writer

# Longer than any single run takes to write, its requests' time limits included.
_TTL_S = 180.0
_RENEW_S = 15.0
_POLL_S = 0.05


class ClaimHeld(RuntimeError):
    """Another process is writing this sweep to MLflow."""


class SweepClaim:
    """A claim on one sweep, taken on entering the ``with`` block and given back on leaving it.

    Args:
        writer: of the store.
        sweep_id: the sweep.
        holder: this process, see :func:`sweeps.execution.holder.new_holder`.
        wait_s: how long to wait for another process that has the claim now.
        renew_s: how old the claim may be before `renew` writes it again.

    Raises:
        ClaimHeld: another process has it, or the sweep is gone.
    """

    def __init__(
        self, writer: Writer, sweep_id: int, holder: str, wait_s: float = 0.0, renew_s: float = _RENEW_S
    ) -> None:
        self._writer = writer
        self._sweep_id = sweep_id
        self._holder = holder
        self._wait_s = wait_s
        self._renew_s = renew_s
        self._renewed_at = 0.0

    def __enter__(self) -> SweepClaim:
        deadline = time.monotonic() + self._wait_s
        while not self._take():
            if time.monotonic() >= deadline:
                raise ClaimHeld("another process is writing this sweep to MLflow; it goes on by itself")
            time.sleep(_POLL_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A store that cannot be written now lets the claim run out.
        with contextlib.suppress(Exception):
            self._writer.release_tracking(self._sweep_id, self._holder)

    def renew(self) -> None:
        """Stay the only one: call it before each run that is written.

        Raises:
            ClaimHeld: this process was stopped for so long that another has taken over.
        """
        if time.monotonic() - self._renewed_at > self._renew_s and not self._take():
            raise ClaimHeld("another process has taken over writing this sweep to MLflow")

    def _take(self) -> bool:
        found = self._writer.claim_tracking(self._sweep_id, self._holder, _TTL_S)
        if found is not None and found != self._holder and is_dead(found):
            found = self._writer.claim_tracking(self._sweep_id, self._holder, _TTL_S, instead_of=found)
        self._renewed_at = time.monotonic()
        return found == self._holder
