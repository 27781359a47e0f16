"""The same packs without Ray, one after the other in this process: for debugging, tests and tiny sweeps."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator, Sequence

import torch

from restoration_core.errors import Failure
from sweeps.execution.coordinator import Coordinator
from sweeps.execution.devices import check_gpus, device_here, gpus_here
from sweeps.execution.failures import describe, is_of_the_machine
from sweeps.execution.pack import PackSummary, run_pack
from sweeps.execution.protocol import Exchange, Report, TrialRecord
from sweeps.execution.runners.base import Job, Progress, RunReport
from sweeps.execution.sizing import size_packs
from sweeps.execution.worker_context import PackContext
from sweeps.spec.models import SweepSpec


class _Announcing:
    """A coordinator that shows its progress after every exchange and every report."""

    def __init__(self, coordinator: Coordinator, progress: Progress) -> None:
        self._coordinator, self._progress = coordinator, progress

    def exchange(self, records: Sequence[TrialRecord], k: int, worker: str) -> Exchange:
        answer = self._coordinator.exchange(records, k, worker)
        self._progress(self._coordinator.progress())
        return answer

    def report(self, reports: Sequence[Report]) -> list[int]:
        stop = self._coordinator.report(reports)
        self._progress(self._coordinator.progress())
        return stop


def _on_device(context: PackContext) -> PackContext:
    try:
        return context.on(device_here(context.spec))
    except Exception as error:
        if is_of_the_machine(error):
            raise Failure(f"the network does not get onto the device: {describe(error)}") from error
        raise


@contextlib.contextmanager
def open_session(spec: SweepSpec) -> Iterator[InProcess]:
    """Check that this process can run the packs; see :class:`sweeps.execution.runners.base.Session`."""
    check_gpus(spec, gpus_here())
    yield InProcess()


class InProcess:
    """Runs the packs of one actor; see :class:`sweeps.execution.runners.base.Session`."""

    def ready(self) -> None:
        """Do nothing: this process is there."""

    def run(self, job: Job, progress: Progress) -> RunReport:
        """Run the job."""
        threads = torch.get_num_threads()
        spec = job.context.spec
        coordinator = Coordinator(job.store_url, job.sweep, job.lease)
        packs: list[PackSummary] = []
        try:
            progress(coordinator.progress())
            context = _on_device(job.context)
            sizing = size_packs(spec, cores=1, actors=1)
            family = uuid.uuid4().hex[:8]
            while coordinator.progress()["left"]:
                packs.append(
                    run_pack(
                        _Announcing(coordinator, progress),
                        context,
                        width=sizing.width,
                        quota=sizing.quota,
                        pack=f"{family}-{len(packs) + 1}",
                    )
                )
            last = coordinator.progress()
            progress(last)
            return RunReport(last, tuple(packs))
        finally:
            coordinator.close()
            torch.set_num_threads(threads)
