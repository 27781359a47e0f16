"""Products of experts over overlapping patches of pictures or feature maps, trained by score matching."""

from restoration_core.priors.patch_experts.channel_subset import ChannelSubset
from restoration_core.priors.patch_experts.channelwise_experts import ChannelwiseExperts
from restoration_core.priors.patch_experts.default_recipes import (
    BUNDLED_NETWORK,
    FREE_NORMS_RATE,
    MAP_DIMS,
    UNIT_NORMS_RATE,
    default_recipe,
    thesis_recipe,
)
from restoration_core.priors.patch_experts.family import PATCH_EXPERTS
from restoration_core.priors.patch_experts.patch_experts import PatchExperts
from restoration_core.priors.patch_experts.patch_field import PatchField
from restoration_core.priors.patch_experts.recipe import Recipe
from restoration_core.priors.patch_experts.score_matching import score_matching_loss
from restoration_core.priors.patch_experts.separable_experts import SeparableExperts
from restoration_core.priors.patch_experts.training import train_patch_experts
from restoration_core.priors.patch_experts.whitened_patches.training_data import layout

__all__ = [
    "BUNDLED_NETWORK",
    "FREE_NORMS_RATE",
    "MAP_DIMS",
    "PATCH_EXPERTS",
    "UNIT_NORMS_RATE",
    "ChannelSubset",
    "ChannelwiseExperts",
    "PatchExperts",
    "PatchField",
    "Recipe",
    "SeparableExperts",
    "default_recipe",
    "layout",
    "score_matching_loss",
    "thesis_recipe",
    "train_patch_experts",
]
