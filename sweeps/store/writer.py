"""The only way to change the store: every method is one transaction."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine

from sweeps.execution.protocol import Acknowledgement, Assignment
from sweeps.shown_address import show_url
from sweeps.store import leases
from sweeps.store.address import parse_url, sqlite_path
from sweeps.store.engine import BUSY_TIMEOUT_S, READING, empty_log, make_engine
from sweeps.store.errors import StoreLocked, StoreMoved, locked
from sweeps.store.file_watch import FileWatch
from sweeps.store.migrations import check_before_writing, upgrade_engine
from sweeps.store.models import SweepStatus
from sweeps.store.reading import pending, stored_priors, stored_trials, sweeps
from sweeps.store.records import FinishedTrial, NewSweep, NewTrial, OutboxItem, PriorEntry, StoredTrial
from sweeps.store.strict_json import require_json
from sweeps.store.writing import claims, finishing, outbox, priors, sweep_rows, trial_rows

_T = TypeVar("_T")
_TRIES = 4


def open_writer(url: str, create: bool = True) -> Writer:
    """Open the store at ``url`` for writing and upgrade its schema when needed.

    Args:
        create: make the store when there is none; False for what only makes sense with one (resume, delete, sync).

    Raises:
        InputError: bad address, no database, another program's, one that is read-only or has a newer schema; no
            store there and ``create`` is False.
        StoreFailed: the disk is full, for example.
    """
    check_before_writing(url, create)
    engine = make_engine(url)
    try:
        upgrade_engine(engine, show_url(url))
    except BaseException:
        engine.dispose()
        raise
    path = sqlite_path(parse_url(url))
    return Writer(engine, show_url(url), None if path is None else FileWatch(path))


class Writer:
    """Writes sweeps. Safe to use from several threads and beside other processes' writers.

    Methods that take ``lease`` (from `acquire_lease`) raise `StaleLease` and change nothing once the sweep's
    lease has changed hands. All methods raise `StoreFailed`, one line, when the disk, the file or the server fails;
    what they were to write is then not written, what was written before is.

    Args:
        engine: see `make_engine`.
        name: the store's address as it may be shown.
        file: the file of a SQLite store, to notice when it is deleted, moved or replaced.
    """

    def __init__(self, engine: Engine, name: str, file: FileWatch | None = None) -> None:
        self._engine = engine
        self._name = name
        self._file = file
        if file is not None:
            file.start()

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; the writer cannot be used afterwards."""
        self._engine.dispose()

    # Sweeps

    def create_sweep(self, new: NewSweep) -> int:
        """Create a sweep with its pictures, status RUNNING, and enter it into the outbox; return its id.

        Raises:
            NameTaken: resume it, take another name, or delete it.
            ValueError: the spec or the versions are not finite JSON.
        """
        require_json(f"sweep {new.name!r}", spec=dict(new.spec), versions=dict(new.versions))
        return self._write(lambda connection: sweep_rows.create(connection, new))

    def sweep_names(self) -> list[str]:
        """Return the names that are taken."""
        return self._read(sweeps.names)

    def find_sweep(self, name: str) -> int:
        """Return the sweep's id.

        Raises:
            InputError: no such sweep, with the nearest name.
        """
        found: int = self._read(lambda connection: sweeps.find(connection, name)).id
        return found

    def set_sweep_status(
        self,
        sweep_id: int,
        lease: int,
        status: SweepStatus,
        verdict: Mapping[str, Any] | None = None,
        startup_s: float | None = None,
    ) -> None:
        """Set the status, with the verdict and start-up seconds where given, and enter it into the outbox.

        Raises:
            ValueError: the verdict is not finite JSON.
        """
        if verdict is not None:
            require_json(f"sweep {sweep_id}", verdict=dict(verdict))
        self._write_leased(
            sweep_id, lease, lambda connection: sweep_rows.set_status(connection, sweep_id, status, verdict, startup_s)
        )

    def delete_sweep(self, name: str, force: bool = False) -> dict[str, int]:
        """Delete a sweep, its trials and the pictures that no other sweep shows; return the rows gone by table.

        Raises:
            InputError: no such sweep; `LeaseHeld` when it is being run and ``force`` is not set.
        """
        return self._write(lambda connection: sweep_rows.remove(connection, name, force))

    # Leases

    def acquire_lease(self, sweep_id: int, holder: str, ttl_s: float) -> int:
        """Become the sweep's only coordinator for ``ttl_s`` seconds; return the fencing token.

        The same ``holder`` gets it again at once, with a new token: its former incarnation is fenced off.

        Raises:
            LeaseHeld: another holder's lease is live.
        """
        return self._write(lambda connection: leases.acquire(connection, sweep_id, holder, ttl_s))

    def renew_lease(self, sweep_id: int, token: int, ttl_s: float) -> None:
        """Extend the lease to ``ttl_s`` seconds from now; raises `StaleLease` when it changed hands."""
        self._write(lambda connection: leases.renew(connection, sweep_id, token, ttl_s))

    def release_lease(self, sweep_id: int, token: int) -> None:
        """Give the lease back; without effect when it changed hands already."""
        self._write(lambda connection: leases.release(connection, sweep_id, token))

    # Trials

    def insert_trials(self, sweep_id: int, lease: int, trials: Sequence[NewTrial]) -> None:
        """Insert asked trials as RUNNING, all or none; call it before they are handed out.

        Raises:
            ValueError: a number is taken, or a value is not finite JSON.
        """
        for trial in trials:
            require_json(
                f"trial {trial.number}",
                parameters=dict(trial.parameters),
                distributions=dict(trial.distributions),
                sampler_attributes=dict(trial.sampler_attributes),
            )
        self._write_leased(sweep_id, lease, lambda connection: trial_rows.add(connection, sweep_id, trials))

    def start_again(self, sweep_id: int, lease: int, numbers: Sequence[int]) -> list[Assignment]:
        """Hand out running trials of a dead coordinator once more, under their own numbers with new tokens.

        Returns:
            Assignments by number; numbers that are not RUNNING are left out.
        """
        return self._write_leased(sweep_id, lease, lambda connection: trial_rows.restart(connection, sweep_id, numbers))

    def reopen_failed(self, sweep_id: int, lease: int) -> list[int]:
        """Make failed trials running ones again, without what their last attempt left; return their numbers."""
        return self._write_leased(sweep_id, lease, lambda connection: trial_rows.reopen(connection, sweep_id))

    def finish_trials(self, sweep_id: int, lease: int, trials: Sequence[FinishedTrial]) -> list[Acknowledgement]:
        """Commit results in one transaction: rows, metrics, curves, pictures, outbox entries.

        Returns:
            One acknowledgement a trial, in order. A stale token or an unknown number is refused with the reason,
            the others commit; a record that is committed already is accepted and changes nothing.

        Raises:
            ValueError: a non-finite objective (nothing is written).
        """
        finishing.validate(trials)
        return self._write_leased(sweep_id, lease, lambda connection: finishing.finish(connection, sweep_id, trials))

    def load_trials(self, sweep_id: int) -> list[StoredTrial]:
        """Return all trials by number, to rebuild the study from (tell them in ``finish_order``)."""
        return self._read(lambda connection: stored_trials.load(connection, sweep_id))

    # MLflow

    def set_mlflow_run(self, run_id: str, *, sweep_id: int | None = None, trial_id: int | None = None) -> None:
        """Note the MLflow run of a sweep or of a trial (exactly one of them)."""
        if (sweep_id is None) == (trial_id is None):
            raise ValueError("exactly one of sweep_id and trial_id must be given")
        self._write(lambda connection: outbox.note_run(connection, run_id, sweep_id, trial_id))

    def set_destination(self, sweep_id: int, mlflow_uri: str) -> None:
        """Note where the sweep is tracked from now on (no password in it; `NOT_TRACKED` for nowhere)."""
        self._write(lambda connection: outbox.note_destination(connection, sweep_id, mlflow_uri))

    def claim_tracking(self, sweep_id: int, holder: str, ttl_s: float, instead_of: str | None = None) -> str | None:
        """Become the only process that writes the sweep to MLflow, or stay it; return who is (None: no such sweep).

        Args:
            instead_of: a holder that is known to be dead; its claim ends at once.
        """
        return self._write(lambda connection: claims.claim(connection, sweep_id, holder, ttl_s, instead_of))

    def release_tracking(self, sweep_id: int, holder: str) -> None:
        """Give the claim back; without effect when it has become somebody else's."""
        self._write(lambda connection: claims.release(connection, sweep_id, holder))

    def pending_outbox(
        self, limit: int = 100, sweep: str | None = None, destination: str | None = None
    ) -> list[OutboxItem]:
        """Return the oldest undelivered entries, of the sweep named or of all, for the MLflow named or for any.

        Takes no write lock.
        """
        return self._read(lambda connection: pending.pending(connection, limit, sweep, destination))

    def count_outbox(self, sweep: str | None = None, destination: str | None = None) -> dict[str, int]:
        """Return how many entries are undelivered, by sweep, the one that waits longest first."""
        return self._read(lambda connection: pending.count(connection, sweep, destination))

    def mark_delivered(self, ids: Sequence[int]) -> None:
        """Mark outbox entries as delivered; twice is the same as once."""
        self._write(lambda connection: outbox.deliver(connection, ids))

    def mark_failed(self, ids: Sequence[int], error: str) -> None:
        """Keep why a delivery failed; the entries stay pending."""
        self._write(lambda connection: outbox.fail(connection, ids, error))

    # Priors

    def put_prior(self, key: str, family: str, description: Mapping[str, Any], blob: bytes) -> None:
        """Store a trained prior under its key, in place of one that is there.

        Raises:
            ValueError: the description is not finite JSON.
        """
        require_json(f"prior {key}", description=dict(description))
        self._write(lambda connection: priors.put(connection, key, family, description, blob))

    def get_prior(self, key: str) -> bytes | None:
        """Return a prior's blob, None when the store has none under this key."""
        return self._read(lambda connection: stored_priors.get(connection, key))

    def list_priors(self) -> list[PriorEntry]:
        """Return the stored priors without their blobs."""
        return self._read(stored_priors.entries)

    # Transactions

    def _write_leased(self, sweep_id: int, lease: int, work: Callable[[Connection], _T]) -> _T:
        def guarded(connection: Connection) -> _T:
            leases.check(connection, sweep_id, lease)
            return work(connection)

        return self._write(guarded)

    def _read(self, work: Callable[[Connection], _T]) -> _T:
        return self._transact(self._engine.execution_options(**{READING: True}), work)

    def _write(self, work: Callable[[Connection], _T]) -> _T:
        return self._transact(self._engine, work)

    def _transact(self, engine: Engine, work: Callable[[Connection], _T]) -> _T:
        """Run ``work`` in a transaction; a locked database is tried again a few times, then said."""
        for attempt in range(_TRIES):
            self._check_file()
            try:
                with engine.begin() as connection:
                    return work(connection)
            except StoreLocked as error:
                if attempt == _TRIES - 1:
                    raise locked(self._name, _TRIES * BUSY_TIMEOUT_S) from error
                time.sleep(0.05 * 2**attempt)
        raise AssertionError("the last try returns or raises")

    def _check_file(self) -> None:
        if self._file is None:
            return
        try:
            self._file.check()
        except StoreMoved:
            empty_log(self._engine)
            raise
