"""Fitting patch experts to photographs by score matching."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from restoration_core.errors import InputError
from restoration_core.priors.experts import Expert, expert_by_name
from restoration_core.priors.family import Progress, Trained, TrainingReport
from restoration_core.priors.patch_experts import PatchExperts
from restoration_core.priors.patches import sample_patches
from restoration_core.priors.recipe import Recipe
from restoration_core.priors.score_matching import score_matching_loss
from restoration_core.priors.whitening import fit_whitening
from restoration_core.seeds import derive_seed

# The rate falls to these shares of itself when these shares of the iterations are done.
_RATE_STEPS = ((0.5, 0.3), (0.7, 0.1), (0.85, 0.03), (0.95, 0.01))
_CHECKS = 40
_PATIENCE = 12


def train_patch_experts(recipe: Recipe, pictures: Sequence[Tensor], progress: Progress | None = None) -> Trained:
    """Fit filters and weights of a product of experts to patches of photographs.

    Patches plus white noise of ``recipe.sigma`` are whitened, Adam minimises the score-matching loss over unit-norm
    filters (free ones if the recipe says so) and alphas ``softplus(a)``, the rate falls in steps, and a tenth of the
    patches, held out, decides which state is kept and when to stop early.

    Args:
        recipe: all that decides the result; same recipe and pictures, same numbers on the same machine.
        pictures: each ``(3, H, W)``, RGB in [0, 1], already resized as the recipe says.
        progress: called at every check with (step, most steps, held-out loss).

    Returns:
        The prior in float32 on raw patches, whitening folded in.

    Raises:
        InputError: too few or too small pictures, dimensions that the patches cannot fill, or a loss that diverged.
    """
    started = time.perf_counter()
    expert = expert_by_name(recipe.expert)
    generator = torch.Generator().manual_seed(derive_seed(recipe.seed, "train"))
    patches = sample_patches(pictures, recipe.patch_size, recipe.patches, derive_seed(recipe.seed, "patches")).float()
    held_out, shown = patches[: max(1, len(patches) // 10)], patches[max(1, len(patches) // 10) :]
    whitening = fit_whitening(
        shown, 3, kind=recipe.whitening, sigma=recipe.sigma, dims=recipe.dims, remove_dc=recipe.remove_dc
    )
    noise = recipe.sigma * torch.randn(held_out.shape, generator=generator)
    held_out = whitening.apply(held_out + noise)
    # Noise in whitened space: one product instead of noise and product for every batch.
    shown = whitening.apply(shown)
    spread = recipe.sigma * whitening.transform
    dims = shown.shape[1]
    raw = torch.randn(recipe.experts, dims, generator=generator) / dims**0.5
    weights = raw.requires_grad_()
    # Experts that together give white Gaussian data about its own curvature: sum_k alpha_k w_k w_k^T near the identity.
    alpha = 1.5 * dims / recipe.experts
    # The inverse of softplus, in a form that does not overflow for few experts.
    softness = torch.full((recipe.experts,), alpha + math.log(-math.expm1(-alpha))).requires_grad_()
    optimizer = torch.optim.Adam([weights, softness], lr=recipe.learning_rate)

    def state() -> tuple[Tensor, Tensor]:
        return weights if recipe.free_norms else F.normalize(weights, dim=1), F.softplus(softness)

    losses: list[tuple[int, float]] = []
    best: tuple[float, Tensor, Tensor] | None = None
    stale, step = 0, 0
    order = torch.randperm(len(shown), generator=generator)
    position = 0
    every = max(1, recipe.iterations // _CHECKS)
    for step in range(recipe.iterations + 1):
        if step % every == 0 or step == recipe.iterations:
            loss = _held_out_loss(held_out, *state(), expert)
            losses.append((step, loss))
            if progress is not None:
                progress(step, recipe.iterations, loss)
            if not loss < float("inf"):
                raise InputError(
                    f"learning_rate: the loss diverged at step {step} with {recipe.learning_rate}; valid: a smaller one"
                )
            if best is None or loss < best[0]:
                filters, alphas = state()
                best, stale = (loss, filters.detach().clone(), alphas.detach().clone()), 0
            else:
                stale += 1
            if stale >= _PATIENCE:
                break
        if step == recipe.iterations:
            break
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate * _rate(step / recipe.iterations)
        if position + recipe.batch > len(order):
            order, position = torch.randperm(len(shown), generator=generator), 0
        chosen = order[position : position + recipe.batch]
        position += recipe.batch
        batch = shown[chosen] + torch.randn(len(chosen), spread.shape[1], generator=generator) @ spread.T
        optimizer.zero_grad(set_to_none=True)
        score_matching_loss(batch, *state(), expert).backward()
        optimizer.step()
    assert best is not None
    filters, bias = whitening.fold(best[1])
    shape = (recipe.experts, 3, recipe.patch_size, recipe.patch_size)
    prior = PatchExperts(filters.reshape(shape), best[2], bias, expert)
    report = TrainingReport(step, tuple(losses), best[0], time.perf_counter() - started, dims)
    return Trained(prior, recipe, report)


def _rate(done: float) -> float:
    share = 1.0
    for since, value in _RATE_STEPS:
        if done >= since:
            share = value
    return share


@torch.no_grad()
def _held_out_loss(z: Tensor, filters: Tensor, alphas: Tensor, expert: Expert) -> float:
    parts = z.split(1000)
    total = sum(float(score_matching_loss(part, filters, alphas, expert)) * len(part) for part in parts)
    return total / len(z)
