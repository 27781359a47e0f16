"""Priors for timing a step: kept ones, or random ones of the same shape, as the numbers do not matter for the time."""

from __future__ import annotations

import json
from typing import Any

import torch

from restoration_core.networks import Classifier
from restoration_core.priors import Prior, PriorLibrary, PriorRecipe, Recipe, Trained, TrainingReport
from restoration_core.priors.convolutional_experts import ConvolutionalExperts, FieldRecipe
from restoration_core.priors.denoiser import Denoiser, DenoiserRecipe, NoiseNetwork
from restoration_core.priors.expert_functions import EXPERTS
from restoration_core.priors.maps import map_shape
from restoration_core.priors.patch_experts import ChannelwiseExperts, PatchExperts, SeparableExperts
from sweeps.priors.recipes import recipe_of
from sweeps.priors.reference import PriorReference


class PlaceholderPriors:
    """Looks priors up for a plan; nothing is trained.

    Args:
        classifier: of the plan, maybe with other weights than the sweep's.
    """

    def __init__(self, classifier: Classifier) -> None:
        self.classifier, self._library = classifier, PriorLibrary()
        self._found: dict[PriorReference, Trained] = {}

    def __call__(self, reference: PriorReference) -> Trained:
        if reference not in self._found:
            kept = self.kept(reference)
            self._found[reference] = self._library.trained(kept) if kept else self._random(reference)
        return self._found[reference]

    def kept(self, reference: PriorReference) -> str | None:
        """Return the key of the library's prior, None when there is none.

        Which weights of the network a prior on maps learned from is not compared: a plan need not have the sweep's.
        """
        wanted = self.recipe(reference)
        return next((entry.key for entry in self._library.list() if _alike(entry.recipe, wanted)), None)

    def recipe(self, reference: PriorReference) -> PriorRecipe:
        """Return the recipe of a prior; one named by the user is taken as the library has it."""
        if reference.kept is not None:
            return self._library.entry(reference.kept).recipe
        return recipe_of(reference, self.classifier, self._library)

    def floats(self, reference: PriorReference) -> int:
        """Return about how many numbers a prior's tensors hold."""
        recipe = self.recipe(reference)
        channels = 3 if reference.layer is None else map_shape(self.classifier, reference.layer)[0]
        if isinstance(recipe, DenoiserRecipe):
            ends = 2 * channels * recipe.factor**2
            return 9 * recipe.width * (ends + (recipe.depth - 2) * recipe.width)
        if isinstance(recipe, FieldRecipe):
            return recipe.experts * channels * recipe.filter_size**2
        assert isinstance(recipe, Recipe)
        if recipe.bank == "separable":
            return channels * recipe.multiplier * (recipe.patch_size**2 + recipe.experts)
        return recipe.experts * (channels * recipe.patch_size**2 + 2)

    def _random(self, reference: PriorReference) -> Trained:
        recipe = self.recipe(reference)
        channels = 3 if reference.layer is None else map_shape(self.classifier, reference.layer)[0]
        return Trained(_random_prior(recipe, channels), recipe, TrainingReport(0, (), 0.0, 0.0, 0))


def _alike(kept: PriorRecipe, wanted: PriorRecipe) -> bool:
    return kept.family == wanted.family and _but_for_weights(kept) == _but_for_weights(wanted)


def _but_for_weights(recipe: PriorRecipe) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(recipe.to_json())
    if fields.get("maps"):
        del fields["maps"]["weights_id"]
    return fields


def _random_prior(recipe: PriorRecipe, channels: int) -> Prior:
    generator = torch.Generator().manual_seed(0)

    def drawn(*shape: int) -> torch.Tensor:
        return 0.1 * torch.randn(*shape, generator=generator)

    if isinstance(recipe, DenoiserRecipe):
        network = NoiseNetwork.drawn(channels, recipe.width, recipe.depth, recipe.factor, generator)
        centre = torch.zeros(channels)
        return Denoiser(network.to("cpu", torch.float32), centre, 1.0, recipe.levels, recipe.stands_at)
    if isinstance(recipe, FieldRecipe):
        count, size = recipe.experts, recipe.filter_size
        ones = torch.ones(len(recipe.noise_levels), recipe.scales, count)
        return ConvolutionalExperts(
            drawn(count, channels, size, size),
            torch.zeros(count),
            ones,
            ones,
            recipe.noise_levels,
            EXPERTS[recipe.expert],
            boundary=recipe.boundary,
            noise=recipe.noise,
        )
    assert isinstance(recipe, Recipe)
    count, size, expert = recipe.experts, recipe.patch_size, EXPERTS[recipe.expert]
    if recipe.bank == "channelwise":
        wide = torch.ones(channels, count)
        return ChannelwiseExperts(drawn(channels, count, size, size), wide, 0 * wide, expert)
    ones = torch.ones(count)
    if recipe.bank == "separable":
        deep = drawn(channels, recipe.multiplier, size, size)
        return SeparableExperts(deep, drawn(count, channels * recipe.multiplier), ones, 0 * ones, expert)
    return PatchExperts(drawn(count, channels, size, size), ones, 0 * ones, expert)
