"""The family ``convolutional_experts``: convolutional fields, trained by score matching on whole crops."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from restoration_core.errors import InputError
from restoration_core.priors.convolutional_experts.convolutional_experts import ConvolutionalExperts
from restoration_core.priors.convolutional_experts.recipe import FieldRecipe
from restoration_core.priors.convolutional_experts.training import make_field, train_convolutional_experts
from restoration_core.priors.training import Family


def _tensors(prior: ConvolutionalExperts) -> dict[str, Tensor]:
    return {
        "filters": prior.filters,
        "bias": prior.bias,
        "alphas": prior.level_alphas,
        "gammas": prior.level_gammas,
        "noise_levels": torch.tensor(prior.noise_levels),
    }


def _restore(recipe: FieldRecipe, tensors: Mapping[str, Tensor]) -> ConvolutionalExperts:
    filters, alphas, size = tensors["filters"], tensors["alphas"], recipe.filter_size
    wanted = ((recipe.experts, size, size), (len(recipe.noise_levels), recipe.scales, recipe.experts))
    found = ((filters.shape[0], *filters.shape[2:]), tuple(alphas.shape))
    if found != wanted or tensors["noise_levels"].shape != alphas.shape[:1]:
        raise InputError(f"filters and alphas of shapes {found} where its recipe says {wanted}")
    return make_field(recipe, tensors)


CONVOLUTIONAL_EXPERTS = Family(
    FieldRecipe.family, "convolutional-experts-1", FieldRecipe, train_convolutional_experts, _tensors, _restore
)
