"""One pass over the outbox: what is pending goes to MLflow, in order, and is marked when it is there."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from sweeps.execution.holder import new_holder
from sweeps.store.models import OutboxKind
from sweeps.store.records import OutboxItem
from sweeps.store.writer import Writer
from sweeps.tracking.claim import ClaimHeld, SweepClaim
from sweeps.tracking.client import one_line
from sweeps.tracking.delivery import Deliverer
from sweeps.tracking.source import Source, SweepPayload

_BATCH = 16
_RETRY_REFUSED_S = 30.0


@dataclass
class Pass:
    """What one pass did.

    Attributes:
        delivered, refused: entries that MLflow took, and that it would not take.
        held: sweeps with pending entries that another process is writing to MLflow now.
        outage: why MLflow could not be reached, None when it could.
        error: the last thing that went wrong.
    """

    delivered: int = 0
    refused: int = 0
    held: int = 0
    outage: str | None = None
    error: str | None = None

    @property
    def idle(self) -> bool:
        """Whether there was nothing to do."""
        return not (self.delivered or self.refused or self.outage)


@dataclass
class Drain:
    """Moves outbox entries to MLflow; an entry that MLflow refuses does not hold up the others.

    Attributes:
        first: name of the sweep whose entries go before all others.
    """

    writer: Writer
    source: Source
    deliverer: Deliverer
    first: str | None = None
    holder: str = field(default_factory=new_holder)
    _refused_until: dict[int, float] = field(default_factory=dict)

    def step(self) -> Pass:
        """Deliver the next few entries of each sweep; an outage ends the pass and leaves the rest pending."""
        result = Pass()
        waiting = self.writer.count_outbox(destination=self.deliverer.destination)
        for name in sorted(waiting, key=lambda name: name != self.first):
            items = self._pending(name)
            if not items:
                continue
            try:
                with SweepClaim(self.writer, items[0].sweep_id, self.holder) as claim:
                    self._step(name, claim, result)
            except ClaimHeld:
                result.held += 1
            if result.outage is not None:
                break
        return result

    def _pending(self, sweep: str) -> list[OutboxItem]:
        now = time.monotonic()
        held = {key for key, until in self._refused_until.items() if until > now}
        found = self.writer.pending_outbox(_BATCH + len(held), sweep, self.deliverer.destination)
        return [item for item in found if item.id not in held]

    def _step(self, name: str, claim: SweepClaim, result: Pass) -> None:
        # Asked again under the claim: what another process has delivered meanwhile is not pending any more.
        items = self._pending(name)
        trials = self.source.trials([item.trial_id for item in items if item.trial_id is not None])
        sweep = self.source.sweep(items[0].sweep_id) if items else None
        for item in items:
            claim.renew()
            try:
                # What is gone from the store needs no telling; a trial that runs again gets an entry of its own.
                if sweep is not None and item.kind != OutboxKind.TRIAL:
                    self._deliver_sweep(sweep)
                elif sweep is not None and item.trial_id in trials:
                    run_id, _ = self.deliverer.trial(sweep, trials[item.trial_id])
                    self.writer.set_mlflow_run(run_id, trial_id=item.trial_id)
            except Exception as error:
                self.deliverer.forget()
                result.outage = self.deliverer.outage()
                result.error = result.outage or one_line(error)
                if result.outage is not None:
                    return
                self._refuse(item, result.error)
                result.refused += 1
            else:
                self.writer.mark_delivered([item.id])
                self._refused_until.pop(item.id, None)
                result.delivered += 1

    def _deliver_sweep(self, sweep: SweepPayload) -> None:
        run_id, _ = self.deliverer.sweep(sweep)
        if sweep.row.mlflow_run_id != run_id:
            self.writer.set_mlflow_run(run_id, sweep_id=sweep.row.id)

    def _refuse(self, item: OutboxItem, error: str) -> None:
        self._refused_until[item.id] = time.monotonic() + _RETRY_REFUSED_S
        self.writer.mark_failed([item.id], error)
