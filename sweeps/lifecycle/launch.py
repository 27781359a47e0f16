"""Starting a sweep: check, connect, train what is missing, write its row, run it, judge the winner."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from restoration_core.errors import Failure
from restoration_core.informing import guarded
from restoration_core.interruption import check_interruption
from sweeps.execution.holder import user_name
from sweeps.execution.runners.base import Job, Progress, RunReport, Session, find_runner
from sweeps.execution.sizing import planned_trials
from sweeps.execution.worker_context import PackContext
from sweeps.lifecycle.closing import Hold, Tracked, conclude, hold, tracking
from sweeps.lifecycle.names import free_name, refuse, renamed
from sweeps.lifecycle.stored_sweep import SEARCH, VALIDATION, open_classifier, versions, view_sweep
from sweeps.priors.calibration import calibrate_missing
from sweeps.priors.training import Notice, train_missing
from sweeps.spec.models import SweepSpec
from sweeps.store.models import SweepStatus
from sweeps.store.records import NewSweep
from sweeps.store.writer import Writer, open_writer
from sweeps.store.writing.sweep_rows import NameTaken
from sweeps.tracking import destination, parse_mlflow_uri
from sweeps.trial.pictures import encode, load


@dataclass(frozen=True)
class SweepOutcome:
    """How a sweep ended.

    Attributes:
        name: of the sweep.
        status: as it is in the store now.
        progress: the coordinator's last word: counts and the best trial.
        verdict: the winner against the baselines, None when it was not asked for.
        run: what the packs did; None when there was nothing left to run.
        before: the status that a resumed sweep had.
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
    before: SweepStatus | None = None


def start(
    spec: SweepSpec,
    *,
    runner: str = "ray",
    store_url: str,
    mlflow_uri: str | None,
    name: str | None = None,
    again: bool = False,
    verdict: bool = True,
    progress: Progress = lambda state: None,
    notice: Notice = lambda line: None,
    created: Callable[[str], None] = lambda name: None,
    behind: Tracked = lambda pending, error: None,
) -> SweepOutcome:
    """Run a new sweep to its end.

    Args:
        spec: what to search.
        runner: ``ray`` or ``inprocess``.
        store_url: where results are kept.
        mlflow_uri: where they are tracked as well; None for nowhere.
        name: in place of the spec's.
        again: where the name is taken, use the next free one.
        verdict: judge the winner on the validation pictures at the end.
        progress: called now and then with the coordinator's `progress()`; what it raises ends its calls, not the run.
        notice: called with a line of text while a missing prior is trained or a calibration measured.
        created: called with the sweep's name once it is in the store, from when on it can be resumed.
        behind: called when the run ends with an error and MLflow lacks something; else the outcome tells.

    Raises:
        InputError: something given is wrong, the name is taken, or the cluster does not answer; no sweep was written.
        Failure: a disk, a server or Ray failed, or the sweep changed hands; it is INTERRUPTED where it could be
            written, and can be resumed.
        KeyboardInterrupt: interrupted; the sweep is INTERRUPTED and can be resumed.
    """
    started_at = time.time()
    if name is not None:
        spec = renamed(spec, name)
    open_session = find_runner(runner)
    if mlflow_uri is not None:
        parse_mlflow_uri(mlflow_uri, store_url)
    with open_session(spec) as session:  # Ray starts while pictures and network are read
        classifier = open_classifier(spec)
        for line in classifier.notes:
            guarded(notice)(line)
        for layer in spec.layers:
            classifier.shape(classifier.resolve(layer), spec.image_size)
        images = load(spec.images, spec.image_size)
        validation = load(spec.validate_on, spec.image_size)
        with open_writer(store_url) as writer:
            if not again and spec.name in writer.sweep_names():
                raise refuse(view_sweep(store_url, spec.name), spec)
            session.ready()
            priors, prior_keys = train_missing(spec, classifier, writer, guarded(notice))
            units, calibration_keys = calibrate_missing(spec, classifier, images, priors, writer, guarded(notice))
            new = NewSweep(
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
            spec, sweep_id = _create(writer, spec, new, again)
            guarded(created)(spec.name)
            context = PackContext(spec, classifier, images, priors, units, threads=spec.resources.threads)
            with (
                hold(writer, sweep_id) as held,
                held.until_closed(),  # from the first row on: tracking may fail, or Ctrl-C come, before the search
                tracking(store_url, mlflow_uri, spec.name, behind) as tracked,
            ):
                job = Job(store_url, spec.name, held.lease, context, started_at)
                outcome = carry_through(session, job, held, verdict, progress)
    check_interruption()
    return replace(outcome, untracked=tracked.pending, tracking_error=tracked.error, total_s=time.time() - started_at)


def carry_through(session: Session, job: Job, held: Hold, verdict: bool, progress: Progress) -> SweepOutcome:
    """Run what is left of a sweep that is held, judge the winner and set the last status."""
    watched = held.watched(progress)
    with held.until_closed():
        report = session.run(job, watched)
        check_interruption()
        if (reason := report.progress.get("stopped")) is not None:
            raise Failure(f"the machine fails the trials, so the run stopped ({reason}); they stay to be run")
        startup_s = None if report.first_row_at is None else report.first_row_at - job.started_at
        status = SweepStatus.COMPLETE if report.progress["complete"] else SweepStatus.FAILED
        judged = conclude(job.store_url, job.sweep, job.context if verdict else None, held, status, watched, startup_s)
    return SweepOutcome(job.sweep, status, report.progress, judged, report, startup_s, time.time() - job.started_at)


def _create(writer: Writer, spec: SweepSpec, new: NewSweep, again: bool) -> tuple[SweepSpec, int]:
    """Write the sweep's row, under the next free name where several take it at the same moment."""
    while True:
        if again:
            spec = renamed(spec, free_name(new.name, writer.sweep_names()))
        named = replace(new, name=spec.name, spec=spec.model_dump(mode="json"))
        try:
            return spec, writer.create_sweep(named)
        except NameTaken:
            if not again:
                raise
