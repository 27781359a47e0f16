"""Packs over Ray Tune: one Tune trial is one pack, in an actor that is used again for the next."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune import Callback, CheckpointConfig, RunConfig, Trainable, TuneConfig, Tuner

from restoration_core.errors import Failure
from sweeps.execution.failures import describe
from sweeps.execution.pack import PackSummary, give_back, run_pack
from sweeps.execution.pack_searcher import PackSearcher
from sweeps.execution.runners.base import Job, Progress, RunReport
from sweeps.execution.runners.coordinator_actor import RemoteCoordinator, coordinator_actor
from sweeps.execution.sizing import size_packs
from sweeps.execution.worker_context import PackContext

PROGRESS_EVERY_S = 0.5


class PackTrainable(Trainable):  # type: ignore[misc]
    """One step is one pack. The context is built once per actor and serves all of its packs."""

    def setup(self, config: dict[str, Any], context: PackContext, coordinator: Any) -> None:
        self._given: PackContext = context
        self._context: PackContext | None = None
        self._coordinator = RemoteCoordinator(coordinator)
        self._order = config

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._order = new_config
        return True

    def step(self) -> dict[str, Any]:
        order = self._order
        try:
            if self._context is None:
                self._context = self._given.on("cuda" if ray.get_gpu_ids() else "cpu")
        except Exception as error:
            summary = give_back(self._coordinator, self._given, order["pack"], order["first"], error)
            return {"summary": asdict(summary), "done": True}
        summary = run_pack(
            self._coordinator,
            self._context,
            width=order["width"],
            quota=order["quota"],
            pack=order["pack"],
            first=order["first"],
            asked_at=order["asked_at"],
        )
        return {"summary": asdict(summary), "done": True}


class _Watcher(Callback):  # type: ignore[misc]
    """Collects what packs report; Tune would end the run on an error raised here."""

    def __init__(self) -> None:
        self.packs: list[PackSummary] = []
        self.errors: list[str] = []

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        with self._noted():
            self.packs.append(PackSummary(**trial.last_result["summary"]))

    @contextlib.contextmanager
    def _noted(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self.errors.append(f"{type(error).__name__}: {error}")


def run_packs(job: Job, folder: Path, progress: Progress) -> RunReport:
    """Run the job on the Ray that this process is connected to.

    Args:
        job: what to run.
        folder: for Tune's files, which nobody reads afterwards.
        progress: called with the coordinator's `progress()`, from another thread too.

    Raises:
        InputError, Failure: what the coordinator raised, in whatever Ray wraps it.
        Failure: trials are left that no pack takes.
    """
    spec = job.context.spec
    share = spec.resources.gpus_per_actor
    resources = ray.cluster_resources()
    sizing = size_packs(spec, int(resources.get("CPU", 1)), resources.get("GPU", 0.0))
    with coordinator_actor(job) as coordinator:
        watcher = _Watcher()
        searcher = PackSearcher(coordinator, sizing.width, sizing.quota)
        trainable = tune.with_resources(
            tune.with_parameters(PackTrainable, context=job.context, coordinator=coordinator.handle),
            {"cpu": spec.resources.threads, **({"gpu": share} if share > 0 else {})},
        )
        tuner = Tuner(
            trainable,
            tune_config=TuneConfig(
                search_alg=searcher,
                num_samples=-1,
                max_concurrent_trials=sizing.actors,
                reuse_actors=True,
                trial_dirname_creator=lambda trial: trial.trial_id,
            ),
            run_config=RunConfig(
                name="packs",
                storage_path=str(folder),
                verbose=0,
                callbacks=[watcher],
                checkpoint_config=CheckpointConfig(checkpoint_at_end=False),
            ),
        )
        with _shown(coordinator, progress):
            results = tuner.fit()
        last = coordinator.progress()
        lost = list(dict.fromkeys(map(_why, results.errors))) if searcher.lost_packs else []
        if last["stopped"] is not None and lost:
            last["stopped"] += f"; packs were lost: {', '.join(lost)}"
        progress(last)
        if last["left"] or last["running"]:
            reasons = "; ".join([*lost, *dict.fromkeys(watcher.errors)]) or "Tune ended early"
            raise Failure(f"{last['left'] + last['running']} trials were not run: {reasons}")
        return RunReport(last, tuple(watcher.packs), searcher.lost_packs)


def _why(error: Exception) -> str:
    """Return why a pack was lost in a few words; Ray's own fill a page."""
    if isinstance(error, ray.exceptions.RayActorError):
        return "a process was killed or crashed"
    cause = error.cause if isinstance(error, ray.exceptions.RayTaskError) else error
    return describe(cause)[:500]


@contextlib.contextmanager
def _shown(coordinator: RemoteCoordinator, progress: Progress) -> Iterator[None]:
    """Show progress twice a second, also while no pack ends."""
    over = threading.Event()

    def show() -> None:
        while not over.wait(PROGRESS_EVERY_S):
            # What ends the coordinator reaches the packs and the searcher, who say so.
            with contextlib.suppress(Exception):
                progress(coordinator.progress())

    thread = threading.Thread(target=show, name="progress", daemon=True)
    progress(coordinator.progress())
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
