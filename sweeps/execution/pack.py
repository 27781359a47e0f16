"""A pack: trials solved as rows of one batch, refilled as they end. The only caller of the core in a sweep."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from sweeps.execution.pack_batch import Ended, PackBatch
from sweeps.execution.pack_records import PackTrial, RecordMaker, worker_name
from sweeps.execution.protocol import Acknowledgement, Assignment, Exchange, Report, TrialRecord
from sweeps.execution.worker_context import PackContext

REPORT_EVERY_S = 2.0


class CoordinatorLike(Protocol):
    """The part of the coordinator that packs see, in this process or through an actor handle."""

    def exchange(self, records: Sequence[TrialRecord], k: int, worker: str) -> Exchange: ...

    def report(self, reports: Sequence[Report]) -> list[int]: ...


@dataclass(frozen=True)
class PackSummary:
    """What a pack did.

    Attributes:
        pack, worker: who.
        trials: how many it handed in; failed: how many of them as FAILED; refused: how many were not accepted.
        started_at: seconds since the epoch when its first row started.
        elapsed_s: from there to the end.
        solving_s: of that, in the solver; exchanging_s: waiting for the coordinator.
        occupied_row_s, capacity_row_s: rows busy in the solver times seconds, and rows there are times seconds while
            trials remained to be handed out.
        notices: what a user should hear of how it went.
    """

    pack: str
    worker: str
    trials: int
    failed: int
    refused: int
    started_at: float
    elapsed_s: float
    solving_s: float
    exchanging_s: float
    occupied_row_s: float
    capacity_row_s: float
    notices: tuple[str, ...] = ()


def run_pack(
    coordinator: CoordinatorLike,
    context: PackContext,
    *,
    width: int,
    quota: int,
    pack: str,
    first: Sequence[Assignment] = (),
    asked_at: float | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> PackSummary:
    """Solve trials in one batch until the quota is used up or nothing remains.

    A trial is one row per picture of the sweep. Rows that came free are refilled at once. A trial that cannot be built,
    solved, measured or recorded, or whose numbers are not finite, is handed in as failed with the reason; the others
    go on. What the coordinator raises ends the pack.

    Args:
        coordinator: hands out and takes in.
        context: on the device where to compute, see :meth:`PackContext.on`.
        width: trials in the batch at a time.
        quota: trials to take in all, so that a lost pack loses bounded work.
        pack: name of this pack, under which its trials are handed out.
        first: trials it was opened with.
        asked_at: seconds since the epoch when ``first`` was asked.
        should_stop: looked at about every second; trials in the batch are then left as they are.

    Raises:
        StaleLease: another coordinator has taken the sweep over.
    """
    return _Pack(coordinator, context, width, quota, pack).run(first, asked_at or time.time(), should_stop)


def give_back(
    coordinator: CoordinatorLike, context: PackContext, pack: str, trials: Sequence[Assignment], error: Exception
) -> PackSummary:
    """Hand trials in as failed by the machine: this process cannot compute at all, e.g. its GPU is full."""
    maker = RecordMaker(context, pack)
    records = [replace(maker.failed(PackTrial(item), error), of_the_machine=True) for item in trials]
    coordinator.exchange(records, 0, pack)
    now = time.time()
    return PackSummary(pack, worker_name(), len(records), len(records), 0, now, 0.0, 0.0, 0.0, 0.0, 0.0)


class _Pack:
    """One pack at work: asks, starts, solves, hands in, and keeps the times."""

    def __init__(self, coordinator: CoordinatorLike, context: PackContext, width: int, quota: int, pack: str) -> None:
        self._coordinator, self._context = coordinator, context
        self._width, self._quota, self._pack = width, quota, pack
        self._batch, self._maker = PackBatch(context, width), RecordMaker(context, pack)
        self._records: list[TrialRecord] = []
        self._taken = 0
        self._dry = False  # the last answer brought fewer trials than there were free rows
        self._left: int | None = None
        self._counts = {"trials": 0, "failed": 0, "refused": 0}
        self._solving_s = self._exchanging_s = self._occupied_row_s = self._capacity_row_s = 0.0

    def run(self, first: Sequence[Assignment], asked_at: float, should_stop: Callable[[], bool]) -> PackSummary:
        self._start(first, asked_at)
        started_at, started = time.time(), time.perf_counter()
        mark = reported = started
        while not should_stop():
            free = min(self._batch.width - self._batch.count, self._quota - self._taken)
            if self._records or (free > 0 and not self._dry):
                self._exchange(max(free, 0))
            elif self._batch.count:
                self._advance()
            else:
                break
            now = time.perf_counter()
            if self._left != 0:
                self._capacity_row_s += self._width * len(self._context.images) * (now - mark)
            mark = now
            if now - reported > REPORT_EVERY_S:
                reported = now
                self._report()
        return PackSummary(
            pack=self._pack,
            worker=worker_name(),
            started_at=started_at,
            elapsed_s=time.perf_counter() - started,
            solving_s=self._solving_s,
            exchanging_s=self._exchanging_s,
            occupied_row_s=self._occupied_row_s,
            capacity_row_s=self._capacity_row_s,
            notices=(*self._batch.notices, *self._maker.notices),
            **self._counts,
        )

    def _exchange(self, free: int) -> None:
        records, self._records = self._records, []
        asked_at, started = time.time(), time.perf_counter()
        answer = self._coordinator.exchange(records, free, self._pack)
        self._exchanging_s += time.perf_counter() - started
        self._count(records, answer.acknowledgements)
        self._dry = len(answer.assignments) < free
        self._left = answer.left
        self._start(answer.assignments, asked_at)

    def _count(self, records: Sequence[TrialRecord], answers: Sequence[Acknowledgement]) -> None:
        self._counts["trials"] += len(records)
        self._counts["failed"] += sum(record.failure is not None for record in records)
        self._counts["refused"] += sum(not answer.accepted for answer in answers)

    def _report(self) -> None:
        reports = self._batch.reports()
        for number in self._coordinator.report(reports) if reports else ():
            self._batch.drop(number)

    def _start(self, assignments: Sequence[Assignment], asked_at: float) -> None:
        self._taken += len(assignments)
        for item in assignments:
            trial = PackTrial(item, queue_s=max(time.time() - asked_at, 0.0))
            try:
                trial.raw = self._context.raw_parameters(item.parameters)
                trial.problems = self._context.problems(trial.raw, item.seed)
            except Exception as error:
                self._records.append(self._maker.failed(trial, error))
            else:
                trial.queue_s = max(time.time() - asked_at, 0.0)
                self._batch.add(trial)

    def _advance(self) -> None:
        started = time.perf_counter()
        ended = self._batch.advance()
        elapsed = time.perf_counter() - started
        self._solving_s += elapsed
        if self._left != 0:
            self._occupied_row_s += ended.rows * elapsed
        self._hand_in(ended)

    def _hand_in(self, ended: Ended) -> None:
        self._records += [self._maker.failed(trial, reason) for trial, reason in ended.failed]
        if ended.solved:
            self._records += self._maker.solved(ended.solved)
