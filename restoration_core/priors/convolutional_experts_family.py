"""The family ``convolutional_experts``: fields of experts trained as fields, by score matching on whole crops."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from restoration_core.errors import InputError
from restoration_core.priors.convolutional_experts import ConvolutionalExperts
from restoration_core.priors.experts import expert_by_name
from restoration_core.priors.family import Family
from restoration_core.priors.field_recipe import FieldRecipe
from restoration_core.priors.field_training import train_convolutional_experts


def _tensors(prior: ConvolutionalExperts) -> dict[str, Tensor]:
    return {
        "filters": prior.filters,
        "bias": prior.bias,
        "alphas": prior.level_alphas,
        "gammas": prior.level_gammas,
    }


def _restore(recipe: FieldRecipe, tensors: Mapping[str, Tensor]) -> ConvolutionalExperts:
    filters, bias, alphas, gammas = (tensors[name].float() for name in ("filters", "bias", "alphas", "gammas"))
    size = recipe.filter_size
    wanted = ((recipe.experts, size, size), (len(recipe.noise_levels), recipe.scales, recipe.experts))
    found = ((filters.shape[0], *filters.shape[2:]), tuple(alphas.shape))
    if found != wanted:
        raise InputError(f"filters and alphas of shapes {found} where its recipe says {wanted}")
    return ConvolutionalExperts(
        filters,
        bias,
        alphas,
        gammas,
        recipe.noise_levels,
        expert_by_name(recipe.expert),
        boundary=recipe.boundary,
        noise=recipe.noise,
    )


CONVOLUTIONAL_EXPERTS = Family(
    FieldRecipe.family, "convolutional-experts-1", FieldRecipe, train_convolutional_experts, _tensors, _restore
)
