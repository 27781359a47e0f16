"""Training a denoiser on crops of photographs or feature maps at many noise levels."""

from __future__ import annotations

import math

import torch

from restoration_core.errors import InputError
from restoration_core.priors.denoiser.denoiser import Denoiser
from restoration_core.priors.denoiser.network import NoiseNetwork
from restoration_core.priors.denoiser.recipe import DenoiserRecipe
from restoration_core.priors.denoiser.samples import split
from restoration_core.priors.maps import MapSource, check_contrast
from restoration_core.priors.training import CheckedTraining, Checkpoint, Progress, Trained, run_training
from restoration_core.seeds import derive_seed

_WARM_UP = 100
_STATISTICS_CROPS = 256
_LARGEST_NORM = 1.0
MOST_NOISE_LEFT = 0.9
"""A training with a higher best held-out loss has learned nothing: doing nothing leaves 1, a good denoiser 0.2."""


class _Training(CheckedTraining):
    def __init__(self, recipe: DenoiserRecipe, source: MapSource) -> None:
        self._recipe = recipe
        self._shown, self._held_out = split(recipe, source)
        clean = self._shown.clean(0, _STATISTICS_CROPS)
        check_contrast(source)
        self._centre = clean.mean((0, 2, 3))
        spread = float((clean - self._centre[:, None, None]).square().mean().sqrt())
        if not 0 < spread < math.inf:
            raise InputError(f"maps: finite values that differ are needed, but their standard deviation is {spread}")
        self._unit = 1.0 if recipe.maps is None else spread
        generator = torch.Generator().manual_seed(derive_seed(recipe.seed, "network"))
        drawn = NoiseNetwork.drawn(len(self._centre), recipe.width, recipe.depth, recipe.factor, generator)
        self._network = drawn.to("cpu", torch.float32)
        leaves = {name: leaf.requires_grad_() for name, leaf in self._network.tensors().items()}
        super().__init__(leaves, recipe.learning_rate, recipe.iterations)

    def rate_share(self) -> float:
        """Rise over the first steps, then fall along half a cosine."""
        return min(1.0, (self.step + 1) / _WARM_UP) * 0.5 * (1 + math.cos(math.pi * self.step / self.iterations))

    def compute_gradient(self) -> None:
        crops = self._shown.noisy(self.step, self._centre, self._unit)
        predicted = self._network.noise(crops.scaled, self._network.biases_of(crops.sigmas))
        (predicted - crops.noise).square_().mean().backward()
        torch.nn.utils.clip_grad_norm_(self.leaves.values(), _LARGEST_NORM)

    def judge(self) -> tuple[float, float]:
        """Return the mean losses over the recipe's held-out levels, on held-out crops and on crops that were shown."""
        held_out, shown = (
            part.judge(self._network, self._centre, self._unit) for part in (self._held_out, self._shown)
        )
        return sum(held_out) / len(held_out), sum(shown) / len(shown)

    def prior(self) -> Denoiser:
        """Return the denoiser with the lowest held-out loss."""
        network = NoiseNetwork.of(self.best, self._recipe.factor)
        return Denoiser(network, self._centre, self._unit, self._recipe.levels, self._recipe.stands_at)


def train_denoiser(
    recipe: DenoiserRecipe,
    source: MapSource,
    progress: Progress | None = None,
    checkpoint: Checkpoint | None = None,
) -> Trained:
    """Fit a denoiser to crops of maps under white noise.

    Adam minimises ``1/(B C H W) ||F(u, log sigma) - n||^2``, ``u = (x - centre) / sigma + n``: the squared error of the
    denoised map in units of the noise, so that every level has the same weight. Gradients longer than 1 are shortened
    to 1. A tenth of the maps is held out. The network with the lowest loss on crops of those, averaged over the
    recipe's held-out levels, is kept, and the training ends when 12 of its 40 checks in a row have not found a better
    one.

    Args:
        recipe: all that decides the result. The same recipe and source give the same numbers on the same machine.
        source: at least two maps.
        progress: called at every check with (step, most steps, held-out loss).
        checkpoint: where the training saves its state, and goes on from after it was killed.

    Returns:
        The prior in float32, at the noise level that the recipe says.

    Raises:
        InputError: too few or too small maps, values that are all the same, a loss that diverged, or a network that
            leaves more than 0.9 of the noise.

    Source: Vincent 2011, eq. 13 (denoising score matching); Song & Ermon 2019 (the weight ``sigma^2`` of a level).
    """
    training = run_training(lambda _: _Training(recipe, source), progress, checkpoint)
    if training.best_loss > MOST_NOISE_LEFT:
        raise InputError(
            f"iterations: after {training.step} of {recipe.iterations} steps with a learning rate of"
            f" {recipe.learning_rate} held-out maps have {training.best_loss:.3f} of the noise left, but at most"
            f" {MOST_NOISE_LEFT} must be; valid: more iterations, another learning rate, more pictures, or higher noise"
            " levels"
        )
    return Trained(training.prior(), recipe, training.report())
