"""The coordinator: the only one who asks the sampler, hands trials out and writes what comes back."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from sweeps.execution.coordination.flights import Flights
from sweeps.execution.coordination.judging import judge, with_pictures
from sweeps.execution.coordination.ledger import Ledger, assignment_of
from sweeps.execution.coordination.setbacks import Setbacks, take_back
from sweeps.execution.coordination.suggestions import Suggestions
from sweeps.execution.coordination.tally import Tally
from sweeps.execution.failures import is_result
from sweeps.execution.lease import Held
from sweeps.execution.protocol import Acknowledgement, Assignment, Exchange, Report, TrialRecord
from sweeps.search.space import SearchSpace
from sweeps.search.study import SearchStudy
from sweeps.spec.stored import stored_spec
from sweeps.store.models import SweepStatus, TrialState
from sweeps.store.reader import open_reader
from sweeps.store.records import FinishedTrial, StoredTrial
from sweeps.store.writer import open_writer


class Coordinator:
    """Ask / report / finish over one sweep of the store, which holds all of its state.

    The same object serves packs in one process and, as a named Ray actor, on a cluster. A trial's row is in the store
    before the trial is handed out, and a result counts once its transaction has committed. Calls may come from several
    threads.

    A trial that the machine failed, or whose worker was lost, stays RUNNING in the store and is handed out again. Once
    the machine is to blame (see :class:`Setbacks`), nothing more is, and ``progress()["stopped"]`` says why.

    Args:
        store_url: address of the store.
        sweep: name of the sweep, which exists.
        lease: the sweep's, which is held for as long as the coordinator is used.
        adopt: the trials that are running belong to living packs (a coordinator that restarts beneath them);
            otherwise they are a dead run's, and are handed out first, under their own numbers.
        started_at: seconds since the epoch when this run began, from which ``budget.hours`` counts; now when None.
    """

    def __init__(
        self,
        store_url: str,
        sweep: str,
        lease: Held,
        *,
        adopt: bool = False,
        started_at: float | None = None,
    ) -> None:
        self._lock = threading.RLock()
        reader = open_reader(store_url)
        try:
            view = reader.sweep(sweep)
        finally:
            reader.close()
        self.spec = stored_spec(view.name, view.spec)
        self._writer = open_writer(store_url)
        sweep_id = self._writer.find_sweep(sweep)
        self._lease = lease
        self._ledger = Ledger(self._writer, sweep_id, self._lease.token)
        rows = list(self._ledger.load().values())
        self._tally = Tally(self.spec, time.time() if started_at is None else started_at)
        self._space = SearchSpace.from_spec(self.spec)
        self._study = SearchStudy(
            self._space,
            sampler=self.spec.method.sampler,
            goals=list(view.metric_goals),
            seed=view.seed,
            trials=self.spec.method.trials,
            history=rows,
        )
        self._suggestions = Suggestions(self._study, self._ledger)
        self._flights, self._setbacks = Flights(), Setbacks()
        self._doubtful = False
        self._stopped: str | None = None
        self._closed = False
        self._restore(rows, adopt)
        if view.status != SweepStatus.RUNNING:
            self._writer.set_sweep_status(sweep_id, self._lease.token, SweepStatus.RUNNING)

    def ask(self, k: int, worker: str) -> list[Assignment]:
        """Hand out up to ``k`` trials to a pack: a dead run's first, then new ones, stored before they leave.

        Returns:
            Fewer than ``k`` when nothing more is left now; trials of a pack that is lost later may come back.

        Raises:
            StaleLease: another coordinator has taken the sweep over.
        """
        with self._lock:
            if self._closed or self._stopped is not None or k < 1:
                return []
            self._settle()
            if (reason := self._setbacks.reason_to_stop()) is not None:
                # A trial that a pack still has may show that the machine works after all.
                self._stopped = None if self._flights.air else reason
                return []
            handed = self._ask_again(k, worker)
            if len(handed) < k and not self._tally.hours_used_up:
                handed += self._ask_new(k - len(handed), worker, handed)
            if not handed and not self._flights.air and self._flights.aside:
                self._flights.bring_back()
                handed = self._ask_again(k, worker)
            return handed

    def report(self, reports: Sequence[Report]) -> list[int]:
        """Take intermediate values and return the numbers of the trials to stop.

        Stopped are trials whose attempt is no longer the current one. A pruner decides here too, once there is one.

        Raises:
            StaleLease, StoreMoved: the results could not be written any more.
        """
        self._lease.check()
        with self._lock:
            return self._flights.note(reports)

    def finish(self, records: Sequence[TrialRecord]) -> list[Acknowledgement]:
        """Commit results in one transaction; one acknowledgement each, in order.

        A record without a finite value for every metric of the sweep becomes a FAILED trial with the reason. A record
        of a trial that the machine failed is not stored while the trial is worth another try.

        Raises:
            StaleLease: another coordinator has taken the sweep over; nothing was written.
        """
        with self._lock:
            self._settle()
            answers: dict[int, Acknowledgement] = {}
            finished: dict[int, FinishedTrial] = {}
            pictures = self._tally.pictures.copy()  # as it will be once the records before this one are committed
            for place, record in enumerate(records):
                kept = take_back(record, self._flights, self._setbacks)
                if isinstance(kept, Acknowledgement):
                    answers[place] = kept
                else:
                    flight = self._flights.current(record.number, record.token)
                    finished[place] = with_pictures(judge(kept, self.spec.metric_names), flight, pictures)
            with self._doubting():
                stored = self._ledger.finish(list(finished.values()))
            answers |= dict(zip(finished, stored, strict=True))
            for place, item in finished.items():
                flight = self._flights.air.get(item.record.number)
                if answers[place].accepted and flight is not None:
                    self._take_in(item.record.number, item.state, item.objectives, item.record.failure, flight.baseline)
            return [answers[place] for place in range(len(records))]

    def exchange(self, records: Sequence[TrialRecord], k: int, worker: str) -> Exchange:
        """Finish, then ask: one round trip for a pack whose rows have come free."""
        with self._lock:
            return Exchange(tuple(self.finish(records)), tuple(self.ask(k, worker)), self._left())

    def lost(self, worker: str | None = None) -> int:
        """Take back the trials of a pack that died (None: of all packs); return how many.

        They are handed out again under their own numbers, with the next attempt and a new token, so that a late result
        of the lost pack is refused.
        """
        with self._lock:
            numbers = self._flights.of_worker(worker)
            for number in numbers if worker is not None else ():
                self._setbacks.lost(number, self._flights.air[number].attempt)
            self._flights.wait(numbers)
            return len(numbers)

    def progress(self) -> dict[str, Any]:
        """Return what a progress line shows: see :meth:`Tally.progress`, and what is on its way or left to hand out.

        ``in_flight_share`` is the work done on trials that have not ended, counted in trials: two trials at half of
        their iterations are 1.0. ``stopped`` says why nothing more is handed out though trials are left, else None.

        Raises:
            StaleLease, StoreMoved: the results could not be written any more.
        """
        self._lease.check()
        with self._lock:
            return {
                "planned": self._study.planned,
                "asked": self._study.asked,
                **self._tally.progress(),
                "running": len(self._flights.air),
                "in_flight_share": self._flights.share,
                "waiting": len(self._flights.waiting) + len(self._flights.aside),
                "left": self._left(),
                "stopped": self._stopped,
            }

    def close(self) -> None:
        """Close the store; trials in flight stay RUNNING and are resumed."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._writer.close()

    # Handing out

    def _ask_again(self, k: int, worker: str) -> list[Assignment]:
        """Hand out trials that came back, under their own numbers; fail those that are to blame for coming back."""
        handed: list[Assignment] = []
        waiting = self._flights.waiting
        while waiting and len(handed) < k:
            taken = [waiting[place] for place in range(min(k - len(handed), len(waiting)))]
            with self._doubting():
                again = self._ledger.start_again(taken)
            for item in again:
                self._flights.forget(item.number)
                self._flights.hand_out(item, worker)
            if len(again) < len(taken):
                self._take_in_from_store()  # trials that ended without our knowing
            blamed = [(item, reason) for item in again if (reason := self._setbacks.blame(item.number)) is not None]
            self.finish([TrialRecord(item.number, item.token, failure=reason) for item, reason in blamed])
            good = [item for item in again if item.number in self._flights.air]
            handed += [replace(item, parameters=self._space.as_listed(item.parameters)) for item in good]
        return handed

    def _ask_new(self, k: int, worker: str, handed: Sequence[Assignment]) -> list[Assignment]:
        """Hand out trials that the sampler suggests; on an error those already ``handed`` out come back too."""
        try:
            with self._doubting():
                fresh = self._suggestions.take(k)
        except Exception:
            self._flights.wait([item.number for item in handed])
            raise
        self._tally.began(len(fresh))
        for item in fresh:
            self._flights.hand_out(item, worker)
        return fresh

    def _take_in(
        self, number: int, state: TrialState, objectives: Sequence[float] | None, failure: str | None, baseline: bool
    ) -> None:
        """Count a trial whose end is in the store, and tell the sampler."""
        self._flights.forget(number)
        self._tally.ended(number, state, objectives, baseline)
        self._tally.now()
        self._study.tell(number, objectives)
        if objectives is not None or is_result(failure or ""):
            self._setbacks.ended()
            self._flights.bring_back()

    # Agreeing with the store

    def _restore(self, rows: Iterable[StoredTrial], adopt: bool) -> None:
        """Take over what is in the store, in the order in which trials ended."""
        for row in sorted(rows, key=lambda row: (row.finish_order is None, row.finish_order or row.number)):
            self._tally.began(1)
            if row.state != TrialState.RUNNING:
                self._tally.ended(row.number, row.state, _objectives(row), row.baseline is not None)
            elif adopt:
                self._flights.hand_out(assignment_of(row), "")
            else:
                self._flights.wait([row.number])

    @contextlib.contextmanager
    def _doubting(self) -> Iterator[None]:
        """Around a write: when it fails, what the store holds is looked up before anything else is done."""
        try:
            yield
        except Exception:
            self._doubtful = True
            raise

    def _settle(self) -> None:
        if self._doubtful:
            self._take_in_from_store()
            self._doubtful = False

    def _take_in_from_store(self) -> None:
        """Take in what stands in the store without our knowing: trials that ended, and new ones that were inserted."""
        rows = self._ledger.load()
        inserted = self._suggestions.found_stored(rows)
        self._tally.began(len(inserted))
        self._flights.wait(inserted)
        for number in self._flights.numbers:
            row = rows[number]
            if row.state != TrialState.RUNNING:
                self._take_in(number, row.state, _objectives(row), row.failure, row.baseline is not None)

    def _left(self) -> int:
        if self._closed or self._stopped is not None:
            return 0
        fresh = 0 if self._tally.hours_used_up else self._suggestions.left
        return fresh + len(self._flights.waiting) + len(self._flights.aside)


def _objectives(row: StoredTrial) -> list[float] | None:
    return row.objectives if row.state == TrialState.COMPLETE else None
