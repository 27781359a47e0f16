"""Training patch experts on pictures or feature maps by score matching."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from restoration_core.priors.expert_functions import expert_by_name
from restoration_core.priors.maps import MapSource
from restoration_core.priors.patch_experts.banks import Bank, ChannelwiseBank, FullBank, SeparableBank
from restoration_core.priors.patch_experts.channel_subset import ChannelSubset
from restoration_core.priors.patch_experts.recipe import Recipe
from restoration_core.priors.patch_experts.whitened_patches.training_data import TrainingData, prepare
from restoration_core.priors.prior import Prior
from restoration_core.priors.training import CheckedTraining, Checkpoint, Progress, Trained, run_training
from restoration_core.seeds import derive_seed

# (share of the iterations that are done, factor on the learning rate from there on).
_RATE_STEPS = ((0.5, 0.3), (0.7, 0.1), (0.85, 0.03), (0.95, 0.01))
_ROWS_AT_ONCE = 1000
# How many of the patches that are learned from are scored at a check, to tell overfitting from a stall.
_SCORED = 5000


def train_patch_experts(
    recipe: Recipe, source: MapSource, progress: Progress | None = None, checkpoint: Checkpoint | None = None
) -> Trained:
    """Train filters and weights of a product of experts on patches of pictures or feature maps.

    Patches with white noise of deviation ``recipe.sigma`` are whitened. Adam minimises the score-matching loss over
    filters of norm 1 (of any norm, if the recipe says so) and alphas ``softplus(a)``, with a learning rate that falls
    in steps. A tenth of the patches is held out: the state with the lowest loss on them is kept, and the training ends
    when 12 of its 40 checks in a row have not lowered it.

    Args:
        recipe: all that decides the result. The same recipe and maps give the same numbers on the same machine.
        source: maps. They are read a few at a time; only whitened patches stay in memory.
        progress: called at every check with (step, most steps, held-out loss).
        checkpoint: where the training saves its state, and goes on from after it was killed.

    Returns:
        The prior in float32 on raw patches; the whitening is part of its filters.

    Raises:
        InputError: too few or too small maps, too few patches for the dimensions, or a loss that diverged.
    """
    training = run_training(lambda kept: _Training(recipe, source, kept), progress, checkpoint)
    return Trained(training.prior(), recipe, training.report(training.dims))


class _Training(CheckedTraining):
    def __init__(self, recipe: Recipe, source: MapSource, kept: Mapping[str, Tensor]) -> None:
        self._recipe, self._map_channels = recipe, source.channels
        self._generator = torch.Generator().manual_seed(derive_seed(recipe.seed, "train"))
        self._data = prepare(recipe, source, self._generator, kept)
        self._bank = _bank(recipe, self._data, self._generator)
        scored = self._data.shown[: min(len(self._data.held_out), _SCORED)]
        fixed = torch.Generator().manual_seed(derive_seed(recipe.seed, "scored"))
        self._scored = scored + self._data.noise.draw(len(scored), fixed)
        self._order = torch.randperm(len(self._data.shown), generator=self._generator)
        self._position = 0
        super().__init__(self._bank.leaves, recipe.learning_rate, recipe.iterations)

    @property
    def dims(self) -> int:
        """Whitened dimensions of a patch."""
        return self._data.shown.shape[1]

    def rate_share(self) -> float:
        done = self.step / self.iterations
        return next((share for since, share in reversed(_RATE_STEPS) if done >= since), 1.0)

    def compute_gradient(self) -> None:
        shown, batch = self._data.shown, self._recipe.batch
        if self._position + batch > len(self._order):
            self._order, self._position = torch.randperm(len(shown), generator=self._generator), 0
        chosen = self._order[self._position : self._position + batch]
        self._position += batch
        noisy = shown[chosen] + self._data.noise.draw(len(chosen), self._generator)
        self._bank.loss(noisy).backward()

    def judge(self) -> tuple[float, float]:
        """Return the mean losses of the held-out patches and of some of those that were shown."""
        return self._mean_loss(self._data.held_out), self._mean_loss(self._scored)

    def _mean_loss(self, z: Tensor) -> float:
        parts = z.split(_ROWS_AT_ONCE)
        return sum(float(self._bank.loss(part)) * len(part) for part in parts) / len(z)

    def snapshot(self) -> dict[str, Tensor]:
        return self._bank.kept()

    def prior(self) -> Prior:
        """Return the prior with the lowest held-out loss."""
        recipe = self._recipe
        field = self._bank.prior(self.best, self._data.whitening, recipe.patch_size)
        return field if recipe.channels is None else ChannelSubset(field, recipe.channels, self._map_channels)

    def own_state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        tensors = self._data.to_keep() | {"generator": self._generator.get_state(), "order": self._order}
        return tensors, {"position": self._position}

    def restore_own(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        self._generator.set_state(tensors["generator"])
        self._order, self._position = tensors["order"], int(values["position"])


def _bank(recipe: Recipe, data: TrainingData, generator: torch.Generator) -> Bank:
    groups, dims = data.whitening.transforms.shape[:2]
    expert, free = expert_by_name(recipe.expert), recipe.free_norms
    if recipe.bank == "channelwise":
        return ChannelwiseBank(recipe.experts, groups, dims, expert, free, generator)
    if recipe.bank == "separable":
        return SeparableBank(recipe.experts, groups, recipe.multiplier, dims, expert, free, generator)
    return FullBank(recipe.experts, dims, expert, free, generator)
