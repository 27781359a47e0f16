"""Trials that are given, in place of a search: a pack solves them, and nothing reaches the store."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sweeps.execution.protocol import Assignment, Exchange, Report, TrialRecord


class GivenTrials:
    """What a pack takes for its coordinator: it hands out the given trials in order and keeps their records.

    Args:
        trials: to solve.
        changed: called with this object when there is something new: a record, or progress of the running trials.

    Attributes:
        records: of the trials that have ended, in the order in which they did.
        shares: of the running trials by number, how much of each is done.
    """

    def __init__(self, trials: Sequence[Assignment], changed: Callable[[GivenTrials], None] | None = None) -> None:
        self.records: list[TrialRecord] = []
        self.shares: dict[int, float] = {}
        self._waiting = list(trials)
        self._changed = changed or (lambda trials: None)

    def exchange(self, records: Sequence[TrialRecord], k: int, worker: str) -> Exchange:
        self.records += records
        for record in records:
            self.shares.pop(record.number, None)
        handed, self._waiting = self._waiting[:k], self._waiting[k:]
        self.shares |= {trial.number: 0.0 for trial in handed}
        self._changed(self)
        return Exchange((), tuple(handed), len(self._waiting))

    def report(self, reports: Sequence[Report]) -> list[int]:
        self.shares |= {report.number: report.share for report in reports}
        self._changed(self)
        return []
