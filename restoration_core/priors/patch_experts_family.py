"""The family ``patch_experts``: products of experts over patches, fitted by score matching."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from restoration_core.errors import InputError
from restoration_core.priors.checkpoint import Checkpoint
from restoration_core.priors.experts import expert_by_name
from restoration_core.priors.family import Family, Progress, Trained
from restoration_core.priors.map_source import MapSource
from restoration_core.priors.patch_experts import PatchExperts
from restoration_core.priors.recipe import Recipe
from restoration_core.priors.training import train_patch_experts


def _train(
    recipe: Recipe, source: MapSource, progress: Progress | None = None, checkpoint: Checkpoint | None = None
) -> Trained:
    return train_patch_experts(recipe, source.maps(range(len(source))), progress)


def _tensors(prior: PatchExperts) -> dict[str, Tensor]:
    return {"filters": prior.filters, "alphas": prior.alphas, "bias": prior.bias}


def _restore(recipe: Recipe, tensors: Mapping[str, Tensor]) -> PatchExperts:
    filters, size = tensors["filters"], recipe.patch_size
    wanted = (recipe.experts, 3, size, size)
    if filters.shape != wanted:
        raise InputError(f"filters of shape {tuple(filters.shape)} where its recipe says {wanted}")
    return PatchExperts(filters, tensors["alphas"], tensors["bias"], expert_by_name(recipe.expert))


PATCH_EXPERTS = Family("patch_experts", "patch-experts-1", Recipe, _train, _tensors, _restore)
