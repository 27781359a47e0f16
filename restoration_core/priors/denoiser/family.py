"""The family ``denoiser``: convolutional denoisers whose residual is a prior's gradient."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from restoration_core.errors import InputError
from restoration_core.priors.denoiser.denoiser import Denoiser
from restoration_core.priors.denoiser.network import NoiseNetwork
from restoration_core.priors.denoiser.recipe import DenoiserRecipe
from restoration_core.priors.denoiser.training import train_denoiser
from restoration_core.priors.training import Family


def _tensors(prior: Denoiser) -> dict[str, Tensor]:
    return {**prior.network.tensors(), "centre": prior.centre, "unit": torch.tensor(prior.unit, dtype=torch.float32)}


def _restore(recipe: DenoiserRecipe, tensors: Mapping[str, Tensor]) -> Denoiser:
    network = NoiseNetwork.of(tensors, recipe.factor)
    found = (len(network.filters), network.filters[0].shape[0], network.filters[0].shape[1] % recipe.factor**2)
    if found != (recipe.depth, recipe.width, 0):
        raise InputError(
            f"{found[0]} layers of width {found[1]} where its recipe says {recipe.depth} of {recipe.width} on blocks of"
            f" {recipe.factor} x {recipe.factor}"
        )
    return Denoiser(network, tensors["centre"], float(tensors["unit"]), recipe.levels, recipe.stands_at)


DENOISER = Family(DenoiserRecipe.family, "denoiser-1", DenoiserRecipe, train_denoiser, _tensors, _restore)
