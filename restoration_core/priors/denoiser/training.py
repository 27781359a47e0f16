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
from restoration_core.priors.training import Checkpoint, Progress, Trained, TrainingReport, run_training
from restoration_core.seeds import derive_seed

_CHECKS = 40
_PATIENCE = 12
_WARM_UP = 100
_STATISTICS_CROPS = 256
_LARGEST_NORM = 1.0
# The mean held-out loss of what counts as a denoiser: 1 is left by doing nothing, 0.2 by a good one.
_MOST_LEFT = 0.9


class _Training:
    """A training in progress; all that it is fits a checkpoint."""

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
        self._leaves = {name: leaf.requires_grad_() for name, leaf in self._network.tensors().items()}
        self._best = {name: leaf.detach().clone() for name, leaf in self._leaves.items()}
        self._optimizer = torch.optim.Adam(self._leaves.values(), lr=recipe.learning_rate)
        self.step, self.time_s = 0, 0.0
        self.losses: list[tuple[int, float]] = []
        self.shown_losses: list[float] = []

    def advance(self) -> None:
        """Take one step; what it sees depends on the recipe and the number of the step alone."""
        for group in self._optimizer.param_groups:
            group["lr"] = self._recipe.learning_rate * _rate(self.step, self._recipe.iterations)
        crops = self._shown.noisy(self.step, self._centre, self._unit)
        predicted = self._network.noise(crops.scaled, self._network.biases_of(crops.sigmas))
        self._optimizer.zero_grad(set_to_none=True)
        (predicted - crops.noise).square_().mean().backward()
        torch.nn.utils.clip_grad_norm_(self._leaves.values(), _LARGEST_NORM)
        self._optimizer.step()
        self.step += 1

    def check(self) -> float:
        """Return the held-out loss, and keep the network if it is the best so far."""
        held_out, shown = (
            sum(losses) / len(losses)
            for losses in (
                part.judge(self._network, self._centre, self._unit) for part in (self._held_out, self._shown)
            )
        )
        if not math.isfinite(held_out):
            raise InputError(
                f"learning_rate: the loss diverged at step {self.step} with {self._recipe.learning_rate}; valid: a"
                " smaller one"
            )
        if not self.losses or held_out < self.best_loss:
            self._best = {name: leaf.detach().clone() for name, leaf in self._leaves.items()}
        self.losses.append((self.step, held_out))
        self.shown_losses.append(shown)
        return held_out

    @property
    def best_loss(self) -> float:
        return min(loss for _, loss in self.losses)

    @property
    def stopped(self) -> str:
        """How the training ended; empty while it goes on."""
        if self.step >= self._recipe.iterations:
            return "finished"
        best = [loss for _, loss in self.losses].index(self.best_loss)
        if len(self.losses) - 1 - best < _PATIENCE:
            return ""
        return "overfitting" if min(self.shown_losses[best + 1 :]) < self.shown_losses[best] else "converged"

    @property
    def ended(self) -> bool:
        return bool(self.stopped)

    def prior(self) -> Denoiser:
        """Return the denoiser with the lowest held-out loss."""
        network = NoiseNetwork.of(self._best, self._recipe.factor)
        return Denoiser(network, self._centre, self._unit, self._recipe.levels, self._recipe.stands_at)

    def save(self, checkpoint: Checkpoint) -> None:
        tensors = {f"now.{name}": leaf for name, leaf in self._leaves.items()}
        tensors |= {f"best.{name}": best for name, best in self._best.items()}
        for name, leaf in self._leaves.items():
            tensors |= {f"{kind}.{name}": value for kind, value in self._optimizer.state[leaf].items()}
        state = {name: getattr(self, name) for name in ("step", "time_s", "losses", "shown_losses")}
        checkpoint.save({name: tensor.contiguous() for name, tensor in tensors.items()}, state)

    @torch.no_grad()
    def resume(self, checkpoint: Checkpoint) -> None:
        """Go on from what is kept, if there is something."""
        kept = checkpoint.load()
        if kept is None:
            return
        tensors, state = kept
        for name, leaf in self._leaves.items():
            leaf.copy_(tensors[f"now.{name}"])
            self._best[name].copy_(tensors[f"best.{name}"])
            if f"step.{name}" in tensors:
                # In the layout of the leaf, as Adam makes them: another one would be summed in another order.
                moments = {kind: torch.empty_like(leaf).copy_(tensors[f"{kind}.{name}"]) for kind in _MOMENTS}
                self._optimizer.state[leaf] = {"step": tensors[f"step.{name}"], **moments}
        self.step, self.time_s = int(state["step"]), float(state["time_s"])
        self.losses = [(int(step), float(loss)) for step, loss in state["losses"]]
        self.shown_losses = [float(loss) for loss in state["shown_losses"]]


_MOMENTS = ("exp_avg", "exp_avg_sq")


def train_denoiser(
    recipe: DenoiserRecipe,
    source: MapSource,
    progress: Progress | None = None,
    checkpoint: Checkpoint | None = None,
) -> Trained:
    """Fit a denoiser to crops of maps under white noise.

    Adam minimises ``1/(B C H W) ||F(u, log sigma) - n||^2``, ``u = (x - centre) / sigma + n``: the squared error of the
    denoised map in units of the noise, so that every level weighs the same. A tenth of the maps is held out; the
    network with the lowest loss on crops of them, the mean over the recipe's held-out levels, is kept, and training
    ends when 12 of its 40 checks in a row found no better one. A gradient longer than 1 is shortened.

    Args:
        recipe: all that decides the result; same recipe and source, same numbers on the same machine.
        source: at least two maps.
        progress: called at every check with (step, most steps, held-out loss).
        checkpoint: written at every check, and gone on from.

    Returns:
        The prior in float32 at the level the recipe says.

    Raises:
        InputError: too few or too small maps, values that are all the same, a loss that diverged, or a network that
            leaves more than 0.9 of the noise.

    Source: Vincent 2011, eq. 13 (denoising score matching); Song & Ermon 2019 (the weight ``sigma^2`` of a level).
    """
    training = _Training(recipe, source)
    every = max(1, recipe.iterations // _CHECKS)
    run_training(training, recipe.iterations, every, progress, checkpoint)
    losses = tuple(training.losses)
    if training.best_loss > _MOST_LEFT:
        raise InputError(
            f"iterations: after {training.step} of {recipe.iterations} steps with a learning rate of"
            f" {recipe.learning_rate} held-out maps have {training.best_loss:.3f} of the noise left, but at most"
            f" {_MOST_LEFT} must be; valid: more iterations, another learning rate, more pictures, or higher noise"
            " levels"
        )
    report = TrainingReport(training.step, losses, training.best_loss, training.time_s, 0, training.stopped)
    return Trained(training.prior(), recipe, report)


def _rate(step: int, iterations: int) -> float:
    """Return the share of the learning rate: up over the first steps, then down along half a cosine."""
    return min(1.0, (step + 1) / _WARM_UP) * 0.5 * (1 + math.cos(math.pi * step / iterations))
