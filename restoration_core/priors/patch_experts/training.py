"""Fitting patch experts to pictures or feature maps by score matching."""

from __future__ import annotations

import time
from typing import Any

import torch
from torch import Tensor

from restoration_core.errors import InputError
from restoration_core.priors.expert_functions import expert_by_name
from restoration_core.priors.maps import MapSource
from restoration_core.priors.patch_experts.banks import Bank, ChannelwiseBank, FullBank, SeparableBank
from restoration_core.priors.patch_experts.channel_subset import ChannelSubset
from restoration_core.priors.patch_experts.recipe import Recipe
from restoration_core.priors.patch_experts.training_data import TrainingData, prepare
from restoration_core.priors.prior import Prior
from restoration_core.priors.training import (
    Checkpoint,
    Progress,
    Trained,
    TrainingReport,
    optimizer_tensors,
    restore_optimizer,
)
from restoration_core.seeds import derive_seed

# The rate falls to these shares of itself when these shares of the iterations are done.
_RATE_STEPS = ((0.5, 0.3), (0.7, 0.1), (0.85, 0.03), (0.95, 0.01))
_CHECKS = 40
_PATIENCE = 12
_ROWS_AT_ONCE = 1000
# Of the training patches, as many as this are scored at a check, to tell overfitting from a stall.
_SCORED = 5000
_SECONDS_BETWEEN_CHECKPOINTS = 60.0


def train_patch_experts(
    recipe: Recipe, source: MapSource, progress: Progress | None = None, checkpoint: Checkpoint | None = None
) -> Trained:
    """Fit filters and weights of a product of experts to patches of pictures or feature maps.

    Patches plus white noise of ``recipe.sigma`` are whitened, Adam minimises the score-matching loss over unit-norm
    filters (free ones if the recipe says so) and alphas ``softplus(a)``, the rate falls in steps, and a tenth of the
    patches, held out, decides which state is kept and when to stop early.

    Args:
        recipe: all that decides the result; same recipe and maps, same numbers on the same machine.
        source: maps, streamed in batches: only whitened patches stay in memory.
        progress: called at every check with (step, most steps, held-out loss).
        checkpoint: written at every check and every minute; a training that finds one goes on from it and gives
            bitwise what it would have given without the interruption.

    Returns:
        The prior in float32 on raw patches, whitening folded in.

    Raises:
        InputError: too few or too small maps, too few patches for the dimensions, or a loss that diverged.
    """
    training = _Training(recipe, source, checkpoint)
    return training.run(progress)


