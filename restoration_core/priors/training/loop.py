"""The course of a training with checks: gone on from its checkpoint until it says that it has ended."""

from __future__ import annotations

import time
from typing import Protocol

from restoration_core.priors.training.checkpoint import Checkpoint
from restoration_core.priors.training.family import Progress


class CheckedTraining(Protocol):
    """A training in progress: ``step`` steps taken, (step, held-out loss) at each check, seconds spent so far."""

    step: int
    time_s: float
    losses: list[tuple[int, float]]

    @property
    def ended(self) -> bool: ...

    def advance(self) -> None: ...

    def check(self) -> float: ...

    def save(self, checkpoint: Checkpoint) -> None: ...

    def resume(self, checkpoint: Checkpoint) -> None: ...


def run_training(
    training: CheckedTraining,
    iterations: int,
    every: int,
    progress: Progress | None = None,
    checkpoint: Checkpoint | None = None,
) -> None:
    """Take a training to its end, with a check every ``every`` steps and at the last of ``iterations``.

    Args:
        training: changed in place.
        iterations: most steps.
        every: steps between two checks.
        progress: called at every check with (step, most steps, held-out loss).
        checkpoint: written at every check, and gone on from.
    """
    if checkpoint is not None:
        training.resume(checkpoint)
    started, before = time.perf_counter(), training.time_s
    while True:
        last = training.losses[-1][0] if training.losses else -1
        if training.step > last and (training.step % every == 0 or training.step == iterations):
            loss = training.check()
            training.time_s = before + time.perf_counter() - started
            if checkpoint is not None:
                training.save(checkpoint)
            if progress is not None:
                progress(training.step, iterations, loss)
        if training.ended:
            return
        training.advance()
