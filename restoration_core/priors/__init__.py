"""Energies over images and feature maps, with gradients in closed form; training the learned ones and keeping them."""

from restoration_core.priors.convolutional_experts import ConvolutionalExperts, FieldRecipe, default_field_recipe
from restoration_core.priors.hand_crafted import AlphaNorm, IsotropicRange, TotalVariation, project_to_bound
from restoration_core.priors.library import FAMILIES, PriorLibrary
from restoration_core.priors.maps import FeatureMaps, LayerMaps, MapSource, load_folder, load_samples
from restoration_core.priors.patch_experts import (
    ChannelSubset,
    ChannelwiseExperts,
    PatchExperts,
    Recipe,
    SeparableExperts,
    default_recipe,
    score_matching_loss,
    train_patch_experts,
)
from restoration_core.priors.prior import Prior
from restoration_core.priors.training import Family, PriorRecipe, Trained, TrainingReport

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
