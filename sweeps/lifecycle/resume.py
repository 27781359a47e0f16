"""Picking up a half-done sweep from the store, on this machine or on another."""

from __future__ import annotations

import time
from dataclasses import replace

from restoration_core.interruption import check_interruption
from sweeps.execution.runners.base import Job, Progress, find_runner
from sweeps.execution.sizing import planned_trials
from sweeps.lifecycle.closing import Hold, Tracked, conclude, hold, tracking
from sweeps.lifecycle.launch import SweepOutcome, carry_through
from sweeps.lifecycle.stored_sweep import stored_context, view_sweep
from sweeps.spec.stored import stored_spec
from sweeps.store.models import SweepStatus, TrialState
from sweeps.store.records import StoredTrial
from sweeps.store.writer import Writer, open_writer


def resume(
    store_url: str,
    name: str,
    *,
    runner: str = "ray",
    mlflow_uri: str | None,
    verdict: bool = True,
    retry_failed: bool = False,
    progress: Progress = lambda state: None,
    behind: Tracked = lambda pending, error: None,
) -> SweepOutcome:
    """Run what is left of a sweep, from the store alone: spec, pictures, priors, trials.

    Trials that were running when the last run ended come first, under their own numbers and with their own seeds; the
    search goes on as if it had not been interrupted. A sweep whose trials have all ended is concluded: it gets its
    verdict when it has none, and its status, however its last run ended. In either case MLflow is told what it lacks.

    Args:
        store_url, name: which sweep.
        retry_failed: run failed trials again too, under their own numbers, with their next attempt.
        runner, mlflow_uri, verdict, progress, behind: see :func:`sweeps.lifecycle.launch.start`.

    Raises:
        InputError: no such sweep, other weights here than those it was started with, or no GPU for one that needs it.
        LeaseHeld: it is being run.
    """
    started_at = time.time()
    open_session = find_runner(runner)
    sweep_id = view_sweep(store_url, name).id
    with (
        open_writer(store_url) as writer,
        hold(writer, sweep_id) as held,
        tracking(store_url, mlflow_uri, name, behind) as tracked,
    ):
        # Read under the lease: whoever had it before may have ended the sweep meanwhile.
        view = view_sweep(store_url, name)
        spec = stored_spec(view.name, view.spec)
        rows = writer.load_trials(sweep_id)
        open_states = {TrialState.RUNNING, TrialState.FAILED} if retry_failed else {TrialState.RUNNING}
        if len(rows) >= planned_trials(spec) and all(row.state not in open_states for row in rows):
            outcome = _concluded(store_url, name, rows, writer, held, verdict, progress)
        else:
            with open_session(spec) as session:
                context = stored_context(store_url, writer, view)
                session.ready()
                if retry_failed:
                    writer.reopen_failed(sweep_id, held.lease.token)
                job = Job(store_url, name, held.lease, context, started_at)
                outcome = carry_through(session, job, held, verdict, progress)
    check_interruption()
    return replace(
        outcome,
        untracked=tracked.pending,
        tracking_error=tracked.error,
        total_s=time.time() - started_at,
        before=SweepStatus(view.status),
    )


def _concluded(
    store_url: str, name: str, rows: list[StoredTrial], writer: Writer, held: Hold, verdict: bool, progress: Progress
) -> SweepOutcome:
    """Give a sweep whose trials have all ended what it lacks; one that lacks nothing is left as it is."""
    view = view_sweep(store_url, name)
    counts = {"planned": len(rows), "complete": sum(row.state == TrialState.COMPLETE for row in rows)}
    status = SweepStatus.COMPLETE if counts["complete"] else SweepStatus.FAILED
    wanted = verdict and view.verdict is None and status == SweepStatus.COMPLETE
    judged = None
    if wanted or status != view.status:
        with held.until_closed():
            context = stored_context(store_url, writer, view) if wanted else None
            judged = conclude(store_url, name, context, held, status, held.watched(progress))
    return SweepOutcome(name, status, counts, judged or view.verdict, None, None, 0.0)
