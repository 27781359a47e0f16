"""A sweep's trials in the store, written so that it is always known what stands there."""

from __future__ import annotations

from collections.abc import Sequence

from sweeps.execution.protocol import Acknowledgement, Assignment
from sweeps.store.leases import StaleLease
from sweeps.store.models import TrialState
from sweeps.store.records import FinishedTrial, NewTrial, StoredTrial
from sweeps.store.writer import Writer


class Ledger:
    """Writes trials under a lease.

    A write that raises may have been committed all the same: the connection broke, or the disk filled up, after the
    commit. So on an error the store is read, and a write that stands there counts as done. Only where it does not, or
    where reading fails too, does the error go on.

    Args:
        writer: of the store.
        sweep_id: the sweep.
        lease: the token under which to write.
    """

    def __init__(self, writer: Writer, sweep_id: int, lease: int) -> None:
        self._writer, self._sweep_id, self._lease = writer, sweep_id, lease
        self._tokens: dict[int, int] = {}

    def load(self) -> dict[int, StoredTrial]:
        """Return the sweep's trials by number."""
        rows = {row.number: row for row in self._writer.load_trials(self._sweep_id)}
        self._tokens = {number: row.token for number, row in rows.items()}
        return rows

    def insert(self, trials: Sequence[NewTrial]) -> None:
        """Insert new trials, all or none."""
        if not trials:
            return
        try:
            self._writer.insert_trials(self._sweep_id, self._lease, trials)
        except StaleLease:
            raise
        except Exception as error:
            rows = self._read_after(error)
            if not all(trial.number in rows for trial in trials):
                raise
        self._tokens |= {trial.number: trial.token for trial in trials}

    def start_again(self, numbers: Sequence[int]) -> list[Assignment]:
        """Give running trials a new attempt; trials that are not running are left out."""
        try:
            started = self._writer.start_again(self._sweep_id, self._lease, numbers)
        except StaleLease:
            raise
        except Exception as error:
            known, rows = self._tokens, self._read_after(error)
            moved = [rows[number] for number in sorted(numbers) if number in rows]
            started = [
                assignment_of(row)
                for row in moved
                if row.state == TrialState.RUNNING and row.token != known.get(row.number)
            ]
            if not started:
                raise
        self._tokens |= {item.number: item.token for item in started}
        return started

    def finish(self, trials: Sequence[FinishedTrial]) -> list[Acknowledgement]:
        """Commit results in one transaction; one acknowledgement a trial, in order."""
        if not trials:
            return []
        try:
            return self._writer.finish_trials(self._sweep_id, self._lease, trials)
        except StaleLease:
            raise
        except Exception as error:
            rows = self._read_after(error)
            answers = [_answer(trial, rows.get(trial.record.number)) for trial in trials]
            if None in answers:  # one that would have been accepted is still running: nothing was committed
                raise
            return [answer for answer in answers if answer is not None]

    def _read_after(self, error: Exception) -> dict[int, StoredTrial]:
        try:
            return self.load()
        except Exception:
            raise error from None


def assignment_of(row: StoredTrial) -> Assignment:
    """Return a stored trial as it is handed out."""
    return Assignment(row.number, row.token, row.parameters, row.seed, row.baseline, row.attempt)


def _answer(trial: FinishedTrial, row: StoredTrial | None) -> Acknowledgement | None:
    number, token = trial.record.number, trial.record.token
    if row is None:
        return Acknowledgement(number, False, "unknown trial")
    if row.token != token:
        return Acknowledgement(number, False, f"stale token {token}, the current one is {row.token}")
    return None if row.state == TrialState.RUNNING else Acknowledgement(number, True)
