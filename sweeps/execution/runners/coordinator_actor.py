"""The coordinator as a named Ray actor on the driver's node, and how the others call it."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from sweeps.execution.coordinator import Coordinator
from sweeps.execution.protocol import Acknowledgement, Assignment, Exchange, Report, TrialRecord


class CoordinatorActor:
    """A coordinator that finds the store by itself, and its state in the store when Ray restarts it.

    Constructor arguments are kept in Ray's metadata, which every node can read. So the store's address, which may hold
    a password, is not among them: the actor reads it from a file of the driver's, on whose node it is pinned.
    """

    def __init__(self, address_file: str, sweep: str, holder: str) -> None:
        restarted = ray.get_runtime_context().was_current_actor_reconstructed
        url = Path(address_file).read_text(encoding="utf-8")
        self._coordinator = Coordinator(url, sweep, holder=holder, adopt=restarted)

    def ask(self, k: int, worker: str) -> list[Assignment]:
        return self._coordinator.ask(k, worker)

    def report(self, reports: Sequence[Report]) -> list[int]:
        return self._coordinator.report(reports)

    def finish(self, records: Sequence[TrialRecord]) -> list[Acknowledgement]:
        return self._coordinator.finish(records)

    def exchange(self, records: Sequence[TrialRecord], k: int, worker: str) -> Exchange:
        return self._coordinator.exchange(records, k, worker)

    def lost(self, worker: str | None = None) -> int:
        return self._coordinator.lost(worker)

    def progress(self) -> dict[str, Any]:
        return self._coordinator.progress()

    def close(self) -> None:
        self._coordinator.close()

    def pid(self) -> int:
        return os.getpid()


class RemoteCoordinator:
    """Calls the actor as if it were here; a call that finds the actor restarting is made again by Ray."""

    def __init__(self, handle: Any) -> None:
        self.handle = handle

    def ask(self, k: int, worker: str) -> list[Assignment]:
        answer: list[Assignment] = ray.get(self.handle.ask.remote(k, worker))
        return answer

    def report(self, reports: Sequence[Report]) -> list[int]:
        answer: list[int] = ray.get(self.handle.report.remote(reports))
        return answer

    def finish(self, records: Sequence[TrialRecord]) -> list[Acknowledgement]:
        answer: list[Acknowledgement] = ray.get(self.handle.finish.remote(records))
        return answer

    def exchange(self, records: Sequence[TrialRecord], k: int, worker: str) -> Exchange:
        answer: Exchange = ray.get(self.handle.exchange.remote(records, k, worker))
        return answer

    def lost(self, worker: str | None = None) -> int:
        answer: int = ray.get(self.handle.lost.remote(worker))
        return answer

    def progress(self) -> dict[str, Any]:
        answer: dict[str, Any] = ray.get(self.handle.progress.remote())
        return answer

    def close(self) -> None:
        ray.get(self.handle.close.remote())

    def pid(self) -> int:
        answer: int = ray.get(self.handle.pid.remote())
        return answer


@contextlib.contextmanager
def coordinator_actor(store_url: str, sweep: str, holder: str) -> Iterator[RemoteCoordinator]:
    """Start the sweep's coordinator, and close it at the end."""
    with tempfile.TemporaryDirectory(prefix="restoration-") as folder:
        address = Path(folder) / "store"
        address.touch(mode=0o600)
        address.write_text(store_url, encoding="utf-8")
        handle = (
            ray.remote(CoordinatorActor)
            .options(
                name=f"coordinator of {sweep} ({holder})",
                num_cpus=0,
                max_restarts=-1,
                max_task_retries=-1,
                scheduling_strategy=NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False),
            )
            .remote(str(address), sweep, holder)
        )
        coordinator = RemoteCoordinator(handle)
        try:
            coordinator.progress()
            yield coordinator
        finally:
            with contextlib.suppress(ray.exceptions.RayError):
                ray.get(handle.close.remote(), timeout=10)
            ray.kill(handle)
