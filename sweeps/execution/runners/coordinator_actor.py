"""The coordinator as a named Ray actor on the driver's node, and how the others call it."""

from __future__ import annotations

import contextlib
import os
import time
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from restoration_core.errors import Portable
from sweeps.execution.coordinator import Coordinator
from sweeps.execution.lease import Token
from sweeps.execution.protocol import Acknowledgement, Assignment, Exchange, Report, TrialRecord
from sweeps.execution.runners.base import Job
from sweeps.execution.runners.store_address import ask_address, serve_address
from sweeps.store.errors import StoreFailed


class CoordinatorActor:
    """A coordinator that finds the store by itself, and its state in the store when Ray restarts it.

    Constructor arguments are kept in Ray's metadata, which every node can read. So the store's address, which may hold
    a password, is not among them: the actor asks the driver for it, on whose node it is pinned.

    The store is opened by the first call, not by the constructor: Ray hands an error of a call on as it is, of one in a
    constructor only the text of the traceback.

    A store that failed under one pack ends the run: Tune would take the packs for killed ones and open others, until
    the trials passed for the cause. So the failure is raised again at every later call, the one that opens packs too.
    """

    def __init__(self, asking_path: str, sweep: str, token: int, started_at: float) -> None:
        self._asking_path, self._sweep, self._token, self._started_at = asking_path, sweep, token, started_at
        self._opened: Coordinator | None = None
        self._failure: StoreFailed | None = None

    def ask(self, k: int, worker: str) -> list[Assignment]:
        with self._remembering():
            return self._coordinator.ask(k, worker)

    def report(self, reports: Sequence[Report]) -> list[int]:
        with self._remembering():
            return self._coordinator.report(reports)

    def finish(self, records: Sequence[TrialRecord]) -> list[Acknowledgement]:
        with self._remembering():
            return self._coordinator.finish(records)

    def exchange(self, records: Sequence[TrialRecord], k: int, worker: str) -> Exchange:
        with self._remembering():
            return self._coordinator.exchange(records, k, worker)

    def lost(self, worker: str | None = None) -> int:
        with self._remembering():
            return self._coordinator.lost(worker)

    def progress(self) -> dict[str, Any]:
        with self._remembering():
            return self._coordinator.progress()

    def close(self) -> None:
        if self._opened is not None:
            self._opened.close()

    def pid(self) -> int:
        return os.getpid()

    @contextlib.contextmanager
    def _remembering(self) -> Iterator[None]:
        if self._failure is not None:
            raise self._failure
        try:
            yield
        except StoreFailed as error:
            self._failure = error
            raise

    @property
    def _coordinator(self) -> Coordinator:
        if self._opened is None:
            restarted = ray.get_runtime_context().was_current_actor_reconstructed
            url = ask_address(self._asking_path)
            self._opened = Coordinator(
                url, self._sweep, Token(self._token), adopt=restarted, started_at=self._started_at
            )
        return self._opened


class RemoteCoordinator:
    """Calls the actor as if it were here; a call that finds the actor restarting is made again by Ray.

    Raises:
        InputError, Failure: what the coordinator raised, without Ray's wrapping.
    """

    def __init__(self, handle: Any) -> None:
        self.handle = handle

    def ask(self, k: int, worker: str) -> list[Assignment]:
        answer: list[Assignment] = _answer(self.handle.ask.remote(k, worker))
        return answer

    def report(self, reports: Sequence[Report]) -> list[int]:
        answer: list[int] = _answer(self.handle.report.remote(reports))
        return answer

    def finish(self, records: Sequence[TrialRecord]) -> list[Acknowledgement]:
        answer: list[Acknowledgement] = _answer(self.handle.finish.remote(records))
        return answer

    def exchange(self, records: Sequence[TrialRecord], k: int, worker: str) -> Exchange:
        answer: Exchange = _answer(self.handle.exchange.remote(records, k, worker))
        return answer

    def lost(self, worker: str | None = None) -> int:
        answer: int = _answer(self.handle.lost.remote(worker))
        return answer

    def progress(self) -> dict[str, Any]:
        answer: dict[str, Any] = _answer(self.handle.progress.remote())
        return answer

    def close(self) -> None:
        _answer(self.handle.close.remote())

    def pid(self) -> int:
        answer: int = _answer(self.handle.pid.remote())
        return answer


def as_ours(error: BaseException) -> Portable | None:
    """Return the error of ours that Ray, or Tune around it, handed on in a wrapping of its own; None without one."""
    link: BaseException | None = error
    while link is not None:
        inner = link.cause if isinstance(link, ray.exceptions.RayTaskError) else link
        if isinstance(inner, Portable):
            return inner
        link = link.__cause__ or link.__context__
    return None


def _answer(reference: Any) -> Any:
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        if (ours := as_ours(error)) is not None:
            raise ours from None
        raise


@contextlib.contextmanager
def coordinator_actor(job: Job) -> Iterator[RemoteCoordinator]:
    """Start the job's coordinator, and close it at the end."""
    with serve_address(job.store_url) as asking_path:
        handle = (
            ray.remote(CoordinatorActor)
            .options(
                name=f"coordinator of {job.sweep} ({uuid.uuid4().hex[:8]})",
                num_cpus=0,
                max_restarts=-1,
                max_task_retries=-1,
                scheduling_strategy=NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False),
            )
            .remote(asking_path, job.sweep, job.lease.token, time.time())
        )
        coordinator = RemoteCoordinator(handle)
        try:
            coordinator.progress()
            yield coordinator
        finally:
            with contextlib.suppress(ray.exceptions.RayError):
                ray.get(handle.close.remote(), timeout=10)
            ray.kill(handle)
