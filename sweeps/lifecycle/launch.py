"""Starting a sweep: check, train what is missing, write its row, run it, judge the winner."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from restoration_core.errors import Failure
from restoration_core.informing import guarded
from sweeps.execution.devices import check_gpus
from sweeps.execution.holder import new_holder, user_name
from sweeps.execution.lease import Lease
from sweeps.execution.runners.base import Job, Progress, RunReport, open_runner
from sweeps.execution.sizing import planned_trials
from sweeps.execution.worker_context import PackContext
from sweeps.lifecycle.stored_sweep import SEARCH, VALIDATION, open_classifier, versions
from sweeps.lifecycle.verdict import judge
from sweeps.priors.calibration import calibrate_missing
from sweeps.priors.training import Notice, train_missing
from sweeps.spec.models import SweepSpec
from sweeps.store.models import NOT_TRACKED, SweepStatus
from sweeps.store.records import NewSweep
from sweeps.store.writer import Writer, open_writer
from sweeps.tracking import destination, note_destination, parse_mlflow_uri, start_tracker
from sweeps.trial.pictures import encode, load

TRACKER_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class SweepOutcome:
    """How a sweep ended.

    Attributes:
        name: of the sweep.
        status: as it is in the store now.
        progress: the coordinator's last word: counts and the best trial.
        verdict: the winner against the baselines, None when it was not asked for.
        run: what the packs did; None when there was nothing left to run.
        startup_s: seconds from the start to the first reconstruction.
        total_s: seconds in all, the verdict included.
        untracked: outbox entries that MLflow has not been told, for `sync`; None without tracking, or when unknown.
        tracking_error: why, or None.
    """

    name: str
    status: SweepStatus
    progress: Mapping[str, Any]
    verdict: Mapping[str, Any] | None
    run: RunReport | None
    startup_s: float | None
    total_s: float
    untracked: int | None = None
    tracking_error: str | None = None


def start(
    spec: SweepSpec,
    *,
    runner: str = "ray",
    store_url: str,
    mlflow_uri: str | None,
    name: str | None = None,
    verdict: bool = True,
    progress: Progress | None = None,
    notice: Notice = lambda line: None,
) -> SweepOutcome:
    """Run a new sweep to its end.

    Args:
        spec: what to search.
        runner: ``ray`` or ``inprocess``.
        store_url: where results are kept.
        mlflow_uri: where they are tracked as well; None for nowhere.
        name: in place of the spec's.
        verdict: judge the winner on the validation pictures at the end.
        progress: called now and then with the coordinator's `progress()`; what it raises ends its calls, not the run.
        notice: called with a line of text while a missing prior is trained or a calibration measured.

    Raises:
        InputError: something given is wrong; nothing was written and Ray not started.
        KeyboardInterrupt: interrupted; the sweep is INTERRUPTED and can be resumed.
    """
    started_at = time.time()
    if name is not None:
        spec = SweepSpec.model_validate(spec.model_dump() | {"name": name}).model_copy(
            update={"yaml_text": spec.yaml_text}
        )
    run = open_runner(runner)
    if mlflow_uri is not None:
        parse_mlflow_uri(mlflow_uri, store_url)
    check_gpus(spec)
    classifier = open_classifier(spec)
    for layer in spec.layers:
        classifier.shape(classifier.resolve(layer), spec.image_size)
    images = load(spec.images, spec.image_size)
    validation = load(spec.validate_on, spec.image_size)
    with open_writer(store_url) as writer:
        priors, prior_keys = train_missing(spec, classifier, writer, guarded(notice))
        units, calibration_keys = calibrate_missing(spec, classifier, images, priors, writer, guarded(notice))
        sweep_id = writer.create_sweep(
            NewSweep(
                name=spec.name,
                spec_yaml=spec.yaml_text,
                spec=spec.model_dump(mode="json"),
                metric_names=spec.metric_names,
                metric_goals=spec.metric_goals,
                seed=spec.method.seed,
                trials_planned=planned_trials(spec),
                owner=user_name(),
                versions=versions(classifier, prior_keys, calibration_keys),
                mlflow_uri=destination(mlflow_uri),
                images=[
                    (image, split, encode(picture))
                    for split, pictures in ((SEARCH, images), (VALIDATION, validation))
                    for image, picture in pictures.items()
                ],
            )
        )
        context = PackContext(spec, classifier, images, priors, units, threads=spec.resources.threads)
        job = Job(store_url, spec.name, new_holder(), context, started_at=started_at)
        return carry_through(job, run, writer, sweep_id, mlflow_uri, verdict, progress or _silent)


def carry_through(
    job: Job,
    run: Any,
    writer: Writer,
    sweep_id: int,
    mlflow_uri: str | None,
    verdict: bool,
    progress: Progress,
) -> SweepOutcome:
    """Track, run, judge and close a sweep that is in the store."""
    progress = guarded(progress)
    with _tracking(job.store_url, mlflow_uri, job.sweep) as tracked:
        startup_s: float | None = None
        try:
            report: RunReport = run(job, progress)
            if report.first_row_at is not None:
                startup_s = report.first_row_at - job.started_at
            status = SweepStatus.COMPLETE if report.progress["complete"] else SweepStatus.FAILED
            judged = conclude(job, writer, sweep_id, status, verdict, startup_s, progress)
        except BaseException as error:
            # What a disk, a server or a person stopped says nothing against the sweep: it can go on.
            failed = isinstance(error, Exception) and not isinstance(error, Failure)
            status = SweepStatus.FAILED if failed else SweepStatus.INTERRUPTED
            _close(job, writer, sweep_id, status)
            raise
    return SweepOutcome(
        name=job.sweep,
        status=status,
        progress=report.progress,
        verdict=judged,
        run=report,
        startup_s=startup_s,
        total_s=time.time() - job.started_at,
        untracked=tracked.get("pending"),
        tracking_error=tracked.get("error"),
    )


def conclude(
    job: Job,
    writer: Writer,
    sweep_id: int,
    status: SweepStatus,
    verdict: bool,
    startup_s: float | None,
    progress: Progress,
) -> dict[str, Any] | None:
    """Judge the winner, when asked to, and set the sweep's last status; return the verdict."""
    with Lease(writer, sweep_id, job.holder) as lease:
        wanted = verdict and status == SweepStatus.COMPLETE
        judged = judge(job.store_url, job.sweep, job.context, progress) if wanted else None
        writer.set_sweep_status(sweep_id, lease.token, status, judged, startup_s)
    return judged


def _close(job: Job, writer: Writer, sweep_id: int, status: SweepStatus) -> None:
    # The error that ended the run is the one to hear of; who has taken the sweep over sets its status.
    with contextlib.suppress(Exception), Lease(writer, sweep_id, job.holder) as lease:
        writer.set_sweep_status(sweep_id, lease.token, status)


@contextlib.contextmanager
def _tracking(store_url: str, mlflow_uri: str | None, sweep: str) -> Iterator[dict[str, Any]]:
    tracked: dict[str, Any] = {}
    if mlflow_uri is None:
        note_destination(store_url, sweep, NOT_TRACKED)
        yield tracked
        return
    tracker = start_tracker(store_url, mlflow_uri, sweep)
    timeout_s = TRACKER_TIMEOUT_S
    try:
        yield tracked
    except BaseException:
        timeout_s = 5.0
        raise
    finally:
        report = tracker.stop(timeout_s)
        tracked.update(pending=report.pending, error=report.error)


def _silent(state: Mapping[str, Any]) -> None:
    """Show nothing."""
