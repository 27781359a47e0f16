"""Training a convolutional field of experts as a field, by score matching at stated noise levels."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from restoration_core.errors import InputError
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
from restoration_core.priors.training import (
    Checkpoint,
    Progress,
    Trained,
    TrainingReport,
    optimizer_tensors,
    restore_optimizer,
    run_training,
)
from restoration_core.seeds import derive_seed

_CHECKS = 40
_PATIENCE = 12
_LAST_RATE = 0.01
_LARGEST_START = 4.0


def make_field(recipe: FieldRecipe, tensors: Mapping[str, Tensor]) -> ConvolutionalExperts:
    """Return the prior of a recipe and its tensors: filters, bias, alphas, gammas, noise_levels."""
    levels, noise = recipe.noise_levels, recipe.noise
    if recipe.maps is not None:  # the recipe's are relative to the maps' deviation
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
    """The free parameters: filters over a whitened basis, logarithms of what must be positive."""

    def __init__(self, recipe: FieldRecipe, basis: Tensor) -> None:
        generator = torch.Generator().manual_seed(derive_seed(recipe.seed, "filters"))
        self._recipe, self._basis = recipe, basis
        levels, scales, count = len(recipe.noise_levels), recipe.scales, recipe.experts
        # Experts that together give whitened Gaussian maps about their own curvature, shared between the places that
        # see a pixel and the scales. Few filters cannot make up for all the dimensions that they leave out.
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


class _Training:
    """A training in progress; all that it is fits a checkpoint."""

    def __init__(self, recipe: FieldRecipe, source: MapSource) -> None:
        self._recipe = recipe
        self._crops = Crops(source, recipe)
        self._expert = expert_by_name(recipe.expert)
        self._sigmas = self._crops.noise_levels()
        self._model = _Model(recipe, self._crops.whitened_basis())
        self._optimizer = torch.optim.Adam(self._model.free.values(), lr=recipe.learning_rate)
        self._held_out = self._crops.held_out()
        self._held_out_noise = self._noise("held-out", self._held_out)
        self._best: dict[str, Tensor] = {}
        self.step, self.stale, self.best_loss, self.time_s = 0, 0, float("inf"), 0.0
        self.losses: list[tuple[int, float]] = []
        self.shown_losses: list[float] = []  # at each check, the mean of the steps since the one before
        self._since: list[float] = []

    def loss(self, x: Tensor, noise: Tensor) -> Tensor:
        levels = torch.arange(len(x)) % len(self._sigmas)
        field = self._model.field()
        if self._recipe.objective == "implicit":
            y = x + self._sigmas[levels][:, None, None, None] * noise
            return implicit_score_matching_loss(y, levels, self._sigmas, field, self._expert)
        return denoising_score_matching_loss(x, noise, levels, self._sigmas, field, self._expert, self._recipe.boundary)

    def advance(self) -> None:
        """Take one step; what it sees depends on the recipe and the number of the step alone."""
        x = self._crops.shown(self.step)
        for group in self._optimizer.param_groups:
            done = self.step / self._recipe.iterations
            group["lr"] = self._recipe.learning_rate * max(_LAST_RATE, 0.5 + 0.5 * math.cos(math.pi * done))
        self._optimizer.zero_grad(set_to_none=True)
        loss = self.loss(x, self._noise(self.step, x))
        loss.backward()
        self._since.append(float(loss.detach()))
        self._optimizer.step()
        self.step += 1

    def check(self) -> float:
        """Take the held-out loss and keep the parameters if they are the best so far."""
        with torch.no_grad():
            several = self._recipe.batch - self._recipe.batch % len(self._sigmas)  # every level in every part
            parts = list(zip(self._held_out.split(several), self._held_out_noise.split(several), strict=True))
            loss = sum(float(self.loss(x, noise)) * len(x) for x, noise in parts) / len(self._held_out)
        if not math.isfinite(loss):
            raise InputError(
                f"learning_rate: the loss diverged at step {self.step} with {self._recipe.learning_rate}; valid: a"
                " smaller one"
            )
        self.losses.append((self.step, loss))
        self.shown_losses.append(sum(self._since) / len(self._since) if self._since else math.inf)
        self._since.clear()
        self.stale = 0 if loss < self.best_loss else self.stale + 1
        if loss < self.best_loss:
            self.best_loss = loss
            self._best = {name: tensor.detach().clone() for name, tensor in self._model.free.items()}
        return loss

    @property
    def ended(self) -> bool:
        return self.step == self._recipe.iterations or self.stale >= _PATIENCE

    def why_stopped(self) -> str:
        if self.step == self._recipe.iterations:
            return "finished"
        best = [loss for _, loss in self.losses].index(self.best_loss)
        return "overfitting" if min(self.shown_losses[best + 1 :]) < self.shown_losses[best] else "stalled"

    def prior(self) -> ConvolutionalExperts:
        """Return the field with the lowest held-out loss."""
        recipe = self._recipe
        with torch.no_grad():
            for name, tensor in self._best.items():
                self._model.free[name].copy_(tensor)
            field = self._model.field()
        tensors = {
            "filters": field.filters,
            "bias": field.bias,
            "alphas": field.alphas,
            "gammas": field.gammas,
            "noise_levels": self._sigmas,
        }
        return make_field(recipe, {name: tensor.detach() for name, tensor in tensors.items()})

    def save(self, checkpoint: Checkpoint) -> None:
        tensors = optimizer_tensors(self._optimizer)
        tensors |= {f"free.{name}": tensor for name, tensor in self._model.free.items()}
        tensors |= {f"best.{name}": tensor for name, tensor in self._best.items()}
        state = {
            name: getattr(self, name) for name in ("step", "stale", "best_loss", "time_s", "losses", "shown_losses")
        }
        checkpoint.save(tensors, state)

    def resume(self, checkpoint: Checkpoint) -> None:
        """Go on from what is kept, if there is something."""
        kept = checkpoint.load()
        if kept is None:
            return
        tensors, state = kept
        with torch.no_grad():
            for name, tensor in self._model.free.items():
                tensor.copy_(tensors[f"free.{name}"])
        self._best = {name: tensors[f"best.{name}"] for name in self._model.free}
        restore_optimizer(self._optimizer, tensors)
        self.step, self.stale = int(state["step"]), int(state["stale"])
        self.best_loss, self.time_s = float(state["best_loss"]), float(state["time_s"])
        self.losses = [(int(step), float(loss)) for step, loss in state["losses"]]
        self.shown_losses = [float(loss) for loss in state["shown_losses"]]

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

    Adam minimises the denoising (or implicit) score matching loss of whole crops with white noise, every level in
    every step. Filters are combinations of the eigenvectors of the patches' covariance, each divided by
    ``sqrt(eigenvalue + sigma^2)``, which conditions the search and leaves filters free. A tenth of the maps, held out,
    decides which parameters are kept, and ends a training whose held-out loss has not fallen for 12 of the 40 checks.

    Args:
        recipe: all that decides the result; same recipe and source, same numbers on the same machine.
        source: at least two maps, each at least ``crop`` pixels wide and high.
        progress: called at every check with (step, most steps, held-out loss).
        checkpoint: written at every check, and gone on from.

    Returns:
        The prior in float32.

    Raises:
        InputError: too few or too small maps, or a loss that diverged.

    Source: Vincent 2011; Hyvarinen 2005; thesis eq. 8-9.
    """
    training = _Training(recipe, source)
    every = max(1, recipe.iterations // _CHECKS)
    run_training(training, recipe.iterations, every, progress, checkpoint)
    dims = source.channels * recipe.filter_size**2
    report = TrainingReport(
        training.step, tuple(training.losses), training.best_loss, training.time_s, dims, training.why_stopped()
    )
    return Trained(training.prior(), recipe, report)
