"""Training a convolutional field of experts by score matching at several noise levels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from restoration_core.priors.convolutional_experts.convolutional_experts import ConvolutionalExperts
from restoration_core.priors.convolutional_experts.crops import Crops
from restoration_core.priors.convolutional_experts.recipe import FieldRecipe
from restoration_core.priors.convolutional_experts.score_matching import (
    FieldParameters,
    denoising_score_matching_loss,
    implicit_score_matching_loss,
)
from restoration_core.priors.expert_functions import expert_by_name
from restoration_core.priors.maps import MapSource
from restoration_core.priors.training import CheckedTraining, Checkpoint, Progress, Trained, run_training
from restoration_core.seeds import derive_seed

_LAST_RATE = 0.01
_LARGEST_START = 4.0


def make_field(recipe: FieldRecipe, tensors: Mapping[str, Tensor]) -> ConvolutionalExperts:
    """Return the prior made of a recipe and the tensors filters, bias, alphas, gammas and noise_levels."""
    levels, noise = recipe.noise_levels, recipe.noise
    if recipe.maps is not None:  # the recipe's levels are relative to the maps' deviation
        kept = tensors["noise_levels"].tolist()
        if noise is not None:
            noise = min(max(noise * kept[0] / levels[0], kept[0]), kept[-1])
        levels = tuple(kept)
    return ConvolutionalExperts(
        tensors["filters"],
        tensors["bias"],
        tensors["alphas"],
        tensors["gammas"],
        levels,
        expert_by_name(recipe.expert),
        boundary=recipe.boundary,
        noise=noise,
    )


class _Model:
    """What is trained: the filters' coordinates in a whitened basis, biases, and logarithms of what is positive."""

    def __init__(self, recipe: FieldRecipe, basis: Tensor) -> None:
        generator = torch.Generator().manual_seed(derive_seed(recipe.seed, "filters"))
        self._recipe, self._basis = recipe, basis
        levels, scales, count = len(recipe.noise_levels), recipe.scales, recipe.experts
        # With this weight the experts together have about the curvature of whitened Gaussian maps, each pixel being
        # covered by f^2 places on each scale. The limit is for few filters, which cannot stand for all dimensions.
        alpha = 1.5 * min(basis.shape[1] / count, _LARGEST_START) / recipe.filter_size**2 / scales
        self.free = {
            "coordinates": torch.randn(count, len(basis), generator=generator).requires_grad_(),
            "bias": torch.zeros(count).requires_grad_(),
            "log_alphas": torch.full((levels, scales, count), math.log(alpha)).requires_grad_(),
            "log_gammas": torch.zeros(levels, scales, count).requires_grad_(),
        }

    def field(self) -> FieldParameters:
        size = self._recipe.filter_size
        filters = (self.free["coordinates"] @ self._basis).unflatten(1, (-1, size, size))
        if self._recipe.zero_mean:
            filters = filters - filters.mean(dim=(2, 3), keepdim=True)
        return FieldParameters(filters, self.free["bias"], self.free["log_alphas"].exp(), self.free["log_gammas"].exp())


class _Training(CheckedTraining):
    def __init__(self, recipe: FieldRecipe, source: MapSource) -> None:
        self._recipe = recipe
        self._crops = Crops(source, recipe)
        self._expert = expert_by_name(recipe.expert)
        self._sigmas = self._crops.noise_levels()
        self._model = _Model(recipe, self._crops.whitened_basis())
        self._held_out = self._crops.held_out()
        self._held_out_noise = self._noise("held-out", self._held_out)
        self._since_check: list[float] = []
        super().__init__(self._model.free, recipe.learning_rate, recipe.iterations)

    def loss(self, x: Tensor, noise: Tensor) -> Tensor:
        levels = torch.arange(len(x)) % len(self._sigmas)
        field = self._model.field()
        if self._recipe.objective == "implicit":
            y = x + self._sigmas[levels][:, None, None, None] * noise
            return implicit_score_matching_loss(y, levels, self._sigmas, field, self._expert)
        return denoising_score_matching_loss(x, noise, levels, self._sigmas, field, self._expert, self._recipe.boundary)

    def rate_share(self) -> float:
        return max(_LAST_RATE, 0.5 + 0.5 * math.cos(math.pi * self.step / self.iterations))

    def compute_gradient(self) -> None:
        x = self._crops.shown(self.step)
        loss = self.loss(x, self._noise(self.step, x))
        loss.backward()
        self._since_check.append(float(loss.detach()))

    def judge(self) -> tuple[float, float]:
        """Return the held-out loss and the mean loss of the steps since the last check."""
        several = self._recipe.batch - self._recipe.batch % len(self._sigmas)  # every level in every part
        parts = list(zip(self._held_out.split(several), self._held_out_noise.split(several), strict=True))
        held_out = sum(float(self.loss(x, noise)) * len(x) for x, noise in parts) / len(self._held_out)
        shown = sum(self._since_check) / len(self._since_check) if self._since_check else math.inf
        self._since_check.clear()
        return held_out, shown

    def own_state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        return {}, {"since_check": self._since_check}

    def restore_own(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        self._since_check = [float(loss) for loss in values["since_check"]]

    def prior(self) -> ConvolutionalExperts:
        """Return the field with the lowest held-out loss."""
        with torch.no_grad():
            for name, tensor in self.best.items():
                self._model.free[name].copy_(tensor)
            field = self._model.field()
        tensors = {
            "filters": field.filters,
            "bias": field.bias,
            "alphas": field.alphas,
            "gammas": field.gammas,
            "noise_levels": self._sigmas,
        }
        return make_field(self._recipe, {name: tensor.detach() for name, tensor in tensors.items()})

    def _noise(self, of: object, like: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(derive_seed(self._recipe.seed, "noise", of))
        return torch.randn(like.shape, generator=generator)


def train_convolutional_experts(
    recipe: FieldRecipe,
    source: MapSource,
    progress: Progress | None = None,
    checkpoint: Checkpoint | None = None,
) -> Trained:
    """Fit filters, weights and scales of a convolutional field to crops of maps by score matching.

    Adam minimises the denoising (or implicit) score matching loss of whole crops with white noise, all levels in every
    step. What is optimised are the filters' coordinates in the eigenvectors of the patches' second moments, each
    divided by ``sqrt(eigenvalue + sigma^2)``: the filters may still be any, but the search is well conditioned. A tenth
    of the maps is held out. The parameters with the lowest held-out loss are kept, and the training ends when 12 of its
    40 checks in a row have not lowered it.

    Args:
        recipe: all that decides the result. The same recipe and source give the same numbers on the same machine.
        source: at least two maps, each at least ``crop`` pixels wide and high.
        progress: called at every check with (step, most steps, held-out loss).
        checkpoint: where the training saves its state, and goes on from after it was killed.

    Returns:
        The prior in float32.

    Raises:
        InputError: too few or too small maps, or a loss that diverged.

    Source: Vincent 2011; Hyvarinen 2005; thesis eq. 8-9.
    """
    training = run_training(lambda _: _Training(recipe, source), progress, checkpoint)
    return Trained(training.prior(), recipe, training.report(source.channels * recipe.filter_size**2))
