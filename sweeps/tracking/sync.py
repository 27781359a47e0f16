"""Making MLflow hold what the store holds, whatever the outbox believes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from restoration_core.errors import Failure, InputError, unknown
from sweeps.execution.holder import new_holder
from sweeps.store.models import NOT_TRACKED, OutboxKind
from sweeps.store.writer import Writer, open_writer
from sweeps.tracking.address import Address, parse_mlflow_uri
from sweeps.tracking.claim import ClaimHeld, SweepClaim
from sweeps.tracking.client import one_line, open_client, quiet_mlflow, server_fault
from sweeps.tracking.database import UnusableDatabase
from sweeps.tracking.delivery import Deliverer, trial_key
from sweeps.tracking.source import Source, SweepPayload, TrialPayload

_CHUNK = 50
_ALL = 1_000_000
_WAIT_S = 30.0


@dataclass
class SyncReport:
    """What a `sync` did, in runs (sweeps and finished trials).

    Attributes:
        delivered: written now, completed or written anew.
        already: were there just so.
        failed: could not be written; ``error`` is the last reason.
        notes: lines on sweeps that were written elsewhere than they are tracked, or than one may expect.
    """

    delivered: int = 0
    already: int = 0
    failed: int = 0
    error: str | None = None
    notes: list[str] = field(default_factory=list)

    def count(self, already: bool) -> None:
        """Count one run that is there now."""
        if already:
            self.already += 1
        else:
            self.delivered += 1


def sync(
    store_url: str, mlflow_uri: str, name: str | None = None, *, each_to_its_own: bool = False, wait_s: float = _WAIT_S
) -> SyncReport:
    """Write to MLflow every sweep and finished trial of the store that is missing there, incomplete or out of date.

    Every run is looked up by its tag, so that twice is the same as once and an emptied MLflow is filled again. It may
    run beside trackers and other `sync`s: a sweep is written by one process at a time.

    Args:
        mlflow_uri: where to, also for sweeps that are tracked elsewhere or, like those run with tracking off, nowhere.
        name: one sweep; None means all.
        each_to_its_own: a sweep that is tracked goes to its own MLflow instead, unless that is a file in a folder that
            is gone.
        wait_s: how long to wait for another process that writes the same sweep.

    Raises:
        InputError: a bad address, no store, no sweep of that name, or a file that MLflow cannot work with.
            An MLflow that does not answer is no error: it is in the report.
        StoreFailed: the store cannot be read or written any more; what was written before is in MLflow.
    """
    given = parse_mlflow_uri(mlflow_uri, store_url)
    report = SyncReport()
    with open_writer(store_url, create=False) as writer, contextlib.closing(Source(store_url)) as source:
        names = source.sweep_names()
        if name is not None and name not in names:
            raise InputError(unknown("sweep", name, names))
        wanted = [names[name]] if name is not None else list(names.values())
        with quiet_mlflow():
            run = _Sync(writer, source, report, wait_s)
            for sweep_id in wanted:
                sweep = source.sweep(sweep_id)
                if sweep is not None:
                    run.sweep(sweep, _destination(sweep, given, each_to_its_own, report.notes.append))
    return report


def _destination(sweep: SweepPayload, given: Address, each_to_its_own: bool, say: Callable[[str], None]) -> Address:
    """Return where a sweep is to be written, and say it where that is not what the store says or the user expects."""
    own, name = sweep.row.mlflow_uri, sweep.row.name
    if own in (None, given.destination):
        return given
    if own == NOT_TRACKED:
        say(f"{name}: was run with tracking off; written to {given.destination}, as `sync` was asked for")
        return given
    if each_to_its_own:
        try:
            address = parse_mlflow_uri(own)
        except InputError:
            say(f"{name}: is tracked at {own}, which is gone; written to {given.destination}")
            return given
        say(f"{name}: written to {own}, where it is tracked; --mlflow names another place")
        return address
    say(f"{name}: is tracked at {own}; written to {given.destination} as well, as --mlflow says")
    return given


class _Sync:
    """One `sync` with what it has open: a client for each MLflow that it writes to."""

    def __init__(self, writer: Writer, source: Source, report: SyncReport, wait_s: float) -> None:
        self._writer = writer
        self._source = source
        self._report = report
        self._wait_s = wait_s
        self._holder = new_holder()
        self._deliverers: dict[str, Deliverer] = {}
        self._faults: dict[str, str | None] = {}

    def sweep(self, sweep: SweepPayload, address: Address) -> None:
        """Bring one sweep up to date; what fails is counted and the reason kept."""
        trial_ids = self._source.finished_trials(sweep.row.id)
        try:
            deliverer = self._deliverer(address)
            with SweepClaim(self._writer, sweep.row.id, self._holder, self._wait_s) as claim:
                self._write(sweep, trial_ids, deliverer, claim)
        except (UnusableDatabase, Failure):  # the file given for MLflow, or the store: the next sweep would fail too
            raise
        except Exception as error:
            self._fail(1 + len(trial_ids), one_line(error))

    def _deliverer(self, address: Address) -> Deliverer:
        if address.uri not in self._deliverers:
            # Asked once: each of many sweeps would wait for the same silence.
            if address.uri not in self._faults:
                self._faults[address.uri] = server_fault(address)
            if (fault := self._faults[address.uri]) is not None:
                raise ConnectionError(fault)
            self._deliverers[address.uri] = Deliverer(open_client(address), address)
        return self._deliverers[address.uri]

    def _write(self, sweep: SweepPayload, trial_ids: list[int], deliverer: Deliverer, claim: SweepClaim) -> None:
        writer, sweep_id = self._writer, sweep.row.id
        # Elsewhere than the sweep is tracked, the outbox and the runs' ids are none of our business.
        own = sweep.row.mlflow_uri in (None, NOT_TRACKED, deliverer.destination)
        # Before anything is read: what the sweep enters while this runs is for its own tracker.
        pending = writer.pending_outbox(limit=_ALL, sweep=sweep.row.name) if own else []
        done: set[int] = set()
        try:
            run_id, already = deliverer.sweep(sweep)
            found = deliverer.runs_by_key(sweep)
        except Exception as error:
            self._fail(1 + len(trial_ids), deliverer.outage() or one_line(error))
            return
        self._report.count(already)
        if own and sweep.row.mlflow_run_id != run_id:
            writer.set_mlflow_run(run_id, sweep_id=sweep_id)
        for position, trial in enumerate(self._trials(trial_ids)):
            try:
                claim.renew()
                run_id, already = deliverer.trial_into(sweep, trial, found.get(trial_key(sweep, trial), []))
            except ClaimHeld as error:
                self._fail(len(trial_ids) - position, one_line(error))
                break
            except Failure:
                raise
            except Exception as error:
                deliverer.forget()
                outage = deliverer.outage()
                self._fail(1 if outage is None else len(trial_ids) - position, outage or one_line(error))
                if outage is not None:
                    break
                continue
            self._report.count(already)
            done.add(trial.row.id)
            if own and trial.row.mlflow_run_id != run_id:
                writer.set_mlflow_run(run_id, trial_id=trial.row.id)
        writer.mark_delivered([item.id for item in pending if item.kind != OutboxKind.TRIAL or item.trial_id in done])

    def _trials(self, ids: list[int]) -> Iterator[TrialPayload]:
        for start in range(0, len(ids), _CHUNK):
            yield from self._source.trials(ids[start : start + _CHUNK]).values()

    def _fail(self, runs: int, why: str) -> None:
        self._report.failed += runs
        self._report.error = why
