"""How far a sweep is: its trials by state, the best so far, the time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from sweeps.execution.coordination.picture_policy import PicturePolicy
from sweeps.search.pareto import Standing
from sweeps.spec.models import SweepSpec
from sweeps.store.models import TrialState


class Tally:
    """Counts trials, and knows which ended best and which keep their pictures.

    Args:
        spec: of the sweep.
        started_at: seconds since the epoch when this run began.

    Attributes:
        pictures: which trials keep their pictures.
    """

    def __init__(self, spec: SweepSpec, started_at: float) -> None:
        self.pictures = PicturePolicy(spec.save.images, spec.metric_goals)
        self._names, self._hours = spec.metric_names, spec.budget.hours
        self._standing = Standing(spec.metric_goals)
        self._counts = dict.fromkeys(TrialState, 0)
        self._started_at = started_at
        self._first_result_s: float | None = None

    def began(self, count: int) -> None:
        """Note that new trials are in the store."""
        self._counts[TrialState.RUNNING] += count

    def ended(self, number: int, state: TrialState, objectives: Sequence[float] | None, baseline: bool) -> None:
        """Note how a trial ended; ``objectives`` are None for one that failed."""
        self._counts[TrialState.RUNNING] -= 1
        self._counts[state] += 1
        if objectives is not None:
            self._standing.add(number, objectives)
            self.pictures.add(number, objectives, baseline)

    def now(self) -> None:
        """Note that a result of this run has come in."""
        if self._first_result_s is None:
            self._first_result_s = self.elapsed_s

    @property
    def elapsed_s(self) -> float:
        """Seconds since the run began."""
        return max(time.time() - self._started_at, 0.0)

    @property
    def hours_used_up(self) -> bool:
        """Whether ``budget.hours`` of this run are over."""
        return self._hours is not None and self.elapsed_s > self._hours * 3600.0

    def progress(self) -> dict[str, Any]:
        """Return the counts, the best trial so far, and the seconds."""
        best = self._standing.best
        return {
            "complete": self._counts[TrialState.COMPLETE],
            "failed": self._counts[TrialState.FAILED],
            "pruned": self._counts[TrialState.PRUNED],
            "best_number": None if best is None else best.number,
            "best": None if best is None else dict(zip(self._names, best.values, strict=True)),
            "front": len(self._standing.front),
            "elapsed_s": self.elapsed_s,
            "first_result_s": self._first_result_s,
            "hours_used_up": self.hours_used_up,
        }
