"""Packs over Ray Tune: one Tune trial is one pack, in an actor that is used again for the next."""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
import time
import warnings
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import ray
from ray import tune
from ray.tune import Callback, CheckpointConfig, RunConfig, Trainable, TuneConfig, Tuner

from sweeps.execution.devices import check_gpus
from sweeps.execution.pack import PackSummary, run_pack
from sweeps.execution.pack_searcher import PackSearcher
from sweeps.execution.runners.base import Job, Progress, RunReport
from sweeps.execution.runners.coordinator_actor import RemoteCoordinator, as_ours, coordinator_actor
from sweeps.execution.sizing import size_packs, usable_cores
from sweeps.execution.worker_context import PackContext

PROGRESS_EVERY_S = 0.5
OBJECT_STORE_BYTES = 256 * 1024 * 1024

# Read by Tune when a run starts, or inherited by the worker processes of a local Ray.
_ENVIRONMENT = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # csv, json and tensorboard files of every pack
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C ends the sweep as a KeyboardInterrupt
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000",  # the store is the truth, Tune's snapshots are of no use
    "TUNE_WARN_THRESHOLD_S": "60",
    "RAY_AIR_NEW_OUTPUT": "0",  # the newer output engine prints tables at any verbosity
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",  # by default workers yield to every other process, the tracker among them
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
_WORKER_ENVIRONMENT = {"OMP_WAIT_POLICY": "PASSIVE"}  # spinning OpenMP threads slow busy cores down forty times


class PackTrainable(Trainable):  # type: ignore[misc]
    """One step is one pack. The context is built once per actor and serves all of its packs."""

    def setup(self, config: dict[str, Any], context: PackContext, coordinator: Any) -> None:
        self._context = context.on("cuda" if ray.get_gpu_ids() else "cpu")
        self._coordinator = RemoteCoordinator(coordinator)
        self._order = config

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._order = new_config
        return True

    def step(self) -> dict[str, Any]:
        order = self._order
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
    """Collects what packs report and shows progress; an error here must not become the run's."""

    def __init__(self, coordinator: RemoteCoordinator, progress: Progress) -> None:
        self._coordinator, self._progress = coordinator, progress
        self._shown = float("-inf")
        self.packs: list[PackSummary] = []
        self.errors: list[str] = []

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        if time.monotonic() - self._shown >= PROGRESS_EVERY_S:
            self._shown = time.monotonic()
            with self._noted():
                self._progress(self._coordinator.progress())

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        with self._noted():
            self.packs.append(PackSummary(**trial.last_result["summary"]))

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        with self._noted():
            error = trial.get_error() or trial.get_pickled_error()
            self.errors.append(" ".join(str(error).split())[:500])

    @contextlib.contextmanager
    def _noted(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self.errors.append(f"{type(error).__name__}: {error}")


def run(job: Job, progress: Progress) -> RunReport:
    """Run the job; see :data:`sweeps.execution.runners.base.Runner`.

    Uses the Ray that this process is connected to, else the cluster in ``RAY_ADDRESS``, else a local one that ends with
    the run.
    """
    spec = job.context.spec
    share = spec.resources.gpus_per_actor
    with _environment(), _ray(spec.resources.threads, job), _quiet():
        resources = ray.cluster_resources()
        check_gpus(spec, resources.get("GPU", 0.0))
        cores = int(resources.get("CPU", 1))
        sizing = size_packs(spec, cores, resources.get("GPU", 0.0), job.actors)
        with (
            coordinator_actor(job.store_url, job.sweep, job.holder) as coordinator,
            tempfile.TemporaryDirectory(prefix="restoration-tune-") as folder,
        ):
            watcher = _Watcher(coordinator, progress)
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
                    storage_path=folder,
                    verbose=0,
                    callbacks=[watcher],
                    checkpoint_config=CheckpointConfig(checkpoint_at_end=False),
                ),
            )
            try:
                tuner.fit()
            except Exception as error:
                if (ours := as_ours(error)) is not None:
                    raise ours from None
                raise
            last = coordinator.progress()
            progress(last)
            if last["left"] or last["running"]:
                reasons = "; ".join(dict.fromkeys(watcher.errors)) or "Tune ended early"
                raise RuntimeError(f"{last['left'] + last['running']} trials were not run: {reasons}")
            return RunReport(last, tuple(watcher.packs), searcher.lost_packs)


@contextlib.contextmanager
def _ray(threads: int, job: Job) -> Iterator[None]:
    if ray.is_initialized():
        yield
        return
    address = os.environ.get("RAY_ADDRESS")
    common: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR, "configure_logging": True}
    if address:
        ray.init(address=address, runtime_env={"env_vars": _WORKER_ENVIRONMENT}, **common)
    else:
        actors = job.actors or job.context.spec.resources.actors
        wanted = actors * threads if isinstance(actors, int) else 0
        ray.init(
            address="local",
            num_cpus=max(usable_cores(), wanted),
            include_dashboard=False,
            object_store_memory=OBJECT_STORE_BYTES,
            _node_ip_address="127.0.0.1",
            **common,
        )
    try:
        yield
    finally:
        ray.shutdown()


@contextlib.contextmanager
def _environment() -> Iterator[None]:
    wanted = {**_ENVIRONMENT, **_WORKER_ENVIRONMENT, "OMP_NUM_THREADS": "1"}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Ray's own chatter from the user, who sees the sweep's progress; errors come as exceptions."""
    names = ("ray", "ray.tune", "ray.train", "ray.air", "ray._private")
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
