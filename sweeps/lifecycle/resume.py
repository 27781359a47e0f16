"""Picking up a half-done sweep from the store, on this machine or on another."""

from __future__ import annotations

import time

from restoration_core.informing import guarded
from sweeps.execution.devices import check_gpus
from sweeps.execution.holder import new_holder
from sweeps.execution.runners.base import Job, Progress, open_runner
from sweeps.execution.sizing import planned_trials
from sweeps.lifecycle.launch import SweepOutcome, _silent, carry_through, conclude
from sweeps.lifecycle.stored_sweep import stored_context, view_sweep
from sweeps.spec.models import SweepSpec
from sweeps.store.models import SweepStatus, TrialState
from sweeps.store.writer import open_writer


def resume(
    store_url: str,
    name: str,
    *,
    runner: str = "ray",
    mlflow_uri: str | None,
    verdict: bool = True,
    progress: Progress | None = None,
) -> SweepOutcome:
    """Run what is left of a sweep, from the store alone: spec, pictures, priors, trials.

    Trials that were running when the last run ended come first, under their own numbers and with their own seeds; the
    search goes on as if it had not been interrupted. A sweep whose trials are all done gets its verdict when it has
    none, else nothing happens.

    Args:
        store_url, name: which sweep.
        runner, mlflow_uri, verdict, progress: see :func:`sweeps.lifecycle.launch.start`.

    Raises:
        InputError: no such sweep, other weights here than those it was started with, or no GPU for one that needs it.
        LeaseHeld: it is being run.
    """
    started_at = time.time()
    run = open_runner(runner)
    view = view_sweep(store_url, name)
    spec = SweepSpec.model_validate(view.spec)
    with open_writer(store_url) as writer:
        rows = writer.load_trials(view.id)
        over = len(rows) >= planned_trials(spec) and all(row.state != TrialState.RUNNING for row in rows)
        complete = any(row.state == TrialState.COMPLETE for row in rows)
        status = SweepStatus(view.status)
        if over and status != SweepStatus.RUNNING and (view.verdict is not None or not verdict or not complete):
            return SweepOutcome(name, status, {"planned": len(rows)}, view.verdict, None, None, 0.0)
        if not over:
            check_gpus(spec)
        context = stored_context(store_url, writer, view)
        job = Job(store_url, name, new_holder(), context, started_at=started_at)
        if over:
            status = SweepStatus.COMPLETE if complete else SweepStatus.FAILED
            wanted = verdict and view.verdict is None
            judged = conclude(job, writer, view.id, status, wanted, None, guarded(progress or _silent))
            counts = {"planned": len(rows), "complete": sum(row.state == TrialState.COMPLETE for row in rows)}
            return SweepOutcome(name, status, counts, judged or view.verdict, None, None, time.time() - started_at)
        return carry_through(job, run, writer, view.id, mlflow_uri, verdict, progress or _silent)