class _Training:
    def __init__(self, recipe: Recipe, source: MapSource, checkpoint: Checkpoint | None) -> None:
        self._started = time.perf_counter()
        self._recipe, self._checkpoint = recipe, checkpoint
        self._map_channels = source.channels
        found = None if checkpoint is None else checkpoint.load()
        self._generator = torch.Generator().manual_seed(derive_seed(recipe.seed, "train"))
        self._data = prepare(recipe, source, self._generator, None if found is None else found[0])
        self._bank = _bank(recipe, self._data, self._generator)
        self._optimizer = torch.optim.Adam(list(self._bank.leaves.values()), lr=recipe.learning_rate)
        scored = self._data.shown[: min(len(self._data.held_out), _SCORED)]
        fixed = torch.Generator().manual_seed(derive_seed(recipe.seed, "scored"))
        self._scored = scored + self._data.noise.draw(len(scored), fixed)
        self._losses: list[tuple[int, float]] = []
        self._best: dict[str, Tensor] = {}
        self._best_loss = self._shown_at_best = self._shown_now = float("inf")
        self._stale, self._step, self._position = 0, 0, 0
        self._order = torch.randperm(len(self._data.shown), generator=self._generator)
        self._resumed = found is not None
        if found is not None:
            self._restore(*found)
        self._saved = time.perf_counter()

    def run(self, progress: Progress | None) -> Trained:
        recipe = self._recipe
        every, last = max(1, recipe.iterations // _CHECKS), recipe.iterations
        # A checkpoint is written when the check of its step has been made.
        checked = self._resumed
        while True:
            if not checked and (self._step % every == 0 or self._step == last):
                self._check(progress)
                self._save()
            checked = False
            if self._step >= last or self._stale >= _PATIENCE:
                break
            self._take_step()
            due = time.perf_counter() - self._saved > _SECONDS_BETWEEN_CHECKPOINTS
            if due and self._step % every and self._step != last:
                self._save()
        return Trained(self._prior(), recipe, self._report())

    def _check(self, progress: Progress | None) -> None:
        loss = self._mean_loss(self._data.held_out)
        self._losses.append((self._step, loss))
        if progress is not None:
            progress(self._step, self._recipe.iterations, loss)
        if not loss < float("inf"):
            raise InputError(
                f"learning_rate: the loss diverged at step {self._step} with {self._recipe.learning_rate}; valid: a"
                " smaller one"
            )
        self._shown_now = self._mean_loss(self._scored)
        if loss < self._best_loss:
            self._best, self._best_loss, self._shown_at_best = self._bank.kept(), loss, self._shown_now
            self._stale = 0
        else:
            self._stale += 1

    def _take_step(self) -> None:
        recipe, shown = self._recipe, self._data.shown
        for group in self._optimizer.param_groups:
            group["lr"] = recipe.learning_rate * _rate(self._step / recipe.iterations)
        if self._position + recipe.batch > len(self._order):
            self._order, self._position = torch.randperm(len(shown), generator=self._generator), 0
        chosen = self._order[self._position : self._position + recipe.batch]
        self._position += recipe.batch
        batch = shown[chosen] + self._data.noise.draw(len(chosen), self._generator)
        self._optimizer.zero_grad(set_to_none=True)
        self._bank.loss(batch).backward()
        self._optimizer.step()
        self._step += 1

    @torch.no_grad()
    def _mean_loss(self, z: Tensor) -> float:
        parts = z.split(_ROWS_AT_ONCE)
        return sum(float(self._bank.loss(part)) * len(part) for part in parts) / len(z)

    def _prior(self) -> Prior:
        recipe = self._recipe
        field = self._bank.prior(self._best, self._data.whitening, recipe.patch_size)
        return field if recipe.channels is None else ChannelSubset(field, recipe.channels, self._map_channels)

    def _report(self) -> TrainingReport:
        stopped = "finished"
        if self._step < self._recipe.iterations:
            stopped = "overfitting" if self._shown_now < self._shown_at_best else "stalled"
        dims = self._data.shown.shape[1]
        return TrainingReport(self._step, tuple(self._losses), self._best_loss, self._seconds(), dims, stopped)

    def _seconds(self) -> float:
        return time.perf_counter() - self._started

    def _save(self) -> None:
        if self._checkpoint is None:
            return
        tensors = {
            **self._data.to_keep(),
            **optimizer_tensors(self._optimizer),
            **{f"leaf.{name}": leaf for name, leaf in self._bank.leaves.items()},
            **{f"best.{name}": tensor for name, tensor in self._best.items()},
            "generator": self._generator.get_state(),
            "order": self._order,
        }
        numbers = {name: getattr(self, name) for name in _NUMBERS}
        self._checkpoint.save(tensors, numbers | {"losses": self._losses, "seconds": self._seconds()})
        self._saved = time.perf_counter()

    @torch.no_grad()
    def _restore(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        for name, leaf in self._bank.leaves.items():
            leaf.copy_(tensors[f"leaf.{name}"])
        restore_optimizer(self._optimizer, tensors)
        self._best = {n.removeprefix("best."): tensor for n, tensor in tensors.items() if n.startswith("best.")}
        self._generator.set_state(tensors["generator"])
        self._order = tensors["order"]
        for name in _NUMBERS:
            setattr(self, name, state[name])
        self._losses = [(int(step), float(loss)) for step, loss in state["losses"]]
        self._started -= float(state["seconds"])


_NUMBERS = ("_step", "_stale", "_position", "_best_loss", "_shown_at_best", "_shown_now")


def _bank(recipe: Recipe, data: TrainingData, generator: torch.Generator) -> Bank:
    groups, dims = data.whitening.transforms.shape[:2]
    expert, free = expert_by_name(recipe.expert), recipe.free_norms
    if recipe.bank == "channelwise":
        return ChannelwiseBank(recipe.experts, groups, dims, expert, free, generator)
    if recipe.bank == "separable":
        return SeparableBank(recipe.experts, groups, recipe.multiplier, dims, expert, free, generator)
    return FullBank(recipe.experts, dims, expert, free, generator)


def _rate(done: float) -> float:
    share = 1.0
    for since, value in _RATE_STEPS:
        if done >= since:
            share = value
    return share
