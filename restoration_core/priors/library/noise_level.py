"""Moving a trained prior to another noise level, given as users and specs give it."""

from __future__ import annotations

import functools

from restoration_core.errors import InputError
from restoration_core.priors.convolutional_experts import ConvolutionalExperts, FieldRecipe
from restoration_core.priors.denoiser import Denoiser
from restoration_core.priors.prior import Prior
from restoration_core.priors.training import PriorRecipe


def at_noise_level(prior: Prior, recipe: PriorRecipe, level: float, what: str, otherwise: str) -> Prior:
    """Return a field or denoiser at a noise level: for the same prior and level the same object.

    Rows of a batch that share a prior object are evaluated together.

    Args:
        prior: the trained prior.
        recipe: what it was trained by.
        level: standard deviation: RGB in [0, 1], or on feature maps relative to the maps' own deviation. One that
            rounding has moved just outside the trained levels is taken as the outermost.
        what: where the level was named, for messages.
        otherwise: what is valid for a prior without noise levels, for messages.

    Raises:
        InputError: a level outside the trained ones, or a prior without noise levels.
    """
    if not isinstance(prior, ConvolutionalExperts | Denoiser):
        raise InputError(f"{what}: {recipe.title} has no noise levels; valid: {otherwise}")
    # A field on maps keeps its levels in the unit of the maps, its recipe relative to their deviation.
    relative = isinstance(recipe, FieldRecipe) and recipe.maps is not None
    unit = prior.noise_levels[0] / recipe.noise_levels[0] if relative and isinstance(recipe, FieldRecipe) else 1.0
    lowest, highest = prior.noise_levels[0], prior.noise_levels[-1]
    low, high = lowest / unit, highest / unit
    if not low * (1 - 1e-6) <= level <= high * (1 + 1e-6):
        raise InputError(f"{what}: {low:g} <= noise level <= {high:g} must hold for {recipe.title}, but got {level:g}")
    return _moved(prior, min(max(level * unit, lowest), highest))


@functools.lru_cache(maxsize=256)
def _moved(prior: ConvolutionalExperts | Denoiser, noise: float) -> Prior:
    return prior.at_noise(noise)
