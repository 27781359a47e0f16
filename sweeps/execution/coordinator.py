"""The coordinator: the only one who asks the sampler, hands trials out and writes what comes back."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sweeps.execution.lease import LEASE_TTL_S, Lease
from sweeps.execution.protocol import Acknowledgement, Assignment, Exchange, Report, TrialRecord
from sweeps.search.pareto import Standing
from sweeps.search.space import SearchSpace
from sweeps.search.study import SearchStudy, Suggestion
from sweeps.spec.models import SweepSpec
from sweeps.store.models import SweepStatus, TrialState
from sweeps.store.reader import open_reader
from sweeps.store.records import FinishedTrial, NewTrial, StoredTrial
from sweeps.store.writer import open_writer

MAX_ATTEMPTS = 3


@dataclass(frozen=True)
class _Flight:
    """A trial that was handed out and did not come back yet."""

    token: int
    attempt: int
    worker: str
    baseline: str | None
    share: float = 0.0  # part of its iterations that is done, as last reported


class Coordinator:
    """Ask / report / finish over one sweep of the store, which holds all of its state.

    The same object serves packs in one process and, as a named Ray actor, on a cluster. A trial's row is in the store
    before the trial is handed out, and a result counts once its transaction has committed. Calls may come from several
    threads.

    Which pictures are kept (``save.images``): ``all``; ``none``; or ``best``: the baselines, and every trial that was
    the best one (with several metrics: not dominated) when it finished. So the pictures of the best trial are there at
    any time, and the store also shows how the best came about.

    Args:
        store_url: address of the store.
        sweep: name of the sweep, which exists.
        holder: name under which the lease is held.
        adopt: the trials that are running belong to living packs (a coordinator that restarts beneath them);
            otherwise they are a dead run's, and are handed out first, under their own numbers.
        lease_ttl_s: seconds after which a silent coordinator may be replaced.
    """

    def __init__(
        self,
        store_url: str,
        sweep: str,
        *,
        holder: str,
        adopt: bool = False,
        lease_ttl_s: float = LEASE_TTL_S,
    ) -> None:
        self._lock = threading.RLock()
        reader = open_reader(store_url)
        try:
            view = reader.sweep(sweep)
        finally:
            reader.close()
        self.spec = SweepSpec.model_validate(view.spec)
        self._names = list(view.metric_names)
        self._writer = open_writer(store_url)
        self._sweep_id = self._writer.find_sweep(sweep)
        self._lease = Lease(self._writer, self._sweep_id, holder, lease_ttl_s)
        rows = self._writer.load_trials(self._sweep_id)
        self._study = SearchStudy(
            SearchSpace.from_spec(self.spec),
            sampler=self.spec.method.sampler,
            goals=list(view.metric_goals),
            seed=view.seed,
            trials=self.spec.method.trials,
            history=rows,
        )
        self._standing = Standing(view.metric_goals)
        self._counts = dict.fromkeys(TrialState, 0)
        self._flights: dict[int, _Flight] = {}
        self._waiting: deque[int] = deque()
        self._unsaved: list[Suggestion] = []
        self._attempts: dict[int, int] = {}
        self._losses: dict[int, int] = {}  # in this run: a run that was killed says nothing against its trials
        self._started = time.monotonic()
        self._first_result_s: float | None = None
        self._closed = False
        self._restore(rows, adopt)
        if view.status != SweepStatus.RUNNING:
            self._writer.set_sweep_status(self._sweep_id, self._lease.token, SweepStatus.RUNNING)

    # What packs call

    def ask(self, k: int, worker: str) -> list[Assignment]:
        """Hand out up to ``k`` trials to a pack: a dead run's first, then new ones, stored before they leave.

        Returns:
            Fewer than ``k`` when nothing more is left now; trials of a pack that is lost later may come back.

        Raises:
            StaleLease: another coordinator has taken the sweep over.
        """
        with self._lock:
            if self._closed or k < 1:
                return []
            handed = self._ask_again(k, worker)
            if self._hours_used_up():
                return handed
            # Suggestions that a failing store did not take keep their numbers and go first.
            fresh = self._unsaved
            while len(handed) + len(fresh) < k and (suggestion := self._study.ask()) is not None:
                fresh.append(suggestion)
            self._writer.insert_trials(
                self._sweep_id,
                self._lease.token,
                [
                    NewTrial(
                        item.number,
                        1,
                        item.parameters,
                        item.distributions,
                        item.sampler_attributes,
                        item.seed,
                        item.baseline,
                    )
                    for item in fresh
                ],
            )
            self._unsaved = []
            self._counts[TrialState.RUNNING] += len(fresh)
            for item in fresh:
                self._attempts[item.number] = 1
                self._flights[item.number] = _Flight(1, 1, worker, item.baseline)
                handed.append(Assignment(item.number, 1, item.parameters, item.seed, item.baseline))
            return handed

    def report(self, reports: Sequence[Report]) -> list[int]:
        """Take intermediate values and return the numbers of the trials to stop.

        Stopped are trials whose attempt is no longer the current one. A pruner decides here too, once there is one.

        Raises:
            StaleLease, StoreMoved: the results could not be written any more.
        """
        self._lease.check()
        with self._lock:
            stale = []
            for item in reports:
                flight = self._flights.get(item.number)
                if flight is None or flight.token != item.token:
                    stale.append(item.number)
                else:
                    self._flights[item.number] = replace(flight, share=min(max(item.share, 0.0), 1.0))
            return stale

    def finish(self, records: Sequence[TrialRecord]) -> list[Acknowledgement]:
        """Commit results in one transaction; one acknowledgement each, in order.

        A record without a finite value for every metric of the sweep becomes a FAILED trial with the reason.

        Raises:
            StaleLease: another coordinator has taken the sweep over; nothing was written.
        """
        with self._lock:
            finished = self._judge(records)
            if not finished:
                return []
            answers = self._writer.finish_trials(self._sweep_id, self._lease.token, finished)
            for item, answer in zip(finished, answers, strict=True):
                if answer.accepted and item.record.number in self._flights:
                    self._commit(item)
            return answers

    def exchange(self, records: Sequence[TrialRecord], k: int, worker: str) -> Exchange:
        """Finish, then ask: one round trip for a pack whose rows have come free."""
        with self._lock:
            return Exchange(tuple(self.finish(records)), tuple(self.ask(k, worker)), self._left())

    # What the runner calls

    def lost(self, worker: str | None = None) -> int:
        """Take back the trials of a pack that died (None: of all packs); return how many.

        They are handed out again under their own numbers, with the next attempt and a new token, so that a late result
        of the lost pack is refused. A trial whose worker was lost ``MAX_ATTEMPTS`` times is FAILED: it is likely the
        cause.
        """
        with self._lock:
            numbers = sorted(n for n, flight in self._flights.items() if worker in (None, flight.worker))
            for number in numbers:
                self._attempts[number] = self._flights.pop(number).attempt
                self._losses[number] = self._losses.get(number, 0) + 1
            self._waiting.extend(numbers)
            return len(numbers)

    def progress(self) -> dict[str, Any]:
        """Return what a progress line shows: counts, the best trial so far, seconds, and what is left to hand out.

        ``in_flight_share`` is the work done on trials that have not ended, counted in trials: two trials at half of
        their iterations are 1.0.

        Raises:
            StaleLease, StoreMoved: the results could not be written any more.
        """
        self._lease.check()
        with self._lock:
            best = self._standing.best
            return {
                "planned": self._study.planned,
                "asked": self._study.asked,
                "complete": self._counts[TrialState.COMPLETE],
                "failed": self._counts[TrialState.FAILED],
                "pruned": self._counts[TrialState.PRUNED],
                "running": len(self._flights),
                "in_flight_share": sum(flight.share for flight in self._flights.values()),
                "waiting": len(self._waiting),
                "best_number": None if best is None else best.number,
                "best": None if best is None else dict(zip(self._names, best.values, strict=True)),
                "front": len(self._standing.front),
                "elapsed_s": time.monotonic() - self._started,
                "first_result_s": self._first_result_s,
                "hours_used_up": self._hours_used_up(),
                "left": self._left(),
            }

    def close(self) -> None:
        """Give the lease back and close the store; trials in flight stay RUNNING and are resumed."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._lease.release()
                self._writer.close()

    def _restore(self, rows: Iterable[StoredTrial], adopt: bool) -> None:
        ordered = sorted(rows, key=lambda row: (row.finish_order is None, row.finish_order or row.number))
        for row in ordered:
            self._counts[row.state] += 1
            if row.state == TrialState.COMPLETE and row.objectives is not None:
                self._standing.add(row.number, row.objectives)
            elif row.state == TrialState.RUNNING:
                self._attempts[row.number] = row.attempt
                if adopt:
                    self._flights[row.number] = _Flight(row.token, row.attempt, "", row.baseline)
                else:
                    self._waiting.append(row.number)

    def _ask_again(self, k: int, worker: str) -> list[Assignment]:
        handed: list[Assignment] = []
        while self._waiting and len(handed) < k:
            taken = [self._waiting.popleft() for _ in range(min(k - len(handed), len(self._waiting)))]
            again = self._writer.start_again(self._sweep_id, self._lease.token, taken)
            worn = [item for item in again if self._losses.get(item.number, 0) >= MAX_ATTEMPTS]
            for item in again:
                attempt = self._attempts[item.number] + 1
                self._attempts[item.number] = attempt
                self._flights[item.number] = _Flight(item.token, attempt, worker, item.baseline)
            if worn:
                reason = f"its worker was lost {MAX_ATTEMPTS} times; out of memory is the usual cause"
                self.finish([TrialRecord(item.number, item.token, failure=reason) for item in worn])
            handed += [item for item in again if item not in worn]
        return handed

    def _judge(self, records: Sequence[TrialRecord]) -> list[FinishedTrial]:
        # The standing runs ahead within a call, so that of two records only the better one keeps its pictures twice.
        standing = self._standing.copy()
        finished = []
        for record in records:
            flight = self._flights.get(record.number)
            current = flight is not None and flight.token == record.token
            reason = record.failure or _non_finite(record.metrics, self._names)
            if reason is not None:
                kept = replace(record, failure=reason, pictures=())
                finished.append(FinishedTrial(kept, TrialState.FAILED))
                continue
            values = [float(record.metrics[name]) for name in self._names]
            best = current and standing.add(record.number, values)
            keep = self.spec.save.images == "all" or (
                self.spec.save.images == "best" and (best or (flight is not None and flight.baseline is not None))
            )
            kept = record if keep else replace(record, pictures=())
            objective = values[0] if len(values) == 1 else None
            finished.append(FinishedTrial(kept, TrialState.COMPLETE, objective, values))
        return finished

    def _commit(self, item: FinishedTrial) -> None:
        number = item.record.number
        del self._flights[number]
        self._counts[TrialState.RUNNING] -= 1
        self._counts[item.state] += 1
        self._study.tell(number, item.objectives)
        if item.objectives is not None:
            self._standing.add(number, item.objectives)
        if self._first_result_s is None:
            self._first_result_s = time.monotonic() - self._started

    def _hours_used_up(self) -> bool:
        hours = self.spec.budget.hours
        return hours is not None and time.monotonic() - self._started > hours * 3600.0

    def _left(self) -> int:
        fresh = 0 if self._hours_used_up() or self._closed else self._study.planned - self._study.asked
        return fresh + len(self._waiting) + len(self._unsaved)


def _non_finite(metrics: Mapping[str, float], names: Iterable[str]) -> str | None:
    """Return why the metrics are no result, None when each of the named ones is a finite number."""
    for name in names:
        value = metrics.get(name)
        if value is None:
            return f"the metric {name!r} was not computed"
        if not math.isfinite(value):
            return f"the metric {name!r} is {value}"
    return None
