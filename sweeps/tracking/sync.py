"""Making MLflow hold what the store holds, whatever the outbox believes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from restoration_core.errors import InputError, unknown
from sweeps.store.models import OutboxKind
from sweeps.store.writer import Writer, open_writer
from sweeps.tracking.client import one_line, open_client, parse_mlflow_uri, quiet_mlflow
from sweeps.tracking.database import UnusableDatabase
from sweeps.tracking.delivery import Deliverer, trial_key
from sweeps.tracking.source import Source, SweepPayload, TrialPayload

_CHUNK = 50
_ALL = 1_000_000


@dataclass
class SyncReport:
    """What a `sync` did, in runs (sweeps and finished trials).

    Attributes:
        delivered: written now, completed or written anew.
        already: were there just so.
        failed: could not be written; ``error`` is the last reason.
    """

    delivered: int = 0
    already: int = 0
    failed: int = 0
    error: str | None = None

    def count(self, already: bool) -> None:
        """Count one run that is there now."""
        if already:
            self.already += 1
        else:
            self.delivered += 1


def sync(store_url: str, mlflow_uri: str, name: str | None = None) -> SyncReport:
    """Write to MLflow every sweep and finished trial of the store that is missing there, incomplete or out of date.

    Every run is looked up by its tag, so that twice is the same as once and an emptied MLflow is filled again. It may
    run beside a tracker: runs written twice at the same moment are reduced to one by the next `sync`.

    Args:
        name: one sweep; None means all.

    Raises:
        InputError: a bad address, no store, no sweep of that name, or a file that MLflow cannot work with.
            An MLflow that does not answer is no error: it is in the report.
    """
    address = parse_mlflow_uri(mlflow_uri, store_url)
    report = SyncReport()
    # The writer first: it refuses what is no store in one line, and upgrades one of a former version.
    with open_writer(store_url, create=False) as writer, contextlib.closing(Source(store_url)) as source:
        names = source.sweep_names()
        if name is not None and name not in names:
            raise InputError(unknown("sweep", name, names))
        wanted = [names[name]] if name is not None else list(names.values())
        with quiet_mlflow():
            try:
                deliverer = Deliverer(open_client(address), address)
            except UnusableDatabase:
                raise
            except Exception as error:
                report.error = one_line(error)
                report.failed = sum(1 + len(source.finished_trials(sweep_id)) for sweep_id in wanted)
                return report
            for sweep_id in wanted:
                sweep = source.sweep(sweep_id)
                if sweep is not None:
                    _sync_sweep(writer, source, deliverer, sweep, report)
    return report


def _sync_sweep(writer: Writer, source: Source, deliverer: Deliverer, sweep: SweepPayload, report: SyncReport) -> None:
    sweep_id = sweep.row.id
    trial_ids = source.finished_trials(sweep_id)
    # Before anything is read: what the sweep enters while this runs is for its own tracker.
    pending = writer.pending_outbox(limit=_ALL, sweep=sweep.row.name)
    done: set[int] = set()
    try:
        run_id, already = deliverer.sweep(sweep)
        found = deliverer.runs_by_key(sweep)
    except Exception as error:
        report.failed += 1 + len(trial_ids)
        report.error = deliverer.outage() or one_line(error)
        return
    report.count(already)
    if sweep.row.mlflow_run_id != run_id:
        writer.set_mlflow_run(run_id, sweep_id=sweep_id)
    for position, trial in enumerate(_trials(source, trial_ids)):
        try:
            run_id, already = deliverer.trial_into(sweep, trial, found.get(trial_key(sweep, trial), []))
        except Exception as error:
            deliverer.forget()
            report.failed += 1
            outage = deliverer.outage()
            report.error = outage or one_line(error)
            if outage is not None:
                report.failed += len(trial_ids) - position - 1
                break
            continue
        report.count(already)
        done.add(trial.row.id)
        if trial.row.mlflow_run_id != run_id:
            writer.set_mlflow_run(run_id, trial_id=trial.row.id)
    writer.mark_delivered([item.id for item in pending if item.kind != OutboxKind.TRIAL or item.trial_id in done])


def _trials(source: Source, ids: list[int]) -> Iterator[TrialPayload]:
    for start in range(0, len(ids), _CHUNK):
        yield from source.trials(ids[start : start + _CHUNK]).values()
