"""Energies over images and feature maps, with gradients in closed form; training patch experts and keeping them."""

from restoration_core.priors.alpha_norm import AlphaNorm
from restoration_core.priors.channel_subset import ChannelSubset
from restoration_core.priors.channelwise_experts import ChannelwiseExperts
from restoration_core.priors.convolutional_experts import ConvolutionalExperts
from restoration_core.priors.families import FAMILIES
from restoration_core.priors.family import Family, PriorRecipe, Trained, TrainingReport
from restoration_core.priors.feature_maps import FeatureMaps
from restoration_core.priors.field_recipe import FieldRecipe, default_field_recipe
from restoration_core.priors.isotropic_range import IsotropicRange, project_to_bound
from restoration_core.priors.map_source import LayerMaps, MapSource
from restoration_core.priors.patch_experts import PatchExperts
from restoration_core.priors.photographs import load_folder, load_samples
from restoration_core.priors.prior import Prior
from restoration_core.priors.prior_library import PriorLibrary
from restoration_core.priors.recipe import Recipe, default_recipe
from restoration_core.priors.score_matching import score_matching_loss
from restoration_core.priors.separable_experts import SeparableExperts
from restoration_core.priors.total_variation import TotalVariation
from restoration_core.priors.training import train_patch_experts

__all__ = [
    "FAMILIES",
    "AlphaNorm",
    "ChannelSubset",
    "ChannelwiseExperts",
    "ConvolutionalExperts",
    "Family",
    "FeatureMaps",
    "FieldRecipe",
    "IsotropicRange",
    "LayerMaps",
    "MapSource",
    "PatchExperts",
    "Prior",
    "PriorLibrary",
    "PriorRecipe",
    "Recipe",
    "SeparableExperts",
    "TotalVariation",
    "Trained",
    "TrainingReport",
    "default_field_recipe",
    "default_recipe",
    "load_folder",
    "load_samples",
    "project_to_bound",
    "score_matching_loss",
    "train_patch_experts",
]
