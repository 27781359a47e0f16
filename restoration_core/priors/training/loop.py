"""The training loop of every family: Adam, checks on held-out data, checkpoints, and when to stop."""

from __future__ import annotations

import abc
import math
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor

from restoration_core.errors import InputError
from restoration_core.priors.training.checkpoint import Checkpoint, optimizer_tensors, restore_optimizer
from restoration_core.priors.training.family import Progress, TrainingReport

CHECKS = 40
"""Checks that a training makes after its start, if it takes all its iterations."""
PATIENCE = 12
"""A training ends when this many checks in a row have not lowered the held-out loss."""
SECONDS_BETWEEN_SAVES = 60.0
"""A checkpoint is written at every check, and as often as this where checks are further apart."""


class CheckedTraining(abc.ABC):
    """A training in progress. A family says how to compute a gradient, how to judge, and what else to keep.

    What a step sees may depend on the recipe, the number of the step and what :meth:`own_state` keeps, and on nothing
    else: then a training that was killed ends with bitwise the same prior.

    Args:
        leaves: the tensors that Adam moves, by name.
        learning_rate: before :meth:`rate_share` is applied.
        iterations: most steps.

    Attributes:
        step: steps taken.
        losses: (step, held-out loss) at every check.
        shown_losses: at every check, the loss on data that the training has seen; it tells overfitting from a stall.
        best: the tensors that :meth:`snapshot` gave when the held-out loss was lowest.
        time_s: seconds spent up to the last save, those before an interruption included.
    """

    def __init__(self, leaves: Mapping[str, Tensor], learning_rate: float, iterations: int) -> None:
        self.leaves, self.learning_rate, self.iterations = leaves, learning_rate, iterations
        self.step, self.time_s = 0, 0.0
        self.losses: list[tuple[int, float]] = []
        self.shown_losses: list[float] = []
        self.best: dict[str, Tensor] = {}
        self._optimizer = torch.optim.Adam(list(leaves.values()), lr=learning_rate)

    @abc.abstractmethod
    def rate_share(self) -> float:
        """Return the factor on the learning rate at the coming step."""

    @abc.abstractmethod
    def compute_gradient(self) -> None:
        """Fill the leaves' gradients (None so far) with that of the coming step's loss."""

    @abc.abstractmethod
    def judge(self) -> tuple[float, float]:
        """Return the held-out loss and the loss on data that the training has seen; called without autograd."""

    def snapshot(self) -> dict[str, Tensor]:
        """Return copies of the tensors from which the prior is made: the leaves, where a family does not say more."""
        return {name: leaf.detach().clone() for name, leaf in self.leaves.items()}

    def own_state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return tensors and JSON values that the family needs to go on, beside those that the loop keeps."""
        return {}, {}

    def restore_own(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:  # noqa: B027 - optional
        """Take back what :meth:`own_state` gave."""

    @property
    def best_loss(self) -> float:
        """The lowest held-out loss so far; infinite before the first check."""
        return min((loss for _, loss in self.losses), default=math.inf)

    @property
    def stopped(self) -> str:
        """Why the training has ended, as in :class:`TrainingReport`; empty while it goes on."""
        if self.step >= self.iterations:
            return "finished"
        best = [loss for _, loss in self.losses].index(self.best_loss) if self.losses else 0
        if len(self.losses) - 1 - best < PATIENCE:
            return ""
        return "overfitting" if min(self.shown_losses[best + 1 :]) < self.shown_losses[best] else "stalled"

    def report(self, dims: int = 0) -> TrainingReport:
        """Return how the training went; ``dims`` as in :class:`TrainingReport`."""
        losses = tuple(self.losses)
        return TrainingReport(self.step, losses, self.best_loss, self.time_s, dims, self.stopped or "finished")

    def advance(self) -> None:
        """Take one step."""
        for group in self._optimizer.param_groups:
            group["lr"] = self.learning_rate * self.rate_share()
        self._optimizer.zero_grad(set_to_none=True)
        self.compute_gradient()
        self._optimizer.step()
        self.step += 1

    def check(self) -> float:
        """Return the held-out loss and keep a snapshot if it is the lowest so far.

        Raises:
            InputError: the loss is no number any more.
        """
        with torch.no_grad():
            held_out, shown = self.judge()
            if not math.isfinite(held_out):
                raise InputError(
                    f"learning_rate: the loss diverged at step {self.step} with {self.learning_rate}; valid: a"
                    " smaller one"
                )
            if held_out < self.best_loss:
                self.best = self.snapshot()
        self.losses.append((self.step, held_out))
        self.shown_losses.append(shown)
        return held_out

    def save(self, checkpoint: Checkpoint) -> None:
        """Write all that the training is."""
        own_tensors, own_values = self.own_state()
        tensors = optimizer_tensors(self._optimizer) | own_tensors
        tensors |= {f"leaf.{name}": leaf for name, leaf in self.leaves.items()}
        tensors |= {f"best.{name}": tensor for name, tensor in self.best.items()}
        values = {name: getattr(self, name) for name in ("step", "time_s", "losses", "shown_losses")}
        checkpoint.save(tensors, values | {"own": own_values})

    @torch.no_grad()
    def restore(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        """Become the training that was saved."""
        for name, leaf in self.leaves.items():
            leaf.copy_(tensors[f"leaf.{name}"])
        restore_optimizer(self._optimizer, tensors)
        prefix = "best."
        self.best = {name.removeprefix(prefix): kept for name, kept in tensors.items() if name.startswith(prefix)}
        self.step, self.time_s = int(values["step"]), float(values["time_s"])
        self.losses = [(int(step), float(loss)) for step, loss in values["losses"]]
        self.shown_losses = [float(loss) for loss in values["shown_losses"]]
        self.restore_own(tensors, values["own"])


Training = TypeVar("Training", bound=CheckedTraining)


def run_training(
    begin: Callable[[Mapping[str, Tensor]], Training],
    progress: Progress | None = None,
    checkpoint: Checkpoint | None = None,
) -> Training:
    """Begin a training, or go on with one that was killed, and take it to its end.

    There is a check before the first step, after every fortieth of the iterations, and at the last one.

    Args:
        begin: makes the training. It is given the checkpoint's tensors (none without a checkpoint), so that what takes
            long to prepare can be taken from there.
        progress: called at every check with (step, most steps, held-out loss).
        checkpoint: where the training is saved, and gone on from.

    Returns:
        The training, ended.

    Raises:
        InputError: a loss that diverged, and what ``begin`` raises.
    """
    started = time.perf_counter()
    kept = None if checkpoint is None else checkpoint.load()
    training = begin({} if kept is None else kept[0])
    if kept is not None:
        training.restore(*kept)
    saved, before = time.perf_counter(), training.time_s
    every = max(1, training.iterations // CHECKS)
    while True:
        last_check = training.losses[-1][0] if training.losses else -1
        due = training.step % every == 0 or training.step == training.iterations
        checked = due and training.step > last_check
        loss = training.check() if checked else math.nan
        now = time.perf_counter()
        training.time_s = before + now - started
        if checkpoint is not None and (checked or now - saved > SECONDS_BETWEEN_SAVES):
            training.save(checkpoint)
            saved = now
        if checked and progress is not None:
            progress(training.step, training.iterations, loss)
        if training.stopped:
            return training
        training.advance()
