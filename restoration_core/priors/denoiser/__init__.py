"""Denoisers as priors: what a denoiser removes points along the gradient of the smoothed log-density."""

from restoration_core.priors.denoiser.denoiser import Denoiser
from restoration_core.priors.denoiser.family import DENOISER
from restoration_core.priors.denoiser.network import NoiseNetwork
from restoration_core.priors.denoiser.recipe import MAP_LEVELS, DenoiserRecipe, default_denoiser_recipe

__all__ = [
    "DENOISER",
    "MAP_LEVELS",
    "Denoiser",
    "DenoiserRecipe",
    "NoiseNetwork",
    "default_denoiser_recipe",
]
