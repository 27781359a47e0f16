"""The trials of a pack as rows of one batch; when the batch fails, each of its trials is solved alone."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field

import torch

from restoration_core.reconstruction import OBJECTIVE, BatchSolver, Result, Status
from sweeps.execution.failures import describe, diverged, is_of_the_machine
from sweeps.execution.pack_records import PackTrial
from sweeps.execution.protocol import Report
from sweeps.execution.worker_context import PackContext

STEPS_BETWEEN_LOOKS = 100
"""Most iterations between two looks whether the pack should stop; fewer where they are slow."""
FIRST_STEPS = 10
LONGEST_LOOK_S = 1.0

Row = tuple[int, str]


@dataclass
class Ended:
    """How many rows ran, and the trials that left the batch: solved ones, and failed ones with the reason."""

    rows: int = 0
    solved: list[PackTrial] = field(default_factory=list)
    failed: list[tuple[PackTrial, str | Exception]] = field(default_factory=list)


class PackBatch:
    """Solves trials, a row for each of their pictures.

    A batch that raises does not tell whose fault it was. Its trials are then started again, one after the other, and
    only those that raise alone are failed. Where memory was short, the trials after them come in smaller batches.

    Args:
        context: on the device where to compute.
        width: most trials at a time.

    Attributes:
        width: most trials at a time, less than at first where memory was short.
        notices: what a user should hear of how it went.
    """

    def __init__(self, context: PackContext, width: int) -> None:
        self.width = width
        self.notices: list[str] = []
        self._context = context
        self._solver: BatchSolver[Row] | None = None
        self._running: dict[int, PackTrial] = {}
        self._suspects: deque[PackTrial] = deque()  # of a batch that failed: each is solved alone
        self._entering: deque[PackTrial] = deque()
        self._alone = False
        self._steps = FIRST_STEPS

    @property
    def count(self) -> int:
        """How many trials it has."""
        return len(self._running) + len(self._suspects) + len(self._entering)

    def add(self, trial: PackTrial) -> None:
        """Take a trial, which starts with the next :meth:`advance`."""
        self._entering.append(trial)

    def drop(self, number: int) -> None:
        """Leave a trial as it is and forget it."""
        if number in self._running:
            self._leave(self._running.pop(number))
        for queue in (self._suspects, self._entering):
            for trial in [trial for trial in queue if trial.number == number]:
                queue.remove(trial)

    def advance(self) -> Ended:
        """Run until trials end, or for about a second."""
        ended = Ended()
        self._start(ended)
        if not self._running:
            return ended
        assert self._solver is not None
        ended.rows = len(self._solver.keys)
        started = time.perf_counter()
        try:
            rows = self._solver.advance(self._steps)
        except Exception as error:
            if len(self._running) == 1:
                ended.failed += [(trial, error) for trial in self._running.values()]
                self._running = {}
            self._give_up(error)
            return ended
        self._steps = _next_steps(self._steps, time.perf_counter() - started)
        for (number, image), result in rows:
            self._take(number, image, result, ended)
        return ended

    def reports(self) -> list[Report]:
        """Return how far the running trials are."""
        found = []
        for number, trial in self._running.items():
            assert self._solver is not None
            solving = [image for image in trial.problems if image not in trial.results]
            current = [item for image in solving if (item := self._solver.current((number, image))) is not None]
            if not current:
                continue
            mean = sum(item.losses[OBJECTIVE] for item in current) / len(current)
            done = len(trial.results) + sum(
                self._solver.iteration((number, image)) / trial.problems[image].iterations for image in solving
            )
            step = min(item.iteration for item in current)
            found.append(Report(number, trial.assignment.token, step, mean, done / len(trial.problems)))
        return found

    def _start(self, ended: Ended) -> None:
        """Start all that there is room for, or the next suspect once nothing else runs."""
        if self._running and self._alone:
            return
        self._alone = bool(self._suspects)
        while self._suspects and not self._running:
            self._enter(self._suspects.popleft(), ended)
        while self._entering and not self._alone and len(self._running) < self.width:
            self._enter(self._entering.popleft(), ended)

    def _enter(self, trial: PackTrial, ended: Ended) -> None:
        try:
            if self._solver is None:
                self._solver = self._new_solver()
            for image, problem in trial.problems.items():
                self._solver.add((trial.number, image), problem)
        except Exception as error:
            self._leave(trial)
            ended.failed.append((trial, error))
        else:
            self._running[trial.number] = trial

    def _leave(self, trial: PackTrial) -> None:
        if self._solver is None:
            return
        try:
            for key in [key for key in self._solver.keys if key[0] == trial.number]:
                self._solver.remove(key)
        except Exception as error:
            self._give_up(error)

    def _take(self, number: int, image: str, result: Result, ended: Ended) -> None:
        trial = self._running.get(number)
        if trial is None:  # it failed by another of its pictures
            return
        trial.results[image] = result
        if result.status is Status.NON_FINITE:
            self._leave(self._running.pop(number))
            ended.failed.append((trial, diverged(image)))
        elif len(trial.results) == len(trial.problems):
            ended.solved.append(self._running.pop(number))

    def _give_up(self, error: Exception) -> None:
        """Give the batch up; what runs in it will be tried trial by trial."""
        trials, self._running, self._solver = list(self._running.values()), {}, None
        if self._context.device.startswith("cuda"):
            torch.cuda.empty_cache()
        if not trials:
            return
        for trial in trials:
            trial.results.clear()
        self._suspects.extend(trials)
        self.notices.append(
            f"a batch of trials failed ({describe(error)}), so its trials were solved one by one, which is slower"
        )
        if is_of_the_machine(error):
            self.width = max(1, len(trials) // 2)

    def _new_solver(self) -> BatchSolver[Row]:
        spec = self._context.spec
        return BatchSolver(
            self._context.classifier,
            spec.image_size,
            device=self._context.device,
            record_every=spec.save.curves_every,
        )


def _next_steps(steps: int, elapsed_s: float) -> int:
    """Return how many iterations to take next, so that a pack can report in time however slow its network is."""
    if elapsed_s > LONGEST_LOOK_S:
        return max(1, steps // 2)
    return min(2 * steps, STEPS_BETWEEN_LOOKS) if elapsed_s < LONGEST_LOOK_S / 3 else steps
