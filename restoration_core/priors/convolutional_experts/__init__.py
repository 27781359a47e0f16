"""Convolutional fields of experts over several scales and noise levels."""

from restoration_core.priors.convolutional_experts.convolutional_experts import ConvolutionalExperts
from restoration_core.priors.convolutional_experts.family import CONVOLUTIONAL_EXPERTS
from restoration_core.priors.convolutional_experts.recipe import FieldRecipe, default_field_recipe

__all__ = [
    "CONVOLUTIONAL_EXPERTS",
    "ConvolutionalExperts",
    "FieldRecipe",
    "default_field_recipe",
]
