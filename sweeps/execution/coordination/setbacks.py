"""Whose fault it is when trials do not get through: theirs, or that of the machine they ran on."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sweeps.execution.coordination.flights import Flights
from sweeps.execution.protocol import Acknowledgement, TrialRecord

MAX_ATTEMPTS = 3
"""Tries of a trial in one run before somebody is blamed."""
STOP_AFTER = 5
"""Trials that fail one after the other for the machine's sake before the run stops."""


@dataclass
class _Tries:
    """What became of one trial in this run."""

    count: int
    ended_before: int
    attempt: int
    reason: str


class Setbacks:
    """Counts trials that came back because the machine failed them: no memory, a full disk, a killed worker.

    Such a trial is tried again. When it fails ``MAX_ATTEMPTS`` times and others ran through in the meantime, it is
    itself the cause. When nothing ran through, or several trials fail one after the other, the machine is: then the run
    had better stop, and the trials stay to be run by a resume.

    What earlier runs went through says nothing against a trial, for they may have been killed. Only a trial that was
    tried in several runs, and again fails here while nothing else is left to compare it with, is blamed.
    """

    def __init__(self) -> None:
        self._tries: dict[int, _Tries] = {}
        self._ended = 0
        self._in_a_row = 0
        self._kind = ""
        self._reason = ""

    def ended(self) -> None:
        """Note that a trial ended as its parameters had it."""
        self._ended += 1
        self._in_a_row = 0

    def failed(self, number: int, attempt: int, reason: str) -> None:
        """Note that the machine failed a trial."""
        kind = reason.partition(":")[0]
        self._in_a_row = self._in_a_row + 1 if kind == self._kind else 1
        self._kind, self._reason = kind, reason
        self._note(number, attempt, reason)

    def lost(self, number: int, attempt: int) -> None:
        """Note that the worker of a trial was lost; of its trials one at most can be the cause."""
        self._note(number, attempt, "its worker was lost")

    def blame(self, number: int) -> str | None:
        """Return why a trial is to be failed, None when it is worth another try."""
        tries = self._tries.get(number)
        if tries is None or tries.count < MAX_ATTEMPTS or not self._at_fault(tries):
            return None
        if self._ended > tries.ended_before:
            return f"{tries.reason} ({tries.count} times, while other trials ran through)"
        return f"{tries.reason} ({tries.count} times, and in earlier runs)"

    def reason_to_stop(self) -> str | None:
        """Return why the run had better stop, None when it can go on."""
        if self._in_a_row >= STOP_AFTER:
            return (
                f"{self._in_a_row} trials failed one after the other, none through a fault of its own: {self._reason}"
            )
        for number, tries in self._tries.items():
            if tries.count >= MAX_ATTEMPTS and not self._at_fault(tries):
                return f"trial {number} failed {tries.count} times and no other trial got through: {tries.reason}"
        return None

    def _note(self, number: int, attempt: int, reason: str) -> None:
        tries = self._tries.setdefault(number, _Tries(0, self._ended, attempt, reason))
        tries.count, tries.attempt, tries.reason = tries.count + 1, attempt, reason

    def _at_fault(self, tries: _Tries) -> bool:
        return self._ended > tries.ended_before or tries.attempt > 2 * MAX_ATTEMPTS


def take_back(record: TrialRecord, flights: Flights, setbacks: Setbacks) -> TrialRecord | Acknowledgement:
    """Set a trial aside that the machine failed and that is worth another try.

    Returns:
        The answer to the pack; or the record to store, which is that of any other trial, and of one that is to blame.
    """
    if not record.of_the_machine:
        return record
    number = record.number
    flight = flights.current(number, record.token)
    if flight is None:
        return Acknowledgement(number, False, "no pack has this attempt any more")
    setbacks.failed(number, flight.attempt, record.failure or "unknown")
    blame = setbacks.blame(number)
    if blame is not None:
        return replace(record, failure=blame)
    flights.set_aside(number)
    return Acknowledgement(number, True, "to be run again")
