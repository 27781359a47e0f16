"""What every runner is: it takes a prepared sweep to its end, by packs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

from restoration_core.errors import InputError, unknown
from sweeps.execution.lease import Held
from sweeps.execution.pack import PackSummary
from sweeps.execution.worker_context import PackContext
from sweeps.spec.models import SweepSpec

Progress = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class Job:
    """A sweep that is in the store and ready to run.

    Attributes:
        store_url: address of the store.
        sweep: name of the sweep.
        lease: the sweep's, which the caller holds and renews.
        context: what packs need; on the CPU.
        started_at: seconds since the epoch when the user started the sweep.
    """

    store_url: str
    sweep: str
    lease: Held
    context: PackContext
    started_at: float = 0.0


@dataclass(frozen=True)
class RunReport:
    """How a run went.

    Attributes:
        progress: the coordinator's last word.
        packs: what each pack did; without those that were lost.
        lost_packs: how many packs died, whose trials went to others.
    """

    progress: Mapping[str, Any]
    packs: tuple[PackSummary, ...]
    lost_packs: int = 0

    @property
    def first_row_at(self) -> float | None:
        """Seconds since the epoch when the first reconstruction began."""
        return min((pack.started_at for pack in self.packs), default=None)

    @property
    def notices(self) -> tuple[str, ...]:
        """What a user should hear of how it went, each thing once however many packs tell it."""
        told: dict[str, str] = {}
        for notice in (notice for pack in self.packs for notice in pack.notices):
            told.setdefault(notice.partition(":")[0], notice)  # numbers behind the colon may differ
        return tuple(told.values())

    @property
    def rows_occupied(self) -> float | None:
        """Share of the rows' time that was spent solving while trials remained to be handed out."""
        capacity = sum(pack.capacity_row_s for pack in self.packs)
        return sum(pack.occupied_row_s for pack in self.packs) / capacity if capacity else None


class Session(Protocol):
    """The processes that packs run in, from before a sweep's row is written until after its last trial."""

    def ready(self) -> None:
        """Wait until packs can be run.

        Raises:
            InputError: what packs were to run on cannot be reached, or lacks the GPUs that the spec asks for.
            Failure: it could not be started.
        """

    def run(self, job: Job, progress: Progress) -> RunReport:
        """Run the job until nothing is left to hand out and nothing is in flight.

        Every trial is handed in once; on return none is running. A KeyboardInterrupt, and whatever else it raises,
        leaves the unfinished trials RUNNING, for `resume`. The progress function is called now and then with the
        coordinator's `progress()`, at the start and at the end at least; what it raises ends the run.

        Raises:
            Failure: what the packs ran on failed.
        """


Opener = Callable[[SweepSpec], AbstractContextManager[Session]]
"""Begins a session for a sweep of this spec; its end leaves no process behind, however it comes about."""

RUNNERS: Mapping[str, str] = {
    "ray": "sweeps.execution.runners.ray_session",
    "inprocess": "sweeps.execution.runners.inprocess",
}


def find_runner(name: str) -> Opener:
    """Return what opens a runner's session.

    Raises:
        InputError: an unknown name.
    """
    if name not in RUNNERS:
        raise InputError(unknown("runner", name, RUNNERS))
    opener: Opener = import_module(RUNNERS[name]).open_session
    return opener
