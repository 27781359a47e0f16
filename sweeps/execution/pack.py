"""A pack: trials solved as rows of one batch, refilled as they end. The only caller of the core in a sweep."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from restoration_core.reconstruction import OBJECTIVE, BatchSolver, Problem, Result, Status
from sweeps.execution.protocol import (
    Acknowledgement,
    Assignment,
    CurveRecord,
    Exchange,
    PictureRecord,
    Report,
    TrialRecord,
)
from sweeps.execution.worker_context import PackContext
from sweeps.trial.metrics import Measuring, mean_over_images
from sweeps.trial.pictures import encode

STEPS_BETWEEN_LOOKS = 100
"""Most iterations between two looks whether the pack should stop; fewer where they are slow."""
FIRST_STEPS = 10
REPORT_EVERY_S = 2.0

Row = tuple[int, str]


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


@dataclass
class _Live:
    """A trial in the batch."""

    assignment: Assignment
    raw: dict[str, Any]
    problems: dict[str, Problem]
    queue_s: float
    results: dict[str, Result] = field(default_factory=dict)


def worker_name() -> str:
    """Return this process's name in the store: ``host:pid``."""
    return f"{socket.gethostname()}:{os.getpid()}"


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
    raises or becomes non-finite is handed in as FAILED with the reason; the others go on.

    Args:
        coordinator: hands out and takes in.
        context: on the device where to compute, see :meth:`PackContext.on`.
        width: trials in the batch at a time.
        quota: trials to take in all, so that a lost pack loses bounded work.
        pack: name of this pack, under which its trials are handed out.
        first: trials it was opened with.
        asked_at: seconds since the epoch when ``first`` was asked.
        should_stop: looked at every ``STEPS_BETWEEN_LOOKS`` iterations; trials in the batch are then left as they are.

    Raises:
        StaleLease: another coordinator has taken the sweep over.
    """
    return _Pack(coordinator, context, width, quota, pack).run(first, asked_at or time.time(), should_stop)


class _Pack:
    def __init__(self, coordinator: CoordinatorLike, context: PackContext, width: int, quota: int, pack: str) -> None:
        self._coordinator, self._context = coordinator, context
        self._width, self._quota, self._pack = width, quota, pack
        self._worker = worker_name()
        self._measuring = Measuring(context)
        self._solver = self._new_solver()
        self._live: dict[int, _Live] = {}
        self._records: list[TrialRecord] = []
        self._taken = 0
        self._steps = FIRST_STEPS
        self._dry = False  # the last answer brought fewer trials than there were free rows
        self._left: int | None = None
        self._counts = {"trials": 0, "failed": 0, "refused": 0}
        self._solving_s = self._exchanging_s = self._occupied_row_s = self._capacity_row_s = 0.0

    def run(self, first: Sequence[Assignment], asked_at: float, should_stop: Callable[[], bool]) -> PackSummary:
        self._start(first, asked_at)
        started_at, started = time.time(), time.perf_counter()
        mark = reported = started
        while not should_stop():
            free = min(self._width - len(self._live), self._quota - self._taken)
            if self._records or (free > 0 and not self._dry):
                self._exchange(free)
            elif self._live:
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
            worker=self._worker,
            started_at=started_at,
            elapsed_s=time.perf_counter() - started,
            solving_s=self._solving_s,
            exchanging_s=self._exchanging_s,
            occupied_row_s=self._occupied_row_s,
            capacity_row_s=self._capacity_row_s,
            **self._counts,
        )

    # To and from the coordinator

    def _exchange(self, free: int) -> None:
        records, self._records = self._records, []
        asked_at, started = time.time(), time.perf_counter()
        answer = self._coordinator.exchange(records, max(free, 0), self._pack)
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
        reports = []
        for number, live in self._live.items():
            current = [self._solver.current((number, image)) for image in live.problems if image not in live.results]
            values = [item for item in current if item is not None]
            if values:
                mean = sum(item.losses[OBJECTIVE] for item in values) / len(values)
                step = min(item.iteration for item in values)
                reports.append(Report(number, live.assignment.token, step, mean, self._share(number, live)))
        stop = self._coordinator.report(reports) if reports else []
        for number in set(stop) & set(self._live):
            self._leave(self._live.pop(number))

    def _share(self, number: int, live: _Live) -> float:
        done = sum(
            1.0 if image in live.results else self._solver.iteration((number, image)) / problem.iterations
            for image, problem in live.problems.items()
        )
        return done / len(live.problems)

    # Into and out of the batch

    def _start(self, assignments: Sequence[Assignment], asked_at: float) -> None:
        self._taken += len(assignments)
        for item in assignments:
            raw: dict[str, Any] = {}
            try:
                raw = self._context.raw_parameters(item.parameters)
                live = _Live(item, raw, self._context.problems(raw, item.seed), max(time.time() - asked_at, 0.0))
                self._enter(self._solver, live)
            except Exception as error:
                self._fail(item, raw, _said(error), max(time.time() - asked_at, 0.0))
            else:
                self._live[item.number] = live

    def _enter(self, solver: BatchSolver[Row], live: _Live) -> None:
        for image, problem in live.problems.items():
            try:
                solver.add((live.assignment.number, image), problem)
            except Exception:
                self._leave(live)
                raise

    def _leave(self, live: _Live) -> None:
        number = live.assignment.number
        for key in [key for key in self._solver.keys if key[0] == number]:
            self._solver.remove(key)

    def _advance(self) -> None:
        rows, started = len(self._solver.keys), time.perf_counter()
        try:
            ended = self._solver.advance(self._steps)
        except Exception:
            # The batch does not tell whose fault it was.
            ended = self._one_by_one()
        elapsed = time.perf_counter() - started
        self._solving_s += elapsed
        self._steps = _next_steps(self._steps, elapsed)
        if self._left != 0:
            self._occupied_row_s += rows * elapsed
        done = []
        for (number, image), result in ended:
            live = self._live.get(number)
            if live is None:  # failed by another of its pictures
                continue
            live.results[image] = result
            if result.status is Status.NON_FINITE:
                self._leave(self._live.pop(number))
                self._fail(live.assignment, live.raw, f"{image}: {result.status.value}", live.queue_s)
            elif len(live.results) == len(live.problems):
                done.append(self._live.pop(number))
        self._hand_in(done)

    def _one_by_one(self) -> list[tuple[Row, Result]]:
        """Start every trial of the batch again, alone; fail those that still raise."""
        self._solver = self._new_solver()
        ended: list[tuple[Row, Result]] = []
        for live in list(self._live.values()):
            solver = self._new_solver()
            live.results.clear()
            try:
                self._enter(solver, live)
                own: list[tuple[Row, Result]] = []
                while solver.keys:
                    own += solver.advance()
            except Exception as error:
                del self._live[live.assignment.number]
                self._fail(live.assignment, live.raw, _said(error), live.queue_s)
            else:
                ended += own
        return ended

    def _new_solver(self) -> BatchSolver[Row]:
        spec = self._context.spec
        return BatchSolver(
            self._context.classifier,
            spec.image_size,
            device=self._context.device,
            record_every=spec.save.curves_every,
        )

    # Records

    def _fail(self, item: Assignment, raw: dict[str, Any], reason: str, queue_s: float) -> None:
        self._records.append(
            TrialRecord(
                item.number,
                item.token,
                raw_parameters=raw,
                failure=reason,
                queue_s=queue_s,
                device=self._context.device,
                worker=self._worker,
                pack=self._pack,
            )
        )

    def _hand_in(self, done: Sequence[_Live]) -> None:
        rows = [(live, image) for live in done for image in live.problems]
        measured = self._measuring.measure([(image, live.results[image].image) for live, image in rows])
        by_trial: dict[int, dict[str, dict[str, float]]] = {}
        for (live, image), metrics in zip(rows, measured, strict=True):
            by_trial.setdefault(live.assignment.number, {})[image] = metrics
        for live in done:
            self._records.append(self._record(live, by_trial[live.assignment.number]))

    def _record(self, live: _Live, image_metrics: dict[str, dict[str, float]]) -> TrialRecord:
        item = live.assignment
        keep = self._context.spec.save.images != "none"
        return TrialRecord(
            item.number,
            item.token,
            metrics=mean_over_images(image_metrics),
            image_metrics=image_metrics,
            raw_parameters=live.raw,
            curves=tuple(
                CurveRecord(image, name, result.curve_steps, values)
                for image, result in live.results.items()
                for name, values in result.curves.items()
            ),
            pictures=tuple(record for image in live.problems for record in _pictures(image, live.results[image]))
            if keep
            else (),
            queue_s=live.queue_s,
            compute_s=sum(result.compute_s for result in live.results.values()),
            iterations=max(result.iterations for result in live.results.values()),
            device=self._context.device,
            worker=self._worker,
            pack=self._pack,
        )


def _next_steps(steps: int, elapsed_s: float) -> int:
    """Return how many iterations to take next, so that a pack can report in time however slow its network is."""
    if elapsed_s > REPORT_EVERY_S / 2:
        return max(1, steps // 2)
    return min(2 * steps, STEPS_BETWEEN_LOOKS) if elapsed_s < REPORT_EVERY_S / 5 else steps


def _pictures(image: str, result: Result) -> list[PictureRecord]:
    steps = [(step, False, picture) for step, picture in sorted(result.snapshots.items()) if step < result.iterations]
    return [
        PictureRecord(image, step, final, encode(picture))
        for step, final, picture in [*steps, (result.iterations, True, result.image)]
    ]


def _said(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
