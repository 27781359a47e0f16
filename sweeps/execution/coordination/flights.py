"""The trials of a sweep that are on their way: handed out, waiting to be handed out again, or set aside."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from sweeps.execution.protocol import Assignment, Report


@dataclass
class Flight:
    """A trial that was handed out and did not come back yet.

    Attributes:
        token: of this attempt; a result must bring it back.
        attempt: 1 for a trial that was handed out for the first time.
        worker: name of the pack that has it; empty when it is not known.
        baseline: whether the trial is a baseline.
        share: part of its iterations that is done, 0 to 1, as last reported.
    """

    token: int
    attempt: int
    worker: str
    baseline: bool
    share: float = 0.0


class Flights:
    """Which trials are where. A trial is in one place at a time.

    Attributes:
        air: the trials that packs have, by number.
        waiting: numbers to hand out again before anything new.
        aside: numbers to hand out again once another trial has ended, or when nothing else is left.
    """

    def __init__(self) -> None:
        self.air: dict[int, Flight] = {}
        self.waiting: deque[int] = deque()
        self.aside: deque[int] = deque()

    @property
    def numbers(self) -> list[int]:
        """The numbers of all trials on their way."""
        return [*self.air, *self.waiting, *self.aside]

    @property
    def share(self) -> float:
        """The work done on trials that packs have, counted in trials."""
        return sum(flight.share for flight in self.air.values())

    def hand_out(self, item: Assignment, worker: str) -> None:
        """Note that a pack has a trial."""
        self.air[item.number] = Flight(item.token, item.attempt, worker, item.baseline is not None)

    def current(self, number: int, token: int) -> Flight | None:
        """Return the flight of a trial, None when no pack has it or this is not its current attempt."""
        flight = self.air.get(number)
        return flight if flight is not None and flight.token == token else None

    def note(self, reports: Sequence[Report]) -> list[int]:
        """Note how far trials are; return the numbers of those whose attempt is no longer the current one."""
        stale = []
        for report in reports:
            flight = self.current(report.number, report.token)
            if flight is None:
                stale.append(report.number)
            else:
                flight.share = min(max(report.share, 0.0), 1.0)
        return stale

    def of_worker(self, worker: str | None) -> list[int]:
        """Return the numbers of the trials that a pack has (None: that any pack has)."""
        return sorted(number for number, flight in self.air.items() if worker in (None, flight.worker))

    def wait(self, numbers: Sequence[int]) -> None:
        """Take trials back, to be handed out again."""
        for number in numbers:
            self.forget(number)
        self.waiting.extend(numbers)

    def set_aside(self, number: int) -> None:
        """Take a trial back, to be handed out again later than others."""
        self.forget(number)
        self.aside.append(number)

    def bring_back(self) -> None:
        """Let the trials that were set aside wait with the others."""
        self.waiting.extend(self.aside)
        self.aside.clear()

    def forget(self, number: int) -> None:
        """Take a trial out, wherever it is: it ended."""
        self.air.pop(number, None)
        for queue in (self.waiting, self.aside):
            if number in queue:
                queue.remove(number)
