"""The family ``patch_experts``: products of experts over patches, trained by score matching."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from restoration_core.errors import InputError
from restoration_core.priors.expert_functions import expert_by_name
from restoration_core.priors.patch_experts.channel_subset import ChannelSubset
from restoration_core.priors.patch_experts.channelwise_experts import ChannelwiseExperts
from restoration_core.priors.patch_experts.patch_experts import PatchExperts
from restoration_core.priors.patch_experts.patch_field import PatchField
from restoration_core.priors.patch_experts.recipe import Recipe
from restoration_core.priors.patch_experts.separable_experts import SeparableExperts
from restoration_core.priors.patch_experts.training import train_patch_experts
from restoration_core.priors.prior import Prior
from restoration_core.priors.training import Family


def _tensors(prior: PatchField | ChannelSubset) -> dict[str, Tensor]:
    if isinstance(prior, ChannelSubset):
        return {**_tensors(prior.field), "map_channels": torch.tensor([prior.map_channels])}
    return prior.parts()


def _restore(recipe: Recipe, tensors: Mapping[str, Tensor]) -> Prior:
    field = _field(recipe, tensors)
    if recipe.channels is None:
        channels = field.channels if recipe.maps is not None else 3
        if field.channels != channels:
            raise InputError(f"filters of {field.channels} channels where its recipe says {channels}")
        return field
    return ChannelSubset(field, recipe.channels, int(tensors["map_channels"]))


def _field(recipe: Recipe, tensors: Mapping[str, Tensor]) -> PatchField:
    expert, size, count = expert_by_name(recipe.expert), recipe.patch_size, recipe.experts
    if recipe.bank == "separable":
        deep = tensors["depthwise"]
        _expect("depth-wise filters", deep, (deep.shape[0], recipe.multiplier, size, size))
        _expect("point-wise filters", tensors["pointwise"], (count, deep.shape[0] * recipe.multiplier))
        return SeparableExperts(deep, tensors["pointwise"], tensors["alphas"], tensors["bias"], expert)
    filters = tensors["filters"]
    if recipe.bank == "channelwise":
        _expect("filters", filters, (filters.shape[0], count, size, size))
        return ChannelwiseExperts(filters, tensors["alphas"], tensors["bias"], expert)
    _expect("filters", filters, (count, filters.shape[1], size, size))
    return PatchExperts(filters, tensors["alphas"], tensors["bias"], expert)


def _expect(what: str, tensor: Tensor, wanted: tuple[int, ...]) -> None:
    if tensor.shape != wanted:
        raise InputError(f"{what} of shape {tuple(tensor.shape)} where its recipe says {wanted}")


PATCH_EXPERTS = Family("patch_experts", "patch-experts-1", Recipe, train_patch_experts, _tensors, _restore)
