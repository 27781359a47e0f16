"""From a sweep's first row to its last status: one lease, one tracker, and a status however it ends."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from restoration_core.errors import Failure, InputError
from restoration_core.informing import guarded
from restoration_core.interruption import check_interruption, undisturbed
from sweeps.execution.failures import describe, is_of_the_machine
from sweeps.execution.holder import new_holder
from sweeps.execution.lease import Lease
from sweeps.execution.runners.base import Progress
from sweeps.execution.worker_context import PackContext
from sweeps.lifecycle.verdict import judge
from sweeps.store.models import NOT_TRACKED, SweepStatus
from sweeps.store.writer import Writer
from sweeps.tracking import note_destination, start_tracker

TRACKER_TIMEOUT_S = 30.0
_HASTE_S = 5.0  # after an error: somebody waits for the prompt

Tracked = Callable[[int | None, str | None], None]
"""Called with what `sync` has yet to tell MLflow, None when unknown, and why."""


class Hold:
    """A sweep that this process may write, by a lease; :func:`hold` takes it."""

    def __init__(self, writer: Writer, sweep_id: int, lease: Lease) -> None:
        self.lease = lease
        self._writer, self._sweep_id = writer, sweep_id
        self._has_ended = False

    def end(self, status: SweepStatus, verdict: dict[str, Any] | None, startup_s: float | None) -> None:
        """Set the last status, whole: Ctrl-C comes before or after it.

        Raises:
            StaleLease: the sweep changed hands; nothing was written.
        """
        with undisturbed():
            self._writer.set_sweep_status(self._sweep_id, self.lease.token, status, verdict, startup_s)
            self._has_ended = True

    def watched(self, progress: Progress) -> Progress:
        """Return a function that shows progress, and ends the work whose progress it is when there is a reason to.

        That is a signal that got lost, or a lease that did. What ``progress`` itself raises is no reason.
        """
        shown = guarded(progress)

        def show(state: Mapping[str, Any]) -> None:
            check_interruption()
            self.lease.check()
            shown(state)

        return show

    @contextlib.contextmanager
    def until_closed(self) -> Iterator[None]:
        """Give the lease back at the end of the block, and where it ends with an error set the status before.

        That is FAILED where the fault is ours, else INTERRUPTED: what a disk or a person stopped can go on. Who
        has taken the sweep over sets its status: the token of a lease that was lost changes nothing.
        """
        try:
            yield
        except BaseException as error:
            failed = isinstance(error, Exception) and not isinstance(error, Failure | InputError)
            if not self._has_ended:
                self._has_ended = True  # or cannot: there is one try, however many levels the error passes
                try:
                    self.end(SweepStatus.FAILED if failed else SweepStatus.INTERRUPTED, None, None)
                except Exception:  # the error that ended the run is the one to hear of
                    self.lease.give_up()
            raise
        finally:
            self.lease.release()


@contextlib.contextmanager
def hold(writer: Writer, sweep_id: int) -> Iterator[Hold]:
    """Take the sweep's lease, keep it for the block, and give it back.

    Raises:
        LeaseHeld: another process runs the sweep.
    """
    with Lease(writer, sweep_id, new_holder()) as lease:
        yield Hold(writer, sweep_id, lease)


def conclude(
    store_url: str,
    sweep: str,
    context: PackContext | None,
    held: Hold,
    status: SweepStatus,
    progress: Progress,
    startup_s: float | None = None,
) -> dict[str, Any] | None:
    """Judge the winner of a complete sweep, where a context is given, set the last status, and return the verdict.

    Raises:
        Failure: the machine had no memory or the like for the verdict; the sweep is not ended.
    """
    judged: dict[str, Any] | None = None
    if context is not None and status == SweepStatus.COMPLETE:
        try:
            judged = judge(store_url, sweep, context, progress)
        except Exception as error:
            if is_of_the_machine(error):
                raise Failure(f"all trials have ended, but the verdict failed ({describe(error)})") from error
            raise
    held.end(status, judged, startup_s)
    return judged


@dataclass
class TrackingEnd:
    """What MLflow has not been told: entries, None when unknown or not tracked, and why."""

    pending: int | None = None
    error: str | None = None


@contextlib.contextmanager
def tracking(store_url: str, mlflow_uri: str | None, sweep: str, behind: Tracked) -> Iterator[TrackingEnd]:
    """Tell MLflow what the outbox holds of a sweep, during the block and at its end.

    Args:
        store_url, mlflow_uri: from where to where; None for nowhere.
        sweep: whose lease the caller holds: it belongs to this MLflow from now on.
        behind: called when the block ends with an error and something is left to tell; else the yielded object says.
    """
    ended = TrackingEnd()
    if mlflow_uri is None:
        note_destination(store_url, sweep, NOT_TRACKED)
        yield ended
        return
    tracker = start_tracker(store_url, mlflow_uri, sweep)

    def stop(timeout_s: float) -> None:
        ended.error = "it was interrupted"
        report = tracker.stop(timeout_s)
        ended.pending, ended.error = report.pending, report.error

    try:
        yield ended
    except BaseException:
        try:
            stop(_HASTE_S)
        finally:
            if ended.pending or ended.error:
                guarded(behind)(ended.pending, ended.error)
        raise
    stop(TRACKER_TIMEOUT_S)
